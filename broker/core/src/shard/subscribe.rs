//! Subscriptions: registering interest with owners, and the join point of history and live.
//!
//! A topic is joined at its owner, whose answer travels in order with the deliveries: what comes
//! after the answer is live, what the answer names as missing is read in pages. A pattern is told
//! to every owner and is confirmed owner by owner in the same way.

use std::sync::Arc;
use std::time::Duration;

use sampan_protocol::control::{self, Start, Subscribed, TopicPosition};
use sampan_protocol::{Class, Code, Now, Pattern, Position, Topic};

use super::Shard;
use super::commands::subscribing;
use crate::audience::Audience;
use crate::directory::Entry;
use crate::journal;
use crate::message::{JoinPoint, JoinStart, Message, Origin, WatchStart};
use crate::session::{Session, SessionKey, Subscription};

impl Shard {
    /// SUBSCRIBE of a session of this shard.
    pub(super) fn subscribe(
        &mut self,
        now: Now,
        key: SessionKey,
        number: u64,
        pattern: Pattern,
        start: Start,
    ) {
        let max = self.config.limits.subscriptions_max as usize;
        let Some(session) = self.peek(key) else { return };
        if session.subscriptions.contains_key(&number) {
            return self.refuse_request(key, number, Code::DUPLICATE_REQUEST, Duration::ZERO);
        }
        if session.subscriptions.len() >= max || session.feeds.len() >= self.config.limits.feeds_max
        {
            return self.refuse_request(key, number, Code::TOO_MANY, Duration::ZERO);
        }
        match pattern.as_topic() {
            Some(topic) => match self.directory.resolve(&topic) {
                Ok(entry) => self.subscribe_topic(now, key, number, pattern, entry, &start),
                Err(_) => {
                    self.refuse_request(key, number, Code::BUSY, Duration::from_secs(1));
                }
            },
            None => self.subscribe_pattern(now, key, number, pattern, start),
        }
    }

    fn subscribe_topic(
        &mut self,
        now: Now,
        key: SessionKey,
        number: u64,
        pattern: Pattern,
        entry: Arc<Entry>,
        start: &Start,
    ) {
        let action = subscribing(start);
        let start = match start {
            Start::Now => JoinStart::Now,
            Start::Last(count) => JoinStart::From(journal::Start::Last(*count)),
            Start::Since(ms) => JoinStart::From(journal::Start::Since(*ms)),
            Start::Resume { joined_ms, positions } => {
                match positions.iter().find(|p| p.topic == entry.topic.as_str()) {
                    Some(p) => JoinStart::After(Position { epoch: p.epoch, offset: p.offset }),
                    None if *joined_ms == 0 || entry.rule.class == Class::Latest => JoinStart::Now,
                    None => JoinStart::From(journal::Start::Since(*joined_ms)),
                }
            }
        };
        let subscription = Subscription {
            pattern,
            entry: Some(entry.clone()),
            confirmed: 0,
            joined_ms: now.unix_ms,
            action,
            answered_until: None,
        };
        let Some(session) = self.session(key) else { return };
        session.subscriptions.insert(number, subscription);
        self.ensure_audience(&entry);
        if let Some(audience) = self.audiences.get_mut(&entry.id) {
            audience.named += 1;
        }
        let origin = self.origin(key);
        self.send(entry.owner, Message::Join { origin, number, entry, start });
    }

    fn subscribe_pattern(
        &mut self,
        now: Now,
        key: SessionKey,
        number: u64,
        pattern: Pattern,
        start: Start,
    ) {
        let action = subscribing(&start);
        let start = match start {
            Start::Now => WatchStart::Now,
            Start::Last(count) => WatchStart::From(journal::Start::Last(count)),
            Start::Since(ms) => WatchStart::From(journal::Start::Since(ms)),
            Start::Resume { joined_ms, positions } => {
                let position = |p: TopicPosition| {
                    let (epoch, offset) = (p.epoch, p.offset);
                    (Arc::from(p.topic), Position { epoch, offset })
                };
                let mut positions: Vec<(Arc<str>, Position)> =
                    positions.into_iter().map(position).collect();
                positions.sort_unstable();
                positions.dedup_by(|a, b| a.0 == b.0);
                WatchStart::Resume { joined_ms, positions: positions.into() }
            }
        };
        self.patterns.insert(pattern.as_str()).push((key, number));
        let subscription = Subscription {
            pattern: pattern.clone(),
            entry: None,
            confirmed: 0,
            joined_ms: now.unix_ms,
            action,
            answered_until: None,
        };
        let Some(session) = self.session(key) else { return };
        session.subscriptions.insert(number, subscription);
        let origin = self.origin(key);
        self.send_to_all(|| {
            let (pattern, start) = (pattern.clone(), start.clone());
            Message::Watch { origin, number, pattern, start }
        });
    }

