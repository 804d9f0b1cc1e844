//! A client, a clock, and what the client has said so far.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::attribute::{self, Tag};
use crate::code::Code;
use crate::control::{self, Close, TopicName, TopicPosition, Welcome};
use crate::frame::{Frame, FrameReader, Header, Kind, flag};
use crate::session::client::{
    Channel, Client, Event, Failure, Lost, Message, Options, Output, Publish, Run,
};
use crate::time::Now;
use crate::topic::{Pattern, Topic};
use crate::{Class, VERSION};

pub(super) struct Rig {
    pub(super) client: Client,
    pub(super) now: Now,
    pub(super) events: Vec<Event>,
    pub(super) control: Vec<Frame>,
    pub(super) published: Vec<Frame>,
    pub(super) connects: Vec<u32>,
    pub(super) closes: Vec<Code>,
    pub(super) token_asks: usize,
    publish_stream: FrameReader,
}

pub(super) fn options() -> Options {
    Options { token: Some("t".to_owned()), ..Options::default() }
}

pub(super) fn topic(name: &str) -> Topic {
    Topic::parse(name).expect(name)
}

pub(super) fn pattern(name: &str) -> Pattern {
    Pattern::parse(name).expect(name)
}

pub(super) fn at(topic: &str, epoch: u64, offset: u64) -> TopicPosition {
    TopicPosition { topic: topic.to_owned(), epoch, offset }
}

impl Rig {
    pub(super) fn new(options: Options) -> Self {
        let now = Now { mono: Instant::now(), unix_ms: 1_000_000 };
        let mut rig = Rig {
            client: Client::new(options, 7),
            now,
            events: Vec::new(),
            control: Vec::new(),
            published: Vec::new(),
            connects: Vec::new(),
            closes: Vec::new(),
            token_asks: 0,
            publish_stream: FrameReader::new(1 << 20),
        };
        rig.client.open(now);
        rig.drain();
        rig
    }

    /// A client whose first session is live.
    pub(super) fn live() -> Self {
        let mut rig = Rig::new(options());
        rig.accept(1);
        rig.forget();
        rig
    }

    /// Takes every output.
    pub(super) fn drain(&mut self) {
        while let Some(output) = self.client.poll() {
            match output {
                Output::Connect { connection } => {
                    self.publish_stream = FrameReader::new(1 << 20);
                    self.connects.push(connection);
                }
                Output::NeedToken => self.token_asks += 1,
                Output::Send(Channel::Publish, bytes) => {
                    self.publish_stream.push(bytes);
                    while let Some(frame) = self.publish_stream.next_frame().expect("valid") {
                        self.published.push(frame);
                    }
                }
                Output::Send(_, bytes) => {
                    let mut reader = FrameReader::new(1 << 20);
                    reader.push(bytes);
                    while let Some(frame) = reader.next_frame().expect("valid") {
                        self.control.push(frame);
                    }
                    assert_eq!(reader.buffered_bytes(), 0, "whole frames");
                }
                Output::Event(event) => self.events.push(event),
                Output::Close { code, .. } => self.closes.push(code),
            }
        }
    }

    /// Forgets what was said so far.
    pub(super) fn forget(&mut self) {
        self.events.clear();
        self.control.clear();
        self.published.clear();
        self.closes.clear();
    }

    pub(super) fn connection(&self) -> u32 {
        *self.connects.last().expect("a connection was asked for")
    }

    /// Lets time pass, calling the client at each of its deadlines.
    pub(super) fn pass(&mut self, by: Duration) {
        let end = self.now.after(by);
        while let Some(at) = self.client.deadline().filter(|at| *at <= end.mono) {
            let step = at.saturating_duration_since(self.now.mono);
            self.now = self.now.after(step);
            self.client.timeout(self.now);
            self.drain();
        }
        self.now = end;
    }

    /// Makes the transport and welcomes the client to a broker process.
    pub(super) fn accept(&mut self, boot: u64) {
        self.client.connected(self.now, self.connection());
        self.drain();
        assert_eq!(self.control.last().map(|f| f.header.kind), Some(Kind::Hello));
        let welcome = Welcome {
            version: VERSION,
            features: 1,
            session: 1,
            boot,
            user: "u".to_owned(),
            role: "agent".to_owned(),
            expires_ms: self.now.unix_ms + 3_600_000,
            now_ms: self.now.unix_ms,
            payload_bytes_max: 1 << 20,
            subscriptions_max: 10,
            keep_alive_ms: 10_000,
        };
        self.control(control::encode(&welcome, 0).expect("small"));
    }

