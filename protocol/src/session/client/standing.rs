//! What stands until it is taken back and survives reconnects: subscriptions, offers to answer,
//! presence entries, presence watches and consumers. What presence alone does is in `presence.rs`,
//! what consumers alone do in `consumers.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::output::{Event, Failure, Joined};
use super::{Client, NotTaken, Phase};
use crate::code::Code;
use crate::control::{
    self, Consume, Presence, PresenceAct, Serve, Start, Subscribe, Subscribed, TopicPosition,
};
use crate::error::Error;
use crate::frame::{Frame, Header, Kind};
use crate::position::Position;
use crate::time::Now;
use crate::topic::{Pattern, Topic};

/// Standing registrations of all sorts together.
pub const STANDING_MAX: usize = 8192;

#[derive(Debug)]
pub(super) struct Standing {
    pub(super) what: What,
    /// The broker has confirmed it once.
    ready: bool,
    /// The number it was asked under on this connection.
    pub(super) asked: Option<u64>,
    /// Refusals in a row since the last confirmation.
    refusals: u32,
}

#[derive(Debug)]
pub(super) enum What {
    Subscription {
        pattern: Pattern,
        start: Start,
        /// Where topics without a position resume; known once the broker has confirmed.
        joined_ms: Option<u64>,
    },
    /// Role 1 answers requests, role 2 authorization questions.
    Offer {
        pattern: Pattern,
        role: u8,
    },
    Entry {
        topic: Topic,
    },
    Watch {
        topic: Topic,
        /// Sequence of the last change seen, once the members are known.
        sequence: Option<u64>,
    },
    Consumer {
        consume: Consume,
        /// Jobs that were pulled and have not come.
        credit: u64,
    },
}

impl Standing {
    /// The connection is lost, whose WELCOME showed this time. A subscription that was given
    /// messages before its confirmation could arrive has joined all the same.
    pub(super) fn disconnected(&mut self, welcomed_ms: u64, seen: impl Fn() -> bool) {
        let asked = self.asked.take();
        match &mut self.what {
            What::Watch { sequence, .. } => *sequence = None,
            What::Subscription { joined_ms: joined_ms @ None, start, .. }
                if asked.is_some() && seen() =>
            {
                *joined_ms = Some(start.joined_ms(welcomed_ms));
            }
            _ => {}
        }
    }
}

impl Client {
    /// Subscribes. [`Event::Ready`] confirms it, [`Event::Ended`] refuses it.
    ///
    /// # Errors
    /// `Full` with [`STANDING_MAX`] registrations, `Closed`.
    pub fn subscribe(&mut self, pattern: Pattern, start: Start) -> Result<u64, NotTaken> {
        let positions = match &start {
            Start::Resume { positions, .. } => positions.clone(),
            _ => Vec::new(),
        };
        let what = What::Subscription { pattern: pattern.clone(), start, joined_ms: None };
        let number = self.stand(what)?;
        self.topics.subscribed(number, &pattern);
        for TopicPosition { topic, epoch, offset } in positions {
            // A broken or foreign name is left to the broker to refuse.
            if let Ok(topic) = Topic::parse(&topic)
                && pattern.matches(&topic)
            {
                let others = subscriptions(&self.standing);
                self.topics.joined(number, topic, Position { epoch, offset }, others);
            }
        }
        Ok(number)
    }

    /// Ends a subscription. Nothing more is told about it.
    pub fn unsubscribe(&mut self, number: u64) {
        if let Some(asked) = self.withdraw_from(number) {
            self.send(Header::new(Kind::Unsubscribe).number(asked).bare());
        }
        self.topics.unsubscribed(number);
    }

    /// Offers to answer requests on a pattern; each comes as [`Event::Call`].
    ///
    /// # Errors
    /// `Full`, `Closed`.
    pub fn serve(&mut self, pattern: Pattern) -> Result<u64, NotTaken> {
        self.stand(What::Offer { pattern, role: 1 })
    }

