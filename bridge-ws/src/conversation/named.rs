//! Named events of a client: each is the requests that it stands for in the table of events.

use sampan_protocol::Code;
use sampan_protocol::control::{self, PresenceAct, Start, Subscribe};
use sampan_protocol::limits::SUBSCRIPTIONS_MAX;
use serde_json::json;

use super::Output;
use super::request::Emit;
use crate::events::{self, Action, action, is_present};
use crate::failure::Failure;
use crate::session::{Answer, Question, Session, check_number, timeout_ms};

/// Answers for the rooms alone that one client makes the bridge wait for.
const QUIET_MAX: usize = 4 * SUBSCRIPTIONS_MAX as usize;

/// The topics that a client has joined by events.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    /// Each with the number of its subscription; twice if it was joined twice.
    joined: Vec<(String, u64)>,
    /// Numbers under which an answer comes that the client does not wait for.
    quiet: Vec<u64>,
}

impl Rooms {
    /// Does what an event stands for.
    ///
    /// # Errors
    /// When there is no such event, or its payload is not what it takes.
    pub(super) fn emit(
        &mut self,
        session: &mut Session,
        id: u64,
        emit: &Emit,
        out: &mut Output,
    ) -> Result<(), Failure> {
        check_number(id)?;
        let payload = emit.payload.as_ref().map_or("null", |value| value.get());
        let frames = match action(&emit.event)? {
            Action::Join(rooms) => self.join(session, id, rooms.topic(payload)?)?,
            Action::Leave(rooms) => return self.leave(session, id, &rooms.topic(payload)?, out),
            Action::Ask(topic) => session.ask(
                id,
                &Question {
                    topic,
                    event: Some(&emit.event),
                    content_type: Some("application/json"),
                    content_encoding: None,
                    timeout_ms: timeout_ms(emit.timeout_ms),
                    payload: payload.as_bytes(),
                },
            )?,
            Action::Refresh => {
                session.request(id, &control::Refresh { token: events::token(payload)? })?
            }
        };
        out.frames.extend_from_slice(&frames);
        Ok(())
    }

    /// Ends a subscription by its number, and with it what else belongs to the room.
    ///
    /// # Errors
    /// When that can be no number.
    pub(super) fn unsubscribe(
        &mut self,
        session: &mut Session,
        id: u64,
        out: &mut Output,
    ) -> Result<(), Failure> {
        out.frames.extend_from_slice(&session.unsubscribe(id)?);
        let Some(at) = self.joined.iter().position(|(_, number)| *number == id) else {
            return Ok(());
        };
        let (topic, _) = self.joined.swap_remove(at);
        if self.joined.iter().any(|(other, _)| *other == topic) {
            return Ok(());
        }
        self.presence(session, id, &topic, PresenceAct::Leave, out)
    }

    /// An answer has come. Whether it is for the rooms alone.
    ///
    /// # Errors
    /// When the session cannot go on.
    pub(super) fn answered(
        &mut self,
        session: &mut Session,
        number: u64,
        answer: &Answer,
        out: &mut Output,
    ) -> Result<bool, Failure> {
        if let (Answer::Done | Answer::Refused(_), Some(at)) =
            (answer, self.quiet.iter().position(|quiet| *quiet == number))
        {
            self.quiet.swap_remove(at);
            return Ok(true);
        }
        let Some(at) = self.joined.iter().position(|(_, joined)| *joined == number) else {
            return Ok(false);
        };
        match answer {
            Answer::Subscribed(_) => {
                let topic = self.joined.get(at).map(|(topic, _)| topic.clone()).unwrap_or_default();
                self.presence(session, number, &topic, PresenceAct::Enter, out)?;
            }
            Answer::Refused(_) => {
                let (topic, _) = self.joined.swap_remove(at);
                // It may have been joined before.
                if !self.joined.iter().any(|(other, _)| *other == topic) {
                    self.presence(session, number, &topic, PresenceAct::Leave, out)?;
                }
            }
            _ => {}
        }
        Ok(false)
    }

    fn join(
        &mut self,
        session: &mut Session,
        id: u64,
        topic: String,
    ) -> Result<bytes::Bytes, Failure> {
        if self.joined.len() >= SUBSCRIPTIONS_MAX as usize || self.quiet.len() >= QUIET_MAX {
            return Err(Failure::of(Code::TOO_MANY));
        }
        let body = Subscribe { pattern: topic.clone(), start: Start::Now };
        let frames = session.request(id, &body)?;
        self.joined.push((topic, id));
        Ok(frames)
    }

    /// Ends every subscription of a room. The client hears at once that it is out.
    fn leave(
        &mut self,
        session: &mut Session,
        id: u64,
        topic: &str,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let (left, joined) =
            std::mem::take(&mut self.joined).into_iter().partition(|joined| joined.0 == topic);
        self.joined = joined;
        let left: Vec<(String, u64)> = left;
        for (_, number) in &left {
            out.frames.extend_from_slice(&session.unsubscribe(*number)?);
            self.quiet.push(*number);
        }
        if let Some((_, number)) = left.last() {
            self.presence(session, *number, topic, PresenceAct::Leave, out)?;
        }
        out.texts.put(id, "done", &json!({}));
        Ok(())
    }

    /// Enters or leaves a room's presence, where the room has one.
    fn presence(
        &mut self,
        session: &mut Session,
        number: u64,
        topic: &str,
        act: PresenceAct,
        out: &mut Output,
    ) -> Result<(), Failure> {
        if is_present(topic) {
            let body = control::Presence::of(topic, act);
            out.frames.extend_from_slice(&session.request(number, &body)?);
            self.quiet.push(number);
        }
        Ok(())
    }
}