    /// Loses the transport and makes the next one as soon as the client asks.
    pub(super) fn reconnect(&mut self, boot: u64) {
        self.lose(None);
        self.wait();
        self.forget();
        self.accept(boot);
    }

    /// Lets time pass until the next attempt to connect.
    pub(super) fn wait(&mut self) {
        let attempts = self.connects.len();
        while self.connects.len() == attempts {
            let at = self.client.deadline().expect("an attempt follows");
            self.pass(at.saturating_duration_since(self.now.mono));
        }
    }

    pub(super) fn lose(&mut self, code: Option<Code>) {
        let lost = Lost { code, reason: "gone".to_owned(), hopeless: false };
        self.client.lost(self.now, self.connection(), lost);
        self.drain();
    }

    pub(super) fn control(&mut self, frame: Bytes) {
        self.frame(Channel::Control, frame);
    }

    pub(super) fn lane(&mut self, frame: Bytes) {
        self.frame(Channel::Lane, frame);
    }

    pub(super) fn frame(&mut self, channel: Channel, frame: Bytes) {
        let frame = Frame::decode(frame, 1 << 20).expect("one frame");
        self.client.frame(self.now, self.connection(), channel, frame);
        self.drain();
    }

    pub(super) fn close_frame(&mut self, code: Code, retry_after_ms: u32) {
        let body = Close { code: code.0, retry_after_ms, reason: String::new() };
        self.control(control::encode(&body, 0).expect("small"));
    }

    /// TOPIC on a lane.
    pub(super) fn name(&mut self, id: u64, name: &str, class: Class, epoch: u64, next: u64) {
        let body = TopicName { name: name.to_owned(), class: class.number(), epoch, next };
        let header = Header { topic_id: id, ..Header::new(Kind::Topic) };
        self.lane(control::encode_with(header, &body).expect("small"));
    }

    /// DELIVER on a lane.
    pub(super) fn deliver(&mut self, id: u64, offset: u64) {
        self.lane(deliver(id, offset));
    }

    /// Offsets that a subscription was given, since the last `forget`.
    pub(super) fn offsets(&self, subscription: u64) -> Vec<u64> {
        let offsets = self.events.iter().filter_map(|event| match event {
            Event::Message { subscription: to, message: Message { frame, .. } }
                if *to == subscription =>
            {
                Some(frame.header.number)
            }
            _ => None,
        });
        offsets.collect()
    }

    pub(super) fn sent(&self, kind: Kind) -> Vec<&Frame> {
        self.control.iter().filter(|frame| frame.header.kind == kind).collect()
    }

    pub(super) fn publish(&mut self, name: &str, payload: &'static [u8]) -> u64 {
        let taken = self.client.publish(message(name, payload)).expect("room");
        self.drain();
        taken
    }

    /// PUBLISHED for a run that ends with `sequence` at `offset`.
    pub(super) fn ack(&mut self, topic_id: u64, sequence: u64, offset: u64, count: u64) {
        let mut attributes = bytes::BytesMut::new();
        attribute::put_number(&mut attributes, Tag::Sequence, sequence);
        attribute::put_number(&mut attributes, Tag::Epoch, 1);
        if count != 1 {
            attribute::put_number(&mut attributes, Tag::Count, count);
        }
        let header = Header { topic_id, flags: 1, ..Header::new(Kind::Published).number(offset) };
        self.control(header.to_frame(&attributes, &[]).expect("small"));
    }

    pub(super) fn runs(&self) -> Vec<Run> {
        let runs = self.events.iter().filter_map(|event| match event {
            Event::Published(run) => Some(*run),
            _ => None,
        });
        runs.collect()
    }

    /// How a request failed.
    pub(super) fn failure(&self, number: u64) -> Option<&Failure> {
        self.events.iter().find_map(|event| match event {
            Event::Answered { number: of, result: Err(failure) } if *of == number => Some(failure),
            _ => None,
        })
    }
}

pub(super) fn message(name: &str, payload: &'static [u8]) -> Publish {
    let (attributes, payload) = (Bytes::new(), Bytes::from_static(payload));
    Publish { topic: topic(name), attributes, payload, level: None }
}

pub(super) fn deliver(id: u64, offset: u64) -> Bytes {
    let header = Header { topic_id: id, ..Header::new(Kind::Deliver).number(offset) };
    header.to_frame(&[], b"x").expect("small")
}

/// Sequences of PUBLISH frames, with their topic ids and whether an ack is wanted.
pub(super) fn sequences(frames: &[Frame]) -> Vec<(u64, u64, bool)> {
    let parts = frames.iter().map(|frame| {
        let header = frame.header;
        (header.number, header.topic_id, header.flags & flag::NO_ACK == 0)
    });
    parts.collect()
}