    /// Offers to answer authorization questions; each comes as [`Event::Question`].
    ///
    /// # Errors
    /// `Full`, `Closed`.
    pub fn authorize(&mut self, pattern: Pattern) -> Result<u64, NotTaken> {
        self.stand(What::Offer { pattern, role: 2 })
    }

    /// Takes an offer back. Nothing more is told about it.
    pub fn withdraw(&mut self, number: u64) {
        if let Some(asked) = self.withdraw_from(number) {
            self.send(Header::new(Kind::Withdraw).number(asked).bare());
        }
    }

    /// Takes anything that stands back, by its number. Nothing more is told about it.
    pub fn cancel(&mut self, number: u64) {
        match self.standing.get(&number).map(|standing| &standing.what) {
            Some(What::Subscription { .. }) => self.unsubscribe(number),
            Some(What::Offer { .. }) => self.withdraw(number),
            Some(What::Watch { .. }) => self.unwatch(number),
            Some(What::Consumer { .. }) => self.quit(number),
            Some(What::Entry { topic }) => {
                let topic = topic.clone();
                self.leave(&topic);
            }
            None => {}
        }
    }

    pub(super) fn stand(&mut self, what: What) -> Result<u64, NotTaken> {
        if matches!(self.phase, Phase::Closed(_)) {
            return Err(NotTaken::Closed);
        }
        if self.standing.len() >= STANDING_MAX {
            return Err(NotTaken::Full);
        }
        let number = self.requests.number();
        let standing = Standing { what, ready: false, asked: None, refusals: 0 };
        self.standing.insert(number, standing);
        if self.phase.is_live() {
            self.register(number);
        }
        Ok(number)
    }

    /// Forgets a registration; the number it was asked under if the broker knows it.
    pub(super) fn withdraw_from(&mut self, number: u64) -> Option<u64> {
        self.standing.remove(&number)?.asked
    }

    /// Asks for everything that stands, in the order in which it was first asked for.
    pub(super) fn register_all(&mut self) {
        for number in self.standing.keys().copied().collect::<Vec<_>>() {
            self.register(number);
        }
    }

    /// Asks the broker for one registration.
    pub(super) fn register(&mut self, number: u64) {
        let Some(standing) = self.standing.get(&number) else { return };
        // A watch is asked for again while the old one stands, which needs a number of its own.
        let asked = if matches!(standing.what, What::Watch { .. }) && standing.ready {
            self.requests.number()
        } else {
            number
        };
        let Some(standing) = self.standing.get_mut(&number) else { return };
        let presence = |topic: &Topic, act: PresenceAct| {
            control::encode(&Presence::of(topic.as_str(), act), asked)
        };
        let frame = match &standing.what {
            What::Subscription { pattern, start, joined_ms } => {
                let start = match (joined_ms, start) {
                    (None, start) => start.clone(),
                    (Some(joined_ms), _) => Start::Resume {
                        joined_ms: *joined_ms,
                        positions: self.topics.positions(number),
                    },
                };
                let body = Subscribe { pattern: pattern.as_str().to_owned(), start };
                control::encode(&body, asked)
            }
            What::Offer { pattern, role } => {
                let body = Serve { pattern: pattern.as_str().to_owned(), role: *role };
                control::encode(&body, asked)
            }
            What::Entry { topic } => presence(topic, PresenceAct::Enter),
            What::Watch { topic, .. } => presence(topic, PresenceAct::Watch),
            What::Consumer { consume, .. } => control::encode(consume, asked),
        };
        standing.asked = Some(asked);
        match frame {
            Ok(frame) => {
                self.send(frame);
                self.pull_again(number);
            }
            Err(error) => {
                let failure = Failure::refused(error.code(), 0, error.to_string());
                self.end_standing(number, failure);
            }
        }
    }

    /// Asks again for a registration whose refusal was temporary.
    pub(super) fn ask_again(&mut self, number: u64) {
        let refused = self.standing.get(&number).is_some_and(|s| s.asked.is_none());
        if refused && self.phase.is_live() {
            self.register(number);
        }
    }

