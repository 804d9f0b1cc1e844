//! A broker small enough to see through: one process-wide log per topic, the real server session,
//! and links that can be cut. It shows what the SDK does, not what the broker does.
#![allow(dead_code, reason = "each test file uses its part")]

mod groups;
pub(crate) mod quic;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use protocol::attribute::{self, Tag};
use protocol::control::{self, Ask, GapReason, PresenceAct, Start, Subscribed, TopicName};
use protocol::frame::{Header, flag};
use protocol::link::{Broker, Link, Sink};
use protocol::session::server::{Accepted, Command, Input, Output, Server, done};
use protocol::{Class, Code, FrameReader, Kind, Now, Pattern, Topic};

/// The only token that is accepted.
pub(crate) const TOKEN: &str = "good";

#[derive(Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    boot: u64,
    sessions: HashMap<u64, Session>,
    last_session: u64,
    logs: HashMap<Topic, Log>,
    published: HashMap<(u64, u64), u64>,
    calls: HashMap<u64, (u64, u64)>,
    last_call: u64,
    /// Acks that are still to be lost.
    lost_acks: usize,
    refuse_attach: Option<Code>,
    group: groups::Group,
}

#[derive(Default)]
struct Log {
    id: u64,
    messages: Vec<(Bytes, Bytes)>,
}

struct Session {
    server: Server,
    sink: Box<dyn Sink>,
    /// What the sink has refused, control frames apart from deliveries.
    backlog: [VecDeque<Bytes>; 2],
    producer: u64,
    named: HashSet<u64>,
    subscriptions: HashMap<u64, Pattern>,
    offers: HashMap<u64, (Pattern, bool)>,
}

pub(crate) fn now() -> Now {
    Now { mono: Instant::now(), unix_ms: 1_700_000_000_000 }
}

impl Fake {
    pub(crate) fn new() -> Self {
        Fake::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends every session with this code; the logs stay.
    pub(crate) fn cut(&self, code: Code) {
        let sessions = std::mem::take(&mut self.state().sessions);
        for mut session in sessions.into_values() {
            session.sink.closed(code);
        }
        self.state().end_consumers();
    }

    /// As after a restart: topic ids are other ones.
    pub(crate) fn restart(&self) {
        let mut state = self.state();
        state.boot += 1;
        for log in state.logs.values_mut() {
            log.id += 1000;
        }
        drop(state);
        self.cut(Code::RESTARTED);
    }

    /// Keeps back so many acks, as if the connection had taken them along.
    pub(crate) fn lose_acks(&self, count: usize) {
        self.state().lost_acks = count;
    }

    pub(crate) fn refuse_attach(&self, code: Option<Code>) {
        self.state().refuse_attach = code;
    }

    pub(crate) fn stored(&self, topic: &str) -> usize {
        let topic = Topic::parse(topic).expect("valid");
        self.state().logs.get(&topic).map_or(0, |log| log.messages.len())
    }

    pub(crate) fn subscriptions(&self) -> usize {
        self.state().sessions.values().map(|session| session.subscriptions.len()).sum()
    }

    /// Tells one topic's subscribers of offsets that nobody gets.
    pub(crate) fn gap(&self, topic: &str, from: u64, to: u64) {
        let (mut state, topic) = (self.state(), Topic::parse(topic).expect("valid"));
        let id = state.logs[&topic].id;
        let body = control::Gap { epoch: 1, from, to, reason: GapReason::Retention.number() };
        let header = Header { topic_id: id, ..Header::new(Kind::Gap) };
        let frame = control::encode_with(header, &body).expect("small");
        let hears = |session: &&mut Session| {
            session.subscriptions.values().any(|pattern| pattern.matches(&topic))
        };
        let sessions = state.sessions.values_mut().filter(hears);
        sessions.for_each(|session| session.offer(frame.clone()));
    }

    fn flush(&self, session: u64) {
        if let Some(session) = self.state().sessions.get_mut(&session) {
            for backlog in &mut session.backlog {
                while backlog.front().is_some_and(|chunk| session.sink.offer(chunk)) {
                    backlog.pop_front();
                }
            }
        }
    }
}

impl Session {
    fn offer(&mut self, chunk: Bytes) {
        let kind = chunk.first().and_then(|kind| Kind::from_number(*kind));
        let delivery = matches!(kind, Some(Kind::Topic | Kind::Deliver | Kind::Gap | Kind::Job));
        let backlog = &mut self.backlog[usize::from(delivery)];
        if !backlog.is_empty() || !self.sink.offer(&chunk) {
            backlog.push_back(chunk);
        }
    }

