//! `sampan pub`: one message from the command line, or as many as standard input holds.

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;
use sampan_client::{AckLevel, Acks, Client, Error, Message, Publisher, State, Topic};
use sampan_protocol::limits::PAYLOAD_BYTES_MAX;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{Instant, sleep};

use super::connection::Connection;
use super::exit::Failure;
use super::outcomes::Outcomes;
use super::pieces::{Piece, Separator, Splitter};
use super::signals::Stop;
use super::stdin::{self, Pieces};

/// Publish messages; ends when every one is acked or refused
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Topic to publish to
    topic: String,
    /// Payload, empty if left out; `-` reads standard input
    #[arg(allow_hyphen_values = true)]
    payload: Option<String>,
    /// Make one message of each line, paragraph or NUL-terminated piece
    #[arg(long, value_enum, value_name = "WHERE")]
    split: Option<Separator>,
    /// Event name
    #[arg(long, value_name = "NAME")]
    event: Option<String>,
    /// What an ack shall mean: routed, logged or synced; default: the best the topic can give
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    ack: Option<AckLevel>,
    /// Key by which the newest value is kept, or order is held
    #[arg(long, value_name = "K")]
    key: Option<String>,
    /// Print one line of JSON per ack, as it arrives
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// How long the broker may be out of reach before the command gives up.
const UNREACHABLE_MAX: Duration = Duration::from_secs(30);

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let topic = Topic::parse(&args.topic)
        .map_err(|error| Failure::usage(format_args!("topic {:?}: {error}", args.topic)))?;
    let mut stop = Stop::listen()?;
    Stop::insist()?;
    let message = |payload| draft(&args, &topic, payload);
    let publish = async |client: &Client| {
        let source = match args.payload.as_deref() {
            Some("-") => stdin::pieces(args.split)?,
            given => one(given.unwrap_or_default(), args.split),
        };
        // Both sides run on this one task, and neither holds the outcomes while it waits.
        let outcomes = RefCell::new(Outcomes::new(topic.as_str(), args.json)?);
        let (publisher, acks) = client.publisher();
        let work = async {
            tokio::try_join!(send(source, publisher, message, &outcomes), report(acks, &outcomes))
        };
        let end = tokio::select! {
            done = work => done.map(|_| ()),
            () = stop.signalled() => outcomes.borrow().cut_short("interrupted"),
            () = out_of_reach(client) => outcomes.borrow().cut_short("the broker is out of reach"),
        };
        let settled = outcomes.into_inner().finish();
        end.and(settled)
    };
    args.connection.with(publish).await
}

/// Publishes every piece of the source, waiting while too many are on their way.
async fn send(
    mut source: Receiver<Pieces>,
    publisher: Publisher,
    message: impl Fn(Bytes) -> Message,
    outcomes: &RefCell<Outcomes>,
) -> Result<(), Failure> {
    while let Some(pieces) = source.recv().await {
        for piece in pieces? {
            let sent = match piece {
                Piece::Whole(payload) => publisher.publish(message(payload)).await,
                Piece::TooLarge(had) => {
                    Err(Error::TooLarge { field: "the payload", max: PAYLOAD_BYTES_MAX, had })
                }
            };
            match sent {
                Ok(ordinal) => outcomes.borrow_mut().queued(ordinal),
                Err(error @ Error::TooLarge { .. }) => outcomes.borrow_mut().skip(&error),
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// Takes the outcomes as they come, until the last message is settled.
async fn report(mut acks: Acks, outcomes: &RefCell<Outcomes>) -> Result<(), Failure> {
    let mut settled = Vec::new();
    while acks.next_many(&mut settled).await > 0 {
        outcomes.borrow_mut().take(&mut settled)?;
    }
    Ok(())
}

/// Resolves when there has been no session for too long.
async fn out_of_reach(client: &Client) {
    let mut seen = Instant::now();
    while seen.elapsed() < UNREACHABLE_MAX {
        if matches!(client.status().state, State::Live | State::Draining) {
            seen = Instant::now();
        }
        sleep(Duration::from_millis(500)).await;
    }
}

/// A payload from the command line as a source; without `--split` it may be empty.
fn one(payload: &str, split: Option<Separator>) -> Receiver<Pieces> {
    let mut pieces = Vec::new();
    match split {
        None => pieces.push(Piece::Whole(Bytes::copy_from_slice(payload.as_bytes()))),
        Some(_) => {
            let mut splitter = Splitter::new(split, PAYLOAD_BYTES_MAX);
            splitter.push(payload.as_bytes(), &mut pieces);
            pieces.extend(splitter.finish());
        }
    }
    let (send, receive) = channel(1);
    // The channel is new, so there is room.
    let _ = send.try_send(Ok(pieces));
    receive
}

fn draft(args: &Args, topic: &Topic, payload: Bytes) -> Message {
    let mut message = Message::new(topic.clone(), payload);
    if let Some(event) = &args.event {
        message = message.event(event);
    }
    if let Some(key) = &args.key {
        message = message.key(key);
    }
    match args.ack {
        Some(level) => message.ack(level),
        None => message,
    }
}

fn level(name: &str) -> Result<AckLevel, String> {
    let levels = [AckLevel::Routed, AckLevel::Logged, AckLevel::Synced];
    let level = levels.into_iter().find(|level| level.name() == name);
    level.ok_or_else(|| "expected routed, logged or synced".to_owned())
}