    /// Makes sure that the topic has an audience. A new one starts with the sessions whose
    /// patterns match the topic and have been confirmed by its owner.
    pub(super) fn ensure_audience(&mut self, entry: &Arc<Entry>) {
        if self.audiences.contains_key(&entry.id) {
            return;
        }
        *self.audience_names.insert(entry.topic.as_str()) = entry.id;
        self.audiences.insert(entry.id, Audience::new(entry.clone()));
        let mut wanted = Vec::new();
        self.patterns.matching(&entry.topic, &mut |list| wanted.extend_from_slice(list));
        for (key, number) in wanted {
            let subscription = self.peek(key).and_then(|s| s.subscriptions.get(&number));
            if subscription.is_some_and(|s| s.confirmed & (1 << entry.owner) != 0) {
                self.add_feed(key, entry, 0);
            }
        }
    }

    /// At the owner: a session of some shard joins the topic.
    pub(super) fn join(
        &mut self,
        now: Now,
        origin: Origin,
        number: u64,
        entry: Arc<Entry>,
        start: JoinStart,
    ) {
        let message = Message::Join { origin, number, entry: entry.clone(), start };
        if self.hold(now, &entry, message).is_none() {
            return;
        }
        let Some(room) = self.rooms.get_mut(&entry.id) else { return };
        room.named_by |= 1 << origin.shard;
        let point = room.join(start.by(now));
        let session = origin.session;
        self.send(origin.shard, Message::Joined { session, number, entry, point });
    }

    /// At the subscriber: the owner has answered.
    pub(super) fn joined(
        &mut self,
        now: Now,
        key: SessionKey,
        number: u64,
        entry: &Arc<Entry>,
        point: &JoinPoint,
    ) {
        let subscription = self.session(key).and_then(|s| s.subscriptions.get_mut(&number));
        let Some(subscription) = subscription.filter(|s| s.confirmed == 0) else {
            // The session or its subscription has ended in the meantime.
            return self.unname(entry.id);
        };
        subscription.confirmed = u64::MAX;
        let joined_ms = subscription.joined_ms;
        // A client that is cut off before the kept values have arrived must not resume behind them.
        let next = match point.from {
            Some(journal::Start::Offset(from)) if entry.rule.class == Class::Latest => from,
            _ => point.next,
        };
        let topic = entry.topic.to_string();
        let position = TopicPosition { topic, epoch: point.epoch, offset: next - 1 };
        // Confirmed ahead of the first delivery, so that the client knows what it is for.
        self.confirm(key, number, joined_ms, vec![position]);
        self.want(now, key, entry, point);
    }

    /// At the subscriber: the owner cannot serve the topic. The number may be asked again.
    pub(super) fn join_refused(
        &mut self,
        key: SessionKey,
        number: u64,
        topic_id: u64,
        code: Code,
        wait: Duration,
    ) {
        if self.end_subscription(key, number) {
            self.refuse_request(key, number, code, wait);
        }
        self.unname(topic_id);
    }

    /// Whether the session has asked for a pattern that waits for rooms to be opened.
    pub(super) fn is_behind_a_watch(&self, session: Origin) -> bool {
        let of_session = |message: &Message| matches!(message, Message::Watch { origin, .. } if *origin == session);
        self.deferred.iter().any(of_session)
    }

    /// At an owner: some shard has a session with this pattern.
    pub(super) fn watch(&mut self, now: Now, message: Message) {
        let Message::Watch { origin, number, pattern, start } = message else { return };
        *self.watches.insert(pattern.as_str()).entry(origin.shard).or_default() += 1;
        self.watch_generation += 1;
        let mut ids = Vec::new();
        self.room_names.within(&pattern, &mut |_, id| ids.push(*id));
        let (mut topics, mut overflow) = (Vec::new(), false);
        for room in ids.iter().filter_map(|id| self.rooms.get(id)) {
            let point = room.join(topic_start(&start, &room.entry).by(now));
            if point.from.is_none() && point.holes.is_empty() {
                continue;
            }
            if topics.len() >= self.config.limits.replay_topics_max {
                overflow = true;
                break;
            }
            topics.push((room.entry.clone(), point));
        }
        let (session, owner) = (origin.session, self.me);
        self.send(origin.shard, Message::Watched { session, number, owner, topics, overflow });
    }