    /// Names the topic if it is new here, and delivers the messages above an offset.
    fn deliver(&mut self, topic: &Topic, log: &Log, above: u64) {
        if self.named.insert(log.id) {
            let (class, epoch) = (Class::Durable.number(), 1);
            let body = TopicName { name: topic.to_string(), class, epoch, next: above + 1 };
            let header = Header { topic_id: log.id, ..Header::new(Kind::Topic) };
            self.offer(control::encode_with(header, &body).expect("small"));
        }
        let mut out = BytesMut::new();
        for (offset, (attributes, payload)) in (1..).zip(&log.messages) {
            if offset > above {
                let kind = Header::new(Kind::Deliver).number(offset);
                let header = Header { topic_id: log.id, time_ms: 5, ..kind };
                header.write(&mut out, attributes, payload).expect("small");
            }
        }
        if !out.is_empty() {
            self.offer(out.freeze());
        }
    }
}

impl State {
    fn handle(&mut self, key: u64, input: Input) {
        let mut out = VecDeque::new();
        let Some(session) = self.sessions.get_mut(&key) else { return };
        session.server.handle(now(), input, &mut out);
        for output in out {
            self.carry_out(key, output);
        }
    }

    fn carry_out(&mut self, key: u64, output: Output) {
        match output {
            Output::Authenticate { token } => {
                let accepted = Accepted {
                    user: "u".to_owned(),
                    role: "service".to_owned(),
                    expires_ms: now().unix_ms + 3_600_000,
                    session: key,
                    boot: self.boot,
                    payload_bytes_max: 1 << 20,
                    subscriptions_max: 100,
                    keep_alive: Duration::from_secs(10),
                };
                let verdict = if token == TOKEN { Ok(accepted) } else { Err(Code::BAD_TOKEN) };
                self.handle(key, Input::Verdict(verdict));
            }
            Output::Live { producer, .. } => {
                if let Some(session) = self.sessions.get_mut(&key) {
                    session.producer = producer;
                }
            }
            Output::Send(frame) => self.tell(key, frame),
            Output::Close { code, .. } => {
                if let Some(mut session) = self.sessions.remove(&key) {
                    session.sink.closed(code);
                }
            }
            Output::Command(command) => self.command(key, command),
        }
    }

    fn tell(&mut self, key: u64, frame: Bytes) {
        if let Some(session) = self.sessions.get_mut(&key) {
            session.offer(frame);
        }
    }

