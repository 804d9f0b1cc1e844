//! Publishes messages at a pace, and waits for what becomes of each.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use sampan_protocol::attribute::{self, Tag};
use sampan_protocol::session::client::{Event, NotTaken, Publish};
use sampan_protocol::{AckLevel, Topic};

use super::{Ctx, Task};
use crate::history::{Id, What};
use crate::payload;

/// How long a publisher waits when its session takes no more.
const FULL: Duration = Duration::from_millis(200);

/// What is published, and how.
#[derive(Clone, Debug)]
pub(crate) struct Publishing {
    /// One of these for each message.
    pub(crate) topics: Vec<Topic>,
    pub(crate) count: u64,
    /// Between two messages.
    pub(crate) every: RangeInclusive<Duration>,
    /// Of a payload.
    pub(crate) bytes: RangeInclusive<u64>,
    /// What acks must say; `None` leaves it to the topic.
    pub(crate) level: Option<AckLevel>,
    /// How many keys messages are spread over; 0 for none.
    pub(crate) keys: u32,
    /// Whether an ack is wanted.
    pub(crate) wants_ack: bool,
    /// When the first message goes out.
    pub(crate) after: Duration,
}

impl Publishing {
    /// `count` small messages to these topics with this many milliseconds between two, half of it
    /// to one and a half.
    pub(crate) fn to(topics: &[Topic], count: u64, every_ms: u64) -> Self {
        let ms = |halves: u64| Duration::from_micros(every_ms * 500 * halves);
        Publishing {
            topics: topics.to_vec(),
            count,
            every: ms(1)..=ms(3),
            bytes: 32..=200,
            level: None,
            keys: 0,
            wants_ack: true,
            after: Duration::from_secs(2),
        }
    }
}

pub(crate) struct Publisher {
    plan: Publishing,
    /// Number of the first message.
    first: u64,
    done: u64,
    next_at: Option<Instant>,
    /// What was published under each sequence and not yet settled.
    open: BTreeMap<u64, Id>,
}

impl Publisher {
    pub(crate) fn task(plan: Publishing) -> Box<dyn Task> {
        Self::nth(0, plan)
    }

    /// The n-th publisher of one seat.
    pub(crate) fn nth(n: u64, plan: Publishing) -> Box<dyn Task> {
        Box::new(Publisher {
            plan,
            first: n * super::APART,
            done: 0,
            next_at: None,
            open: BTreeMap::new(),
        })
    }

    /// Publishes the next message; whether the session took it.
    fn publish(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let id = Id { seat: ctx.seat, ordinal: self.first + self.done };
        let topic = ctx.chance.pick(&self.plan.topics).clone();
        let bytes = usize::try_from(ctx.chance.between(&self.plan.bytes)).expect("small");
        let key = match self.plan.keys {
            0 => 0,
            keys => u32::try_from(ctx.chance.below(keys.into())).expect("small") + 1,
        };
        let mut attributes = BytesMut::new();
        if key > 0 {
            attribute::put(&mut attributes, Tag::Key, format!("k{key}").as_bytes());
        }
        let (level, wants_ack) = (self.plan.level, self.plan.wants_ack);
        let publish = Publish {
            topic: topic.clone(),
            attributes: attributes.freeze(),
            payload: payload::encode(id, bytes),
            level,
        };
        let taken = if wants_ack {
            ctx.session.publish(publish)
        } else {
            ctx.session.publish_unacked(&publish)
        };
        match taken {
            Ok(sequence) => {
                let topic = ctx.history.topic(&topic);
                ctx.history.note(What::Called { id, topic, key, level, wants_ack });
                if wants_ack {
                    self.open.insert(sequence, id);
                }
                true
            }
            Err(NotTaken::Full | NotTaken::NotLive) => false,
            Err(NotTaken::Closed) => {
                self.plan.count = self.done;
                self.open.clear();
                false
            }
            Err(other) => panic!("a publish of a size that was announced: {other:?}"),
        }
    }
}

impl Task for Publisher {
    fn open(&mut self, ctx: &mut Ctx<'_>) {
        let pause = ctx.chance.within(&self.plan.every);
        self.next_at = Some(ctx.now.mono + self.plan.after + pause);
    }

    fn told(&mut self, ctx: &mut Ctx<'_>, event: &Event) {
        match event {
            Event::Published(run) => {
                for step in 0..run.count {
                    // A sequence that is not open belongs to another publisher of this seat.
                    let Some(id) = self.open.remove(&(run.first + step)) else { continue };
                    let (epoch, offset) = (run.epoch, run.offset + step);
                    let (level, duplicate, stale) = (run.level, run.duplicate, run.stale);
                    ctx.history.note(What::Acked { id, epoch, offset, level, duplicate, stale });
                }
            }
            Event::PublishRefused { sequence, failure } => {
                let Some(id) = self.open.remove(sequence) else { return };
                let (code, may_have_happened) = (failure.code, failure.may_have_happened);
                ctx.history.note(What::Refused { id, code, may_have_happened });
            }
            _ => {}
        }
    }

    fn due(&self) -> Option<Instant> {
        self.next_at.filter(|_| self.done < self.plan.count)
    }

    fn act(&mut self, ctx: &mut Ctx<'_>) {
        while let Some(at) = self.due().filter(|at| *at <= ctx.now.mono) {
            if self.publish(ctx) {
                self.done += 1;
                self.next_at = Some(at + ctx.chance.within(&self.plan.every));
            } else {
                self.next_at = Some(ctx.now.mono + FULL);
            }
        }
    }

    fn is_done(&self) -> bool {
        self.done >= self.plan.count && self.open.is_empty()
    }
}