    /// Makes the rooms of topics that a resumed pattern has positions in and that nobody has used
    /// since the broker started, or forgot them: only a room can tell that their epoch has ended.
    pub(super) fn revive(&mut self, now: Now, pattern: &Pattern, start: &WatchStart) {
        let WatchStart::Resume { positions, .. } = start else { return };
        for (name, _) in positions.iter() {
            let Ok(topic) = Topic::parse(name) else { continue };
            if !pattern.matches(&topic) {
                continue;
            }
            if let Ok(entry) = self.directory.resolve(&topic)
                && entry.owner == self.me
            {
                self.room(now, &entry);
            }
        }
    }

    /// At the subscriber: one owner has answered a pattern.
    pub(super) fn watched(
        &mut self,
        now: Now,
        key: SessionKey,
        number: u64,
        owner: u8,
        topics: Vec<(Arc<Entry>, JoinPoint)>,
        overflow: bool,
    ) {
        let subscription = self.session(key).and_then(|s| s.subscriptions.get_mut(&number));
        let Some(subscription) = subscription else { return };
        if overflow {
            self.end_subscription(key, number);
            return self.refuse_request(key, number, Code::TOO_MANY, Duration::ZERO);
        }
        let (pattern, joined_ms) = (subscription.pattern.clone(), subscription.joined_ms);
        // Topics of this owner that already flow here, and have nothing to replay.
        let mut flowing = Vec::new();
        self.audience_names.within(&pattern, &mut |_, id| flowing.push(*id));
        for id in flowing {
            let Some(audience) = self.audiences.get(&id) else { continue };
            let entry = audience.entry.clone();
            let replayed = topics.iter().any(|(topic, _)| topic.id == id);
            if entry.owner == owner && !replayed {
                self.add_feed(key, &entry, 0);
            }
        }
        for (entry, point) in &topics {
            self.want(now, key, entry, point);
            self.prune_audience(entry.id);
        }
        // Only now, so that the topics above are fed from their own join points.
        let subscription = self.session(key).and_then(|s| s.subscriptions.get_mut(&number));
        let Some(subscription) = subscription else { return };
        subscription.confirmed |= 1 << owner;
        if subscription.confirmed.count_ones() == u32::from(self.shards) {
            self.confirm(key, number, joined_ms, Vec::new());
        }
    }

    /// At an owner: one subscription to the pattern on that shard has ended.
    pub(super) fn unwatch(&mut self, shard: u8, pattern: &Pattern) {
        let Some(shards) = self.watches.exact_mut(pattern.as_str()) else { return };
        if let Some(count) = shards.get_mut(&shard) {
            *count -= 1;
            if *count == 0 {
                shards.remove(&shard);
            }
        }
        if shards.is_empty() {
            self.watches.remove(pattern.as_str());
        }
        self.watch_generation += 1;
    }

    /// UNSUBSCRIBE of a session of this shard.
    pub(super) fn unsubscribe(&mut self, key: SessionKey, number: u64) {
        if self.end_subscription(key, number) {
            self.done(key, number);
        } else {
            self.refuse_request(key, number, Code::UNKNOWN_REQUEST, Duration::ZERO);
        }
    }

    /// Ends a subscription that may be there no longer.
    pub(super) fn end_standing(&mut self, key: SessionKey, number: u64, code: Code) {
        if self.end_subscription(key, number) {
            self.refuse_request(key, number, code, Duration::ZERO);
        }
    }

