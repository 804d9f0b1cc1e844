//! What the broker says on the control stream of a live session.

use bytes::Bytes;

use super::Client;
use super::output::{Answer, Event, Failure, Message, Page};
use super::requests::Wants;
use crate::attribute::Attributes;
use crate::code::Code;
use crate::control::{self, PublishRefused, Refreshed, Refused};
use crate::error::Error;
use crate::frame::{Frame, FrameReader, Kind};
use crate::limits::PAGE_BYTES_MAX;
use crate::time::Now;
use crate::topic::Topic;

impl Client {
    /// Handles one control frame of a live session.
    pub(super) fn answered(&mut self, now: Now, frame: Frame) -> Result<(), Error> {
        match frame.header.kind {
            Kind::Published => {
                if let Some(run) = self.publishes.published(&frame)? {
                    self.event(Event::Published(run));
                }
                Ok(())
            }
            Kind::PublishRefused => self.publish_refused(&frame),
            Kind::Reply => self.replied(frame),
            Kind::Request => self.called(frame),
            Kind::Ask => self.questioned(&frame),
            Kind::Done => self.done(&frame),
            Kind::Refused => self.refused(now, &frame),
            Kind::Subscribed => self.subscribed(&frame),
            Kind::Page => self.paged(&frame),
            Kind::Settled => self.settled(&frame),
            Kind::Members => self.all_members(&frame),
            Kind::MembersChanged => self.members_changed(&frame),
            Kind::Refreshed => self.refreshed(&frame),
            Kind::Expiring => self.expiring(&frame),
            Kind::GoAway => self.going_away(now, &frame),
            Kind::Close => self.closed_by_broker(now, &frame),
            _ => Err(Error::Invalid { field: "a kind that only a client sends" }),
        }
    }

    fn publish_refused(&mut self, frame: &Frame) -> Result<(), Error> {
        let body: PublishRefused = control::decode(frame)?;
        let (sequence, code) = (frame.header.number, Code(body.code));
        let doubtful = self.publishes.refused(sequence, code == Code::UNKNOWN_TOPIC);
        let mut failure = Failure::refused(code, body.retry_after_ms, body.reason);
        failure.may_have_happened |= doubtful;
        self.event(Event::PublishRefused { sequence, failure });
        Ok(())
    }

    fn replied(&mut self, frame: Frame) -> Result<(), Error> {
        let number = frame.header.number;
        let attributes = frame.attributes()?;
        let failure = attributes.code.map(|code| {
            let code = Code(u16::try_from(code).unwrap_or(u16::MAX));
            Failure::refused(code, 0, attributes.reason.unwrap_or_default().to_owned())
        });
        if self.requests.take_if(number, |wants| *wants == Wants::Reply).is_none() {
            self.counters.unmatched += 1;
            return Ok(());
        }
        let result = failure.map_or(Ok(Answer::Reply(frame)), Err);
        self.event(Event::Answered { number, result });
        Ok(())
    }

    fn done(&mut self, frame: &Frame) -> Result<(), Error> {
        let number = frame.header.number;
        if self.requests.take_if(number, |wants| *wants == Wants::Done).is_some() {
            self.answer_with(number, Answer::Done);
        } else if !self.standing_done(number) {
            self.counters.unmatched += 1;
        }
        Ok(())
    }

    fn refused(&mut self, now: Now, frame: &Frame) -> Result<(), Error> {
        let body: Refused = control::decode(frame)?;
        let number = frame.header.number;
        let failure = Failure::refused(Code(body.code), body.retry_after_ms, body.reason);
        if self.requests.take(number).is_some() || self.settlements.refused(number) {
            self.event(Event::Answered { number, result: Err(failure) });
        } else if !self.standing_refused(now, number, failure) {
            self.counters.unmatched += 1;
        }
        Ok(())
    }

    fn refreshed(&mut self, frame: &Frame) -> Result<(), Error> {
        let Refreshed { expires_ms } = control::decode(frame)?;
        let number = frame.header.number;
        if self.requests.take_if(number, |wants| *wants == Wants::Refreshed).is_some() {
            self.answer_with(number, Answer::Refreshed { expires_ms });
        } else {
            self.counters.unmatched += 1;
        }
        Ok(())
    }

    fn paged(&mut self, frame: &Frame) -> Result<(), Error> {
        let number = frame.header.number;
        let wanted = self.requests.take_if(number, |wants| matches!(wants, Wants::Page(_)));
        let Some(Wants::Page(topic)) = wanted else {
            self.counters.unmatched += 1;
            return Ok(());
        };
        let page = page(topic, &frame.attributes()?, frame.body())?;
        self.answer_with(number, Answer::Page(page));
        Ok(())
    }
}

/// The DELIVER frames of a page's body.
fn page(topic: Topic, attributes: &Attributes<'_>, body: Bytes) -> Result<Page, Error> {
    let epoch = attributes.epoch.unwrap_or(0);
    let mut reader = FrameReader::new(PAGE_BYTES_MAX);
    let mut messages = Vec::new();
    reader.push(body);
    while let Some(frame) = reader.next_frame()? {
        if frame.header.kind != Kind::Deliver {
            return Err(Error::Invalid { field: "a page holds another kind than DELIVER" });
        }
        messages.push(Message { topic: topic.clone(), epoch, frame });
    }
    if reader.buffered_bytes() > 0 {
        return Err(Error::Invalid { field: "a page ends within a frame" });
    }
    let floor = attributes.floor.unwrap_or(0);
    // NEXT is where the topic stands; a page that its limit has cut goes on behind its last message.
    let last = messages.last().map(|message| message.frame.header.number + 1);
    Ok(Page { epoch, floor, next: last.or(attributes.next).unwrap_or(floor), messages })
}
