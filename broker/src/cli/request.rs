//! `sampan request`: asks whoever serves a topic, and prints the answer.

use std::io::Write;
use std::time::Duration;

use sampan_client::{Client, Message, Topic};

use super::connection::Connection;
use super::exit::Failure;
use super::json::ReplyLine;
use super::output::Output;
use super::text;

/// Ask whoever serves a topic and print the answer
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Topic to ask on
    topic: String,
    /// Payload of the request
    #[arg(allow_hyphen_values = true)]
    payload: String,
    /// Event name
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// How long to wait for the answer
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = text::duration)]
    timeout: Duration,
    /// Print the answer as one line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let topic = Topic::parse(&args.topic)
        .map_err(|error| Failure::usage(format_args!("topic {:?}: {error}", args.topic)))?;
    let mut message = Message::new(topic, args.payload.into_bytes());
    if let Some(event) = &args.event {
        message = message.event(event);
    }
    let ask = async |client: &Client| Ok(client.request_with(message, args.timeout).await?);
    let reply = args.connection.with(ask).await?;
    let payload = reply.payload();
    let mut output = Output::new()?;
    if args.json {
        output.json(&ReplyLine::new(&args.topic, &reply, &payload))?;
    } else {
        output.write_all(&payload)?;
        output.write_all(b"\n")?;
    }
    Ok(output.flush()?)
}
