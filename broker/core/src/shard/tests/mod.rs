//! Shards face to face with scripted clients, in virtual time.

mod access;
mod delivery;
mod disk;
mod durable;
mod groups;
mod slow;
mod talk;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use sampan_protocol::attribute::{self, Tag};
use sampan_protocol::control::{self, Start, Subscribe};
use sampan_protocol::frame::{Header, Kind};
use sampan_protocol::limits::LANES;
use sampan_protocol::{Frame, FrameReader, Now, Topic, VERSION};

use self::disk::Disk;
use super::{Managed, Output, Setup, Shard};
use crate::config::Config;
use crate::directory::{Directory, Entry, Full, owner};
use crate::grant::{Identity, Role};
use crate::journal::{self, Memory};
use crate::message::Message;
use crate::outbox::Channel;
use crate::session::{Peer, SessionKey};

/// A directory for tests.
struct Names {
    config: Arc<Config>,
    shards: u8,
    entries: Mutex<BTreeMap<Topic, Arc<Entry>>>,
}

impl Directory for Names {
    fn resolve(&self, topic: &Topic) -> Result<Arc<Entry>, Full> {
        let mut entries = self.entries.lock().expect("not poisoned");
        let id = entries.len() as u64 + 1;
        let entry = entries.entry(topic.clone()).or_insert_with(|| {
            let rule = Arc::new(self.config.classes.rule(topic).clone());
            Arc::new(Entry { id, topic: topic.clone(), owner: owner(topic, self.shards), rule })
        });
        Ok(entry.clone())
    }

    fn find(&self, topic: &Topic) -> Option<Arc<Entry>> {
        self.entries.lock().expect("not poisoned").get(topic).cloned()
    }

    fn by_id(&self, id: u64) -> Option<Arc<Entry>> {
        self.entries.lock().expect("not poisoned").values().find(|e| e.id == id).cloned()
    }
}

/// Several shards and the clock.
pub(super) struct World {
    pub(super) shards: Vec<Shard>,
    pub(super) stores: Vec<Disk>,
    pub(super) now: Now,
    config: Arc<Config>,
    tokens: BTreeMap<String, Identity>,
    /// What operators were told, by task.
    pub(super) managed: BTreeMap<u64, Result<Managed, sampan_protocol::Code>>,
}

/// One scripted client.
pub(super) struct Client {
    shard: u8,
    pub(super) key: SessionKey,
    readers: BTreeMap<u8, FrameReader>,
    next: u64,
    sequence: u64,
}

impl World {
    pub(super) fn new(shards: u8) -> Self {
        World::with(shards, Config::shipped(), journal::Config::default())
    }

    pub(super) fn with(shards: u8, config: Arc<Config>, journal: journal::Config) -> Self {
        let now = Now { mono: Instant::now(), unix_ms: 1_700_000_000_000 };
        let classes = Arc::new(config.classes.clone());
        let store = |_| Disk::new(Memory::new(journal.clone(), classes.clone()));
        let stores = (0..shards).map(store).collect();
        let (shards, tokens, managed) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let mut world = World { shards, stores, now, config, tokens, managed };
        world.start();
        world
    }

    /// Starts a broker over the stores in place of the one that there was.
    pub(super) fn start(&mut self) {
        let (config, now) = (self.config.clone(), self.now);
        let shards = u8::try_from(self.stores.len()).expect("few");
        let entries = Mutex::new(BTreeMap::new());
        let names = Arc::new(Names { config: config.clone(), shards, entries });
        let make = |(shard, store): (u8, &Disk)| {
            let topics = store.memory().topics();
            Shard::new(Setup {
                config: config.clone(),
                shard,
                shards,
                boot: 99,
                directory: names.clone(),
                journal: Box::new(store.clone()),
                topics,
                now,
            })
        };
        self.shards = (0..shards).zip(&self.stores).map(make).collect();
    }

    /// Cuts the power, and starts the broker again.
    pub(super) fn crash(&mut self) {
        for store in &self.stores {
            store.crash();
        }
        self.start();
    }