    fn command(&mut self, key: u64, command: Command) {
        match command {
            Command::Publish(frame) => self.publish(key, &frame),
            Command::Subscribe { number, pattern, start } => {
                self.subscribe(key, number, pattern, &start);
            }
            Command::Unsubscribe { number } => {
                if let Some(session) = self.sessions.get_mut(&key) {
                    session.subscriptions.remove(&number);
                }
                self.tell(key, done(number));
            }
            Command::Serve { number, pattern, authorizer } => {
                if let Some(session) = self.sessions.get_mut(&key) {
                    session.offers.insert(number, (pattern, authorizer));
                }
                self.tell(key, done(number));
                if authorizer {
                    let (user, role) = ("u7".to_owned(), "customer".to_owned());
                    let ask = Ask { user, role, action: 2, topic: "a.x".to_owned() };
                    self.tell(key, control::encode(&ask, 77).expect("small"));
                }
            }
            Command::Request(frame) => self.request(key, &frame),
            Command::Reply(frame) => {
                if let Some((asker, number)) = self.calls.remove(&frame.header.number) {
                    let header = Header::new(Kind::Reply).number(number);
                    let body = frame.body_bytes();
                    let reply = header.to_frame(frame.attribute_bytes(), body).expect("small");
                    self.tell(asker, reply);
                }
            }
            Command::Answer { answer, .. } => {
                let payload = format!("{} {}", answer.allow, answer.ttl_ms);
                self.store("answers", Bytes::new(), payload.into());
            }
            Command::History { number, topic, .. } => self.history(key, number, &topic),
            Command::Withdraw { number } => {
                if let Some(session) = self.sessions.get_mut(&key) {
                    session.offers.remove(&number);
                }
            }
            Command::Presence { number, topic, act, .. } => {
                let frame = match act {
                    PresenceAct::Watch | PresenceAct::Read => {
                        let topic = topic.to_string();
                        let members =
                            control::Members { topic, sequence: 1, count: 3, members: vec![] };
                        control::encode(&members, number).expect("small")
                    }
                    _ => done(number),
                };
                self.tell(key, frame);
            }
            Command::Consume(consume) => self.consume(key, consume),
            Command::Pull { number, count } => self.pull(key, number, count),
            Command::Settle(settle) => self.settle(key, &settle),
            Command::Leave { number } => self.leave(key, number),
        }
    }

    fn publish(&mut self, key: u64, frame: &protocol::Frame) {
        let attributes = frame.attributes().expect("valid");
        let named = attributes.topic.map(|name| Topic::parse(name).expect("valid"));
        let known = || self.logs.iter().find(|(_, log)| log.id == frame.header.topic_id);
        let topic = named.or_else(|| known().map(|(topic, _)| topic.clone())).expect("known");
        let mut kept = BytesMut::new();
        attribute::relay(&mut kept, frame.attribute_bytes());
        let (producer, sequence) = (self.sessions[&key].producer, frame.header.number);
        let before = self.published.get(&(producer, sequence)).copied();
        let duplicate = before.is_some();
        let offset =
            before.unwrap_or_else(|| self.store(topic.as_str(), kept.freeze(), frame.body()));
        self.published.insert((producer, sequence), offset);
        if self.lost_acks > 0 {
            self.lost_acks -= 1;
            return;
        }
        let mut attributes = BytesMut::new();
        attribute::put_number(&mut attributes, Tag::Sequence, sequence);
        attribute::put_number(&mut attributes, Tag::Epoch, 1);
        let flags = 1 | if duplicate { flag::DUPLICATE } else { 0 };
        let topic_id = self.logs[&topic].id;
        let header = Header { flags, topic_id, ..Header::new(Kind::Published).number(offset) };
        if frame.header.flags & flag::NO_ACK == 0 {
            self.tell(key, header.to_frame(&attributes, &[]).expect("small"));
        }
    }

    fn store(&mut self, topic: &str, attributes: Bytes, payload: Bytes) -> u64 {
        let topic = Topic::parse(topic).expect("valid");
        let id = 1 + self.logs.len() as u64 + 1000 * self.boot;
        let log = self.logs.entry(topic.clone()).or_insert(Log { id, messages: Vec::new() });
        log.messages.push((attributes, payload));
        let offset = log.messages.len() as u64;
        for session in self.sessions.values_mut() {
            if session.subscriptions.values().any(|pattern| pattern.matches(&topic)) {
                session.deliver(&topic, log, offset - 1);
            }
        }
        self.hand_out();
        offset
    }

