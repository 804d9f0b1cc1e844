//! The publishing side: at a rate, or as fast as the room's window allows.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use sampan_client::{AckLevel, Client, Message, Publisher};

use crate::layout::Room;
use crate::stamp::Stamp;
use crate::tally::Meter;
use crate::visitor::Visitor;
use crate::{Error, Plan, Transport, clock};

/// Bytes of payloads that share one allocation.
const PAYLOADS_BYTES: usize = 64 * 1024;
/// Messages after which a publisher lets the other tasks of its thread go on.
const TURN: u64 = 128;
/// How long the last acks are waited for.
const ACK_TIMEOUT: Duration = Duration::from_secs(10);

/// Name of the event that a message is, where subscribers know messages by one.
const EVENT: &str = "bench";

/// One room's publisher.
#[derive(Debug)]
pub(crate) struct Source {
    room: Arc<Room>,
    outlet: Outlet,
    payloads: Payloads,
}

/// Where messages go.
#[derive(Debug)]
enum Outlet {
    Broker(Publisher, Transport),
    Peer(Visitor),
}

impl Source {
    /// A publisher for the room. Publishes one message ahead of the run, which nobody counts: it
    /// shows that the token may, and where the room's offsets start.
    pub(crate) async fn open(client: &Client, room: Arc<Room>, plan: &Plan) -> Result<Self, Error> {
        let mut payloads = Payloads::new(plan);
        let first = message(&room, payloads.make(0), plan.transport);
        room.start_after(client.publish(first).await?.offset);
        let (publisher, _) = client.publisher();
        Ok(Source { room, outlet: Outlet::Broker(publisher, plan.transport), payloads })
    }

    /// A publisher to a peer, which relays what this connection says.
    pub(crate) fn to_peer(visitor: Visitor, room: Arc<Room>, plan: &Plan) -> Self {
        Source { room, outlet: Outlet::Peer(visitor), payloads: Payloads::new(plan) }
    }

    /// Publishes one message, stamped with the moment of the call; answers that moment.
    async fn publish(&mut self) -> Result<u64, Error> {
        let now = clock::nanos();
        let payload = self.payloads.make(now);
        match &mut self.outlet {
            Outlet::Peer(visitor) => visitor.publish(&self.room, &payload).await?,
            Outlet::Broker(publisher, transport) => {
                match publisher.try_publish(message(&self.room, payload.clone(), *transport)) {
                    Ok(_) => {}
                    Err(sampan_client::Error::Full) => {
                        publisher.publish(message(&self.room, payload, *transport)).await?;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(now)
    }

    /// Waits for the acks and counts the refusals.
    async fn finish(self, meter: &Meter) -> Result<(), Error> {
        let Outlet::Broker(publisher, _) = self.outlet else { return Ok(()) };
        if let Ok(flushed) = tokio::time::timeout(ACK_TIMEOUT, publisher.flush()).await {
            flushed?;
        }
        let (queued, acked, _) = publisher.counts();
        meter.tally().refused += queued - acked;
        Ok(())
    }
}

fn message(room: &Room, payload: Bytes, transport: Transport) -> Message {
    let message = Message::new(room.topic.clone(), payload).ack(AckLevel::Routed);
    if transport.is_bridge() { message.event(EVENT).content_type("text/plain") } else { message }
}

/// Publishes every room's messages at their times, in one task for all rooms of the thread.
pub(crate) async fn paced(
    mut sources: Vec<Source>,
    plan: Plan,
    start: Instant,
    meter: Arc<Meter>,
) -> Result<(), Error> {
    for message in 0..plan.messages() {
        // The rooms are in the order of their phases, and no phase is longer than an interval.
        let round = start + Duration::from_secs_f64(message as f64 / plan.rate);
        for source in &mut sources {
            let due = round + source.room.phase;
            if due > Instant::now() {
                tokio::time::sleep_until(due.into()).await;
            }
            let late = u64::try_from(due.elapsed().as_nanos()).unwrap_or(u64::MAX);
            let now = source.publish().await?;
            meter.tally().published(now.saturating_sub(late), now);
            count(&meter, 1, source.room.members);
        }
    }
    for source in sources {
        source.finish(&meter).await?;
    }
    Ok(())
}

/// Publishes to one room until `until`, at most a window ahead of its slowest subscriber.
pub(crate) async fn fast(
    mut source: Source,
    until: Instant,
    meter: Arc<Meter>,
) -> Result<(), Error> {
    let room = source.room.clone();
    let Some(window) = &room.window else { return Ok(()) };
    let mut published = 0;
    while Instant::now() < until {
        let waited = tokio::time::timeout_at(until.into(), window.room(published)).await;
        if waited.is_err() {
            break;
        }
        let turn = (window.bound() - published).min(TURN);
        for message in 0..turn {
            let now = source.publish().await?;
            if published + message == 0 {
                meter.tally().published(now, now);
            }
        }
        published += turn;
        count(&meter, turn, room.members);
        tokio::task::yield_now().await;
    }
    source.finish(&meter).await
}

fn count(meter: &Meter, messages: u64, members: usize) {
    meter.published.fetch_add(messages, Ordering::Relaxed);
    meter.expected.fetch_add(messages * members as u64, Ordering::Relaxed);
}

/// Payloads of one size, cut from shared blocks so that most cost no allocation.
#[derive(Debug)]
struct Payloads {
    size: usize,
    stamp: Stamp,
    block: BytesMut,
}

impl Payloads {
    fn new(plan: &Plan) -> Self {
        Payloads { size: plan.size, stamp: plan.transport.stamp(), block: BytesMut::new() }
    }

    fn make(&mut self, now: u64) -> Bytes {
        if self.block.capacity() < self.size {
            self.block = BytesMut::with_capacity(PAYLOADS_BYTES.max(self.size));
        }
        self.stamp.put(&mut self.block, now);
        self.block.resize(self.size, b'.');
        self.block.split().freeze()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_have_their_size_and_time() {
        let plan = Plan { size: 100, ..Plan::new(crate::Work::Fanout) };
        let mut payloads = Payloads::new(&plan);
        let made: Vec<Bytes> = (0..2000).map(|now| payloads.make(now)).collect();
        for (now, payload) in made.iter().enumerate() {
            assert_eq!((payload.len(), &payload[..8]), (100, &(now as u64).to_le_bytes()[..]));
        }
    }
}