    /// Ends one subscription; whether there was one.
    fn end_subscription(&mut self, key: SessionKey, number: u64) -> bool {
        let Some(session) = self.session(key) else { return false };
        let Some(subscription) = session.subscriptions.remove(&number) else { return false };
        let wanted: Vec<u32> = match &subscription.entry {
            Some(entry) if subscription.confirmed != 0 => {
                let id = entry.id;
                session.feeds.iter().filter(|(_, f)| f.topic_id == id).map(index).collect()
            }
            Some(_) => Vec::new(),
            None => session.feeds.iter().map(index).collect(),
        };
        for feed in wanted {
            let Some(topic_id) = self.feed(key, feed).map(|feed| feed.topic_id) else { continue };
            let Some(audience) = self.audiences.get(&topic_id) else { continue };
            let entry = audience.entry.clone();
            let owner = 1 << entry.owner;
            if subscription.confirmed & owner != 0 && subscription.pattern.matches(&entry.topic) {
                self.unwant(key, feed);
            }
        }
        self.forget_interest(key, number, &subscription);
        true
    }

    /// Ends the subscriptions of a session that has been removed.
    pub(super) fn end_subscriptions(&mut self, key: SessionKey, session: &Session) {
        for (_, feed) in &session.feeds {
            self.remove_member(feed.topic_id, feed.place);
        }
        for (number, subscription) in &session.subscriptions {
            self.forget_interest(key, *number, subscription);
        }
        for (_, feed) in &session.feeds {
            self.prune_audience(feed.topic_id);
        }
    }

    /// Takes back what the subscription told owners.
    fn forget_interest(&mut self, key: SessionKey, number: u64, subscription: &Subscription) {
        match &subscription.entry {
            // An unconfirmed one is taken back when the owner's answer finds it gone.
            Some(entry) if subscription.confirmed != 0 => self.unname(entry.id),
            Some(_) => {}
            None => {
                let pattern = &subscription.pattern;
                if let Some(list) = self.patterns.exact_mut(pattern.as_str()) {
                    list.retain(|one| *one != (key, number));
                    if list.is_empty() {
                        self.patterns.remove(pattern.as_str());
                    }
                }
                let (shard, pattern) = (self.me, pattern.clone());
                self.send_to_all(|| Message::Unwatch { shard, pattern: pattern.clone() });
            }
        }
    }

    /// One subscription by name less; the last one tells the owner.
    fn unname(&mut self, topic_id: u64) {
        let Some(audience) = self.audiences.get_mut(&topic_id) else { return };
        audience.named = audience.named.saturating_sub(1);
        let (left, owner) = (audience.named, audience.entry.owner);
        if left == 0 {
            let shard = self.me;
            self.send(owner, Message::Leave { shard, topic_id });
        }
        self.prune_audience(topic_id);
    }

    pub(super) fn prune_audience(&mut self, topic_id: u64) {
        if self.audiences.get(&topic_id).is_some_and(Audience::is_empty)
            && let Some(audience) = self.audiences.remove(&topic_id)
        {
            self.audience_names.remove(audience.entry.topic.as_str());
        }
    }

    fn confirm(
        &mut self,
        key: SessionKey,
        number: u64,
        joined_ms: u64,
        positions: Vec<TopicPosition>,
    ) {
        let body = Subscribed { joined_ms, positions };
        self.tell(key, control::encode(&body, number).unwrap_or_default());
    }
}

#[allow(clippy::cast_possible_truncation, reason = "feeds per session are far below 2^32")]
fn index<T>((index, _): (usize, T)) -> u32 {
    index as u32
}

impl JoinStart {
    /// The start at this time. Nothing is kept from later on, and what comes until then is live:
    /// the clock of a client may be ahead.
    fn by(self, now: Now) -> Self {
        match self {
            JoinStart::From(journal::Start::Since(ms)) if ms > now.unix_ms => JoinStart::Now,
            start => start,
        }
    }
}

/// Where one topic of a pattern subscription starts. The time of the join says nothing about values
/// that were kept before it.
fn topic_start(start: &WatchStart, entry: &Entry) -> JoinStart {
    match start {
        WatchStart::Now => JoinStart::Now,
        WatchStart::From(start) => JoinStart::From(*start),
        WatchStart::Resume { joined_ms, positions } => {
            match positions.binary_search_by(|(name, _)| (**name).cmp(entry.topic.as_str())) {
                Ok(at) => positions.get(at).map_or(JoinStart::Now, |(_, p)| JoinStart::After(*p)),
                Err(_) if *joined_ms == 0 || entry.rule.class == Class::Latest => JoinStart::Now,
                Err(_) => JoinStart::From(journal::Start::Since(*joined_ms)),
            }
        }
    }
}
