//! What the client knows of each topic: its id in this broker process, its epoch, which of the
//! client's subscriptions match it, and the last offset that each of them has seen.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use crate::class::Class;
use crate::control::TopicPosition;
use crate::limits::{CONTROL_BYTES_MAX, POSITIONS_MAX};
use crate::position::Position;
use crate::topic::{Pattern, Topic};

/// Topics known at the same time. At the bound the connection is renewed with the newest half.
pub const TOPICS_MAX: usize = 1 << 18;

/// One topic.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: Topic,
    /// Not known while the topic has only a join position.
    pub(super) class: Option<Class>,
    pub(super) epoch: u64,
    pub(super) matches: Vec<Match>,
    /// No subscription has wanted the topic since it was last named: what still arrives was meant for
    /// one that has ended, and whoever wants it next is told by another TOPIC where it starts.
    pub(super) is_stale: bool,
    /// Rises with use; orders rows by age.
    touched: u64,
}

/// One subscription's place in a topic.
#[derive(Clone, Copy, Debug)]
pub(super) struct Match {
    pub(super) subscription: u64,
    /// Offset of the last message seen in the row's epoch, or at which it joined there; 0 for none.
    pub(super) last: u64,
    /// Where a resume starts while nothing has been seen.
    pub(super) joined: Option<Position>,
    /// The position in the epoch before the row's, until the end of that epoch is told.
    pub(super) past: Option<Position>,
}

impl Match {
    fn new(subscription: u64) -> Self {
        Match { subscription, last: 0, joined: None, past: None }
    }

    fn position(&self, epoch: u64) -> Option<Position> {
        if self.last > 0 { Some(Position { epoch, offset: self.last }) } else { self.joined }
    }
}

#[derive(Debug, Default)]
pub(super) struct Topics {
    rows: Vec<Row>,
    by_name: BTreeMap<Topic, usize>,
    by_id: HashMap<u64, usize, BuildHasherDefault<IdHasher>>,
    /// The last id looked up and its row: messages of one topic come in runs.
    recent: Option<(u64, usize)>,
    clock: u64,
}

impl Topics {
    /// The row of a topic id, marked as used.
    #[inline]
    pub(super) fn by_id(&mut self, id: u64) -> Option<&mut Row> {
        let at = match self.recent {
            Some((recent, at)) if recent == id => at,
            _ => {
                let at = *self.by_id.get(&id)?;
                self.recent = Some((id, at));
                at
            }
        };
        self.clock += 1;
        let row = self.rows.get_mut(at)?;
        row.touched = self.clock;
        Some(row)
    }

    /// Learns what a TOPIC frame says. An epoch other than the known one voids what was seen.
    pub(super) fn named(
        &mut self,
        id: u64,
        name: Topic,
        class: Class,
        from: Position,
        subscriptions: impl Iterator<Item = (u64, Pattern)>,
    ) {
        let at = self.row(name, subscriptions);
        self.by_id.insert(id, at);
        self.recent = None;
        let row = &mut self.rows[at];
        row.class = Some(class);
        row.is_stale = row.matches.is_empty();
        if row.epoch != from.epoch {
            let before = std::mem::replace(&mut row.epoch, from.epoch);
            for place in &mut row.matches {
                place.past = place.position(before).filter(|past| past.epoch != from.epoch);
                place.joined = place.joined.filter(|joined| joined.epoch == from.epoch);
                place.last = match place.joined {
                    Some(joined) if class != Class::Latest => joined.offset,
                    _ => 0,
                };
            }
        }
        // Kept values of a `latest` topic may lie below the offset at which live delivery starts.
        if class != Class::Latest && from.offset > 0 {
            for place in row.matches.iter_mut().filter(|place| place.last == 0) {
                place.joined.get_or_insert(Position { offset: from.offset - 1, ..from });
            }
        }
    }

    /// Notes the join position of a subscription to one topic.
    pub(super) fn joined(
        &mut self,
        subscription: u64,
        name: Topic,
        joined: Position,
        subscriptions: impl Iterator<Item = (u64, Pattern)>,
    ) {
        let at = self.row(name, subscriptions);
        let row = &mut self.rows[at];
        let epoch = row.epoch;
        if !row.matches.iter().any(|place| place.subscription == subscription) {
            row.matches.push(Match::new(subscription));
        }
        for place in row.matches.iter_mut().filter(|place| place.subscription == subscription) {
            // What was seen in the joined epoch says more than the join.
            if place.last == 0 || joined.epoch != epoch {
                place.joined.get_or_insert(joined);
            }
            if place.last == 0 && joined.epoch == epoch && row.class != Some(Class::Latest) {
                place.last = joined.offset;
            }
        }
    }

