//! `sampan sub --group`: takes part in a group, prints its jobs, and says what became of them.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::time::Duration;

use clap::ValueEnum;
use sampan_client::{Client, Consumer, Error, Job, Pattern, Receipt, Settling, Start};
use tokio::sync::mpsc::Receiver;

use super::connection::Connection;
use super::exit::Failure;
use super::json::JobLine;
use super::output::{Output, tell};
use super::pieces::{Piece, Separator};
use super::signals::Stop;
use super::stdin::{self, Pieces};
use super::subscribe::{Form, tell_events};
use super::text;

/// Jobs that are held at most if nobody says otherwise.
const WINDOW: u32 = 100;

/// How long the end of the command waits for the answers to all that was said.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// The flags of a share in a group.
#[derive(Debug, clap::Args)]
pub(super) struct Sharing {
    /// Share the messages with the others of this group; --last, --since and --from say where a new
    /// group begins instead of with the oldest message
    #[arg(long, value_name = "NAME")]
    pub(super) group: Option<String>,
    /// Who says what became of a message: each that is printed is acked, or lines of
    /// `ack|nak|release|reject ID [DELAY|REASON]` on standard input say it, or nobody does
    #[arg(long, value_enum, value_name = "WHO", requires = "group", default_value = "auto")]
    ack: Acks,
    /// Ask for N messages at a time, when the last ones are printed
    #[arg(long, value_name = "N", requires = "group",
        value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch: Option<u32>,
    /// Messages of one key come one after the other; decided when the group is made
    #[arg(long, requires = "group")]
    key_order: bool,
}

/// Who says what became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Acks {
    /// What is printed is acked.
    Auto,
    /// Standard input says it.
    Manual,
    /// Nobody: messages come again.
    Never,
}

/// What is to be done.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) group: String,
    pub(super) pattern: Pattern,
    pub(super) start: Option<Start>,
    pub(super) form: Form,
    pub(super) count: Option<u64>,
    pub(super) sharing: Sharing,
}

pub(super) async fn run(task: Task, connection: &Connection) -> Result<(), Failure> {
    let mut stop = Stop::listen()?;
    Stop::insist()?;
    let work = async |client: &Client| {
        tokio::spawn(tell_events(client.clone()));
        let consumer = join(client, &task).await?;
        tell(format_args!("ready"));
        Share::new(&task)?.work(consumer, &mut stop).await
    };
    connection.with(work).await
}

async fn join(client: &Client, task: &Task) -> Result<Consumer, Error> {
    let Task { group, pattern, start, count, sharing, .. } = task;
    let mut consume = client.consume(group, pattern.clone());
    // What is not printed in the end is not asked for.
    let few =
        |most: u32| count.map_or(most, |count| u32::try_from(count).unwrap_or(most).min(most));
    consume = match sharing.batch {
        Some(batch) => consume.batch(few(batch)),
        None => consume.window(few(WINDOW)),
    };
    if sharing.key_order {
        consume = consume.key_order();
    }
    if let Some(start) = start {
        consume = consume.start(start.clone());
    }
    consume.await
}

/// A share in a group at work.
struct Share {
    form: Form,
    acks: Acks,
    output: Output,
    lines: Option<Receiver<Pieces>>,
    /// Messages that are still to be acked, or printed where nobody acks.
    left: u64,
    /// Jobs that are printed and wait for their word, by id.
    held: BTreeMap<String, Job>,
    /// What has been said and is not answered; whether it was an ack.
    said: VecDeque<(String, bool, Settling)>,
}

impl Share {
    fn new(task: &Task) -> io::Result<Self> {
        let acks = task.sharing.ack;
        let reads = acks == Acks::Manual;
        let (form, left) = (task.form, task.count.unwrap_or(u64::MAX));
        Ok(Share {
            form,
            acks,
            output: Output::new()?,
            lines: reads.then(|| stdin::pieces(Some(Separator::Lines))).transpose()?,
            left,
            held: BTreeMap::new(),
            said: VecDeque::new(),
        })
    }

    /// Works until there is enough, the consumer or standard input ends, or the command is told to
    /// stop. What is not settled then goes to others.
    async fn work(mut self, mut consumer: Consumer, stop: &mut Stop) -> Result<(), Failure> {
        let mut jobs = Vec::new();
        while self.left > 0 {
            let takes = (self.held.len() as u64).saturating_add(self.acked()) < self.left;
            tokio::select! {
                biased;
                () = stop.signalled() => break,
                stored = first(&mut self.said) => self.stored(stored),
                line = line(&mut self.lines) => match line {
                    Some(pieces) => self.read(pieces?),
                    None => break,
                },
                count = consumer.next_many(&mut jobs), if takes => {
                    if count == 0 {
                        let end = consumer.error();
                        return end.map_or(Ok(()), |error| Err(error.into()));
                    }
                    self.take(&mut jobs)?;
                }
            }
        }
        let answers = async {
            while !self.said.is_empty() {
                let stored = first(&mut self.said).await;
                self.stored(stored);
            }
        };
        // What has no answer by then the consumer tells when it leaves.
        let _ = tokio::time::timeout(ANSWERS_WITHIN, answers).await;
        self.held.into_values().for_each(Job::defer);
        Ok(consumer.leave().await?)
    }

    /// Acks that are on their way.
    fn acked(&self) -> u64 {
        self.said.iter().filter(|(_, is_ack, _)| *is_ack).count() as u64
    }

