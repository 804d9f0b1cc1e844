//! One shard with scripted sessions and a transport that only takes what it is handed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use sampan_core::config::Config;
use sampan_core::directory::{Directory, Entry, Full};
use sampan_core::grant::{Identity, Role};
use sampan_core::journal::{self, Memory};
use sampan_core::outbox::Channel;
use sampan_core::session::{Peer, SessionKey};
use sampan_core::shard::{Output, Setup, Shard};
use sampan_protocol::attribute::{self, Tag};
use sampan_protocol::control::{self, Hello, Start, Subscribe};
use sampan_protocol::frame::{Header, Kind};
use sampan_protocol::limits::PAYLOAD_BYTES_MAX;
use sampan_protocol::{Frame, Now, Topic, VERSION};

/// The topic that everybody subscribes to; ephemeral, on lanes.
pub(crate) const TOPIC: &str = "bench.room";

/// The names of one shard.
struct Names {
    config: Arc<Config>,
    entries: Mutex<HashMap<Topic, Arc<Entry>>>,
}

impl Names {
    fn pick(&self, wanted: impl Fn(&Entry) -> bool) -> Option<Arc<Entry>> {
        let entries = self.entries.lock().expect("one thread");
        entries.values().find(|entry| wanted(entry)).cloned()
    }
}

impl Directory for Names {
    fn resolve(&self, topic: &Topic) -> Result<Arc<Entry>, Full> {
        let mut entries = self.entries.lock().expect("one thread");
        let id = entries.len() as u64 + 1;
        let entry = entries.entry(topic.clone()).or_insert_with(|| {
            let rule = Arc::new(self.config.classes.rule(topic).clone());
            Arc::new(Entry { id, topic: topic.clone(), owner: 0, rule })
        });
        Ok(entry.clone())
    }

    fn find(&self, topic: &Topic) -> Option<Arc<Entry>> {
        self.entries.lock().expect("one thread").get(topic).cloned()
    }

    fn by_id(&self, id: u64) -> Option<Arc<Entry>> {
        self.pick(|entry| entry.id == id)
    }
}

/// A shard, its publisher and its subscribers.
pub(crate) struct World {
    pub(crate) shard: Shard,
    pub(crate) now: Now,
    pub(crate) publisher: SessionKey,
    pub(crate) subscribers: Vec<SessionKey>,
    sequence: u64,
}

impl World {
    /// A shard whose `subscribers` sessions have [`TOPIC`] and have been told its id.
    pub(crate) fn new(subscribers: usize) -> Self {
        let now = Now { mono: Instant::now(), unix_ms: 1_700_000_000_000 };
        let config = Config::shipped();
        let names = Names { config: config.clone(), entries: Mutex::default() };
        let classes = Arc::new(config.classes.clone());
        let mut shard = Shard::new(Setup {
            config,
            shard: 0,
            shards: 1,
            boot: 1,
            directory: Arc::new(names),
            journal: Box::new(Memory::new(journal::Config::default(), classes)),
            topics: Vec::new(),
            now,
        });
        let publisher = join(&mut shard, now, 1);
        let subscribers: Vec<_> =
            (0..subscribers).map(|at| join(&mut shard, now, at as u64 + 2)).collect();
        let mut world = World { shard, now, publisher, subscribers, sequence: 0 };
        for key in world.subscribers.clone() {
            let body = Subscribe { pattern: TOPIC.to_owned(), start: Start::Now };
            let bytes = control::encode(&body, 1).expect("valid");
            world.shard.frame(now, key, frame(bytes));
        }
        world.shard.settle(now);
        // The first message brings the topic's name along, which later ones do not.
        world.publish(Bytes::from_static(&[0; 8]));
        world.shard.settle(now);
        world.take(&mut |_, _| {});
        world
    }

    /// A PUBLISH frame, as it is cut from the publisher's stream.
    pub(crate) fn frame(&mut self, payload: Bytes) -> Frame {
        self.sequence += 1;
        let mut attributes = BytesMut::new();
        attribute::put(&mut attributes, Tag::Topic, TOPIC.as_bytes());
        let header = Header::new(Kind::Publish).number(self.sequence);
        frame(header.to_frame(&attributes, &payload).expect("small"))
    }

    pub(crate) fn publish(&mut self, payload: Bytes) {
        let frame = self.frame(payload);
        self.shard.frame(self.now, self.publisher, frame);
    }

    /// Serves every session that has something to send; `seen` is given each lane chunk, those of
    /// one session in a row.
    pub(crate) fn take(&mut self, seen: &mut dyn FnMut(SessionKey, &Bytes)) {
        // Later than the last time, so that no bucket of the publisher ever runs dry.
        self.now = self.now.after(Duration::from_micros(100));
        while let Some(key) = self.shard.next_ready() {
            for channel in Channel::all().filter(|channel| *channel != Channel::Control) {
                self.shard.transfer(self.now, key, channel, &mut |chunk| {
                    seen(key, chunk);
                    chunk.clear();
                });
            }
            self.shard.transfer(self.now, key, Channel::Control, &mut Bytes::clear);
        }
    }
}

fn frame(bytes: Bytes) -> Frame {
    Frame::decode(bytes, PAYLOAD_BYTES_MAX).expect("encoded here")
}

/// Opens a session and takes it through its greeting.
fn join(shard: &mut Shard, now: Now, producer: u64) -> SessionKey {
    let key = shard.open(now, Peer { address: None, datagrams: false }).expect("room");
    let client = "bench".to_owned();
    let hello = Hello { version: VERSION, features: 0, producer, client, token: "t".to_owned() };
    shard.frame(now, key, frame(control::encode(&hello, 0).expect("valid")));
    while let Some(output) = shard.poll() {
        if let Output::Authenticate { key, .. } = output {
            let identity = Identity {
                user: Arc::from("bench"),
                role: Role::Service,
                expires_ms: now.unix_ms + 24 * 3_600_000,
                issued_ms: None,
                token_id: None,
            };
            shard.verdict(now, key, Ok(identity));
        }
    }
    assert!(shard.is_live(key), "the greeting is complete");
    key
}
