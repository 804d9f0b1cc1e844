//! The deadlines of all connections, soonest first, one per connection.

use std::time::Instant;

/// Not in the heap.
const ABSENT: u32 = u32::MAX;
/// Children of a node. Four keep a path of ten thousand entries to seven steps.
const WIDTH: usize = 4;

/// A heap in which every connection has one place, moved when its deadline changes.
///
/// Memory: 28 bytes per connection slot.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    heap: Vec<(Instant, u32)>,
    /// Where each connection stands in `heap`.
    places: Vec<u32>,
}

impl Deadlines {
    /// The soonest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heap.first().map(|(at, _)| *at)
    }

    /// A connection whose deadline has come, taken out of the heap.
    pub(crate) fn due(&mut self, now: Instant) -> Option<u32> {
        let (at, index) = *self.heap.first()?;
        if at > now {
            return None;
        }
        self.remove(index);
        Some(index)
    }

    /// Sets the deadline of `index`.
    ///
    /// It is moved at once also when it moves back, as it does with every ack: a connection that
    /// is looked at for nothing costs its cache misses, forty times as much as the move.
    pub(crate) fn set(&mut self, index: u32, at: Instant) {
        let slot = index as usize;
        if self.places.len() <= slot {
            self.places.resize(slot + 1, ABSENT);
        }
        let place = match self.places[slot] {
            ABSENT => {
                self.heap.push((at, index));
                self.heap.len() - 1
            }
            place => {
                let place = place as usize;
                let before = std::mem::replace(&mut self.heap[place].0, at);
                if before == at {
                    return;
                }
                if before < at {
                    return self.sink(place);
                }
                place
            }
        };
        self.rise(place);
    }

    /// Forgets the deadline of `index`.
    pub(crate) fn remove(&mut self, index: u32) {
        let Some(&place) = self.places.get(index as usize) else { return };
        if place == ABSENT {
            return;
        }
        self.places[index as usize] = ABSENT;
        let place = place as usize;
        self.heap.swap_remove(place);
        if place < self.heap.len() {
            self.settle(place);
            self.sink(place);
            self.rise(place);
        }
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / WIDTH;
            if self.heap[parent] <= self.heap[place] {
                break;
            }
            self.heap.swap(parent, place);
            self.settle(place);
            place = parent;
        }
        self.settle(place);
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let first = place * WIDTH + 1;
            let children = first..(first + WIDTH).min(self.heap.len());
            let Some(least) = children.min_by_key(|child| self.heap[*child]) else { break };
            if self.heap[place] <= self.heap[least] {
                break;
            }
            self.heap.swap(place, least);
            self.settle(place);
            place = least;
        }
        self.settle(place);
    }

    fn settle(&mut self, place: usize) {
        let (_, index) = self.heap[place];
        self.places[index as usize] = u32::try_from(place).unwrap_or(ABSENT);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_answers_as_a_sorted_map_would() {
        let start = Instant::now();
        let (mut heap, mut model) = (Deadlines::default(), BTreeMap::new());
        let mut random = 12345_u64;
        let mut draw = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % below
        };
        for _ in 0..20_000 {
            let index = u32::try_from(draw(200)).expect("small");
            match draw(4) {
                0 => {
                    heap.remove(index);
                    model.remove(&index);
                }
                1 => {
                    let now = start + Duration::from_millis(draw(1000));
                    while let Some(due) = heap.due(now) {
                        assert!(model.remove(&due).expect("known") <= now);
                    }
                    assert!(model.values().all(|at| *at > now));
                }
                _ => {
                    let at = start + Duration::from_millis(draw(1000));
                    heap.set(index, at);
                    model.insert(index, at);
                }
            }
            assert_eq!(heap.next(), model.values().min().copied());
        }
    }
}
