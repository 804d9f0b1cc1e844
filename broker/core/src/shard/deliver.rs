//! Fan-out to the sessions of this shard, what happens to slow readers, and catch-up by pages.

use std::sync::Arc;

use bytes::Bytes;
use sampan_protocol::control::{self, GapReason, TopicName};
use sampan_protocol::frame::{Header, Kind};
use sampan_protocol::limits::{DATAGRAM_BYTES_MAX, LANES};
use sampan_protocol::{Class, Now};

use super::{STARVED, Shard};
use crate::config::Limits;
use crate::counters::Counters;
use crate::directory::Entry;
use crate::journal::{Chunk, Run, Start};
use crate::message::{FeedRef, Hole, JoinPoint, Message};
use crate::outbox::{self, Compact};
use crate::session::{Feed, FeedState, Session, SessionKey};
use crate::timer::Timer;

impl Shard {
    /// New messages of a topic, from its owner.
    pub(super) fn deliver(
        &mut self,
        now: Now,
        entry: &Arc<Entry>,
        epoch: u64,
        run: &Arc<Run>,
        hole: Option<Hole>,
    ) {
        self.ensure_audience(entry);
        let Some(audience) = self.audiences.get(&entry.id) else { return };
        let mut push = Push {
            entry,
            epoch,
            limits: &self.config.limits,
            counters: &mut self.counters,
            shard_bytes: &mut self.lane_bytes,
        };
        let mut detached = Vec::new();
        for &(session, feed) in &audience.members {
            let Some(session) = self.sessions.get_mut(session as usize) else { continue };
            let behind = session.behind.len();
            if push.live(session, feed, run, hole) && !session.ready {
                session.ready = true;
                self.ready.push_back(session.key);
            }
            if session.behind.len() > behind {
                detached.push(session.key);
            }
        }
        // A transport for which nothing waits would not come back to ask.
        for key in detached {
            self.pump(now, key);
        }
        // Interest that is being taken back still brings a delivery or two.
        self.prune_audience(entry.id);
    }

    /// Lets a topic flow to a session from a join point on. A topic that already flows keeps its
    /// place: a session gets one copy.
    pub(super) fn want(
        &mut self,
        now: Now,
        key: SessionKey,
        entry: &Arc<Entry>,
        point: &JoinPoint,
    ) {
        let Some((feed, new)) = self.add_feed(key, entry, point.next) else { return };
        let Some(session) = self.sessions.get_mut(key.index as usize) else { return };
        let mut push = Push {
            entry,
            epoch: point.epoch,
            limits: &self.config.limits,
            counters: &mut self.counters,
            shard_bytes: &mut self.lane_bytes,
        };
        // TOPIC names the first offset that is given or told of, which is where a client resumes that
        // is cut off right behind it.
        let missing = point.holes.iter().find(|hole| hole.epoch == point.epoch);
        let first = match (missing, point.from) {
            (Some(hole), _) => hole.from,
            (None, Some(Start::Offset(offset))) => offset,
            _ => point.next,
        };
        if let Some(state) = session.feeds.get_mut(feed as usize).filter(|_| new) {
            state.next = first;
        }
        // What one subscription has lost is told also where the topic flows for another.
        for hole in &point.holes {
            push.announce(session, feed);
            push.gap(session, feed, *hole);
        }
        if let Some(state) = session.feeds.get_mut(feed as usize).filter(|_| new) {
            match point.from {
                Some(from) => {
                    state.state = FeedState::Behind { from, asked: false };
                    session.behind.push_back(feed);
                }
                None => state.next = point.next,
            }
        }
        self.mark_ready(key);
        self.pump(now, key);
    }

    /// Makes a feed, or counts one more subscription on it; the feed and whether it is new.
    pub(super) fn add_feed(
        &mut self,
        key: SessionKey,
        entry: &Arc<Entry>,
        next: u64,
    ) -> Option<(u32, bool)> {
        self.ensure_audience(entry);
        let known = self.audiences.get(&entry.id).and_then(|audience| {
            let of_session = |member: &&(u32, u32)| member.0 == key.index;
            // Long member lists are asked from the session's side.
            if audience.members.len() < 16 {
                audience.members.iter().find(of_session).map(|member| member.1)
            } else {
                let feeds = &self.sessions.get(key.index as usize)?.feeds;
                let own = feeds.iter().find(|(_, feed)| feed.topic_id == entry.id);
                own.and_then(|(index, _)| u32::try_from(index).ok())
            }
        });
        if let Some(feed) = known {
            let state = self.session(key)?.feeds.get_mut(feed as usize)?;
            state.wanted_by += 1;
            return Some((feed, false));
        }
        if self.peek(key)?.feeds.len() >= self.config.limits.feeds_max {
            return None;
        }
        self.nonce = self.nonce.wrapping_add(1);
        let nonce = self.nonce;
        let place = self.audiences.get(&entry.id)?.members.len();
        let session = self.session(key)?;
        let feed = session.feeds.insert(Feed {
            topic_id: entry.id,
            nonce,
            place,
            lane: u8::try_from(entry.id % u64::from(LANES)).unwrap_or(0),
            wanted_by: 1,
            announced: None,
            next,
            queued: 0,
            state: FeedState::Live,
        });
        let feed = u32::try_from(feed).ok()?;
        self.audiences.get_mut(&entry.id)?.members.push((key.index, feed));
        Some((feed, true))
    }

