//! `sampan dlq`: messages that groups have given up.

use std::io::Write;

use clap::Subcommand;
use sampan_client::admin::{DeadLetter, Letters, Outcome};
use sampan_client::{Client, Topic};

use super::connection::Connection;
use super::exit::{Exit, Failure};
use super::json::LetterLine;
use super::output::{Output, tell};
use super::text::printable;

/// Letters that are asked for at a time.
const PAGE: u32 = 200;

/// Look through the dead letters of a group, try them again, or discard them
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List dead letters, oldest first
    List(Listed),
    /// Show dead letters with payload, headers and failed attempts; without ids the oldest
    Peek(Listed),
    /// Put dead letters back to the group, due at once
    Retry {
        #[command(flatten)]
        chosen: Chosen,
        /// Publish them to this topic instead
        #[arg(long, value_name = "TOPIC")]
        to: Option<String>,
    },
    /// Remove dead letters
    Discard(Chosen),
}

#[derive(Debug, clap::Args)]
struct Listed {
    /// Group
    group: String,
    /// Only these
    #[arg(value_name = "ID")]
    ids: Vec<u64>,
    /// Print one line of JSON per letter
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Debug, clap::Args)]
struct Chosen {
    /// Group
    group: String,
    /// Which ones
    #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<u64>,
    /// Every one of the group
    #[arg(long)]
    all: bool,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Chosen {
    fn letters(&self) -> Letters {
        if self.all { Letters::All } else { Letters::Ids(self.ids.clone()) }
    }

    /// Says for how many it was done, and for which it was not.
    fn tell(&self, outcome: &Outcome, what: &str) -> Result<(), Failure> {
        let mut output = Output::new()?;
        if self.json {
            output.json(outcome)?;
        } else {
            writeln!(output, "{} {what}", outcome.count)?;
            for letter in &outcome.failed {
                writeln!(output, "{} failed: {}", letter.id, letter.reason)?;
            }
        }
        output.flush()?;
        match outcome.failures() {
            0 => Ok(()),
            failed => Err(Failure::Told(Exit::Refused, format!("{failed} could not be {what}"))),
        }
    }
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    match args.act {
        Act::List(listed) => list(&listed).await,
        Act::Peek(listed) => peek(&listed).await,
        Act::Retry { chosen, to } => retry(&chosen, to).await,
        Act::Discard(chosen) => {
            let discard = async |client: &Client| {
                Ok(client.dead_letters(&chosen.group).discard(chosen.letters()).await?)
            };
            let outcome = chosen.connection.with(discard).await?;
            chosen.tell(&outcome, "discarded")
        }
    }
}

async fn list(listed: &Listed) -> Result<(), Failure> {
    let work = async |client: &Client| {
        let (letters, mut output) = (client.dead_letters(&listed.group), Output::new()?);
        let (mut after, mut more, mut unreadable) = (None, true, Vec::new());
        while more {
            let page = letters.list(after, PAGE).await?;
            let wanted =
                |letter: &&DeadLetter| listed.ids.is_empty() || listed.ids.contains(&letter.id);
            for letter in page.letters.iter().filter(wanted) {
                if listed.json {
                    output.json(letter)?;
                } else {
                    head(&mut output, letter)?;
                }
            }
            output.flush()?;
            unreadable.extend(page.unreadable);
            after = page.through;
            more = page.more && after.is_some();
        }
        if !unreadable.is_empty() {
            let ids: Vec<String> = unreadable.iter().map(u64::to_string).collect();
            let (count, ids) = (ids.len(), ids.join(" "));
            tell(format_args!("sampan: {count} cannot be read, only discarded: {ids}"));
        }
        Ok(())
    };
    listed.connection.with(work).await
}

async fn peek(listed: &Listed) -> Result<(), Failure> {
    let work = async |client: &Client| {
        let (letters, mut output) = (client.dead_letters(&listed.group), Output::new()?);
        let mut ids = listed.ids.clone();
        if ids.is_empty() {
            ids.extend(letters.list(None, 1).await?.letters.first().map(|letter| letter.id));
        }
        for id in ids {
            let (letter, payload) = letters.peek(id).await?;
            if listed.json {
                output.json(&LetterLine::new(&letter, &payload))?;
            } else {
                show(&mut output, &letter, &payload)?;
            }
            output.flush()?;
        }
        Ok(())
    };
    listed.connection.with(work).await
}

async fn retry(chosen: &Chosen, to: Option<String>) -> Result<(), Failure> {
    let to = to.map(|to| {
        let topic = Topic::parse(&to);
        topic.map_err(|error| Failure::usage(format_args!("topic {to:?}: {error}")))
    });
    let to = to.transpose()?;
    let work = async |client: &Client| {
        let (dead, letters) = (client.dead_letters(&chosen.group), chosen.letters());
        Ok(match &to {
            Some(topic) => dead.retry_to(letters, topic).await?,
            None => dead.retry(letters).await?,
        })
    };
    let outcome = chosen.connection.with(work).await?;
    chosen.tell(&outcome, if to.is_some() { "published" } else { "put back" })
}

fn head(output: &mut Output, letter: &DeadLetter) -> std::io::Result<()> {
    let DeadLetter { id, topic, epoch, offset, attempts, reason, .. } = letter;
    let reason = printable(reason.as_bytes());
    writeln!(output, "{id} {topic} {epoch}:{offset} attempts {attempts}: {reason}")
}

fn show(output: &mut Output, letter: &DeadLetter, payload: &[u8]) -> std::io::Result<()> {
    head(output, letter)?;
    let fields =
        [("event", &letter.event), ("key", &letter.key), ("content type", &letter.content_type)];
    for (name, value) in fields {
        if let Some(value) = value {
            writeln!(output, "  {name}: {}", printable(value.as_bytes()))?;
        }
    }
    for (name, value) in &letter.headers {
        let (name, value) = (printable(name.as_bytes()), printable(value.as_bytes()));
        writeln!(output, "  header {name}: {value}")?;
    }
    for failure in &letter.failures {
        let (user, reason) =
            (printable(failure.user.as_bytes()), printable(failure.reason.as_bytes()));
        writeln!(output, "  failed at {} with {user}: {reason}", failure.time)?;
    }
    writeln!(output, "  {}", printable(payload))
}
