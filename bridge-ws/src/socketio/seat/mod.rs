//! A client's place in the namespace: its session of the broker, its rooms, and what it waits for.

mod ack;
mod answered;
mod there;

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;
use sampan_protocol::control::{self, GapReason, Start, Subscribe, Welcome};
use sampan_protocol::{Code, Frame, Position};
use serde_json::json;

use self::ack::{accept, refuse, told};
use self::there::Clock;
use super::delivery::{Delivery, with};
use super::packet::{Argument, Event as Said};
use super::rooms::Rooms;
use super::seal::Begun;
use super::{Message, Output, Shared};
use crate::bridge::random;
use crate::events::{self, Action, action, at_connect, follow};
use crate::failure::Failure;
use crate::json::{Away, Gone, text};
use crate::session::{Answer, Event, Named, Question, Session, TIMEOUT_MS};

/// What the session says about its software.
const CLIENT: &str = "socket.io";
/// Answers of the broker that one client waits for.
const PENDING_MAX: usize = 1024;
/// Messages that come before the client is told that it is in.
const HELD_MAX: usize = 1024;

/// A client's place.
#[derive(Debug)]
pub(super) struct Seat {
    session: Session,
    stage: Stage,
    rooms: Rooms,
    /// What the answers of these numbers are for.
    pending: HashMap<u64, Pending>,
    /// Number of the last request.
    number: u64,
    /// The id under which the client is recovered; none if it is not.
    pid: Option<String>,
    clock: Clock,
}

#[derive(Debug)]
enum Stage {
    /// Waits for WELCOME, with what the client says of its last connection.
    Greeting { past: Option<(Begun, String)>, offset: Option<String> },
    /// Waits until it is in its first rooms; holds what comes meanwhile.
    Joining { user: String, joins: usize, held: Vec<Event> },
    /// The client has been told that it is in.
    Live,
}

/// What an answer is for; an ack is what the client waits under.
#[derive(Debug)]
enum Pending {
    /// A first room, or one that is joined again.
    Room(String),
    /// A room that the client has asked for, perhaps several times.
    Join(String, Vec<u64>),
    /// A room that goes with another; who may not be in it is not.
    Beside(String),
    /// How things stand in a room that has been joined.
    Look(String, Option<u64>),
    /// Who is present in a room.
    Watch(String),
    /// A request that is passed on.
    Ask(Option<u64>),
    /// A fresh token.
    Refresh(Option<u64>),
}

impl Seat {
    /// A place for the holder of a token, and the HELLO that opens its session. `past` is what its
    /// last id says, with the id, and `offset` the last argument of its last event.
    ///
    /// # Errors
    /// When the token cannot be one.
    pub(super) fn open(
        token: &str,
        past: Option<(Begun, String)>,
        offset: Option<String>,
    ) -> Result<(Self, Bytes), Failure> {
        let producer = u64::from_le_bytes(random()?);
        let (session, hello) = Session::open(producer, CLIENT, token)?;
        let seat = Seat {
            session,
            stage: Stage::Greeting { past, offset },
            rooms: Rooms::default(),
            pending: HashMap::new(),
            number: 0,
            pid: None,
            clock: Clock::default(),
        };
        Ok((seat, hello))
    }

