//! Taking part in groups: CONSUME and what comes of it, PULL, JOB, LEAVE.
//!
//! A consumer stands like a subscription: it is asked for again on every connection. Its jobs do
//! not outlive the connection that brought them.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;

use super::output::{Event, Job, JobId, Message};
use super::requests::not_taken;
use super::standing::{Standing, What};
use super::topics::{IdHasher, TOPICS_MAX};
use super::{Client, NotTaken};
use crate::attribute::{self, Tag};
use crate::control::{self, Consume};
use crate::error::Error;
use crate::frame::{Frame, Header, Kind};
use crate::limits::WINDOW_MAX;
use crate::topic::Topic;

/// The topics that jobs of this session came from, by id and by name.
#[derive(Debug, Default)]
pub(super) struct JobTopics {
    by_id: HashMap<u64, Topic, BuildHasherDefault<IdHasher>>,
    ids: BTreeMap<Topic, u64>,
}

impl JobTopics {
    /// Notes a topic; `false` if there is no room.
    pub(super) fn learn(&mut self, id: u64, name: Topic) -> bool {
        if self.by_id.len() >= TOPICS_MAX {
            return false;
        }
        self.ids.insert(name.clone(), id);
        self.by_id.insert(id, name);
        true
    }

    pub(super) fn id(&self, name: &Topic) -> Option<u64> {
        self.ids.get(name).copied()
    }
}

impl Client {
    /// Takes part in a group. [`Event::Ready`] confirms it, [`Event::Ended`] refuses it, and each
    /// job comes as [`Event::Job`].
    ///
    /// # Errors
    /// `Full` with too many registrations, `TooLarge`, `Invalid`, `Closed`.
    pub fn consume(&mut self, consume: Consume) -> Result<u64, NotTaken> {
        control::encode(&consume, 0).map_err(not_taken)?;
        self.stand(What::Consumer { consume, credit: 0 })
    }

    /// Asks for jobs beyond the consumer's window until `count` are on their way.
    pub fn pull(&mut self, number: u64, count: u32) {
        let live = self.phase.is_live();
        let Some(Standing { what: What::Consumer { credit, .. }, asked, .. }) =
            self.standing.get_mut(&number)
        else {
            return;
        };
        let more = u64::from(count.min(WINDOW_MAX)).saturating_sub(*credit);
        *credit += more;
        if more > 0 && live && asked.is_some() {
            self.send_pull(number, more);
        }
    }

    /// Jobs that were pulled and have not come.
    #[must_use]
    pub fn credit(&self, number: u64) -> u64 {
        match self.standing.get(&number).map(|standing| &standing.what) {
            Some(What::Consumer { credit, .. }) => *credit,
            _ => 0,
        }
    }

    /// Ends a consumer: what it holds goes to others, and does not count as an attempt.
    pub fn quit(&mut self, number: u64) {
        if self.stands_as_consumer(number) {
            self.send_settlements();
            if let Some(asked) = self.withdraw_from(number) {
                self.send(Header::new(Kind::Leave).number(asked).bare());
            }
        }
    }

    /// Hands back what every consumer holds, ahead of the end of a connection: the jobs go to
    /// others, and do not count as attempts. Whether there was a consumer. Each is asked for again
    /// on the next connection.
    pub fn hand_back(&mut self) -> bool {
        if !self.phase.is_live() {
            return false;
        }
        self.send_settlements();
        let consuming = self.jobs_lost();
        for number in &consuming {
            self.send(Header::new(Kind::Leave).number(*number).bare());
            if let Some(standing) = self.standing.get_mut(number) {
                standing.asked = None;
            }
        }
        if !consuming.is_empty() {
            self.settlements.pause();
        }
        !consuming.is_empty()
    }

    /// Tells every consumer that the broker takes its jobs back; the consumers that it knew.
    pub(super) fn jobs_lost(&mut self) -> Vec<u64> {
        let consuming: Vec<u64> =
            self.standing.keys().copied().filter(|number| self.is_consuming(*number)).collect();
        for number in &consuming {
            self.event(Event::JobsLost { consumer: *number });
        }
        consuming
    }

    pub(super) fn stands_as_consumer(&self, number: u64) -> bool {
        let standing = self.standing.get(&number);
        standing.is_some_and(|standing| matches!(standing.what, What::Consumer { .. }))
    }

    /// Whether the broker has been asked for this consumer on the connection in use.
    pub(super) fn is_consuming(&self, number: u64) -> bool {
        self.stands_as_consumer(number)
            && self.standing.get(&number).is_some_and(|standing| standing.asked.is_some())
    }

    /// Asks again for what had been pulled and has not come.
    pub(super) fn pull_again(&mut self, number: u64) {
        let credit = self.credit(number);
        if credit > 0 {
            self.send_pull(number, credit);
        }
    }

    fn send_pull(&mut self, number: u64, count: u64) {
        let mut attributes = bytes::BytesMut::new();
        attribute::put_number(&mut attributes, Tag::Count, count);
        // One number fits.
        if let Ok(frame) = Header::new(Kind::Pull).number(number).to_frame(&attributes, &[]) {
            self.send(frame);
        }
    }

    /// A message that a group hands to one of this client's consumers.
    pub(super) fn job(&mut self, frame: Frame) -> Result<(), Error> {
        self.counters.received += 1;
        let [consumer, attempt, epoch] = numbers(frame.attribute_bytes())?;
        let id = frame.header.topic_id;
        let topic = match self.job_topics.by_id.get(&id) {
            Some(topic) => topic.clone(),
            None => {
                let row = self.topics.by_id(id);
                let row = row.ok_or(Error::Invalid { field: "a job of a topic id without a name" });
                let topic = row?.name.clone();
                self.job_topics.learn(id, topic.clone());
                topic
            }
        };
        // Of a consumer that has left, the broker takes back what was on its way.
        if !self.is_consuming(consumer) {
            return Ok(());
        }
        if let Some(Standing { what: What::Consumer { credit, .. }, .. }) =
            self.standing.get_mut(&consumer)
        {
            *credit = credit.saturating_sub(1);
        }
        let id = JobId {
            consumer,
            connection: self.connection,
            boot: self.boot,
            topic: topic.clone(),
            topic_id: id,
            epoch,
            offset: frame.header.number,
            attempt,
        };
        let message = Message { topic, epoch, frame };
        self.event(Event::Job(Job { id, attempt, message }));
        Ok(())
    }
}

/// Consumer, attempt and epoch of a JOB.
fn numbers(attributes: &[u8]) -> Result<[u64; 3], Error> {
    let mut found = [None; 3];
    for attribute in attribute::raw(attributes) {
        let (tag, value) = attribute?;
        let place = match tag {
            tag if tag == Tag::Consumer as u8 => 0,
            tag if tag == Tag::Attempt as u8 => 1,
            tag if tag == Tag::Epoch as u8 => 2,
            _ => continue,
        };
        found[place] = value.try_into().ok().map(u64::from_le_bytes);
    }
    match found {
        [Some(consumer), Some(attempt), Some(epoch)] => Ok([consumer, attempt, epoch]),
        _ => Err(Error::Invalid { field: "a job without consumer, attempt or epoch" }),
    }
}