    fn end_standing(&mut self, number: u64, failure: Failure) {
        self.topics.unsubscribed(number);
        self.standing.remove(&number);
        self.event(Event::Ended { number, failure });
    }

    /// The registration that was asked for under a number.
    pub(super) fn standing_of(&self, asked: u64) -> Option<u64> {
        let direct = self.standing.get(&asked).filter(|s| s.asked == Some(asked));
        let found = || self.standing.iter().find(|(_, s)| s.asked == Some(asked));
        direct.map(|_| asked).or_else(|| found().map(|(number, _)| *number))
    }

    /// The broker refused a registration; whether there is one under this number. One that was
    /// confirmed before is asked for again where the refusal can pass.
    pub(super) fn standing_refused(&mut self, now: Now, asked: u64, failure: Failure) -> bool {
        let Some(number) = self.standing_of(asked) else { return false };
        let Some(standing) = self.standing.get_mut(&number) else { return false };
        // An authorizer that has not come back after a restart may say yes a little later.
        let passes = failure.code.is_retryable()
            || failure.retry_after_ms > 0
            || (failure.code == Code::NOT_AUTHORIZED && standing.refusals < 4);
        if standing.ready && passes {
            standing.asked = None;
            standing.refusals += 1;
            let jitter = self.chance.backoff(standing.refusals);
            let wait = Duration::from_millis(failure.retry_after_ms.into()) + jitter;
            self.set_timer(now.mono + wait, number);
        } else {
            self.end_standing(number, failure);
        }
        true
    }

    /// DONE for a registration; whether there is one under this number.
    pub(super) fn standing_done(&mut self, asked: u64) -> bool {
        let Some(number) = self.standing_of(asked) else { return false };
        self.ready(number, None);
        true
    }

    pub(super) fn subscribed(&mut self, frame: &Frame) -> Result<(), Error> {
        let body: Subscribed = control::decode(frame)?;
        let number = frame.header.number;
        let position = body.positions.into_iter().next();
        let Some(Standing { what: What::Subscription { pattern, start, joined_ms }, .. }) =
            self.standing.get_mut(&number)
        else {
            self.counters.unmatched += 1;
            return Ok(());
        };
        if joined_ms.is_none() {
            *joined_ms = Some(start.joined_ms(body.joined_ms));
            // A single topic resumes before what it was to replay, until a message says better.
            let replayed = match start {
                Start::Last(count) => Some(u64::from(*count)),
                Start::Since(_) => None,
                Start::Now | Start::Resume { .. } => Some(0),
            };
            if let (Some(topic), Some(at), Some(replayed)) =
                (pattern.as_topic(), &position, replayed)
            {
                let offset = at.offset.saturating_sub(replayed);
                let position = Position { epoch: at.epoch, offset };
                self.topics.joined(number, topic, position, subscriptions(&self.standing));
            }
        }
        self.ready(number, Some(Joined { joined_ms: body.joined_ms, position }));
        Ok(())
    }

    pub(super) fn ready(&mut self, number: u64, joined: Option<Joined>) {
        let Some(standing) = self.standing.get_mut(&number) else { return };
        standing.refusals = 0;
        if !std::mem::replace(&mut standing.ready, true) {
            self.event(Event::Ready { number, joined });
        }
    }
}

impl Start {
    /// From when topics without a position resume, for a subscription that joined at this time.
    fn joined_ms(&self, joined_ms: u64) -> u64 {
        match self {
            Start::Since(since_ms) => joined_ms.min(*since_ms),
            Start::Resume { joined_ms, .. } if *joined_ms > 0 => *joined_ms,
            _ => joined_ms,
        }
    }
}

/// Every subscription by its number.
pub(super) fn subscriptions(
    standing: &BTreeMap<u64, Standing>,
) -> impl Iterator<Item = (u64, Pattern)> {
    standing.iter().filter_map(|(number, standing)| match &standing.what {
        What::Subscription { pattern, .. } => Some((*number, pattern.clone())),
        _ => None,
    })
}
