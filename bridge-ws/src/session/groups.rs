//! What a consumer of a group says: takes part, asks for jobs, says what became of them, leaves.

use bytes::{Bytes, BytesMut};
use sampan_protocol::Kind;
use sampan_protocol::attribute::{self, Attributes, Tag};
use sampan_protocol::control::Settlement;
use sampan_protocol::frame::{Header, flag};

use super::{Session, check_number, put_text};
use crate::failure::Failure;
use crate::json::Handle;

/// What becomes of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Act {
    pub(crate) settlement: Settlement,
    /// With an ack: all that the consumer holds of the topic up to the job.
    pub(crate) is_cumulative: bool,
}

/// What became of a job; texts are not yet checked.
#[derive(Clone, Debug)]
pub(crate) struct Settle<'a> {
    pub(crate) job: Handle,
    pub(crate) act: Act,
    pub(crate) delay_ms: Option<u64>,
    pub(crate) reason: Option<&'a str>,
}

impl Session {
    /// The frame that asks for jobs beyond the consumer's window.
    pub(crate) fn pull(&mut self, consumer: u64, count: u64) -> Result<Bytes, Failure> {
        check_number(consumer)?;
        check_number(count)?;
        let mut attributes = BytesMut::new();
        attribute::put_number(&mut attributes, Tag::Count, count);
        Ok(Header::new(Kind::Pull).number(consumer).to_frame(&attributes, &[])?)
    }

    /// The frame that settles, under the number of the request.
    pub(crate) fn settle(&mut self, number: u64, settle: &Settle<'_>) -> Result<Bytes, Failure> {
        check_number(number)?;
        let Settle { job, act, delay_ms, reason } = *settle;
        let Handle { consumer, topic_id, epoch, offset, attempt } = job;
        check_number(consumer)?;
        check_number(offset)?;
        let mut attributes = BytesMut::new();
        attribute::put_number(&mut attributes, Tag::Consumer, consumer);
        attribute::put_number(&mut attributes, Tag::Epoch, epoch);
        attribute::put_number(&mut attributes, Tag::Sequence, number);
        attribute::put_number(&mut attributes, Tag::Attempt, attempt);
        if let Some(delay_ms) = delay_ms {
            attribute::put_number(&mut attributes, Tag::Delay, delay_ms);
        }
        put_text(&mut attributes, Tag::Reason, reason);
        Attributes::parse(&attributes)?;
        let cumulative = if act.is_cumulative { flag::CUMULATIVE } else { 0 };
        let flags = act.settlement.number() | cumulative;
        let header = Header { flags, topic_id, ..Header::new(Kind::Settle).number(offset) };
        Ok(header.to_frame(&attributes, &[])?)
    }

    /// The frame by which a consumer leaves. What it holds goes to others, as not attempted.
    pub(crate) fn leave(&mut self, consumer: u64) -> Result<Bytes, Failure> {
        check_number(consumer)?;
        Ok(Header::new(Kind::Leave).number(consumer).bare())
    }
}