    /// Adds a subscription to the topics that it matches.
    pub(super) fn subscribed(&mut self, subscription: u64, pattern: &Pattern) {
        if let Some(topic) = pattern.as_topic() {
            if let Some(&at) = self.by_name.get(&topic) {
                self.rows[at].matches.push(Match::new(subscription));
            }
            return;
        }
        for row in self.rows.iter_mut().filter(|row| pattern.matches(&row.name)) {
            row.matches.push(Match::new(subscription));
        }
    }

    /// Takes a subscription away. Topics stay, since frames for them may be on their way.
    pub(super) fn unsubscribed(&mut self, subscription: u64) {
        for row in &mut self.rows {
            row.matches.retain(|place| place.subscription != subscription);
            row.is_stale |= row.matches.is_empty();
        }
    }

    /// Whether the subscription has been given anything of any topic.
    pub(super) fn has_seen(&self, subscription: u64) -> bool {
        let seen = |place: &Match| place.subscription == subscription && place.last > 0;
        self.rows.iter().any(|row| row.matches.iter().any(seen))
    }

    /// Where a subscription resumes: the newest positions that fit one SUBSCRIBE.
    pub(super) fn positions(&self, subscription: u64) -> Vec<TopicPosition> {
        let mut held: Vec<(&Row, Position)> = self
            .rows
            .iter()
            .filter_map(|row| {
                let place = row.matches.iter().find(|place| place.subscription == subscription)?;
                Some((row, place.position(row.epoch)?))
            })
            .collect();
        held.sort_unstable_by_key(|(row, _)| std::cmp::Reverse(row.touched));
        // Half of the body leaves room for the archive's own fields per entry.
        let mut bytes_left = CONTROL_BYTES_MAX - 1024;
        held.into_iter()
            .take(POSITIONS_MAX)
            .map_while(|(row, position)| {
                bytes_left = bytes_left.checked_sub(row.name.as_str().len() + 32)?;
                let topic = row.name.as_str().to_owned();
                Some(TopicPosition { topic, epoch: position.epoch, offset: position.offset })
            })
            .collect()
    }

    /// Whether the table is at its bound.
    pub(super) fn is_full(&self) -> bool {
        self.rows.len() >= TOPICS_MAX
    }

    /// Prepares for a new session: ids of another broker process are void, topics that nothing
    /// matches are dropped, and a full table is cut to its newest half.
    pub(super) fn reconnected(&mut self, same_boot: bool) {
        let bound = if self.is_full() { TOPICS_MAX / 2 } else { TOPICS_MAX };
        let ids = std::mem::take(&mut self.by_id);
        let names: Vec<(u64, Topic)> = ids
            .into_iter()
            .filter(|_| same_boot)
            .filter_map(|(id, at)| Some((id, self.rows.get(at)?.name.clone())))
            .collect();
        self.rows.retain(|row| !row.matches.is_empty());
        self.rows.sort_unstable_by_key(|row| std::cmp::Reverse(row.touched));
        self.rows.truncate(bound);
        self.by_name =
            self.rows.iter().enumerate().map(|(at, row)| (row.name.clone(), at)).collect();
        self.by_id = names
            .into_iter()
            .filter_map(|(id, name)| Some((id, *self.by_name.get(&name)?)))
            .collect();
        self.recent = None;
    }

    /// The index of a topic's row, made if it is new.
    fn row(&mut self, name: Topic, subscriptions: impl Iterator<Item = (u64, Pattern)>) -> usize {
        self.clock += 1;
        if let Some(&at) = self.by_name.get(&name) {
            return at;
        }
        let matching = subscriptions.filter(|(_, pattern)| pattern.matches(&name));
        let matches = matching.map(|(number, _)| Match::new(number)).collect();
        let at = self.rows.len();
        self.by_name.insert(name.clone(), at);
        let (class, epoch, is_stale, touched) = (None, 0, false, self.clock);
        self.rows.push(Row { name, class, epoch, matches, is_stale, touched });
        at
    }
}

/// Spreads topic ids, which the broker counts up.
#[derive(Default)]
pub(super) struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, id: u64) {
        let mixed = (self.0 ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}
