//! Messages, gaps and topic names from the broker.

use super::output::{Channel, Event, Message, Output};
use super::standing::subscriptions;
use super::{Client, Now};
use crate::class::Class;
use crate::control::{self, Gap, GapReason, TopicName};
use crate::error::Error;
use crate::frame::Frame;
use crate::position::Position;
use crate::topic::Topic;

impl Client {
    /// Hands a message to every subscription that matches its topic and has not seen it.
    #[inline]
    pub(super) fn deliver(&mut self, channel: Channel, frame: Frame) -> Result<(), Error> {
        self.counters.received += 1;
        let Some(row) = self.topics.by_id(frame.header.topic_id) else {
            if channel == Channel::Datagram {
                self.counters.datagrams_dropped += 1;
                return Ok(());
            }
            return Err(Error::Invalid { field: "a message of a topic id without a name" });
        };
        if row.is_stale {
            return Ok(());
        }
        let offset = frame.header.number;
        let mut fresh = row.matches.iter_mut().filter(|place| place.last < offset).peekable();
        if fresh.peek().is_none() {
            self.counters.duplicates += u64::from(!row.matches.is_empty());
            return Ok(());
        }
        let message = |frame| Message { topic: row.name.clone(), epoch: row.epoch, frame };
        while let Some(place) = fresh.next() {
            place.last = offset;
            let subscription = place.subscription;
            if fresh.peek().is_none() {
                let message = message(frame);
                self.outputs.push_back(Output::Event(Event::Message { subscription, message }));
                break;
            }
            let message = message(frame.clone());
            self.outputs.push_back(Output::Event(Event::Message { subscription, message }));
        }
        Ok(())
    }

    /// Learns the name behind a topic id.
    pub(super) fn topic_named(&mut self, now: Now, frame: &Frame) -> Result<(), Error> {
        let body: TopicName = control::decode(frame)?;
        let name = Topic::parse(&body.name)?;
        let class = Class::from_number(body.class);
        let class = class.ok_or(Error::Invalid { field: "class" })?;
        let id = frame.header.topic_id;
        if id == 0 {
            return Err(Error::Invalid { field: "a topic without an id" });
        }
        // What goes ahead of jobs alone says nothing of a subscription's place.
        if body.next == 0 {
            if !self.job_topics.learn(id, name) {
                self.renew(now);
            }
            return Ok(());
        }
        if self.topics.is_full() {
            self.renew(now);
            return Ok(());
        }
        let from = Position { epoch: body.epoch, offset: body.next };
        self.topics.named(id, name, class, from, subscriptions(&self.standing));
        Ok(())
    }

    /// Tells every subscription which offsets it will not get, and moves its position past them.
    ///
    /// A conflated gap moves nothing: the newest message of each key within it follows. A gap of an
    /// epoch that has ended is for those who stood in it.
    pub(super) fn gap(&mut self, frame: &Frame) -> Result<(), Error> {
        let body: Gap = control::decode(frame)?;
        let reason = GapReason::from_number(body.reason);
        let reason = reason.ok_or(Error::Invalid { field: "gap" })?;
        let row = self.topics.by_id(frame.header.topic_id);
        let row = row.ok_or(Error::Invalid { field: "a gap of a topic id without a name" })?;
        if row.is_stale {
            return Ok(());
        }
        let current = body.epoch == row.epoch;
        for place in &mut row.matches {
            let seen = if current {
                let joined = place.joined.filter(|joined| joined.epoch == body.epoch);
                joined.map_or(0, |joined| joined.offset).max(place.last)
            } else {
                let past = place.past.take_if(|past| past.epoch == body.epoch);
                let Some(past) = past else { continue };
                past.offset
            };
            if body.to <= seen {
                continue;
            }
            if current && reason != GapReason::Conflated {
                place.last = body.to;
            }
            self.outputs.push_back(Output::Event(Event::Gap {
                subscription: place.subscription,
                topic: row.name.clone(),
                epoch: body.epoch,
                from: body.from.max(seen + 1),
                to: body.to,
                reason,
            }));
        }
        Ok(())
    }
}
