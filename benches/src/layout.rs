//! Who does what: rooms, and each thread's share of their publishers and members.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sampan_client::Topic;

use crate::window::Window;
use crate::{Error, Plan};

/// One room of the run.
#[derive(Debug)]
pub(crate) struct Room {
    /// Its name among all rooms of all runs, one token of a topic.
    pub(crate) id: String,
    pub(crate) topic: Topic,
    pub(crate) members: usize,
    /// When its first message is due, after the start.
    pub(crate) phase: Duration,
    /// How far its publisher may run ahead, where it publishes as fast as possible.
    pub(crate) window: Option<Window>,
    /// The offset before the room's first counted message.
    base: AtomicU64,
}

impl Room {
    /// Counts messages from after this offset on.
    pub(crate) fn start_after(&self, offset: u64) {
        self.base.store(offset, Ordering::Release);
    }

    pub(crate) fn base(&self) -> u64 {
        self.base.load(Ordering::Acquire)
    }
}

/// A member's place: its room, and its number among the members.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) room: Arc<Room>,
    pub(crate) number: usize,
}

/// What one thread does.
#[derive(Debug, Default)]
pub(crate) struct Share {
    /// Rooms that it publishes to, or answers in, by phase.
    pub(crate) sources: Vec<Arc<Room>>,
    pub(crate) members: Vec<Member>,
}

/// Deals connections out to rooms in turn, and both out to threads, so that the publisher of a
/// single room and its first member are on different ones.
pub(crate) fn deal(plan: &Plan, threads: usize) -> Result<Vec<Share>, Error> {
    let run = run_id();
    let mut shares: Vec<Share> = (0..threads).map(|_| Share::default()).collect();
    let mut rooms = Vec::with_capacity(plan.rooms);
    for number in 0..plan.rooms {
        let members = (plan.connections - number).div_ceil(plan.rooms);
        let spread = if plan.burst { 0.0 } else { number as f64 / plan.rooms as f64 };
        // No two runs share a topic, so that a broker that lives on brings none of the last.
        let id = format!("{run}-{number}");
        let room = Arc::new(Room {
            topic: plan.transport.topic(&id)?,
            id,
            members,
            phase: plan.interval().mul_f64(spread),
            window: plan.is_fast().then(|| Window::new(members)),
            base: AtomicU64::new(0),
        });
        shares[(number + 1) % threads].sources.push(room.clone());
        rooms.push(room);
    }
    for connection in 0..plan.connections {
        let (room, number) = (connection % plan.rooms, connection / plan.rooms);
        let member = Member { room: rooms[room].clone(), number };
        shares[(room + number) % threads].members.push(member);
    }
    Ok(shares)
}

/// A token that no other run on this machine has.
pub(crate) fn run_id() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{:x}-{:x}", std::process::id(), since.as_micros())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Work;

    #[test]
    fn every_connection_has_a_room_and_every_room_a_source() {
        let plan = Plan { connections: 1003, rooms: 100, ..Plan::new(Work::Connections) };
        let shares = deal(&plan, 3).expect("valid");
        let members: usize = shares.iter().map(|share| share.members.len()).sum();
        let rooms: Vec<_> = shares.iter().flat_map(|share| &share.sources).collect();
        let in_rooms: usize = rooms.iter().map(|room| room.members).sum();
        assert_eq!((members, rooms.len(), in_rooms), (1003, 100, 1003));
        for share in &shares {
            assert!(share.sources.is_sorted_by_key(|room| room.phase));
            assert!(share.members.len().abs_diff(1003 / 3) <= 40, "{}", share.members.len());
        }
    }

    #[test]
    fn publisher_and_subscriber_of_one_room_are_apart() {
        let shares = deal(&Plan::new(Work::Throughput), 2).expect("valid");
        let counts = shares.iter().map(|share| (share.sources.len(), share.members.len()));
        assert_eq!(counts.collect::<Vec<_>>(), [(0, 1), (1, 0)]);
    }

    #[test]
    fn a_burst_has_no_phases() {
        let plan = Plan { burst: true, ..Plan::new(Work::Connections) };
        let shares = deal(&plan, 1).expect("valid");
        assert!(shares[0].sources.iter().all(|room| room.phase.is_zero()));
    }
}
