//! A bounded queue to one thread that takes all it can carry at once.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What waits, with its weight, and whether anything will still come.
#[derive(Debug)]
struct Waiting<T> {
    items: VecDeque<(T, usize)>,
    weight: usize,
    is_closed: bool,
}

/// The queue. Pushing never waits.
#[derive(Debug)]
pub(super) struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    arrived: Condvar,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) items: usize,
    pub(super) weight: usize,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        let waiting = Waiting { items: VecDeque::new(), weight: 0, is_closed: false };
        Queue { waiting: Mutex::new(waiting), arrived: Condvar::new() }
    }

    /// Adds an item within a bound, or gives it back. An item that is heavier than the bound goes
    /// into an empty queue.
    pub(super) fn push(&self, item: T, weight: usize, bound: Bound) -> Result<(), T> {
        let mut waiting = self.lock();
        let heavy = waiting.weight.saturating_add(weight) > bound.weight;
        let full = waiting.items.len() >= bound.items || (heavy && !waiting.items.is_empty());
        if full || waiting.is_closed {
            return Err(item);
        }
        let was_empty = waiting.items.is_empty();
        waiting.items.push_back((item, weight));
        waiting.weight += weight;
        drop(waiting);
        // Whoever takes looks for more before it waits.
        if was_empty {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Waits for items, and moves as many as fit `bound` to `into`, at least one. `false` once the
    /// queue is closed and empty.
    pub(super) fn take(&self, bound: Bound, into: &mut Vec<T>) -> bool {
        let mut waiting = self.lock();
        while waiting.items.is_empty() {
            if waiting.is_closed {
                return false;
            }
            waiting = self.arrived.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        let mut taken = 0;
        while let Some((_, weight)) = waiting.items.front()
            && (into.is_empty() || taken + weight <= bound.weight)
            && into.len() < bound.items
            && let Some((item, weight)) = waiting.items.pop_front()
        {
            taken += weight;
            into.push(item);
        }
        waiting.weight -= taken;
        true
    }

    /// Lets nothing more in; what waits is still taken.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.arrived.notify_all();
    }

    /// Lets nothing more in, and gives back what waits.
    pub(super) fn shut(&self) -> Vec<T> {
        let mut waiting = self.lock();
        waiting.is_closed = true;
        waiting.weight = 0;
        let items = std::mem::take(&mut waiting.items);
        drop(waiting);
        self.arrived.notify_all();
        items.into_iter().map(|(item, _)| item).collect()
    }

    /// Weight of what waits.
    pub(super) fn weight(&self) -> usize {
        self.lock().weight
    }

    /// A panic elsewhere leaves it whole: each change is made at once.
    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_what_fits_and_gives_it_in_order() {
        let bound = Bound { items: 4, weight: 100 };
        let queue = Queue::new();
        assert_eq!(queue.push(0, 300, bound), Ok(()), "alone it goes in");
        assert_eq!(queue.push(1, 1, bound), Err(1));
        let mut taken = Vec::new();
        assert!(queue.take(bound, &mut taken));
        assert_eq!((queue.weight(), std::mem::take(&mut taken)), (0, vec![0]));
        for item in 1..=4 {
            assert_eq!(queue.push(item, 25, bound), Ok(()));
        }
        assert_eq!(queue.push(5, 0, bound), Err(5), "four are enough");
        assert!(queue.take(Bound { items: 9, weight: 60 }, &mut taken));
        assert_eq!((queue.weight(), std::mem::take(&mut taken)), (50, vec![1, 2]));
        queue.close();
        assert_eq!(queue.push(6, 0, bound), Err(6));
        assert!(queue.take(bound, &mut taken));
        assert_eq!(std::mem::take(&mut taken), [3, 4]);
        assert!(!queue.take(bound, &mut taken));
    }

    #[test]
    fn what_waits_is_given_back_when_it_is_shut() {
        let bound = Bound { items: 4, weight: 100 };
        let queue = Queue::new();
        queue.push('a', 1, bound).expect("room");
        assert_eq!(queue.shut(), ['a']);
        assert!(!queue.take(bound, &mut Vec::new()));
    }
}
