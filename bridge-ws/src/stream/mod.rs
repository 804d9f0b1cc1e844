//! Server-sent events: what a session says, as text of `text/event-stream`.
//!
//! No I/O and no clock. Every message carries, as its id, the positions of all topics of the stream,
//! so that whoever gives the id back misses nothing.

mod seen;
#[cfg(test)]
mod tests;

use bytes::BytesMut;
use sampan_protocol::control::{self, GapReason, Start, Subscribe};
use sampan_protocol::{Code, Error, Pattern, Position};
use serde::Serialize;
use serde_json::json;

use self::seen::Seen;
use crate::failure::Failure;
use crate::json::{Away, Cache, Gone, text};
use crate::session::{Answer, Event, Session};

/// Topics and patterns of one stream.
const TOPICS_MAX: usize = 16;
/// What is sent in silence, so that nobody on the way takes the connection for dead.
pub(crate) const KEEP_ALIVE: &str = ":\n\n";

/// One stream of events.
#[derive(Debug)]
pub(crate) struct Stream {
    patterns: Vec<Pattern>,
    seen: Seen,
    /// Whether the reader has been here before.
    resumed: bool,
    /// Subscriptions that are not yet confirmed.
    unconfirmed: usize,
    /// Spreads the readers of a broker that drains.
    chance: u64,
}

impl Stream {
    /// A stream of these topics and patterns, from where the reader's last event was. `chance` is
    /// any number, another for every stream.
    ///
    /// # Errors
    /// When there are no topics, too many, or one is none, and when the id is not one of ours.
    pub(crate) fn new<T: AsRef<str>>(
        topics: &[T],
        last_event_id: Option<&str>,
        chance: u64,
    ) -> Result<Self, Failure> {
        if !(1..=TOPICS_MAX).contains(&topics.len()) {
            return Err(Failure::new(Code::BAD_FIELD, "name 1 to 16 topics or patterns"));
        }
        let patterns = topics.iter().map(|topic| Pattern::parse(topic.as_ref()));
        let patterns = patterns.collect::<Result<Vec<_>, _>>().map_err(Error::from)?;
        let seen = last_event_id.map(Seen::parse).transpose()?;
        Ok(Stream {
            unconfirmed: patterns.len(),
            patterns,
            resumed: seen.is_some(),
            seen: seen.unwrap_or_default(),
            chance,
        })
    }

    /// The frames that subscribe, for a session that became live at `now_ms` of the broker's clock.
    ///
    /// # Errors
    /// When a frame cannot be made.
    pub(crate) fn subscribe(
        &mut self,
        session: &mut Session,
        now_ms: u64,
    ) -> Result<BytesMut, Failure> {
        if !self.resumed {
            self.seen.joined_ms = now_ms;
        }
        let mut frames = BytesMut::new();
        for (number, pattern) in (1..).zip(&self.patterns) {
            let start = if self.resumed {
                let positions = self.seen.positions(pattern);
                Start::Resume { joined_ms: self.seen.joined_ms, positions }
            } else {
                Start::Now
            };
            let body = Subscribe { pattern: pattern.as_str().to_owned(), start };
            frames.extend_from_slice(&session.request(number, &body)?);
        }
        Ok(frames)
    }

    /// Whether every subscription is confirmed.
    pub(crate) fn is_ready(&self) -> bool {
        self.unconfirmed == 0
    }

    /// Appends what the broker says to `out`.
    ///
    /// # Errors
    /// Why the stream ends: the session has, or a subscription was refused.
    pub(crate) fn event(
        &mut self,
        event: Event,
        cache: &Cache,
        out: &mut String,
    ) -> Result<(), Failure> {
        match event {
            Event::Delivered { topic, frame } => {
                let object = cache.object(&topic, &frame)?;
                let position = Position { epoch: topic.epoch, offset: frame.header.number };
                self.seen.note(&topic.name, position);
                self.id(out);
                data(out, object.get());
            }
            Event::Gap { topic, gap } => {
                let is_passed = gap.epoch == topic.epoch
                    && GapReason::from_number(gap.reason) != Some(GapReason::Conflated);
                if is_passed {
                    let position = Position { epoch: gap.epoch, offset: gap.to };
                    self.seen.note(&topic.name, position);
                }
                self.id(out);
                named(out, "gap", &Gone::new(&topic, &gap));
            }
            Event::Answered { answer: Answer::Subscribed(subscribed), .. } => {
                self.confirmed(&subscribed, out);
            }
            Event::Answered { answer: Answer::Refused(failure), .. } => return Err(failure),
            Event::Closed(failure) => return Err(failure),
            Event::Expiring { expires_ms } => {
                named(out, "expiring", &json!({ "expires_ms": expires_ms }));
            }
            Event::Draining(away) => {
                // The reader's own software waits as long before it comes back.
                let within = u64::from(away.reconnect_within_ms);
                out.push_str(&format!("retry: {}\n", self.chance % (within + 1)));
                named(out, "goaway", &Away::new(&away));
            }
            // Nothing else is asked for on a stream.
            _ => {}
        }
        Ok(())
    }

    /// Appends why the stream ends.
    pub(crate) fn end(failure: &Failure, out: &mut String) {
        named(out, "close", &failure.told());
    }

    fn confirmed(&mut self, subscribed: &control::Subscribed, out: &mut String) {
        for at in &subscribed.positions {
            let position = Position { epoch: at.epoch, offset: at.offset };
            self.seen.note_first(&at.topic, position);
        }
        self.unconfirmed = self.unconfirmed.saturating_sub(1);
        if self.is_ready() {
            self.id(out);
            named(out, "ready", &json!({ "joined_ms": self.seen.joined_ms }));
        }
    }

    fn id(&self, out: &mut String) {
        out.push_str("id: ");
        self.seen.write(out);
        out.push('\n');
    }
}

/// Ends an event of this name.
fn named(out: &mut String, name: &str, body: &impl Serialize) {
    out.push_str("event: ");
    out.push_str(name);
    out.push('\n');
    data(out, &text(body));
}

/// Ends an event. A line break in JSON is white space, and stays one.
fn data(out: &mut String, json: &str) {
    for line in json.split(['\n', '\r']) {
        out.push_str("data: ");
        out.push_str(line);
        out.push('\n');
    }
    out.push('\n');
}
