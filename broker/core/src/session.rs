//! What a shard keeps about one attached client.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sampan_protocol::control::{Action, feature};
use sampan_protocol::session::Server;
use sampan_protocol::{Code, Now, Pattern, Topic};
use slab::Slab;

use crate::bucket::Bucket;
use crate::config::Limits;
use crate::directory::Entry;
use crate::grant::{Grants, Identity};
use crate::hash::IdHash;
use crate::journal::Start;
use crate::outbox::{Channel, Outbox};

/// Names a session of one shard; never reused while the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey {
    pub(crate) index: u32,
    pub(crate) nonce: u32,
}

impl SessionKey {
    /// Stands for the groups of a shard where they take a session's part.
    pub(crate) const GROUP: SessionKey = SessionKey { index: u32::MAX, nonce: 0 };

    /// The key as one number, unique within the shard.
    #[must_use]
    pub fn number(self) -> u64 {
        (u64::from(self.nonce) << 32) | u64::from(self.index)
    }
}

/// Where a session comes from.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Network address for limits; `None` for a client in the same process.
    pub address: Option<IpAddr>,
    /// Whether the transport can carry datagrams.
    pub datagrams: bool,
}

/// One attached client.
pub(crate) struct Session {
    pub(crate) key: SessionKey,
    pub(crate) peer: Peer,
    pub(crate) server: Server,
    /// Set once the token was accepted.
    pub(crate) identity: Option<Identity>,
    pub(crate) grants: Option<Arc<Grants>>,
    pub(crate) producer: u64,
    pub(crate) features: u64,
    pub(crate) outbox: Outbox,
    /// Bytes of lanes that the transport has taken, and had taken when that was last looked at.
    pub(crate) taken: u64,
    pub(crate) taken_before: Option<u64>,
    /// Topics that flow to the session.
    pub(crate) feeds: Slab<Feed>,
    /// Feeds that must read pages before they are live again.
    pub(crate) behind: VecDeque<u32>,
    pub(crate) pages_in_flight: usize,
    pub(crate) subscriptions: BTreeMap<u64, Subscription>,
    /// Topics that the session may publish to, by id; a cache that a refresh clears.
    pub(crate) publishable: HashMap<u64, Arc<Entry>, IdHash>,
    /// Offers to serve that every shard knows, or is being told.
    pub(crate) offers: BTreeMap<u64, Offer>,
    /// The groups that the session takes part in, by consumer.
    pub(crate) consumers: BTreeMap<u64, Topic>,
    /// Topics by id that have been named ahead of jobs.
    pub(crate) named: BTreeSet<u64>,
    /// Topics by id in whose presence the session is or which it watches.
    pub(crate) presence: BTreeSet<u64>,
    pub(crate) calls: usize,
    pub(crate) publishes: Bucket,
    pub(crate) controls: Bucket,
    /// Whether the session is in the shard's list of those with something to send.
    pub(crate) ready: bool,
    /// The deadline for which a timer is set.
    pub(crate) armed: Option<Instant>,
    /// When the next answer is over by which a subscription stands, and a timer is set for it.
    pub(crate) standing_at: Option<Instant>,
    /// Why the transport is to be closed once the control queue is empty.
    pub(crate) closing: Option<(Code, String)>,
}

/// One subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) pattern: Pattern,
    /// The one topic, if the pattern has no wildcard.
    pub(crate) entry: Option<Arc<Entry>>,
    /// Owners that have confirmed, as bits.
    pub(crate) confirmed: u64,
    /// When it was asked for, Unix milliseconds.
    pub(crate) joined_ms: u64,
    /// What the session needs a grant for.
    pub(crate) action: Action,
    /// When the answer of an authorizer that it stands by is over.
    pub(crate) answered_until: Option<Instant>,
}

/// An offer to serve.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) pattern: Pattern,
    pub(crate) authorizer: bool,
    /// Shards that have not yet confirmed.
    pub(crate) waiting: u8,
}

/// One topic's way to the session.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) topic_id: u64,
    pub(crate) nonce: u32,
    /// Index among the topic's members on this shard.
    pub(crate) place: usize,
    pub(crate) lane: u8,
    /// Subscriptions that want the topic.
    pub(crate) wanted_by: u32,
    /// Whether TOPIC has been sent, for which epoch.
    pub(crate) announced: Option<u64>,
    /// Offset that the next delivery should have; 0 until the first is known.
    pub(crate) next: u64,
    /// Bytes that wait in the outbox.
    pub(crate) queued: usize,
    pub(crate) state: FeedState,
}

/// How a feed is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FeedState {
    /// From live deliveries.
    Live,
    /// By pages from this point on, until it has caught up.
    Behind {
        from: Start,
        /// Whether a page is on its way.
        asked: bool,
    },
}

impl Session {
    pub(crate) fn new(key: SessionKey, peer: Peer, now: Now, limits: &Limits) -> Self {
        Session {
            key,
            peer,
            server: Server::new(now),
            identity: None,
            grants: None,
            producer: 0,
            features: 0,
            outbox: Outbox::default(),
            taken: 0,
            taken_before: None,
            feeds: Slab::new(),
            behind: VecDeque::new(),
            pages_in_flight: 0,
            subscriptions: BTreeMap::new(),
            publishable: HashMap::with_hasher(IdHash),
            offers: BTreeMap::new(),
            consumers: BTreeMap::new(),
            named: BTreeSet::new(),
            presence: BTreeSet::new(),
            calls: 0,
            publishes: Bucket::new(limits.control_rate, now.mono),
            controls: Bucket::new(limits.control_rate, now.mono),
            ready: false,
            armed: None,
            standing_at: None,
            closing: None,
        }
    }

    pub(crate) fn takes_datagrams(&self) -> bool {
        self.peer.datagrams && self.features & feature::DATAGRAMS != 0
    }

    /// Hands what waits on `channel` to the transport; the bytes that left the lanes.
    pub(crate) fn transfer(
        &mut self,
        channel: Channel,
        write: &mut dyn FnMut(&mut Bytes),
    ) -> usize {
        let (mut left, mut taken) = (0, 0);
        let feeds = &mut self.feeds;
        let mut write = |chunk: &mut Bytes| {
            let before = chunk.len();
            write(chunk);
            taken += (before - chunk.len()) as u64;
        };
        self.outbox.transfer(channel, &mut write, &mut |feed, bytes| {
            left += bytes;
            if let Some(feed) = feeds.get_mut(feed as usize) {
                feed.queued = feed.queued.saturating_sub(bytes);
            }
        });
        if channel != Channel::Control {
            self.taken += taken;
        }
        left
    }
}