    pub(super) fn feed(&self, key: SessionKey, feed: u32) -> Option<&Feed> {
        self.peek(key)?.feeds.get(feed as usize)
    }

    /// One subscription less wants the feed; without any it ends.
    pub(super) fn unwant(&mut self, key: SessionKey, feed: u32) {
        let Some(session) = self.session(key) else { return };
        let Some(state) = session.feeds.get_mut(feed as usize) else { return };
        state.wanted_by -= 1;
        if state.wanted_by > 0 {
            return;
        }
        let state = session.feeds.remove(feed as usize);
        let (bytes, _) = session.outbox.remove(state.lane, feed, false);
        if matches!(state.state, FeedState::Behind { asked: true, .. }) {
            session.pages_in_flight -= 1;
        }
        session.behind.retain(|behind| *behind != feed);
        self.lane_bytes -= bytes;
        self.remove_member(state.topic_id, state.place);
        self.prune_audience(state.topic_id);
    }

    /// Takes a session out of a topic's members; the last member takes its place.
    pub(super) fn remove_member(&mut self, topic_id: u64, place: usize) {
        let Some(audience) = self.audiences.get_mut(&topic_id) else { return };
        if place >= audience.members.len() {
            return;
        }
        audience.members.swap_remove(place);
        if let Some(&(session, feed)) = audience.members.get(place)
            && let Some(session) = self.sessions.get_mut(session as usize)
            && let Some(feed) = session.feeds.get_mut(feed as usize)
        {
            feed.place = place;
        }
    }

    /// Asks for pages of the feeds that have fallen behind, as far as there is room for them.
    pub(super) fn pump(&mut self, now: Now, key: SessionKey) {
        let origin = self.origin(key);
        let limits = self.config.limits.clone();
        let crowded = self.is_crowded();
        let Some(session) = self.session(key) else { return };
        let mut asked = Vec::new();
        for _ in 0..session.behind.len() {
            let room = session.pages_in_flight < limits.pages_in_flight
                && session.outbox.lane_bytes() < limits.connection_bytes / 2
                && !crowded;
            let Some(feed) = session.behind.front().copied().filter(|_| room) else { break };
            session.behind.pop_front();
            let Some(state) = session.feeds.get_mut(feed as usize) else { continue };
            let FeedState::Behind { from, asked: false } = state.state else { continue };
            if state.queued >= limits.subscription_bytes / 2 {
                session.behind.push_back(feed);
                continue;
            }
            state.state = FeedState::Behind { from, asked: true };
            session.pages_in_flight += 1;
            let to = FeedRef { origin, feed, nonce: state.nonce };
            asked.push((to, state.topic_id, state.announced.unwrap_or(0), from));
        }
        // Without deliveries to send, nothing but a timer would come back here.
        let starved = crowded && session.outbox.lane_bytes() == 0 && !session.behind.is_empty();
        for (to, topic_id, epoch, from) in asked {
            let Some(audience) = self.audiences.get(&topic_id) else { continue };
            let (owner, max_bytes) = (audience.entry.owner, limits.page_bytes);
            self.send(owner, Message::Page { to, topic_id, epoch, from, max_bytes });
        }
        if starved {
            self.timers.set(now.mono + STARVED, Timer::Starved(key));
        }
    }

    /// A page could not be read: the feed asks again a little later.
    pub(super) fn page_failed(&mut self, now: Now, to: FeedRef, from: Start) {
        let Some(session) = self.session(to.origin.session) else { return };
        let Some(state) = session.feeds.get_mut(to.feed as usize) else { return };
        if state.nonce != to.nonce {
            return;
        }
        state.state = FeedState::Behind { from, asked: false };
        session.pages_in_flight = session.pages_in_flight.saturating_sub(1);
        session.behind.push_back(to.feed);
        self.timers.set(now.mono + STARVED, Timer::Starved(to.origin.session));
    }

