//! What one run does: the work and its numbers.

use std::time::Duration;

use crate::{Error, Transport};

/// Bytes of the smallest payload over QUIC: the time of its publish call.
pub(crate) const SIZE_MIN: usize = 8;
/// Bytes of the largest payload; every broker takes it by default.
pub(crate) const SIZE_MAX: usize = 1024 * 1024;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Many clients in many rooms, each room at a slow rate.
    Connections,
    /// One message to many subscribers.
    Fanout,
    /// One publisher to one subscriber, as fast as possible.
    Throughput,
    /// Delivery time at a moderate rate.
    Latency,
    /// Requests and their replies.
    Requests,
}

impl Work {
    /// The name that the command line gives it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Work::Connections => "connections",
            Work::Fanout => "fanout",
            Work::Throughput => "throughput",
            Work::Latency => "latency",
            Work::Requests => "requests",
        }
    }
}

/// One run of the load generator.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What is measured.
    pub work: Work,
    /// What the subscribers speak.
    pub transport: Transport,
    /// Subscribers, or askers; publishers and responders come on top. 1 or more.
    pub connections: usize,
    /// Rooms that the connections are dealt out to. 1 to `connections`.
    pub rooms: usize,
    /// Messages per second and room; 0 is as fast as possible, with at most 1,024 messages of a
    /// room not yet received by all of its subscribers.
    pub rate: f64,
    /// Whether all rooms publish at the same moment, instead of spread evenly over 1/rate.
    pub burst: bool,
    /// Bytes of a payload, 8 or more, or 17 in text: it carries the time of its publish call.
    pub size: usize,
    /// For how long messages are published.
    pub seconds: u64,
}

impl Plan {
    /// The plan of this work with the numbers of its row in the table of figures.
    #[must_use]
    pub fn new(work: Work) -> Self {
        let (connections, rooms, rate, seconds) = match work {
            Work::Connections => (10_000, 100, 1.0, 60),
            Work::Fanout => (100, 1, 0.0, 10),
            Work::Throughput => (1, 1, 0.0, 10),
            Work::Latency => (10, 1, 1000.0, 10),
            Work::Requests => (10, 1, 0.0, 10),
        };
        let transport = Transport::Quic;
        Plan { work, transport, connections, rooms, rate, burst: false, size: 128, seconds }
    }

    /// Checks the ranges of all numbers.
    ///
    /// # Errors
    /// `Invalid` names the first that is out of its range.
    pub fn check(&self) -> Result<(), Error> {
        let invalid = |text: String| Err(Error::Invalid(text));
        if self.connections == 0 || self.rooms == 0 || self.seconds == 0 {
            return invalid("connections, rooms and seconds are 1 or more".to_owned());
        }
        if self.rooms > self.connections {
            let (rooms, connections) = (self.rooms, self.connections);
            return invalid(format!("{rooms} rooms need as many connections, not {connections}"));
        }
        if !(0.0..=1e6).contains(&self.rate) {
            return invalid("the rate is 0 to 1,000,000 messages per second and room".to_owned());
        }
        let size_min = self.transport.stamp().bytes();
        if !(size_min..=SIZE_MAX).contains(&self.size) {
            return invalid(format!("the size is {size_min} to {SIZE_MAX} bytes"));
        }
        self.transport.check(self.work)
    }

    /// Whether messages are published as fast as possible.
    pub(crate) fn is_fast(&self) -> bool {
        self.rate == 0.0
    }

    /// Time between two messages of a room.
    pub(crate) fn interval(&self) -> Duration {
        if self.is_fast() { Duration::ZERO } else { Duration::from_secs_f64(1.0 / self.rate) }
    }

    /// Messages of one room, at a rate.
    pub(crate) fn messages(&self) -> u64 {
        // Within range: the rate and a count of seconds that a person waits for.
        (self.rate * self.seconds as f64).round().max(1.0) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_plans_are_within_their_ranges() {
        for work in
            [Work::Connections, Work::Fanout, Work::Throughput, Work::Latency, Work::Requests]
        {
            assert_eq!(Plan::new(work).check().err().map(|error| error.to_string()), None);
        }
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        let plan = Plan::new(Work::Fanout);
        let cases = [
            Plan { connections: 0, ..plan.clone() },
            Plan { rooms: 101, ..plan.clone() },
            Plan { rate: -1.0, ..plan.clone() },
            Plan { rate: f64::NAN, ..plan.clone() },
            Plan { size: 7, ..plan.clone() },
            Plan { seconds: 0, ..plan.clone() },
            Plan { size: 16, transport: Transport::WebSocket, ..plan.clone() },
            Plan { work: Work::Requests, transport: Transport::SocketIo, ..plan },
        ];
        for plan in cases {
            assert!(plan.check().is_err(), "{plan:?}");
        }
    }
}
