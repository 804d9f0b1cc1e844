//! What has become of the messages of `sampan pub`: told as it happens, summed up at the end.

use std::io::{self, Write};

use sampan_client::{Ack, Error, Settled};

use super::exit::{Exit, Failure, exit_of};
use super::json::AckLine;
use super::output::{Output, tell};

/// Refusals that are told one by one.
const TOLD_MAX: u64 = 10;

/// The outcomes so far.
#[derive(Debug)]
pub(super) struct Outcomes {
    topic: String,
    is_json: bool,
    output: Output,
    queued: u64,
    acked: u64,
    refused: u64,
    first: Option<Ack>,
    last: Option<Ack>,
    /// What the first refusal ends the command with.
    exit: Option<Exit>,
    /// For each message that could not even be queued, how many had been queued before it.
    skipped: Vec<u64>,
}

impl Outcomes {
    pub(super) fn new(topic: &str, is_json: bool) -> io::Result<Self> {
        Ok(Outcomes {
            topic: topic.to_owned(),
            is_json,
            output: Output::new()?,
            queued: 0,
            acked: 0,
            refused: 0,
            first: None,
            last: None,
            exit: None,
            skipped: Vec::new(),
        })
    }

    /// Takes outcomes, and writes a line for each ack.
    pub(super) fn take(&mut self, settled: &mut Vec<Settled>) -> io::Result<()> {
        for Settled { ordinal, result } in settled.drain(..) {
            let n = self.input_ordinal(ordinal);
            match result {
                Ok(ack) => self.acked(ack, n)?,
                Err(error) => self.refused(&error, n),
            }
        }
        self.output.flush()
    }

    /// Notes that the message with this ordinal is on its way.
    pub(super) fn queued(&mut self, ordinal: u64) {
        self.queued = ordinal;
    }

    /// Notes that the next message of the input could not be queued.
    pub(super) fn skip(&mut self, error: &Error) {
        self.skipped.push(self.queued);
        self.refused(error, self.queued + self.skipped.len() as u64);
    }

    /// How an early end is told: it is none if all that was queued is settled.
    pub(super) fn cut_short(&self, why: &str) -> Result<(), Failure> {
        let settled = self.acked + self.refused - self.skipped.len() as u64;
        if settled == self.queued {
            return Ok(());
        }
        let text = format!(
            "{why}: {settled} of {} messages are settled, the others may have been published",
            self.queued
        );
        Err(Failure::Told(Exit::Unreachable, text))
    }

    /// The end: all is well, or how many were refused.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        if !self.is_json {
            self.sum_up()?;
        }
        self.output.flush()?;
        match self.exit {
            None => Ok(()),
            Some(exit) => {
                let total = self.acked + self.refused;
                Err(Failure::Told(exit, format!("{} of {total} messages refused", self.refused)))
            }
        }
    }

    fn acked(&mut self, ack: Ack, n: u64) -> io::Result<()> {
        if self.is_json {
            self.output.json(&AckLine::new(&self.topic, &ack, n))?;
        }
        self.acked += 1;
        self.first.get_or_insert_with(|| ack.clone());
        self.last = Some(ack);
        Ok(())
    }

    fn refused(&mut self, error: &Error, n: u64) {
        self.refused += 1;
        self.exit.get_or_insert(exit_of(error));
        match self.refused {
            ..=TOLD_MAX => tell(format_args!("sampan: message {n}: {error}")),
            more if more == TOLD_MAX + 1 => tell(format_args!("sampan: more are refused")),
            _ => {}
        }
    }

    fn sum_up(&mut self) -> io::Result<()> {
        let (Some(first), Some(last)) = (&self.first, &self.last) else { return Ok(()) };
        let level = last.level.name();
        let topic = &self.topic;
        let at = format!("{}:{}", last.epoch, last.offset);
        if self.acked == 1 {
            let note = if last.duplicate { ", a duplicate" } else { "" };
            let note = if last.stale { ", stale: a newer version is kept" } else { note };
            return writeln!(self.output, "{topic} {at} {level}{note}");
        }
        let from = format!("{}:{}", first.epoch, first.offset);
        writeln!(self.output, "{topic} {from} to {at} {level}, {} messages", self.acked)
    }

    /// Where the message stood in the input; those that could not be queued count there too.
    fn input_ordinal(&self, ordinal: u64) -> u64 {
        let skipped = self.skipped.partition_point(|queued| *queued < ordinal);
        ordinal + skipped as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_count_the_messages_that_could_not_be_queued() {
        let mut outcomes = Outcomes::new("a", true).expect("standard output");
        let error = Error::TooLarge { field: "payload", max: 1, had: 2 };
        assert_eq!(outcomes.input_ordinal(1), 1);
        outcomes.skip(&error);
        outcomes.queued(2);
        outcomes.skip(&error);
        outcomes.skip(&error);
        let ordinals: Vec<_> = (1..=4).map(|n| outcomes.input_ordinal(n)).collect();
        assert_eq!(ordinals, [2, 3, 6, 7]);
        assert!(outcomes.cut_short("interrupted").is_err());
        assert!(matches!(outcomes.finish(), Err(Failure::Told(Exit::Refused, _))));
    }
}
