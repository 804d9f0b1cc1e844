//! What the answers of the broker mean for the client that has asked.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sampan_protocol::Code;
use serde_json::json;

use super::ack::{accept, members, refuse, told};
use super::there::first;
use super::{Pending, Seat, Stage};
use crate::bridge::random;
use crate::events::is_fleeting;
use crate::failure::Failure;
use crate::session::{Answer, Event};
use crate::socketio::seal::Begun;
use crate::socketio::{Output, Shared};

impl Seat {
    /// One of the first rooms is settled. With the last, the client is in.
    fn settled(&mut self, shared: &Shared, out: &mut Output) -> Result<(), Failure> {
        let Stage::Joining { user, joins, held } = &mut self.stage else { return Ok(()) };
        *joins -= 1;
        if *joins > 0 {
            return Ok(());
        }
        let (user, held) = (std::mem::take(user), std::mem::take(held));
        let sid = URL_SAFE_NO_PAD.encode(random::<16>()?);
        if let Some(seal) = &shared.seal {
            let begun = Begun { user, sid: sid.clone(), rooms: self.rooms.text() };
            self.pid = Some(seal.close(&begun)?);
        }
        self.stage = Stage::Live;
        self.enter(&sid, out);
        held.into_iter().try_for_each(|event| self.happened(event, shared, out))
    }

    /// An answer of the broker has come for what was asked under this number.
    pub(super) fn answered(
        &mut self,
        number: u64,
        pending: Pending,
        answer: Answer,
        shared: &Shared,
        out: &mut Output,
    ) -> Result<(), Failure> {
        match (pending, answer) {
            (Pending::Room(topic), Answer::Subscribed(subscribed)) => {
                self.rooms.confirm(&topic, subscribed.positions.first());
                // One that is joined again is entered with that.
                if !self.is_live() {
                    self.be_there(&topic, out)?;
                }
                self.settled(shared, out)?;
            }
            (Pending::Room(topic), Answer::Refused(failure)) => {
                self.rooms.leave(&topic);
                if self.is_live() {
                    let refused = json!({ "topic": topic, "error": told(&failure) });
                    self.tell("sampan:refused", &refused.to_string(), out);
                }
                self.settled(shared, out)?;
            }
            (Pending::Join(topic, acks), Answer::Subscribed(subscribed)) => {
                // Who gives no ack has joined all the same.
                let unasked = acks.is_empty().then_some(None);
                for ack in acks.into_iter().map(Some).chain(unasked) {
                    if let Err(failure) = self.joined(&topic, ack, out) {
                        refuse(ack, &failure, out);
                    }
                }
                // Who has left meanwhile may have joined once more, under another number.
                if self.rooms.get(&topic).is_some_and(|room| room.number == number) {
                    self.rooms.confirm(&topic, subscribed.positions.first());
                    self.be_there(&topic, out)?;
                    self.join_beside(&topic, out);
                    self.tell_rooms(out);
                }
            }
            (Pending::Beside(topic), Answer::Subscribed(subscribed)) => {
                if self.rooms.get(&topic).is_some_and(|room| room.number == number) {
                    self.rooms.confirm(&topic, subscribed.positions.first());
                    if !is_fleeting(&topic) {
                        self.tell_rooms(out);
                    }
                }
            }
            (Pending::Watch(topic), Answer::Members(members)) => {
                // Who has left meanwhile is told no more.
                if self.rooms.get(&topic).is_some() {
                    self.told(Event::Changed(first(members)), shared, out)?;
                }
            }
            (Pending::Watch(_), Answer::Refused(_)) => {}
            (Pending::Beside(topic), Answer::Refused(_)) => {
                if self.rooms.get(&topic).is_some_and(|room| room.number == number) {
                    self.rooms.leave(&topic);
                }
            }
            (Pending::Look(topic, Some(ack)), Answer::Replied(frame)) => match members(&frame) {
                Ok(members) => {
                    let topic = serde_json::Value::from(topic);
                    out.say(format!("43{ack}[{{\"ok\":true,\"topic\":{topic}{members}]"));
                }
                Err(failure) => refuse(Some(ack), &failure, out),
            },
            (Pending::Look(_, None), Answer::Replied(_) | Answer::Refused(_)) => {}
            (Pending::Look(topic, ack), Answer::Refused(failure)) => match failure.code {
                // Whoever serves it is not there; the room is.
                Code::NO_RESPONDER => accept(ack, &json!({ "ok": true, "topic": topic }), out),
                _ => refuse(ack, &failure, out),
            },
            (Pending::Join(topic, acks), Answer::Refused(failure)) => {
                if self.rooms.get(&topic).is_some_and(|room| room.number == number) {
                    self.rooms.leave(&topic);
                }
                acks.into_iter().for_each(|ack| refuse(Some(ack), &failure, out));
            }
            (Pending::Ask(None), Answer::Replied(_)) => {}
            (Pending::Ask(Some(ack)), Answer::Replied(frame)) => match members(&frame) {
                Ok(members) => out.say(format!("43{ack}[{{\"ok\":true{members}]")),
                Err(failure) => refuse(Some(ack), &failure, out),
            },
            (Pending::Refresh(ack), Answer::Refreshed { expires_ms }) => {
                accept(ack, &json!({ "ok": true, "expires_ms": expires_ms }), out);
            }
            (Pending::Ask(ack) | Pending::Refresh(ack), Answer::Refused(failure)) => {
                refuse(ack, &failure, out);
            }
            _ => return Err(Failure::new(Code::PROTOCOL, "an answer to another question")),
        }
        Ok(())
    }

    /// Tells a client that is recovered where it would be: it may lose its connection before
    /// anything else happens.
    pub(super) fn tell_rooms(&self, out: &mut Output) {
        if let Some(last) = self.last() {
            out.say(format!("42[\"sampan:rooms\",{}]", serde_json::Value::from(last)));
        }
    }
}
