//! Readers of durable topics that come all at once, each after its own position.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sampan_client::{
    Client, Delivery, Endpoint, Gap, Options, Position, Start, Subscription, Topic, TopicPosition,
};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinSet;

use crate::requests::panicked;
use crate::tally::{Meter, bump};
use crate::worker::CLIENTS_PER_SOCKET;
use crate::{Access, Error, clock, thread};

/// Readers of one thread that connect at the same time. Clients on machines of their own would not
/// take the processor from each other's handshakes until these time out; here they would.
const AT_ONCE: usize = 128;

/// One reader, whether it is there or not.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    /// What it reads.
    topic: Topic,
    /// The last message that it has seen; none before its first visit.
    seen: Option<Position>,
}

impl Reader {
    /// One that has seen nothing.
    pub(crate) fn new(topic: Topic) -> Self {
        Reader { topic, seen: None }
    }
}

/// What the readers have in common.
#[derive(Debug)]
pub(crate) struct Counts {
    /// `connected`, `received` in their places, and `ready`: with all that they came for. Its times
    /// are those from the start to a reader's last message.
    pub(crate) meter: Meter,
    /// Messages that were not the next of their reader: again, too early, or of another epoch.
    pub(crate) misplaced: AtomicU64,
    /// When the last reader was connected, after the start.
    pub(crate) connected_ns: AtomicU64,
    start_ns: u64,
}

impl Counts {
    /// Nothing yet; the start is now.
    pub(crate) fn new() -> Self {
        Counts {
            meter: Meter::new(),
            misplaced: AtomicU64::new(0),
            connected_ns: AtomicU64::new(0),
            start_ns: clock::nanos(),
        }
    }
}

/// All readers at once, on one thread per core. Dropping it ends them without a word.
#[derive(Debug)]
pub(crate) struct Crowd {
    pub(crate) counts: Arc<Counts>,
    threads: Vec<oneshot::Receiver<Result<Vec<Reader>, Error>>>,
    leave: watch::Sender<bool>,
}

impl Crowd {
    /// Lets all come now, each for the `missed` messages after its position.
    pub(crate) fn start(access: &Access, readers: &[Reader], missed: u64) -> Result<Self, Error> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from).min(readers.len());
        let counts = Arc::new(Counts::new());
        let (leave, left) = watch::channel(false);
        let mut threads = Vec::with_capacity(cores);
        for share in readers.chunks(readers.len().div_ceil(cores.max(1)).max(1)) {
            let (access, share) = (access.clone(), share.to_vec());
            let (counts, turns) = (counts.clone(), Arc::new(Semaphore::new(AT_ONCE)));
            let visit = Visit { missed, counts, turns, left: left.clone() };
            threads.push(thread::start(move |tell| visit.all(access, share, tell))?);
        }
        Ok(Crowd { counts, threads, leave })
    }

    /// Why a thread has ended before it was told to, if one has.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        for thread in &mut self.threads {
            match thread.try_recv() {
                Err(oneshot::error::TryRecvError::Empty) => {}
                told => return Err(told.ok().and_then(Result::err).unwrap_or_else(thread::ended)),
            }
        }
        Ok(())
    }

    /// Sends all away; answers them with what they have seen. Their sockets last as long as this.
    pub(crate) async fn leave(&mut self) -> Result<Vec<Reader>, Error> {
        self.leave.send_replace(true);
        let mut readers = Vec::new();
        for thread in self.threads.drain(..) {
            readers.extend(thread.await.map_err(|_| thread::ended())??);
        }
        Ok(readers)
    }
}

/// What every reader of a thread is told.
#[derive(Clone)]
struct Visit {
    missed: u64,
    counts: Arc<Counts>,
    /// Leave to connect.
    turns: Arc<Semaphore>,
    left: watch::Receiver<bool>,
}

impl Visit {
    async fn all(
        self,
        access: Access,
        readers: Vec<Reader>,
        tell: oneshot::Sender<Result<Vec<Reader>, Error>>,
    ) {
        let mut left = self.left.clone();
        // Nobody listens to a run that was given up.
        let _ = tell.send(self.each(&access, readers).await);
        while left.changed().await.is_ok() {}
    }

    async fn each(&self, access: &Access, readers: Vec<Reader>) -> Result<Vec<Reader>, Error> {
        let (mut visits, mut back) = (JoinSet::new(), Vec::with_capacity(readers.len()));
        for readers in readers.chunks(CLIENTS_PER_SOCKET) {
            let endpoint = Endpoint::bind(access.local(), &access.trust)?;
            for reader in readers {
                let (visit, reader) = (self.clone(), reader.clone());
                let options = access.options(&endpoint);
                visits.spawn(async move { visit.one(options, reader).await });
            }
        }
        while let Some(visit) = visits.join_next().await {
            back.push(visit.map_err(panicked)??);
        }
        Ok(back)
    }

