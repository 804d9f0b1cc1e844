//! Which publish an ack means: the peer's number of every sequence that waits.

use std::collections::VecDeque;

use sampan_protocol::Code;

use crate::failure::Failure;

/// Publishes of one session that may wait for their acks.
const WAITING_MAX: usize = 1024;

/// Publishes that wait for their acks, from the oldest on.
#[derive(Debug)]
pub(super) struct Publishes {
    /// Sequence of the front.
    first: u64,
    /// The peer's numbers; `None` where an ack has come or none is wanted. The front is `Some`.
    waiting: VecDeque<Option<u64>>,
}

impl Default for Publishes {
    fn default() -> Self {
        Publishes { first: 1, waiting: VecDeque::new() }
    }
}

impl Publishes {
    /// Takes the next sequence for a publish that the peer knows by `number`.
    pub(super) fn take(&mut self, number: u64, no_ack: bool) -> Result<u64, Failure> {
        if self.waiting.len() >= WAITING_MAX {
            let reason = "too many publishes wait for their acks";
            return Err(Failure::new(Code::TOO_MANY, reason));
        }
        let sequence = self.first + self.waiting.len() as u64;
        self.waiting.push_back((!no_ack).then_some(number));
        self.forget_settled();
        Ok(sequence)
    }

    /// The number of the publish with this sequence, which no longer waits.
    pub(super) fn settle(&mut self, sequence: u64) -> Option<u64> {
        let index = usize::try_from(sequence.checked_sub(self.first)?).ok()?;
        let number = self.waiting.get_mut(index)?.take();
        self.forget_settled();
        number
    }

    fn forget_settled(&mut self) {
        while let Some(None) = self.waiting.front() {
            self.waiting.pop_front();
            self.first += 1;
        }
        if self.waiting.is_empty() {
            self.waiting = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acks_out_of_order_find_their_publishes() {
        let mut publishes = Publishes::default();
        let sequences: Vec<_> = (10..14).map(|n| publishes.take(n, n == 12)).collect();
        assert_eq!(sequences, [Ok(1), Ok(2), Ok(3), Ok(4)]);
        assert_eq!(
            [4, 4, 3, 1, 2, 2, 9].map(|s| publishes.settle(s)),
            [Some(13), None, None, Some(10), Some(11), None, None]
        );
        assert_eq!(publishes.take(7, false), Ok(5));
    }

    #[test]
    fn so_many_publishes_wait_and_no_more() {
        let mut publishes = Publishes::default();
        for number in 0..WAITING_MAX as u64 {
            publishes.take(number, false).expect("room");
        }
        assert_eq!(publishes.take(1, false).map_err(|f| f.code), Err(Code::TOO_MANY));
        publishes.settle(1);
        assert_eq!(publishes.take(1, false), Ok(WAITING_MAX as u64 + 1));
    }
}
