//! The rings between shards. Messages of one pair keep their order; everything else about when they
//! arrive is drawn by lot, as threads of a real broker would have it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sampan_core::message::Message;

use crate::chance::Chance;

/// How long a shard may take to look at a ring.
const WAKE: std::ops::RangeInclusive<Duration> = Duration::ZERO..=Duration::from_micros(300);
/// How often, in a million, it takes only a part of what is there.
const PART_PPM: u32 = 250_000;

#[derive(Debug, Default)]
struct Ring {
    queue: VecDeque<Message>,
    wake_at: Option<Instant>,
}

#[derive(Debug)]
pub(crate) struct Mesh {
    shards: u8,
    rings: Vec<Ring>,
    chance: Chance,
}

impl Mesh {
    pub(crate) fn new(shards: u8, chance: Chance) -> Self {
        let pairs = usize::from(shards) * usize::from(shards);
        Mesh { shards, rings: (0..pairs).map(|_| Ring::default()).collect(), chance }
    }

    pub(crate) fn push(&mut self, now: Instant, from: u8, to: u8, message: Message) {
        let wake = now + self.chance.within(&WAKE);
        let ring = &mut self.rings[usize::from(from) * usize::from(self.shards) + usize::from(to)];
        ring.queue.push_back(message);
        ring.wake_at.get_or_insert(wake);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.rings.iter().filter_map(|ring| ring.wake_at).min()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rings.iter().all(|ring| ring.queue.is_empty())
    }

    /// What shards take from their rings by now, with the shard that takes it.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(u8, Message)> {
        let awake = |(_, ring): &(usize, &Ring)| ring.wake_at.is_some_and(|at| at <= now);
        let mut rings: Vec<usize> =
            self.rings.iter().enumerate().filter(awake).map(|(index, _)| index).collect();
        self.chance.shuffle(&mut rings);
        let mut out = Vec::new();
        for index in rings {
            let to = u8::try_from(index % usize::from(self.shards)).expect("a shard");
            let part = self.chance.hits(PART_PPM);
            let share = self.chance.bits();
            let again = now + self.chance.within(&WAKE);
            let ring = &mut self.rings[index];
            let all = ring.queue.len() as u64;
            let taken = if part { share % all.max(1) } else { all };
            let taken = usize::try_from(taken).expect("in memory");
            out.extend(ring.queue.drain(..taken).map(|message| (to, message)));
            ring.wake_at = (!ring.queue.is_empty()).then_some(again);
        }
        out
    }
}
