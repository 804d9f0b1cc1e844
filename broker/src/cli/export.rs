//! `sampan export`: what a topic keeps, as lines of JSON, and then the end.

use std::io::Write;
use std::time::{Duration, SystemTime};

use sampan_client::{Client, HistoryFrom, Topic};

use super::connection::Connection;
use super::exit::Failure;
use super::json::KeptLine;
use super::output::Output;

/// Messages of one page.
const PAGE: u32 = 1_000;

/// Print what a topic keeps as lines of JSON, up to the moment of the call
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Topic
    topic: String,
    /// Begin with the messages of the time since, such as 24h; with the oldest without it
    #[arg(long, value_name = "DUR", value_parser = humantime::parse_duration)]
    since: Option<Duration>,
    /// End before the messages of the time since, such as 1h; with the newest without it
    #[arg(long, value_name = "DUR", value_parser = humantime::parse_duration)]
    until: Option<Duration>,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let Args { topic, since, until, connection } = args;
    let topic = Topic::parse(&topic)
        .map_err(|error| Failure::usage(format_args!("topic {topic:?}: {error}")))?;
    let mut output = Output::new()?;
    let print = async |client: &Client| {
        let end = before(until.unwrap_or_default());
        let mut from = HistoryFrom::Since(since.map_or(0, before));
        loop {
            let page = client.history(topic.clone(), from, PAGE).await?;
            for message in &page.messages {
                // What comes while it is printed is for the next time.
                if message.time_ms() >= end {
                    return Ok(output.flush()?);
                }
                output.json(&KeptLine::new(message))?;
            }
            if page.messages.is_empty() {
                return Ok(output.flush()?);
            }
            from = HistoryFrom::Offset(page.next);
        }
    };
    connection.with(print).await
}

/// Unix milliseconds of so long ago.
fn before(time: Duration) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.saturating_sub(time).as_millis()).unwrap_or(u64::MAX)
}