    /// Whether the client has been told that it is in.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.stage, Stage::Live)
    }

    /// The broker has sent whole frames.
    ///
    /// # Errors
    /// Why the session has ended.
    pub(super) fn read(
        &mut self,
        now: Instant,
        chunk: Bytes,
        shared: &Shared,
        out: &mut Output,
    ) -> Result<(), Failure> {
        self.clock.now = Some(now);
        let mut events = Vec::new();
        let read = self.session.read(chunk, &mut events);
        let told = events.into_iter().try_for_each(|event| self.told(event, shared, out));
        told.and(read)
    }

    /// The client has sent an event.
    pub(super) fn event(&mut self, said: Said, out: &mut Output) {
        let Said { name, ack, argument } = said;
        if let Err(failure) = self.act(&name, ack, &argument, out) {
            refuse(ack, &failure, out);
        }
    }

    /// Sends an event of ours, whose argument is JSON.
    pub(super) fn tell(&self, name: &str, argument: &str, out: &mut Output) {
        let packet = format!("42[\"{name}\",{argument}]");
        let packet =
            self.last().map(|last| with(packet.as_bytes(), &last)).unwrap_or(packet.into());
        out.messages.push(Message::Text(packet));
    }

    /// The last argument of an event: what the client has seen once it has this event.
    fn last(&self) -> Option<String> {
        self.pid.is_some().then(|| self.rooms.text())
    }

    fn act(
        &mut self,
        name: &str,
        ack: Option<u64>,
        argument: &Argument,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let bad = |why| Failure::new(Code::BAD_FIELD, why);
        let json = match argument {
            Argument::Json(json) => Ok(json.as_str()),
            Argument::Binary(_) | Argument::Mixed => Err(bad("this takes no binary data")),
        };
        match (action(name)?, argument) {
            (Action::Join(rooms), _) => self.join(rooms.topic(json?)?, ack, out),
            (Action::Leave(rooms), _) => self.leave(&rooms.topic(json?)?, ack, out),
            (Action::Ask(_), Argument::Mixed) => Err(bad("binary data stands alone")),
            (Action::Ask(topic), Argument::Json(json)) => {
                self.ask(topic, name, ack, ("application/json", json.as_bytes()), out)
            }
            (Action::Ask(topic), Argument::Binary(bytes)) => {
                self.ask(topic, name, ack, ("application/octet-stream", bytes), out)
            }
            (Action::Refresh, _) => {
                let token = events::token(json?)?;
                let number = self.number(Pending::Refresh(ack))?;
                self.send(
                    number,
                    |session| session.request(number, &control::Refresh { token }),
                    out,
                )
            }
        }
    }

    fn join(&mut self, topic: String, ack: Option<u64>, out: &mut Output) -> Result<(), Failure> {
        if let Some(room) = self.rooms.get(&topic) {
            match self.pending.get_mut(&room.number) {
                // The answer is for all who ask meanwhile.
                Some(Pending::Join(_, acks)) => acks.extend(ack),
                _ => return self.joined(&topic, ack, out),
            }
            return Ok(());
        }
        let pending = Pending::Join(topic.clone(), ack.into_iter().collect());
        self.subscribe(topic, Start::Now, pending, out)
    }

    fn subscribe(
        &mut self,
        topic: String,
        start: Start,
        pending: Pending,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let number = self.number(pending)?;
        let body = Subscribe { pattern: topic.clone(), start };
        self.send(number, |session| session.request(number, &body), out)?;
        self.rooms.join(topic, number);
        Ok(())
    }

    fn leave(&mut self, topic: &str, ack: Option<u64>, out: &mut Output) -> Result<(), Failure> {
        if self.left(topic, out)?
            && let Some(follow) = follow(topic)
        {
            return self.look(follow.left, topic, &follow.payload, ack, out);
        }
        accept(ack, &json!({ "ok": true, "topic": topic }), out);
        Ok(())
    }

    /// Is in a room, and in what goes with it, no longer; whether it was.
    fn left(&mut self, topic: &str, out: &mut Output) -> Result<bool, Failure> {
        let Some(room) = self.rooms.leave(topic) else { return Ok(false) };
        out.frames.extend_from_slice(&self.session.unsubscribe(room.number)?);
        self.be_gone(topic, out)?;
        for topic in follow(topic).into_iter().flat_map(|follow| follow.also) {
            if let Some(room) = self.rooms.leave(&topic) {
                out.frames.extend_from_slice(&self.session.unsubscribe(room.number)?);
            }
        }
        self.tell_rooms(out);
        Ok(true)
    }

    /// A room that the client was in is not for it any more.
    fn shut_out(
        &mut self,
        number: u64,
        failure: &Failure,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let Some(topic) = self.rooms.joined_as(number) else { return Ok(()) };
        self.left(&topic, out)?;
        let refused = json!({ "topic": topic, "error": told(failure) });
        self.tell("sampan:refused", &refused.to_string(), out);
        Ok(())
    }

    /// Joins what goes with a room. What cannot be joined at this moment is left out.
    fn join_beside(&mut self, topic: &str, out: &mut Output) {
        for topic in follow(topic).into_iter().flat_map(|follow| follow.also) {
            if self.rooms.get(&topic).is_none() {
                let _ = self.subscribe(topic.clone(), Start::Now, Pending::Beside(topic), out);
            }
        }
    }

    /// The client is in a room: how things stand there is told to who has asked to join it.
    fn joined(&mut self, topic: &str, ack: Option<u64>, out: &mut Output) -> Result<(), Failure> {
        if let Some(follow) = follow(topic) {
            return self.look(follow.joined, topic, &follow.payload, ack, out);
        }
        accept(ack, &json!({ "ok": true, "topic": topic }), out);
        Ok(())
    }

    /// Asks how things stand where the client has joined or left.
    fn look(
        &mut self,
        asked: &str,
        topic: &str,
        payload: &str,
        ack: Option<u64>,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let number = self.number(Pending::Look(topic.to_owned(), ack))?;
        let question = Question {
            topic: asked,
            event: None,
            content_type: Some("application/json"),
            content_encoding: None,
            timeout_ms: TIMEOUT_MS,
            payload: payload.as_bytes(),
        };
        self.send(number, |session| session.ask(number, &question), out)
    }

    fn ask(
        &mut self,
        topic: &str,
        event: &str,
        ack: Option<u64>,
        (content_type, payload): (&str, &[u8]),
        out: &mut Output,
    ) -> Result<(), Failure> {
        let number = self.number(Pending::Ask(ack))?;
        let question = Question {
            topic,
            event: Some(event),
            content_type: Some(content_type),
            content_encoding: None,
            timeout_ms: TIMEOUT_MS,
            payload,
        };
        self.send(number, |session| session.ask(number, &question), out)
    }

    /// The number of a request, whose answer is for `pending`.
    fn number(&mut self, pending: Pending) -> Result<u64, Failure> {
        if self.pending.len() >= PENDING_MAX {
            return Err(Failure::new(Code::TOO_MANY, "too many requests wait for their answers"));
        }
        self.number += 1;
        self.pending.insert(self.number, pending);
        Ok(self.number)
    }

    fn send(
        &mut self,
        number: u64,
        frames: impl FnOnce(&mut Session) -> Result<Bytes, Failure>,
        out: &mut Output,
    ) -> Result<(), Failure> {
        match frames(&mut self.session) {
            Ok(frames) => out.frames.extend_from_slice(&frames),
            Err(failure) => {
                self.pending.remove(&number);
                return Err(failure);
            }
        }
        Ok(())
    }

    fn told(&mut self, event: Event, shared: &Shared, out: &mut Output) -> Result<(), Failure> {
        match event {
            Event::Closed(failure) => return Err(failure),
            Event::Live(welcome) => return self.welcome(*welcome, out),
            Event::Answered { number, answer } => match (self.pending.remove(&number), answer) {
                (Some(pending), answer) => self.answered(number, pending, answer, shared, out)?,
                (None, Answer::Refused(failure)) => self.shut_out(number, &failure, out)?,
                (None, _) => {}
            },
            event => match &mut self.stage {
                Stage::Joining { held, .. } if held.len() < HELD_MAX => held.push(event),
                Stage::Joining { .. } => return Err(Failure::of(Code::OVERLOADED)),
                Stage::Live => self.happened(event, shared, out)?,
                Stage::Greeting { .. } => {}
            },
        }
        Ok(())
    }

    /// Something has happened that a client in the namespace is told.
    fn happened(&mut self, event: Event, shared: &Shared, out: &mut Output) -> Result<(), Failure> {
        match event {
            Event::Delivered { topic, frame } => self.delivered(&topic, &frame, shared, out)?,
            Event::Gap { topic, gap } => {
                let position = Position { epoch: gap.epoch, offset: gap.to };
                let is_conflated = GapReason::from_number(gap.reason) == Some(GapReason::Conflated);
                if gap.epoch == topic.epoch && !is_conflated {
                    self.rooms.see(&topic.name, position);
                }
                self.tell("sampan:gap", &text(&Gone::new(&topic, &gap)), out);
            }
            Event::Expiring { expires_ms } => {
                let expiring = json!({ "expires_ms": expires_ms });
                self.tell("sampan:expiring", &expiring.to_string(), out);
            }
            Event::Draining(away) => self.tell("sampan:goaway", &text(&Away::new(&away)), out),
            Event::Changed(changed) => self.tell_there(&changed, out),
            // Nothing is published, and no job taken.
            _ => {}
        }
        Ok(())
    }

    fn delivered(
        &mut self,
        topic: &Named,
        frame: &Frame,
        shared: &Shared,
        out: &mut Output,
    ) -> Result<(), Failure> {
        let position = Position { epoch: topic.epoch, offset: frame.header.number };
        if self.rooms.see(&topic.name, position) {
            let delivery = Delivery::of(&shared.deliveries, topic, frame)?;
            delivery.put(self.last().as_deref(), out);
        }
        Ok(())
    }

    fn welcome(&mut self, welcome: Welcome, out: &mut Output) -> Result<(), Failure> {
        let Stage::Greeting { past, offset } = std::mem::replace(&mut self.stage, Stage::Live)
        else {
            return Err(Failure::of(Code::PROTOCOL));
        };
        let Welcome { user, role, now_ms, .. } = welcome;
        self.clock.start(now_ms);
        // Another user's id is worth nothing.
        let past = past.filter(|(begun, _)| begun.user == user).and_then(|(begun, pid)| {
            let rooms = Rooms::parse(offset.as_deref().unwrap_or(&begun.rooms))?;
            Some((begun, pid, rooms))
        });
        let Some((begun, pid, rooms)) = past else {
            let topics = at_connect(&user, &role);
            let joins = topics.len();
            self.stage = Stage::Joining { user, joins, held: Vec::new() };
            for topic in topics {
                self.subscribe(topic.clone(), Start::Now, Pending::Room(topic), out)?;
            }
            return Ok(());
        };
        self.pid = Some(pid);
        self.rooms = rooms;
        self.enter(&begun.sid, out);
        for position in self.rooms.positions() {
            let topic = position.topic.clone();
            let start = Start::Resume { joined_ms: now_ms, positions: vec![position] };
            let body = Subscribe { pattern: topic.clone(), start };
            let number = self.number(Pending::Room(topic.clone()))?;
            self.send(number, |session| session.request(number, &body), out)?;
            self.rooms.rejoin(&topic, number);
            self.be_there(&topic, out)?;
            self.join_beside(&topic, out);
        }
        Ok(())
    }

    /// Tells the client that it is in.
    fn enter(&self, sid: &str, out: &mut Output) {
        let connected = match &self.pid {
            Some(pid) => json!({ "sid": sid, "pid": pid }),
            None => json!({ "sid": sid }),
        };
        out.say(format!("40{connected}"));
    }
}