    /// A page for a feed that has fallen behind.
    #[allow(clippy::too_many_arguments, reason = "the fields of one message")]
    pub(super) fn paged(
        &mut self,
        now: Now,
        to: FeedRef,
        entry: &Arc<Entry>,
        epoch: u64,
        runs: &[(Option<Hole>, Arc<Run>)],
        hole: Option<Hole>,
        next: u64,
        caught_up: bool,
    ) {
        let (key, feed) = (to.origin.session, to.feed);
        let Some(session) = self.sessions.get_mut(key.index as usize).filter(|s| s.key == key)
        else {
            return;
        };
        let known = session.feeds.get(feed as usize).is_some_and(|f| f.nonce == to.nonce);
        if !known {
            return;
        }
        session.pages_in_flight = session.pages_in_flight.saturating_sub(1);
        let first = runs.first().map(|(before, run)| before.map_or(run.from, |hole| hole.from));
        let first = first.or(hole.map(|hole| hole.from)).unwrap_or(next);
        let Some(state) = session.feeds.get_mut(feed as usize) else { return };
        // What came after the join is owed whatever its time says: a message gets its time before the
        // journal lets it be seen.
        if matches!(state.state, FeedState::Behind { from: Start::Since(_), .. })
            && first > state.next
        {
            state.state = FeedState::Behind { from: Start::Offset(state.next), asked: false };
            session.behind.push_back(feed);
            return self.pump(now, key);
        }
        state.next = first;
        let mut push = Push {
            entry,
            epoch,
            limits: &self.config.limits,
            counters: &mut self.counters,
            shard_bytes: &mut self.lane_bytes,
        };
        for (before, run) in runs {
            push.announce(session, feed);
            if let Some(before) = *before {
                push.gap(session, feed, before);
            }
            push.run(session, feed, run);
        }
        if let Some(hole) = hole {
            push.announce(session, feed);
            push.gap(session, feed, hole);
        }
        if let Some(state) = session.feeds.get_mut(feed as usize) {
            state.next = next;
            if caught_up {
                state.state = FeedState::Live;
                self.counters.reattached += 1;
            } else {
                state.state = FeedState::Behind { from: Start::Offset(next), asked: false };
                session.behind.push_back(feed);
            }
        }
        self.mark_ready(key);
        self.pump(now, key);
    }
}

/// Puts deliveries of one topic into outboxes.
struct Push<'a> {
    entry: &'a Arc<Entry>,
    epoch: u64,
    limits: &'a Limits,
    counters: &'a mut Counters,
    shard_bytes: &'a mut usize,
}