    /// Reads until it is told to leave.
    async fn one(self, options: Options, mut reader: Reader) -> Result<Reader, Error> {
        let turn = self.turns.acquire().await;
        let client = Client::connect(options).await?;
        drop(turn);
        let (counts, mut left) = (&self.counts, self.left.clone());
        bump(&counts.meter.connected);
        counts.connected_ns.fetch_max(clock::nanos() - counts.start_ns, Ordering::Relaxed);
        let mut subscription = client.subscribe(&reader.topic, start(&reader)).await?;
        let seen = reader.seen.map_or_else(|| joined(&subscription), Ok)?;
        let mut place = Place::after(seen, self.missed);
        let mut through = false;
        let mut batch = Vec::new();
        loop {
            if place.is_through() && !through {
                through = true;
                counts.meter.tally().delivered(counts.start_ns, clock::nanos());
                bump(&counts.meter.ready);
            }
            tokio::select! {
                biased;
                count = subscription.next_many(&mut batch) => {
                    if count == 0 {
                        let ended = || Error::System("a subscription ended".to_owned());
                        return Err(subscription.error().map_or_else(ended, Error::from));
                    }
                    self.count(&mut place, &mut batch);
                }
                _ = left.wait_for(|left| *left) => break,
            }
        }
        drop(subscription);
        // Everything has arrived or is lost; what this client did not finish does not matter.
        let _ = client.close().await;
        reader.seen = Some(place.seen);
        Ok(reader)
    }

    fn count(&self, place: &mut Place, batch: &mut Vec<Delivery>) {
        let (mut received, mut misplaced) = (0, 0);
        for delivery in batch.drain(..) {
            match delivery {
                Delivery::Message(message) => {
                    let told = message.payload_bytes().first_chunk();
                    let number = told.map_or(0, |bytes| u64::from_le_bytes(*bytes));
                    let next = place.take(message.position(), number);
                    received += u64::from(next);
                    misplaced += u64::from(!next);
                }
                Delivery::Gap(gap) => self.counts.meter.tally().lost += place.skip(&gap),
            }
        }
        self.counts.meter.received.fetch_add(received, Ordering::Relaxed);
        self.counts.misplaced.fetch_add(misplaced, Ordering::Relaxed);
    }
}

fn start(reader: &Reader) -> Start {
    let position = reader.seen.map(|seen| TopicPosition {
        topic: reader.topic.as_str().to_owned(),
        epoch: seen.epoch,
        offset: seen.offset,
    });
    position
        .map_or(Start::Now, |position| Start::Resume { joined_ms: 0, positions: vec![position] })
}

/// Where a first visit begins.
fn joined(subscription: &Subscription) -> Result<Position, Error> {
    let joined = subscription.joined_at();
    let joined = joined.and_then(|joined| Position::new(joined.epoch, joined.offset));
    joined.ok_or_else(|| Error::Broker("a subscription was told no position".to_owned()))
}

/// How far a reader is with what it came for.
#[derive(Debug)]
struct Place {
    seen: Position,
    last: u64,
}

impl Place {
    fn after(seen: Position, missed: u64) -> Self {
        Place { seen, last: seen.offset + missed }
    }

    fn is_through(&self) -> bool {
        self.seen.offset >= self.last
    }

    /// Whether this message, which says that it is the topic's `number`th, is the next.
    fn take(&mut self, position: Position, number: u64) -> bool {
        let next = Position { offset: self.seen.offset + 1, ..self.seen };
        let is_next = position == next && number == next.offset && next.offset <= self.last;
        if is_next {
            self.seen = next;
        }
        is_next
    }

    /// Goes past a gap; answers how many of the messages that it came for are in it.
    fn skip(&mut self, gap: &Gap) -> u64 {
        let before = self.seen.offset;
        if gap.epoch == self.seen.epoch {
            self.seen.offset = gap.to.clamp(before, self.last.max(before));
        }
        self.seen.offset - before
    }
}

#[cfg(test)]
mod tests {
    use sampan_client::GapReason;

    use super::*;

    fn at(offset: u64) -> Position {
        Position { epoch: 3, offset }
    }

    #[test]
    fn each_message_is_taken_once_and_in_its_place() {
        let mut place = Place::after(at(7), 2);
        assert!(!place.is_through());
        assert!(!place.take(at(9), 9), "too early");
        assert!(!place.take(Position { epoch: 2, offset: 8 }, 8), "another epoch");
        assert!(!place.take(at(8), 9), "another message");
        assert!(place.take(at(8), 8));
        assert!(!place.take(at(8), 8), "again");
        assert!(place.take(at(9), 9) && place.is_through());
        assert!(!place.take(at(10), 10), "more than there are");
    }

    #[test]
    fn a_gap_loses_only_what_a_reader_came_for() {
        let topic = Topic::parse("demo.room").expect("a topic");
        let gap = |from, to| Gap {
            topic: topic.clone(),
            epoch: 3,
            from,
            to,
            reason: GapReason::Retention,
        };
        let mut place = Place::after(at(7), 5);
        assert_eq!(place.skip(&gap(1, 6)), 0, "seen long since");
        assert_eq!(place.skip(&gap(8, 9)), 2);
        assert!(place.take(at(10), 10));
        assert_eq!(place.skip(&gap(11, 99)), 2);
        assert!(place.is_through());
    }
}