    /// Prints jobs; acks them once they are out.
    fn take(&mut self, jobs: &mut Vec<Job>) -> io::Result<()> {
        let room = self.left.saturating_sub(self.held.len() as u64 + self.acked());
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(jobs.len());
        for job in jobs.split_off(room) {
            drop(job.release());
        }
        let printed = jobs.iter().try_for_each(|job| self.print(job));
        if let Err(error) = printed.and_then(|()| self.output.flush()) {
            // Nobody has seen them.
            jobs.drain(..).for_each(|job| drop(job.release()));
            return Err(error);
        }
        for job in jobs.drain(..) {
            let id = id(&job);
            match self.acks {
                Acks::Auto => self.said.push_back((id, true, job.ack())),
                Acks::Manual => {
                    // One that has come again is held by its last name.
                    if let Some(before) = self.held.insert(id, job) {
                        before.defer();
                    }
                }
                Acks::Never => {
                    job.defer();
                    self.left -= 1;
                }
            }
        }
        Ok(())
    }

    fn print(&mut self, job: &Job) -> io::Result<()> {
        match self.form {
            Form::Raw(separator) => {
                self.output.write_all(job.payload_bytes())?;
                self.output.write_all(separator.bytes())
            }
            Form::Json => self.output.json(&JobLine::new(&id(job), job)),
            Form::Text => {
                let payload = text::printable(job.payload_bytes());
                let event = text::printable(job.event().unwrap_or("-").as_bytes());
                writeln!(self.output, "{} {} {event} {payload}", id(job), job.attempt())
            }
        }
    }

    fn stored(&mut self, (id, is_ack, result): (String, bool, Result<Receipt, Error>)) {
        match result {
            Ok(Receipt { late }) => {
                self.left -= u64::from(is_ack);
                if late {
                    tell(format_args!("sampan: {id}: late; others may have had it too"));
                }
            }
            Err(error) => tell(format_args!("sampan: {id}: {error}")),
        }
    }

    /// Lines of standard input.
    fn read(&mut self, pieces: Vec<Piece>) {
        for piece in pieces {
            let read = match &piece {
                Piece::Whole(line) => std::str::from_utf8(line).ok().and_then(Word::read),
                Piece::TooLarge(_) => None,
            };
            match read {
                Some((word, id)) => self.say(word, id),
                None => tell(format_args!(
                    "sampan: not a line of the form `ack|nak|release|reject ID [DELAY|REASON]`"
                )),
            }
        }
    }

    fn say(&mut self, word: Word<'_>, id: &str) {
        let Some(job) = self.held.remove(id) else {
            return tell(format_args!("sampan: no message {id:?} waits for its word"));
        };
        let is_ack = word == Word::Ack;
        let settling = match word {
            Word::Ack => job.ack(),
            Word::Nak(delay, reason) => job.nak(delay, reason),
            Word::Release => job.release(),
            Word::Reject(reason) => job.reject(reason),
        };
        self.said.push_back((id.to_owned(), is_ack, settling));
    }
}

/// A job's name on the command line, which stays the same when it comes again.
fn id(job: &Job) -> String {
    format!("{}@{}", job.topic(), job.position())
}

/// The first answer; pending for ever while there is none to wait for.
async fn first(
    said: &mut VecDeque<(String, bool, Settling)>,
) -> (String, bool, Result<Receipt, Error>) {
    let Some((_, _, settling)) = said.front_mut() else { return std::future::pending().await };
    let result = settling.await;
    let (id, is_ack) = said.pop_front().map(|(id, is_ack, _)| (id, is_ack)).unwrap_or_default();
    (id, is_ack, result)
}

/// The next lines of standard input; pending for ever if it is not read.
async fn line(lines: &mut Option<Receiver<Pieces>>) -> Option<Pieces> {
    match lines {
        Some(lines) => lines.recv().await,
        None => std::future::pending().await,
    }
}

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
enum Word<'a> {
    Ack,
    Nak(Option<Duration>, &'a str),
    Release,
    Reject(&'a str),
}

impl<'a> Word<'a> {
    /// The word, and the id that it is about.
    fn read(line: &'a str) -> Option<(Self, &'a str)> {
        let next =
            |rest: &'a str| rest.trim_start().split_once(' ').unwrap_or((rest.trim_start(), ""));
        let (word, rest) = next(line.trim_end());
        let (id, rest) = next(rest);
        let rest = rest.trim_start();
        let word = match word {
            "ack" if rest.is_empty() => Word::Ack,
            "nak" => {
                let (first, reason) = next(rest);
                match text::duration(first) {
                    Ok(delay) => Word::Nak(Some(delay), reason.trim_start()),
                    Err(_) => Word::Nak(None, rest),
                }
            }
            "release" if rest.is_empty() => Word::Release,
            "reject" => Word::Reject(rest),
            _ => return None,
        };
        (!id.is_empty()).then_some((word, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_standard_input_are_read_as_the_contract_words_them() {
        let second = Some(Duration::from_secs(1));
        let cases = [
            ("ack a@1:2", Some((Word::Ack, "a@1:2"))),
            ("  ack   a@1:2  ", Some((Word::Ack, "a@1:2"))),
            ("nak a@1:2", Some((Word::Nak(None, ""), "a@1:2"))),
            ("nak a@1:2 1s", Some((Word::Nak(second, ""), "a@1:2"))),
            ("nak a@1:2 1s no stock", Some((Word::Nak(second, "no stock"), "a@1:2"))),
            ("nak a@1:2 no stock", Some((Word::Nak(None, "no stock"), "a@1:2"))),
            ("release a@1:2\r", Some((Word::Release, "a@1:2"))),
            ("reject a@1:2 never to be", Some((Word::Reject("never to be"), "a@1:2"))),
            ("reject a@1:2", Some((Word::Reject(""), "a@1:2"))),
            ("ack", None),
            ("ack a@1:2 b@1:2", None),
            ("acknowledge a@1:2", None),
            ("", None),
        ];
        for (line, expected) in cases {
            assert_eq!(Word::read(line), expected, "{line:?}");
        }
    }
}