impl Push<'_> {
    /// A live run for a session; whether anything was queued.
    fn live(
        &mut self,
        session: &mut Session,
        feed: u32,
        run: &Arc<Run>,
        hole: Option<Hole>,
    ) -> bool {
        let Some(state) = session.feeds.get_mut(feed as usize) else { return false };
        if state.state != FeedState::Live || session.closing.is_some() {
            return false;
        }
        // A feed that was made for a topic that already flows, or whose room began anew, starts
        // with what comes first. A hole ahead of that has come about since it was made.
        if state.next == 0 || state.announced.is_some_and(|epoch| epoch != self.epoch) {
            let missing = hole.filter(|hole| hole.reason != GapReason::Conflated);
            state.next = missing.map_or(run.from, |hole| hole.from);
        }
        if run.to < state.next {
            return false;
        }
        // Who leaves nothing waiting is not slow, however much comes at once.
        let over = state.queued > 0 && state.queued + run.bytes > self.limits.subscription_bytes
            || session.outbox.lane_bytes() + run.bytes > self.limits.connection_bytes
            || *self.shard_bytes + run.bytes > self.limits.shard_bytes;
        if over && self.entry.rule.class != Class::Ephemeral {
            self.detach(session, feed);
            return true;
        }
        if self.datagram(session, feed, run) {
            return true;
        }
        self.announce(session, feed);
        self.jump(session, feed, run, hole);
        self.run(session, feed, run);
        if over {
            self.compact(session, feed);
        }
        true
    }

    /// Makes a slow feed read pages. What waits of a `latest` topic is forgotten, since its pages
    /// hold only the newest values.
    fn detach(&mut self, session: &mut Session, feed: u32) {
        let Some(state) = session.feeds.get_mut(feed as usize) else { return };
        if self.entry.rule.class == Class::Latest {
            let (bytes, first) = session.outbox.remove(state.lane, feed, true);
            state.queued -= bytes;
            *self.shard_bytes -= bytes;
            state.next = first.unwrap_or(state.next);
        }
        state.state = FeedState::Behind { from: Start::Offset(state.next), asked: false };
        session.behind.push_back(feed);
        self.counters.detached += 1;
    }

    /// Tells of the offsets between what the session has been given and the run.
    fn jump(&mut self, session: &mut Session, feed: u32, run: &Run, hole: Option<Hole>) {
        let Some(next) = session.feeds.get(feed as usize).map(|state| state.next) else { return };
        if next >= run.from && hole.is_none() {
            return;
        }
        let (epoch, to) = (self.epoch, run.from - 1);
        match hole {
            // Conflation speaks of offsets in and behind the run, too.
            Some(hole) if hole.reason == GapReason::Conflated => self.gap(session, feed, hole),
            Some(hole) if hole.to >= next => {
                self.gap(session, feed, Hole { from: hole.from.max(next), ..hole });
            }
            _ if next < run.from => {
                let reason = GapReason::NeverUsed;
                self.gap(session, feed, Hole { epoch, from: next, to, reason });
            }
            _ => {}
        }
    }

    /// Names the topic ahead of its first delivery on the lane, and again when its epoch changes.
    fn announce(&mut self, session: &mut Session, feed: u32) {
        let Some(state) = session.feeds.get_mut(feed as usize) else { return };
        if state.announced == Some(self.epoch) {
            return;
        }
        state.announced = Some(self.epoch);
        let body = TopicName {
            name: self.entry.topic.to_string(),
            class: self.entry.rule.class.number(),
            epoch: self.epoch,
            next: state.next,
        };
        let header = Header { topic_id: self.entry.id, ..Header::new(Kind::Topic) };
        let frame = control::encode_with(header, &body).unwrap_or_default();
        let at = state.next;
        self.queue(session, feed, Chunk { head: frame, body: None }, at, at.saturating_sub(1));
    }

    fn gap(&mut self, session: &mut Session, feed: u32, hole: Hole) {
        *self.counters.gaps.entry(hole.reason.number()).or_default() += 1;
        let frame = hole.frame(self.entry.id);
        self.queue(session, feed, Chunk { head: frame, body: None }, hole.from, hole.to);
    }

    fn run(&mut self, session: &mut Session, feed: u32, run: &Run) {
        let count = run.to - run.from + 1;
        self.counters.deliveries += count;
        self.counters.delivery_bytes += run.bytes as u64;
        let mut chunks = run.chunks.iter().peekable();
        while let Some(chunk) = chunks.next() {
            let to = chunks.peek().map_or(run.to, |next| first_offset(next).saturating_sub(1));
            self.queue(session, feed, chunk.clone(), first_offset(chunk), to);
        }
        if let Some(state) = session.feeds.get_mut(feed as usize) {
            state.next = run.to + 1;
        }
    }

    fn queue(&mut self, session: &mut Session, feed: u32, chunk: Chunk, from: u64, to: u64) {
        let bytes = chunk.head.len() + chunk.body.as_ref().map_or(0, Bytes::len);
        let Some(state) = session.feeds.get_mut(feed as usize) else { return };
        state.queued += bytes;
        *self.shard_bytes += bytes;
        let entry = outbox::Entry { chunk, feed, from, to, bytes, started: false };
        session.outbox.push(state.lane, entry);
    }

    /// Sends a single small ephemeral message as a datagram, once the lane has named the topic.
    fn datagram(&mut self, session: &mut Session, feed: u32, run: &Run) -> bool {
        let [Chunk { head, body: None }] = &run.chunks[..] else { return false };
        let wanted = self.entry.rule.datagrams && session.takes_datagrams();
        let fits = run.from == run.to && head.len() <= DATAGRAM_BYTES_MAX;
        let Some(state) = session.feeds.get_mut(feed as usize) else { return false };
        let ready = state.announced == Some(self.epoch) && state.next == run.from;
        if !(wanted && fits && ready && state.queued == 0) {
            return false;
        }
        state.next = run.to + 1;
        self.counters.deliveries += 1;
        self.counters.delivery_bytes += head.len() as u64;
        if session.outbox.push_datagram(head.clone(), self.limits.datagrams_max) {
            self.counters.datagrams_dropped += 1;
        }
        true
    }

    /// Cuts a slow ephemeral feed back to half its budget, or to its share of a full connection.
    fn compact(&mut self, session: &mut Session, feed: u32) {
        let Some(state) = session.feeds.get_mut(feed as usize) else { return };
        let keep = (self.limits.subscription_bytes / 2).min(state.queued / 2);
        let topic = Compact { topic_id: self.entry.id, epoch: self.epoch };
        let done = session.outbox.compact(state.lane, feed, keep, topic);
        state.queued = state.queued + done.after - done.before;
        *self.shard_bytes = *self.shard_bytes + done.after - done.before;
        self.counters.dropped += done.dropped;
        *self.counters.gaps.entry(GapReason::SlowReader.number()).or_default() += done.gaps;
    }
}

/// The offset of the first frame in a chunk of DELIVER frames.
fn first_offset(chunk: &Chunk) -> u64 {
    let bytes = chunk.head.get(16..24).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, u64::from_le_bytes)
}
