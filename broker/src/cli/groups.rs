//! `sampan groups`: how groups stand, and where they read on.

use std::io::Write;

use clap::Subcommand;
use sampan_client::admin::{GroupStatus, SeekTo};
use sampan_client::{Client, Topic};

use super::connection::Connection;
use super::exit::Failure;
use super::output::{Output, tell};
use super::text;

/// Show groups, let one read on elsewhere, or end one
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    #[command(subcommand)]
    act: Option<Act>,
    /// Show this group, with its topics
    name: Option<String>,
    /// Print one line of JSON per group
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Let a group read a topic from another place on
    Seek {
        /// Group
        name: String,
        /// Topic
        topic: String,
        /// Offset, or a time: `now`, or RFC 3339 in UTC
        #[arg(value_name = "OFFSET|TIME", value_parser = place)]
        to: SeekTo,
        #[command(flatten)]
        connection: Connection,
    },
    /// End a group, with its places and its dead letters
    Delete {
        /// Group
        name: String,
        #[command(flatten)]
        connection: Connection,
    },
}

/// Digits are an offset, all else is a time.
fn place(text: &str) -> Result<SeekTo, String> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
        return text.parse().map(SeekTo::Offset).map_err(|error| format!("{error}"));
    }
    text::moment(text).map(SeekTo::TimeMs)
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    match args.act {
        Some(Act::Seek { name, topic, to, connection }) => {
            let topic = Topic::parse(&topic)
                .map_err(|error| Failure::usage(format_args!("topic {topic:?}: {error}")))?;
            let seek = async |client: &Client| Ok(client.seek(&name, &topic, to).await?);
            connection.with(seek).await
        }
        Some(Act::Delete { name, connection }) => {
            let delete = async |client: &Client| Ok(client.delete_group(&name).await?);
            connection.with(delete).await
        }
        None => show(args.name, args.json, &args.connection).await,
    }
}

async fn show(name: Option<String>, json: bool, connection: &Connection) -> Result<(), Failure> {
    let ask = async |client: &Client| match &name {
        Some(name) => Ok(vec![client.group(name).await?]),
        None => Ok(client.groups().await?),
    };
    let groups = connection.with(ask).await?;
    let mut output = Output::new()?;
    for group in &groups {
        if json {
            output.json(group)?;
        } else {
            print(&mut output, group)?;
        }
    }
    output.flush()?;
    if name.is_some() {
        let more: u64 = groups.iter().map(|group| group.more_topics).sum();
        if more > 0 {
            tell(format_args!("sampan: {more} more topics are not listed"));
        }
    }
    Ok(())
}

fn print(output: &mut Output, group: &GroupStatus) -> std::io::Result<()> {
    let GroupStatus { group: name, pattern, order, members, lag, in_flight, parked, dead, .. } =
        group;
    writeln!(
        output,
        "{name} {pattern} {order} members {members} lag {lag} in_flight {in_flight} parked {parked} \
         dead {dead}"
    )?;
    for topic in &group.topics {
        let (epoch, done, next) = (topic.epoch, topic.done, topic.next);
        writeln!(output, "  {} {epoch}:{done} next {next} lag {}", topic.topic, topic.lag)?;
    }
    Ok(())
}