    /// Carries everything through until no shard has anything left to do.
    pub(super) fn run(&mut self) {
        loop {
            let mut moved = VecDeque::new();
            for shard in &mut self.shards {
                shard.settle(self.now);
                while let Some(output) = shard.poll() {
                    moved.push_back((shard.me, output));
                }
            }
            if moved.is_empty() {
                return;
            }
            for (from, output) in moved {
                match output {
                    Output::ToShard(to, message) => self.pass(to, message),
                    Output::Authenticate { key, token } => {
                        let identity = self.tokens.get(&token).cloned();
                        let verdict = identity.ok_or(sampan_protocol::Code::BAD_TOKEN);
                        self.shards[usize::from(from)].verdict(self.now, key, verdict);
                    }
                    Output::Managed { id, result } => {
                        self.managed.insert(id, result);
                    }
                    Output::Live { .. } => {}
                }
            }
        }
    }

    fn pass(&mut self, to: u8, message: Message) {
        self.shards[usize::from(to)].message(self.now, message);
    }

    /// Lets time pass, visiting every deadline on the way.
    pub(super) fn sleep(&mut self, by: Duration) {
        let end = self.now.after(by);
        loop {
            self.run();
            let next = self.shards.iter().filter_map(Shard::deadline).min();
            match next {
                Some(at) if at <= end.mono => {
                    let step = at.saturating_duration_since(self.now.mono);
                    self.now = self.now.after(step);
                }
                _ => break,
            }
            for shard in &mut self.shards {
                shard.time(self.now);
            }
        }
        self.now = self.now.after(end.mono.saturating_duration_since(self.now.mono));
        self.run();
    }

    /// A live client on this shard.
    pub(super) fn client(&mut self, shard: u8, user: &str, role: Role) -> Client {
        let mut client = self.greeting(shard, user, role);
        let frames = self.receive(&mut client);
        assert_eq!(frames[0].header.kind, Kind::Welcome, "{frames:?}");
        client
    }

    pub(super) fn greeting(&mut self, shard: u8, user: &str, role: Role) -> Client {
        let peer = Peer { address: None, datagrams: false };
        let key = self.shards[usize::from(shard)].open(self.now, peer).expect("room");
        let token = self.token(user, role);
        let mut client = Client { shard, key, readers: BTreeMap::new(), next: 1, sequence: 0 };
        let producer = key.number() + (u64::from(shard) << 40) + 1;
        let hello = control::Hello {
            version: VERSION,
            features: 0,
            producer,
            client: "test".into(),
            token,
        };
        self.send(&mut client, control::encode(&hello, 0).expect("valid"));
        client
    }

    fn token(&mut self, user: &str, role: Role) -> String {
        let token = format!("{user}/{}", role.name());
        let identity = Identity {
            user: Arc::from(user),
            role,
            expires_ms: self.now.unix_ms + 24 * 3_600_000,
            issued_ms: None,
            token_id: None,
        };
        self.tokens.insert(token.clone(), identity);
        token
    }

    /// Gives a session a new token.
    pub(super) fn refresh(&mut self, client: &mut Client, user: &str, role: Role) {
        let body = control::Refresh { token: self.token(user, role) };
        self.ask(client, |number| control::encode(&body, number).expect("valid"));
    }

    /// Sends one encoded frame.
    pub(super) fn send(&mut self, client: &mut Client, bytes: Bytes) {
        let frame = Frame::decode(bytes, 1 << 20).expect("valid");
        self.shards[usize::from(client.shard)].frame(self.now, client.key, frame);
        self.run();
    }

    /// Sends a control body under a new request number.
    pub(super) fn ask(&mut self, client: &mut Client, encode: impl Fn(u64) -> Bytes) -> u64 {
        let number = client.next;
        client.next += 1;
        self.send(client, encode(number));
        number
    }

    pub(super) fn subscribe(&mut self, client: &mut Client, pattern: &str, start: Start) -> u64 {
        let body = Subscribe { pattern: pattern.into(), start };
        self.ask(client, |number| control::encode(&body, number).expect("valid"))
    }

    /// Publishes `payload` to `topic`; the sequence.
    pub(super) fn publish(&mut self, client: &mut Client, topic: &str, payload: &str) -> u64 {
        self.publish_with(client, topic, payload, &[], 0)
    }

    pub(super) fn publish_with(
        &mut self,
        client: &mut Client,
        topic: &str,
        payload: &str,
        extra: &[(Tag, &[u8])],
        flags: u8,
    ) -> u64 {
        client.sequence += 1;
        let sequence = client.sequence;
        let bytes = publish(topic, payload, extra, flags, sequence);
        self.send(client, bytes);
        sequence
    }

