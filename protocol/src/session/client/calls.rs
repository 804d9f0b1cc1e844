//! Requests and authorization questions that this client answers.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::Client;
use super::output::{Call, CallId, Event, Question};
use super::standing::What;
use crate::attribute::{self, Tag};
use crate::code::Code;
use crate::control::{self, Action, Answer, Ask};
use crate::error::Error;
use crate::frame::{Frame, Header, Kind};
use crate::topic::{Pattern, Topic};

impl Client {
    /// Answers a call. `attributes` are encoded and hold neither code nor reason. `false` if the
    /// connection that brought the call is gone: the asker has been told so by the broker.
    ///
    /// # Errors
    /// `TooLarge`.
    pub fn reply(&mut self, id: CallId, attributes: &[u8], payload: &[u8]) -> Result<bool, Error> {
        let max = self.payload_bytes_max;
        if payload.len() > max {
            let had = payload.len() as u64;
            return Err(Error::TooLarge { field: "payload", max, had });
        }
        let header = Header::new(Kind::Reply).number(id.number);
        Ok(self.send_back(id, header.to_frame(attributes, payload)?))
    }

    /// Answers a call with a failure. The application's own codes are 900 to 999.
    pub fn fail(&mut self, id: CallId, code: Code, reason: &str) -> bool {
        let mut attributes = BytesMut::new();
        attribute::put_number(&mut attributes, Tag::Code, code.0.into());
        attribute::put(&mut attributes, Tag::Reason, control::reason_text(reason).as_bytes());
        let header = Header::new(Kind::Reply).number(id.number);
        header.to_frame(&attributes, &[]).is_ok_and(|frame| self.send_back(id, frame))
    }

    /// Answers a question; the broker keeps the answer for `ttl`, at most an hour.
    pub fn answer(&mut self, id: CallId, allow: bool, ttl: Duration) -> bool {
        let ttl_ms = u32::try_from(ttl.as_millis()).unwrap_or(u32::MAX);
        let frame = control::encode(&Answer { allow, ttl_ms }, id.number);
        frame.is_ok_and(|frame| self.send_back(id, frame))
    }

    fn send_back(&mut self, id: CallId, frame: Bytes) -> bool {
        let current = id.connection == self.connection && self.phase.is_live();
        if current {
            self.send(frame);
        }
        current
    }

    /// The first offer of this role that covers what is asked.
    fn offer(&self, role: u8, covers: impl Fn(&Pattern) -> bool) -> Option<u64> {
        let offers = self.standing.iter().find(|(_, standing)| match &standing.what {
            What::Offer { pattern, role: offered } => *offered == role && covers(pattern),
            _ => false,
        });
        offers.map(|(number, _)| *number)
    }

    /// A request handed to this client.
    pub(super) fn called(&mut self, frame: Frame) -> Result<(), Error> {
        let id = CallId { connection: self.connection, number: frame.header.number };
        let attributes = frame.attributes()?;
        let topic =
            attributes.topic.ok_or(Error::Invalid { field: "a request without a topic" })?;
        let topic = Topic::parse(topic)?;
        let Some(offer) = self.offer(1, |pattern| pattern.matches(&topic)) else {
            self.fail(id, Code::NO_RESPONDER, "the offer has just been withdrawn");
            return Ok(());
        };
        let call = Call {
            id,
            offer,
            topic,
            user: attributes.user.unwrap_or_default().to_owned(),
            role: attributes.role.unwrap_or_default().to_owned(),
            timeout: attributes.deadline_ms.map(Duration::from_millis),
            frame,
        };
        self.event(Event::Call(Box::new(call)));
        Ok(())
    }

    /// An authorization question for this client.
    pub(super) fn questioned(&mut self, frame: &Frame) -> Result<(), Error> {
        let body: Ask = control::decode(frame)?;
        let id = CallId { connection: self.connection, number: frame.header.number };
        let topic = Pattern::parse(&body.topic)?;
        let action = Action::from_number(body.action);
        let action = action.ok_or(Error::Invalid { field: "action" })?;
        let Some(offer) = self.offer(2, |pattern| pattern.covers(&topic)) else {
            self.answer(id, false, Duration::ZERO);
            return Ok(());
        };
        let Ask { user, role, .. } = body;
        self.event(Event::Question(Box::new(Question { id, offer, user, role, action, topic })));
        Ok(())
    }
}
