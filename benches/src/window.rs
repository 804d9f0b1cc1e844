//! How far a publisher may run ahead of the slowest subscriber of its room.
//!
//! Progress is counted in blocks: a subscriber touches shared memory once per block, and the one
//! that completes a block for the whole room lets the publisher go on. A message counts as received
//! when its whole block is, so the bound holds for every message.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Messages of a room that may be on their way.
const AHEAD: u64 = 1024;
/// Messages that are counted together.
const BLOCK: u64 = 128;
/// Blocks whose counts are kept apart; more than can be on their way.
const SLOTS: u64 = 2 * AHEAD / BLOCK;

/// The window of one room.
#[derive(Debug)]
pub(crate) struct Window {
    readers: u64,
    /// Receipts of the blocks that share a slot. They only rise: a block is not begun before the
    /// one in its slot is complete, so a multiple of `readers` is the end of a block.
    done: [AtomicU64; SLOTS as usize],
    complete: AtomicU64,
    room: Notify,
}

impl Window {
    pub(crate) fn new(readers: usize) -> Self {
        Window {
            readers: readers as u64,
            done: std::array::from_fn(|_| AtomicU64::new(0)),
            complete: AtomicU64::new(0),
            room: Notify::new(),
        }
    }

    /// One reader has received, or been told to be missing, `before..after` of the room's messages,
    /// counted from 0.
    pub(crate) fn received(&self, before: u64, after: u64) {
        for block in before / BLOCK..after / BLOCK {
            let slot = &self.done[(block % SLOTS) as usize];
            let done = slot.fetch_add(1, Ordering::AcqRel) + 1;
            if done.is_multiple_of(self.readers) {
                self.complete.fetch_add(1, Ordering::AcqRel);
                self.room.notify_one();
            }
        }
    }

    /// Messages that may have been published by now.
    pub(crate) fn bound(&self) -> u64 {
        self.complete.load(Ordering::Acquire) * BLOCK + AHEAD
    }

    /// Waits until more than `published` messages may have been.
    pub(crate) async fn room(&self, published: u64) {
        loop {
            let mut notified = std::pin::pin!(self.room.notified());
            notified.as_mut().enable();
            if self.bound() > published {
                return;
            }
            notified.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_reader_holds_the_bound() {
        let window = Window::new(2);
        assert_eq!(window.bound(), AHEAD);
        window.received(0, 1000);
        assert_eq!(window.bound(), AHEAD);
        window.received(0, 127);
        window.received(127, 128);
        assert_eq!(window.bound(), AHEAD + BLOCK);
        window.received(128, 1024);
        assert_eq!(window.bound(), AHEAD + 7 * BLOCK);
    }

    #[test]
    fn slots_are_used_again() {
        let window = Window::new(3);
        let mut received = 0;
        while received < 100_000 {
            let bound = window.bound();
            (0..3).for_each(|_| window.received(received, bound));
            received = bound;
            assert_eq!(window.bound(), received + AHEAD);
        }
    }
}
