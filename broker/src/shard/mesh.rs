//! Messages between shards: one bounded ring per ordered pair, and one wake-up per batch.

use std::collections::VecDeque;

use rtrb::{Consumer, Producer, RingBuffer};
use sampan_core::message::Message;

use crate::udp::Waker;

/// Messages that all rings together hold, shared out among the pairs.
const MESSAGES: usize = 1 << 17;
/// The most that one ring holds, and the least.
const RING_MAX: usize = 8192;
const RING_MIN: usize = 64;
/// Messages that may wait for full rings before the shard takes no more from the network.
const SPILLED_MAX: usize = 65_536;

/// One shard's ends of the rings.
pub(super) struct Mesh {
    to: Vec<Option<Outgoing>>,
    from: Vec<Consumer<Message>>,
    spilled: usize,
}

/// The way to one other shard.
struct Outgoing {
    ring: Producer<Message>,
    /// What the ring had no room for, in order. A shard never waits for another.
    spill: VecDeque<Message>,
    waker: Waker,
    /// Whether something was put into the ring since the last wake-up.
    rung: bool,
}

/// The ends of all shards, in shard order; `wakers` wake the shards.
pub(super) fn connect(wakers: &[Waker]) -> Vec<Mesh> {
    let shards = wakers.len();
    let pairs = (shards * shards.saturating_sub(1)).max(1);
    let capacity = (MESSAGES / pairs).clamp(RING_MIN, RING_MAX);
    let mut meshes: Vec<Mesh> = (0..shards)
        .map(|_| Mesh { to: Vec::with_capacity(shards), from: Vec::new(), spilled: 0 })
        .collect();
    for from in 0..shards {
        for (to, waker) in wakers.iter().enumerate() {
            if from == to {
                meshes[from].to.push(None);
                continue;
            }
            let (ring, end) = RingBuffer::new(capacity);
            let waker = waker.clone();
            let outgoing = Outgoing { ring, spill: VecDeque::new(), waker, rung: false };
            meshes[from].to.push(Some(outgoing));
            meshes[to].from.push(end);
        }
    }
    meshes
}

impl Mesh {
    /// Passes a message on, in order.
    pub(super) fn send(&mut self, shard: u8, message: Message) {
        let Some(Some(outgoing)) = self.to.get_mut(usize::from(shard)) else { return };
        if outgoing.spill.is_empty() {
            match outgoing.ring.push(message) {
                Ok(()) => outgoing.rung = true,
                Err(rtrb::PushError::Full(message)) => {
                    outgoing.spill.push_back(message);
                    self.spilled += 1;
                }
            }
        } else {
            outgoing.spill.push_back(message);
            self.spilled += 1;
        }
    }

    /// Moves what has spilled, and wakes every shard that was sent something.
    pub(super) fn flush(&mut self) {
        for outgoing in self.to.iter_mut().flatten() {
            while let Some(message) = outgoing.spill.pop_front() {
                match outgoing.ring.push(message) {
                    Ok(()) => {
                        outgoing.rung = true;
                        self.spilled -= 1;
                    }
                    Err(rtrb::PushError::Full(message)) => {
                        outgoing.spill.push_front(message);
                        break;
                    }
                }
            }
            if std::mem::take(&mut outgoing.rung) {
                outgoing.waker.wake();
            }
        }
    }

    /// Hands what has come, at most `max` messages of each shard, to `take`. Whether more may
    /// wait.
    pub(super) fn receive(&mut self, max: usize, mut take: impl FnMut(Message)) -> bool {
        let mut more = false;
        for ring in &mut self.from {
            let messages = std::iter::from_fn(|| ring.pop().ok()).take(max);
            more |= messages.map(&mut take).count() == max;
        }
        more
    }

    /// Whether something waits for room in another shard's ring.
    pub(super) fn is_spilled(&self) -> bool {
        self.spilled > 0
    }

    /// Whether so much waits that the shard should take nothing new from the network.
    pub(super) fn is_choked(&self) -> bool {
        self.spilled > SPILLED_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::udp::{BufferSizes, Waiter, bind_group};

    #[test]
    fn messages_keep_their_order_through_a_full_ring() {
        let local = "127.0.0.1:0".parse().expect("an address");
        let sockets = bind_group(local, 2, BufferSizes::default()).expect("sockets");
        let (_waiters, wakers): (Vec<_>, Vec<_>) =
            sockets.iter().map(|socket| Waiter::new(socket).expect("a waiter")).unzip();
        let mut meshes = connect(&wakers);
        let mut second = meshes.pop().expect("two");
        let mut first = meshes.pop().expect("two");
        let count = 3 * RING_MAX as u64;
        for topic_id in 0..count {
            first.send(1, Message::Leave { shard: 0, topic_id });
        }
        assert!(first.is_spilled());
        let mut got = Vec::new();
        while got.len() < count as usize {
            first.flush();
            second.receive(100, |message| match message {
                Message::Leave { topic_id, .. } => got.push(topic_id),
                _ => unreachable!("only this was sent"),
            });
        }
        assert!(got.iter().copied().eq(0..count));
        assert!(!first.is_spilled());
    }
}
