//! `sampan topics` and `sampan status`: questions that the broker itself answers.

use std::io::Write;
use std::time::Duration;

use sampan_client::{Client, Topic};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::connection::Connection;
use super::exit::{Exit, Failure};
use super::output::{Output, tell};
use crate::serve::system::{self, Nothing, StatusReply, TopicsReply};

/// How long the broker may take; it answers from memory.
const TIMEOUT: Duration = Duration::from_secs(10);

/// List the topics that the broker knows
#[derive(Debug, clap::Args)]
pub(super) struct TopicsArgs {
    /// Print one line of JSON per topic
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Show what the broker is doing
#[derive(Debug, clap::Args)]
pub(super) struct StatusArgs {
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn topics(args: TopicsArgs) -> Result<(), Failure> {
    let reply: TopicsReply = ask(&args.connection, system::TOPICS, &Nothing {}).await?;
    let mut output = Output::new()?;
    for topic in &reply.topics {
        if args.json {
            output.json(topic)?;
        } else {
            writeln!(output, "{} {}", topic.topic, topic.class)?;
        }
    }
    output.flush()?;
    if reply.more > 0 {
        tell(format_args!("sampan: {} more topics are not listed", reply.more));
    }
    Ok(())
}

pub(super) async fn status(args: StatusArgs) -> Result<(), Failure> {
    let reply: StatusReply = ask(&args.connection, system::STATUS, &Nothing {}).await?;
    let mut output = Output::new()?;
    if args.json {
        output.json(&reply)?;
        return Ok(output.flush()?);
    }
    let uptime = Duration::from_secs(reply.uptime_s);
    writeln!(output, "sampan {}, {}", reply.version, reply.ready)?;
    writeln!(output, "up           {}", humantime::format_duration(uptime))?;
    writeln!(output, "shards       {}", reply.shards)?;
    writeln!(output, "connections  {}", reply.connections)?;
    writeln!(output, "sessions     {}", reply.sessions)?;
    writeln!(output, "rooms        {}", reply.rooms)?;
    writeln!(output, "published    {}", reply.published)?;
    writeln!(output, "deliveries   {}", reply.deliveries)?;
    writeln!(output, "outboxes     {} bytes", reply.outbox_bytes)?;
    writeln!(output, "revocations  {}", reply.revocations)?;
    writeln!(output, "durable      on {}", reply.durable)?;
    Ok(output.flush()?)
}

/// Asks the broker itself; payloads are JSON both ways.
pub(super) async fn ask<T: DeserializeOwned>(
    connection: &Connection,
    topic: &str,
    question: &impl Serialize,
) -> Result<T, Failure> {
    let topic = Topic::parse(topic).map_err(Failure::failed)?;
    let question = serde_json::to_vec(question).map_err(Failure::failed)?;
    let ask = async |client: &Client| Ok(client.request(topic, question, TIMEOUT).await?);
    let reply = connection.with(ask).await?;
    serde_json::from_slice(&reply.payload()).map_err(|error| {
        let why =
            format!("the broker's answer is not understood ({error}); is it of this version?");
        Failure::Told(Exit::Refused, why)
    })
}
