//! One direction of one client's path: what becomes of each datagram on it.
//!
//! A way draws the same number of lots for every datagram, whatever becomes of it and whatever its
//! size, so that what happens to the n-th datagram depends on the seed and on n alone.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use crate::chance::Chance;

/// What a way does to datagrams, in cases per million.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    /// How long one takes. They keep their order but for `reorder_ppm` of them.
    pub(crate) delay: RangeInclusive<Duration>,
    pub(crate) loss_ppm: u32,
    pub(crate) duplicate_ppm: u32,
    /// One bit is flipped.
    pub(crate) corrupt_ppm: u32,
    /// It arrives up to 30 ms late, behind those that left after it.
    pub(crate) reorder_ppm: u32,
    /// How fast the way is, if it is not as fast as anyone sends.
    pub(crate) pipe: Option<Pipe>,
}

/// A bottleneck with a queue in front, which drops what does not fit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pipe {
    pub(crate) bytes_per_s: u64,
    pub(crate) queue_bytes: u64,
}

impl Weather {
    /// 5 to 7 ms, and nothing else.
    pub(crate) fn clean() -> Self {
        Weather {
            delay: Duration::from_millis(5)..=Duration::from_millis(7),
            loss_ppm: 0,
            duplicate_ppm: 0,
            corrupt_ppm: 0,
            reorder_ppm: 0,
            pipe: None,
        }
    }

    /// A phone's path: 20 to 60 ms, and this share lost.
    pub(crate) fn lossy(loss_ppm: u32) -> Self {
        let delay = Duration::from_millis(20)..=Duration::from_millis(60);
        Weather { delay, loss_ppm, ..Weather::clean() }
    }

    /// Everything at once: 3 % lost, 5 % late, 3 % doubled, 2 % damaged.
    pub(crate) fn storm() -> Self {
        Weather {
            duplicate_ppm: 30_000,
            corrupt_ppm: 20_000,
            reorder_ppm: 50_000,
            ..Weather::lossy(30_000)
        }
    }
}

/// What becomes of one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Lost(&'static str),
    Arrives {
        at: Instant,
        /// When a second copy arrives.
        again: Option<Instant>,
        /// Which bit is flipped, as a share of 2^32 of the bits.
        flip: Option<u32>,
    },
}

impl Fate {
    /// In words, with times since `start`.
    pub(crate) fn since(self, start: Instant) -> String {
        let micros = |at: Instant| (at - start).as_micros();
        match self {
            Fate::Lost(why) => why.to_owned(),
            Fate::Arrives { at, again, flip } => {
                format!("{} {:?} {flip:?}", micros(at), again.map(micros))
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct Way {
    pub(crate) weather: Weather,
    /// Whether nothing passes.
    pub(crate) cut: bool,
    chance: Chance,
    /// When the pipe has sent what is queued.
    busy_until: Option<Instant>,
    /// When the last datagram in order arrives.
    last: Option<Instant>,
}

impl Way {
    pub(crate) fn new(weather: Weather, chance: Chance) -> Self {
        Way { weather, cut: false, chance, busy_until: None, last: None }
    }

    pub(crate) fn fate(&mut self, now: Instant, bytes: usize) -> Fate {
        let Weather { loss_ppm, duplicate_ppm, corrupt_ppm, reorder_ppm, .. } = self.weather;
        let lost = self.chance.hits(loss_ppm);
        let doubled = self.chance.hits(duplicate_ppm);
        let flip = self.chance.hits(corrupt_ppm);
        let late = self.chance.hits(reorder_ppm);
        let delay = self.chance.within(&self.weather.delay);
        let [extra, between] = [0, 0].map(|_: u8| {
            self.chance.within(&(Duration::from_millis(1)..=Duration::from_millis(30)))
        });
        let bit = u32::try_from(self.chance.bits() >> 32).expect("32 bits");
        if self.cut {
            return Fate::Lost("cut");
        }
        if lost {
            return Fate::Lost("lost");
        }
        let Some(leaves) = self.squeeze(now, bytes) else { return Fate::Lost("full") };
        let mut at = leaves + delay;
        if late {
            at += extra;
        } else {
            at = self.last.map_or(at, |last| at.max(last));
            self.last = Some(at);
        }
        let again = doubled.then(|| at + between);
        Fate::Arrives { at, again, flip: flip.then_some(bit) }
    }

    /// When the datagram has passed the pipe; `None` if its queue is full.
    fn squeeze(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let Some(Pipe { bytes_per_s, queue_bytes }) = self.weather.pipe else {
            self.busy_until = None;
            return Some(now);
        };
        let free = self.busy_until.unwrap_or(now).max(now);
        let takes = |bytes: u64| Duration::from_micros(bytes * 1_000_000 / bytes_per_s.max(1));
        if free - now > takes(queue_bytes) {
            return None;
        }
        let leaves = free + takes(bytes as u64);
        self.busy_until = Some(leaves);
        Some(leaves)
    }
}
