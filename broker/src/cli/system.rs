//! `sampan topics` and `sampan status`: questions that the broker itself answers.

use std::io::Write;
use std::time::Duration;

use sampan_client::{Client, Topic};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::connection::Connection;
use super::exit::{Exit, Failure};
use super::output::Output;
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
    let client = args.connection.open().await?;
    let mut output = Output::new()?;
    let reply: TopicsReply = ask(&client, system::TOPICS, &Nothing {}).await?;
    for topic in &reply.topics {
        if args.json {
            output.json(topic)?;
        } else {
            writeln!(output, "{} {}", topic.topic, topic.class)?;
        }
    }
    output.flush()?;
    if reply.more > 0 {
        eprintln!("sampan: {} more topics are not listed", reply.more);
    }
    Ok(())
}

pub(super) async fn status(args: StatusArgs) -> Result<(), Failure> {
    let client = args.connection.open().await?;
    let mut output = Output::new()?;
    let reply: StatusReply = ask(&client, system::STATUS, &Nothing {}).await?;
    if args.json {
        output.json(&reply)?;
    } else {
        let value = serde_json::to_value(&reply).map_err(Failure::failed)?;
        for (name, value) in value.as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            writeln!(output, "{name:24} {value}")?;
        }
    }
    Ok(output.flush()?)
}

/// Asks the broker itself; payloads are JSON both ways.
pub(super) async fn ask<T: DeserializeOwned>(
    client: &Client,
    topic: &str,
    question: &impl Serialize,
) -> Result<T, Failure> {
    let topic = Topic::parse(topic).map_err(Failure::failed)?;
    let question = serde_json::to_vec(question).map_err(Failure::failed)?;
    let reply = client.request(topic, question, TIMEOUT).await?;
    serde_json::from_slice(&reply.payload()).map_err(|error| {
        let why =
            format!("the broker's answer is not understood ({error}); is it of this version?");
        Failure::Told(Exit::Refused, why)
    })
}
