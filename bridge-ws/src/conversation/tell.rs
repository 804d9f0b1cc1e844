//! What the broker says, as texts for a client.

use sampan_protocol::Position;
use sampan_protocol::control;
use serde_json::json;

use super::outgoing::Outgoing;
use crate::failure::Failure;
use crate::json::{Acked, Away, Cache, Gone, Handle, History, Job, Member, Members, object, reply};
use crate::session::{Answer, Event};

/// Puts events into words.
pub(super) struct Teller<'a> {
    pub(super) cache: &'a Cache,
    /// Whether the client inflates payloads itself.
    pub(super) inflates: bool,
}

impl Teller<'_> {
    /// Adds what an event of a live session says.
    pub(super) fn tell(&self, event: Event, texts: &mut Outgoing) -> Result<(), Failure> {
        match event {
            Event::Delivered { topic, frame } => {
                let object = self.cache.object_for(&topic, &frame, self.inflates)?;
                texts.put_json(0, "message", object.get());
            }
            Event::Gap { topic, gap } => texts.put(0, "gap", &Gone::new(&topic, &gap)),
            Event::Published(ack) => {
                for &(id, offset) in &ack.acks {
                    texts.put(id, "published", &Acked::new(None, &ack, offset));
                }
            }
            Event::Answered { number, answer } => self.answered(number, answer, texts)?,
            Event::Job(job) => {
                let message = object(&job.topic, job.epoch, &job.frame, self.inflates)?;
                let handle = Handle {
                    consumer: job.consumer,
                    topic_id: job.topic.id,
                    epoch: job.epoch,
                    offset: job.frame.header.number,
                    attempt: job.attempt,
                };
                texts.put(0, "job", &Job::new(job.consumer, job.attempt, handle, &message));
            }
            Event::Settled { first, last, late } => {
                for id in first..=last {
                    texts.put(id, "settled", &json!({ "late": late }));
                }
            }
            Event::Changed(changed) => {
                let control::MembersChanged { topic, sequence, count, joined, left } = changed;
                let joined: Vec<_> = joined.iter().map(Member::new).collect();
                let body = json!({
                    "topic": topic, "sequence": sequence, "count": count,
                    "joined": joined, "left": left,
                });
                texts.put(0, "members_changed", &body);
            }
            Event::Expiring { expires_ms } => {
                texts.put(0, "expiring", &json!({ "expires_ms": expires_ms }));
            }
            Event::Draining(away) => texts.put(0, "goaway", &Away::new(&away)),
            // The session's beginning and end are the conversation's.
            Event::Live(_) | Event::Closed(_) => {}
        }
        Ok(())
    }

    fn answered(&self, id: u64, answer: Answer, texts: &mut Outgoing) -> Result<(), Failure> {
        match answer {
            Answer::Done => texts.put(id, "done", &json!({})),
            Answer::Subscribed(subscribed) => {
                let position = |at: &control::TopicPosition| {
                    let position = Position { epoch: at.epoch, offset: at.offset };
                    (at.topic.clone(), json!(position.to_string()))
                };
                let positions: serde_json::Map<_, _> =
                    subscribed.positions.iter().map(position).collect();
                let body = json!({ "joined_ms": subscribed.joined_ms, "positions": positions });
                texts.put(id, "subscribed", &body);
            }
            Answer::Page(page) => {
                texts.put(id, "history", &History::new(&page, self.cache, self.inflates)?);
            }
            Answer::Members(members) => texts.put(id, "members", &Members::new(&members)),
            Answer::Refreshed { expires_ms } => {
                texts.put(id, "refreshed", &json!({ "expires_ms": expires_ms }));
            }
            Answer::Refused(failure) => texts.put(id, "error", &failure.told()),
            Answer::Replied(frame) => {
                match reply(&frame.attributes()?, frame.body_bytes(), self.inflates) {
                    Ok(reply) => texts.put_json(id, "reply", reply.get()),
                    Err(failure) => texts.put(id, "error", &failure.told()),
                }
            }
        }
        Ok(())
    }
}