    /// Everything that waits for the client.
    pub(super) fn receive(&mut self, client: &mut Client) -> Vec<Frame> {
        self.receive_some(client, usize::MAX)
    }

    /// What waits for the client, control first, as far as `bytes` of lane data go.
    pub(super) fn receive_some(&mut self, client: &mut Client, bytes: usize) -> Vec<Frame> {
        self.run();
        let mut left = bytes;
        let mut frames = Vec::new();
        for round in 0.. {
            assert!(round < 10_000, "never quiet");
            let shard = &mut self.shards[usize::from(client.shard)];
            let mut got = 0;
            for channel in Channel::all() {
                let lane = if let Channel::Lane(lane) = channel { lane } else { LANES };
                let reader =
                    client.readers.entry(lane).or_insert_with(|| FrameReader::new(1 << 20));
                let control = channel == Channel::Control;
                // A transport asks for nothing where nothing waits.
                if !shard.has(client.key, channel) {
                    continue;
                }
                shard.transfer(self.now, client.key, channel, &mut |chunk| {
                    let take = if control { chunk.len() } else { chunk.len().min(left) };
                    if !control {
                        left -= take;
                    }
                    got += take;
                    reader.push(chunk.split_to(take));
                    while let Some(frame) = reader.next_frame().expect("valid") {
                        frames.push(frame);
                    }
                });
            }
            self.run();
            if got == 0 {
                break;
            }
        }
        frames
    }

    /// The client's transport goes away.
    pub(super) fn leave(&mut self, client: &Client) {
        self.shards[usize::from(client.shard)].closed(self.now, client.key);
        self.run();
    }
}

/// A PUBLISH frame.
pub(super) fn publish(
    topic: &str,
    payload: &str,
    extra: &[(Tag, &[u8])],
    flags: u8,
    sequence: u64,
) -> Bytes {
    let mut attributes = BytesMut::new();
    attribute::put(&mut attributes, Tag::Topic, topic.as_bytes());
    for (tag, value) in extra {
        attribute::put(&mut attributes, *tag, value);
    }
    let header = Header { flags, ..Header::new(Kind::Publish) }.number(sequence);
    header.to_frame(&attributes, payload.as_bytes()).expect("small")
}

/// The payloads of the DELIVER frames.
pub(super) fn payloads(frames: &[Frame]) -> Vec<String> {
    frames
        .iter()
        .filter(|frame| frame.header.kind == Kind::Deliver)
        .map(|frame| String::from_utf8(frame.body().to_vec()).expect("text"))
        .collect()
}

/// The frames of one kind.
pub(super) fn of_kind(frames: &[Frame], kind: Kind) -> Vec<&Frame> {
    frames.iter().filter(|frame| frame.header.kind == kind).collect()
}

/// Offsets received, with the holes that were announced: checks that every jump was.
pub(super) fn account(frames: &[Frame], mut next: u64) -> (Vec<u64>, Vec<control::Gap>) {
    let (mut offsets, mut gaps, mut free) = (Vec::new(), Vec::new(), 0..0);
    for frame in frames {
        match frame.header.kind {
            Kind::Gap => {
                let gap: control::Gap = control::decode(frame).expect("valid");
                if gap.reason == control::GapReason::Conflated.number() {
                    free = gap.from..gap.to + 1;
                } else {
                    assert_eq!(gap.from, next, "a gap that does not follow");
                    next = gap.to + 1;
                }
                gaps.push(gap);
            }
            Kind::Deliver => {
                let offset = frame.header.number;
                let announced =
                    offset >= next && (next..offset).all(|missed| free.contains(&missed));
                assert!(announced, "offset {offset} where {next} was expected");
                offsets.push(offset);
                next = offset + 1;
            }
            _ => {}
        }
    }
    (offsets, gaps)
}

/// The refusal with this number.
pub(super) fn refusal(frames: &[Frame], number: u64) -> Option<sampan_protocol::Code> {
    frames.iter().filter(|frame| frame.header.number == number).find_map(|frame| {
        let code = match frame.header.kind {
            Kind::Refused => control::decode::<control::Refused>(frame).expect("valid").code,
            Kind::PublishRefused => {
                control::decode::<control::PublishRefused>(frame).expect("valid").code
            }
            _ => return None,
        };
        Some(sampan_protocol::Code(code))
    })
}
