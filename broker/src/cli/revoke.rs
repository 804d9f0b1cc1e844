//! `sampan revoke`: ends tokens before their time.

use std::io::Write;

use super::connection::Connection;
use super::exit::Failure;
use super::output::Output;
use super::system::ask;
use super::text;
use crate::serve::system::{self, RevokeReply, RevokeRequest};

/// End tokens before their time; live connections with them are closed
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: Target,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Target {
    /// The token with this id
    #[arg(long, value_name = "ID")]
    jti: Option<String>,
    /// Every token that this user has so far
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Every token issued before: `now`, Unix seconds, or a time such as 2026-01-31T12:00:00Z
    #[arg(long, value_name = "TIME", value_parser = text::moment)]
    issued_before: Option<u64>,
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let Target { jti, user, issued_before } = args.target;
    let request = RevokeRequest { jti, user, issued_before_ms: issued_before };
    let reply: RevokeReply = ask(&args.connection, system::REVOKE, &request).await?;
    let mut output = Output::new()?;
    if args.json {
        output.json(&reply)?;
    } else {
        writeln!(output, "revoked; remembered until Unix time {}", reply.until_ms / 1000)?;
    }
    Ok(output.flush()?)
}