    fn subscribe(&mut self, key: u64, number: u64, pattern: Pattern, start: &Start) {
        if pattern.as_str() == "forbidden" {
            let body = control::refused(Code::NOT_GRANTED, 0, "not yours");
            return self.tell(key, control::encode(&body, number).expect("small"));
        }
        let Some(session) = self.sessions.get_mut(&key) else { return };
        session.subscriptions.insert(number, pattern.clone());
        let position = pattern.as_topic().map(|topic| control::TopicPosition {
            offset: self.logs.get(&topic).map_or(0, |log| log.messages.len() as u64),
            topic: topic.to_string(),
            epoch: 1,
        });
        let body = Subscribed { joined_ms: 9, positions: position.into_iter().collect() };
        session.offer(control::encode(&body, number).expect("small"));
        for (topic, log) in self.logs.iter().filter(|(topic, _)| pattern.matches(topic)) {
            let all = log.messages.len() as u64;
            let above = match start {
                Start::Now => all,
                Start::Last(count) => all.saturating_sub(u64::from(*count)),
                Start::Since(_) => 0,
                Start::Resume { positions, .. } => {
                    let held = positions.iter().find(|held| held.topic == topic.as_str());
                    held.map_or(0, |held| held.offset)
                }
            };
            if above < all {
                session.deliver(topic, log, above);
            }
        }
    }

    fn request(&mut self, key: u64, frame: &protocol::Frame) {
        let number = frame.header.number;
        let topic = frame.attributes().expect("valid").topic.expect("named").to_owned();
        let parsed = Topic::parse(&topic).expect("valid");
        let serves = |session: &Session| {
            session.offers.values().any(|(pattern, auth)| !auth && pattern.matches(&parsed))
        };
        let Some(responder) = self.sessions.iter().find(|(_, s)| serves(s)).map(|(key, _)| *key)
        else {
            let body = control::refused(Code::NO_RESPONDER, 50, "nobody");
            return self.tell(key, control::encode(&body, number).expect("small"));
        };
        self.last_call += 1;
        self.calls.insert(self.last_call, (key, number));
        let mut attributes = BytesMut::new();
        attribute::put(&mut attributes, Tag::Topic, topic.as_bytes());
        attribute::put(&mut attributes, Tag::User, b"asker");
        let header = Header::new(Kind::Request).number(self.last_call);
        let call = header.to_frame(&attributes, frame.body_bytes()).expect("small");
        self.tell(responder, call);
    }

    fn history(&mut self, key: u64, number: u64, topic: &Topic) {
        let mut body = BytesMut::new();
        if let Some(log) = self.logs.get(topic) {
            for (offset, (attributes, payload)) in (1..).zip(&log.messages) {
                let header = Header::new(Kind::Deliver).number(offset);
                header.write(&mut body, attributes, payload).expect("small");
            }
        }
        let mut attributes = BytesMut::new();
        attribute::put_number(&mut attributes, Tag::Epoch, 1);
        attribute::put_number(&mut attributes, Tag::Floor, 1);
        let page = Header::new(Kind::Page).number(number).to_frame(&attributes, &body);
        self.tell(key, page.expect("small"));
    }
}

struct FakeLink {
    broker: Fake,
    key: u64,
}

impl Broker for Fake {
    fn attach(&self, _: &str, sink: Box<dyn Sink>) -> Result<Box<dyn Link>, Code> {
        let mut state = self.state();
        if let Some(code) = state.refuse_attach {
            return Err(code);
        }
        state.last_session += 1;
        let key = state.last_session;
        let session = Session {
            server: Server::new(now()),
            sink,
            backlog: Default::default(),
            producer: 0,
            named: HashSet::new(),
            subscriptions: HashMap::new(),
            offers: HashMap::new(),
        };
        state.sessions.insert(key, session);
        Ok(Box::new(FakeLink { broker: self.clone(), key }))
    }
}

impl Link for FakeLink {
    fn send(&self, frames: Bytes) -> bool {
        let mut reader = FrameReader::new(1 << 20);
        reader.push(frames);
        let mut state = self.broker.state();
        while let Some(frame) = reader.next_frame().expect("the SDK sends valid frames") {
            state.handle(self.key, Input::Frame(frame));
        }
        assert_eq!(reader.buffered_bytes(), 0, "the SDK sends whole frames");
        true
    }

    fn ready(&self) {
        self.broker.flush(self.key);
    }
}

impl Drop for FakeLink {
    fn drop(&mut self) {
        let mut state = self.broker.state();
        state.sessions.remove(&self.key);
        state.end_consumers();
    }
}
