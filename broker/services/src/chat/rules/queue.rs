//! The order in which waiting chats are served, and what those who wait are told.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::chat::model::{Conversation, PositionEvent, Priority};
use crate::moment::Moment;

/// How chats are ranked. Points are counted in thousandths, so that the same chats have the same
/// order everywhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranking {
    /// Points of a VIP. Default 100.
    pub vip: i64,
    /// Points of a minute of waiting. Default 1.
    pub per_minute: i64,
    /// Points that waiting gives at most. Default 50.
    pub waiting_max: i64,
    /// What a customer buys for one point. Default 1,000.
    pub value_per_point: u32,
    /// Points that purchases give at most. Default 30.
    pub value_max: i64,
    /// Points of priority low, medium, high and urgent. Default 0, 10, 30, 60.
    pub priority: [i64; 4],
    /// Who has waited so long goes before all others, the longest first. Default 10 minutes.
    pub max_wait: Duration,
}

impl Default for Ranking {
    fn default() -> Self {
        Ranking {
            vip: 100,
            per_minute: 1,
            waiting_max: 50,
            value_per_point: 1_000,
            value_max: 30,
            priority: [0, 10, 30, 60],
            max_wait: Duration::from_secs(600),
        }
    }
}

/// What is known of a customer; nothing, for one whom nobody has told of.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Customer {
    /// Whether the customer goes first.
    pub vip: bool,
    /// What the customer has bought so far.
    pub lifetime_value: f64,
}

/// A chat that waits.
#[derive(Clone, Copy, Debug)]
pub struct Waiting<'a> {
    /// The chat.
    pub conversation: &'a Conversation,
    /// Whose it is.
    pub customer: Customer,
}

impl Waiting<'_> {
    /// Since when it waits: not since it began, which may have been long before.
    #[must_use]
    pub fn since(&self) -> Moment {
        self.conversation.waiting_since.unwrap_or(self.conversation.created_at)
    }
}

impl Ranking {
    /// Thousandths of points that the chat has at this moment.
    #[must_use]
    pub fn score(&self, chat: &Waiting<'_>, now: Moment) -> i64 {
        let vip = if chat.customer.vip { self.vip * 1_000 } else { 0 };
        let waited = i64::try_from(now.since(chat.since()).as_millis()).unwrap_or(i64::MAX);
        let waiting = waited.saturating_mul(self.per_minute) / 60;
        let per_point = f64::from(self.value_per_point.max(1));
        #[expect(clippy::cast_possible_truncation, reason = "a cast of a float saturates")]
        let value = (chat.customer.lifetime_value * 1_000.0 / per_point) as i64;
        let weight = match chat.conversation.priority {
            Priority::Low => self.priority[0],
            Priority::Medium => self.priority[1],
            Priority::High => self.priority[2],
            Priority::Urgent => self.priority[3],
        };
        vip + waiting.clamp(0, self.waiting_max * 1_000)
            + value.clamp(0, self.value_max * 1_000)
            + weight * 1_000
    }

    /// Whether the chat has waited so long that it goes before all that have not.
    #[must_use]
    pub fn is_starved(&self, chat: &Waiting<'_>, now: Moment) -> bool {
        now.since(chat.since()) >= self.max_wait
    }

    /// Puts the next to be served first.
    pub fn sort(&self, waiting: &mut [Waiting<'_>], now: Moment) {
        waiting.sort_by_cached_key(|chat| {
            let is_starved = self.is_starved(chat, now);
            let score = if is_starved { 0 } else { self.score(chat, now) };
            (!is_starved, Reverse(score), chat.since(), chat.conversation.id.clone())
        });
    }
}

/// How long chats wait, as a running mean in which the last counts a tenth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitMean(Option<Duration>);

impl WaitMean {
    /// A chat has waited so long.
    pub fn add(&mut self, waited: Duration) {
        self.0 = Some(self.0.map_or(waited, |mean| (mean * 9 + waited) / 10));
    }

    /// How much longer one that has waited so long may expect to; nobody can say before the first.
    #[must_use]
    pub fn left(&self, waited: Duration) -> Option<Duration> {
        self.0.map(|mean| mean.saturating_sub(waited))
    }
}

/// How often a customer is told of its place at most.
pub const TELL: Duration = Duration::from_secs(5);

/// Tells each who waits of its place when it changes. Memory is an entry per waiting chat.
#[derive(Clone, Debug, Default)]
pub struct Places(BTreeMap<String, (u32, u32, Moment)>);

impl Places {
    /// What to tell, of chats in the order of their serving.
    pub fn tell(
        &mut self,
        sorted: &[Waiting<'_>],
        mean: WaitMean,
        now: Moment,
    ) -> Vec<PositionEvent> {
        let total = u32::try_from(sorted.len()).unwrap_or(u32::MAX);
        let mut before = std::mem::take(&mut self.0);
        let mut out = Vec::new();
        for (position, chat) in (1..).zip(sorted) {
            let id = &chat.conversation.id;
            let told = before.remove(id);
            let is_due = told.is_none_or(|(place, all, at)| {
                (place, all) != (position, total) && now.since(at) >= TELL
            });
            let kept = told.filter(|_| !is_due).unwrap_or((position, total, now));
            self.0.insert(id.clone(), kept);
            if is_due {
                let left = mean.left(now.since(chat.since()));
                let seconds = |left: Duration| u32::try_from(left.as_secs()).unwrap_or(u32::MAX);
                let (conversation_id, eta_seconds) = (id.clone(), left.map(seconds));
                out.push(PositionEvent { conversation_id, position, total, eta_seconds });
            }
        }
        out
    }
}

/// The places of those who wait, with how long chats have waited of late. Memory is two entries per
/// waiting chat.
#[derive(Debug, Default)]
pub struct Board {
    places: Places,
    mean: WaitMean,
    /// Since when each waits that did at the last look.
    since: BTreeMap<String, Moment>,
}

impl Board {
    /// What to tell, of all chats that wait, in the order of their serving. Those that have gone
    /// since the last look count for how long others may expect to wait.
    pub fn tell(&mut self, sorted: &[Waiting<'_>], now: Moment) -> Vec<PositionEvent> {
        let still = |chat: &Waiting<'_>| (chat.conversation.id.clone(), chat.since());
        let still: BTreeMap<String, Moment> = sorted.iter().map(still).collect();
        let gone = self.since.iter().filter(|(id, _)| !still.contains_key(*id));
        gone.for_each(|(_, since)| self.mean.add(now.since(*since)));
        self.since = still;
        self.places.tell(sorted, self.mean, now)
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
