//! `sampan presence`: who is present in a topic at this moment.

use std::io::Write;

use sampan_client::{Client, Member, Topic};
use serde::Serialize;

use super::connection::Connection;
use super::exit::Failure;
use super::output::Output;
use super::text::printable;

/// Show who is present in a topic
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Topic
    topic: String,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Serialize)]
struct Line<'a> {
    topic: &'a str,
    count: u32,
    members: Vec<MemberOf<'a>>,
}

#[derive(Serialize)]
struct MemberOf<'a> {
    user: &'a str,
    role: &'a str,
    /// 0 while the user's grace runs.
    sessions: u32,
    /// Unix milliseconds.
    since: u64,
}

impl<'a> MemberOf<'a> {
    fn new(member: &'a Member) -> Self {
        let Member { user, role, sessions, since_ms } = member;
        MemberOf { user, role, sessions: *sessions, since: *since_ms }
    }
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let topic = Topic::parse(&args.topic)
        .map_err(|error| Failure::usage(format_args!("topic {:?}: {error}", args.topic)))?;
    let read = async |client: &Client| Ok(client.presence(topic).read().await?);
    let members = args.connection.with(read).await?;
    let mut output = Output::new()?;
    let line = Line {
        topic: &args.topic,
        count: members.count,
        members: members.members.iter().map(MemberOf::new).collect(),
    };
    if args.json {
        output.json(&line)?;
        return Ok(output.flush()?);
    }
    writeln!(output, "{} present", line.count)?;
    for MemberOf { user, role, sessions, .. } in line.members {
        let user = printable(user.as_bytes());
        writeln!(output, "{user} {role} {sessions} sessions")?;
    }
    Ok(output.flush()?)
}
