//! SETTLE: what became of a run of jobs, as both ends know it.

use std::time::Duration;

use bytes::BytesMut;

use crate::attribute::{self, Tag};
use crate::control::{self, Settlement};
use crate::error::Error;
use crate::frame::{Frame, Header, Kind, flag};
use crate::limits::DELAY_MS_MAX;

/// A checked SETTLE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settle {
    /// Request number.
    pub number: u64,
    /// The consumer.
    pub consumer: u64,
    /// The topic.
    pub topic_id: u64,
    /// Epoch of the offsets.
    pub epoch: u64,
    /// First offset that is meant.
    pub from: u64,
    /// Last offset that is meant.
    pub to: u64,
    /// The attempt that is meant, as the JOB named it.
    pub attempt: u64,
    /// Whether what the consumer holds below is meant too.
    pub is_cumulative: bool,
    /// What became of the jobs.
    pub settlement: Settlement,
    /// When they may come again, or how much longer they take.
    pub delay: Option<Duration>,
    /// Why they failed; empty if the consumer does not say.
    pub reason: String,
}

impl Settle {
    /// The settlement in a SETTLE frame.
    ///
    /// # Errors
    /// The first part that is missing or out of its range.
    pub(super) fn decode(frame: &Frame) -> Result<Self, Error> {
        let missing = |field| move || Error::Invalid { field };
        let Header { flags, topic_id, number: to, .. } = frame.header;
        let attributes = frame.attributes()?;
        let settlement = Settlement::from_number(flags & flag::SETTLEMENT_MASK);
        let settlement = settlement.ok_or_else(missing("settlement"))?;
        let is_cumulative = flags & flag::CUMULATIVE != 0;
        if is_cumulative && settlement != Settlement::Ack {
            return Err(Error::Invalid { field: "a cumulative settlement other than ack" });
        }
        let count = attributes.count.unwrap_or(1);
        if to == 0 || count == 0 || count > to {
            return Err(Error::Invalid { field: "count" });
        }
        if attributes.delay_ms.is_some_and(|delay| delay > DELAY_MS_MAX.into()) {
            return Err(Error::Invalid { field: "delay" });
        }
        Ok(Settle {
            number: attributes.sequence.ok_or_else(missing("sequence"))?,
            consumer: attributes.consumer.ok_or_else(missing("consumer"))?,
            topic_id,
            epoch: attributes.epoch.ok_or_else(missing("epoch"))?,
            from: to - count + 1,
            to,
            attempt: attributes.attempt.ok_or_else(missing("attempt"))?,
            is_cumulative,
            settlement,
            delay: attributes.delay_ms.map(Duration::from_millis),
            reason: attributes.reason.unwrap_or_default().to_owned(),
        })
    }

    /// Appends the SETTLE frame.
    ///
    /// # Errors
    /// `Invalid` for an offset above the limit of numbers.
    pub(super) fn write(&self, out: &mut BytesMut) -> Result<(), Error> {
        let mut attributes = BytesMut::new();
        attribute::put_number(&mut attributes, Tag::Consumer, self.consumer);
        attribute::put_number(&mut attributes, Tag::Epoch, self.epoch);
        attribute::put_number(&mut attributes, Tag::Sequence, self.number);
        attribute::put_number(&mut attributes, Tag::Attempt, self.attempt);
        if self.from < self.to {
            attribute::put_number(&mut attributes, Tag::Count, self.to - self.from + 1);
        }
        if let Some(delay) = self.delay {
            let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            let delay_ms = delay_ms.min(DELAY_MS_MAX.into());
            attribute::put_number(&mut attributes, Tag::Delay, delay_ms);
        }
        if !self.reason.is_empty() {
            let reason = control::reason_text(&self.reason);
            attribute::put(&mut attributes, Tag::Reason, reason.as_bytes());
        }
        let cumulative = if self.is_cumulative { flag::CUMULATIVE } else { 0 };
        let flags = self.settlement.number() | cumulative;
        let header = Header { flags, topic_id: self.topic_id, ..Header::new(Kind::Settle) };
        header.number(self.to).write(out, &attributes, &[])
    }
}
