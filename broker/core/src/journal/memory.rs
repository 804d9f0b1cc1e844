//! A journal without a disk: keeps runs in memory, and plays the faults of a disk for tests.
//!
//! As a broker's own journal it gives `routed` and completes at the next poll. With a stronger
//! [`Config::best`] it pretends to be a disk: delays, failures, crashes that take what was not
//! synced; everything from a seed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sampan_protocol::{AckLevel, Now, Topic};

use super::chance::Chance;
use super::config::{Config, Faults, Lost};
use super::pending::{Append, Pending, Stuff, Waiting, Write};
use super::state::{Put, State};
use super::store::{Page, Store};
use super::{Completion, Error, Hole, Journal, Refused, Request, Ticket};
use crate::class::Table;

/// Retry-after when nothing waits that could make room.
const NO_ROOM: Duration = Duration::from_secs(1);

/// The journal in memory. Retention comes from the class table; its bytes are counted per topic here,
/// since the capacity bounds them all.
///
/// An age bound is enforced within a second. A run is dropped as a whole.
#[derive(Debug)]
pub struct Memory {
    config: Config,
    store: Store,
    chance: Chance,
    pending: Waiting,
    pending_bytes: usize,
    made: u64,
    /// Highest place of a write that has reached the best level.
    stored: u64,
    /// No completion of a put is due before this.
    puts_due: Option<Instant>,
    fenced: bool,
    /// What waited when the journal was fenced.
    doubtful: Vec<(Instant, Write)>,
    lost: Vec<Lost>,
}

impl Memory {
    /// An empty journal.
    #[must_use]
    pub fn new(config: Config, classes: Arc<Table>) -> Self {
        Memory {
            store: Store::new(classes, config.topics_max, config.dedupe_window),
            chance: Chance::new(config.seed),
            pending: Waiting::new(),
            pending_bytes: 0,
            made: 0,
            stored: 0,
            puts_due: None,
            fenced: false,
            doubtful: Vec::new(),
            lost: Vec::new(),
            config,
        }
    }

    /// Bytes that stored and waiting runs are counted with; at most the capacity.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.store.bytes() + self.pending_bytes
    }

    /// Every topic that was ever opened or appended to, by name; also after a crash.
    #[must_use]
    pub fn topics(&self) -> Vec<Topic> {
        self.store.topics().into_iter().map(|(topic, _)| topic).collect()
    }

    /// Plays other faults from the next request on.
    pub fn set_faults(&mut self, faults: Faults) {
        self.config.faults = faults;
    }

    /// Plays damage: the stored runs with any of these offsets are gone, and reads tell so.
    pub fn damage(&mut self, topic: &Topic, hole: Hole) {
        self.store.damage(topic, hole);
    }

    /// Plays a write error: all waiting appends and puts fail, and requests are refused until
    /// [`Memory::recover`]. If a crash comes first, it may find that some of them were stored.
    pub fn fence(&mut self, now: Now) {
        self.fenced = true;
        let (writes, others) = self.take_writes();
        self.pending = others;
        for (_, Write { ticket, outcome, .. }) in &writes {
            let error = outcome.as_ref().err().copied().unwrap_or(Error::Fenced);
            self.wait(now.mono, Pending::Failed { ticket: *ticket, error });
        }
        self.doubtful = writes;
    }

    /// Plays a power cut. No request that is waiting is answered, and requests are refused until
    /// [`Memory::recover`].
    ///
    /// What was completed at the best level stays, and with it whatever was submitted before it. Of
    /// what was `Logged` and waited for its flush a random tail is gone, and so is what was not even
    /// logged and everything after it. With `Routed` as the best level everything is gone, and the
    /// epoch rises. Topic ids are forgotten; offsets are not.
    pub fn crash(&mut self) {
        self.fenced = true;
        let (waiting, _) = self.take_writes();
        let mut writes = std::mem::take(&mut self.doubtful);
        writes.extend(waiting);
        match self.config.best {
            AckLevel::Routed => self.lose_everything(),
            _ => self.lose_tail(writes),
        }
        self.store.forget_ids();
    }

    /// Ends what [`Memory::fence`] or [`Memory::crash`] began, and tells what was lost, by topic.
    pub fn recover(&mut self) -> Vec<Lost> {
        self.fenced = false;
        self.doubtful.clear();
        std::mem::take(&mut self.lost)
    }

    fn lose_everything(&mut self) {
        self.config.epoch += 1;
        self.store.state = State::default();
        for (topic, index) in self.store.topics() {
            let hole = self.store.reset(index, self.config.epoch);
            self.lost.extend(hole.map(|hole| Lost { topic, hole }));
        }
    }

    fn lose_tail(&mut self, writes: Vec<(Instant, Write)>) {
        let owed = writes.iter().take_while(|(_, write)| write.place < self.stored).count();
        let later = writes.iter().skip(owed);
        let survives = |write: &Write| match self.config.best {
            AckLevel::Logged => false,
            _ => write.is_logged || write.outcome.is_err(),
        };
        let logged = later.take_while(|(_, write)| survives(write)).count() as u64;
        let more = self.chance.below(logged + 1);
        let surviving = owed.saturating_add(usize::try_from(more).unwrap_or(0));
        for (due, write) in writes.into_iter().take(surviving) {
            if let Ok(stuff) = write.outcome {
                self.keep(write.index, stuff, due);
            }
        }
        for (topic, index) in self.store.topics() {
            let hole = self.store.lose_tail(index);
            self.lost.extend(hole.map(|hole| Lost { topic, hole }));
        }
    }

    /// Takes all waiting requests: the writes in the order of submission with when they are due,
    /// and the rest.
    fn take_writes(&mut self) -> (Vec<(Instant, Write)>, Waiting) {
        self.pending_bytes = 0;
        let (mut writes, mut others) = (Vec::new(), Waiting::new());
        for (due, pending) in std::mem::take(&mut self.pending) {
            match pending {
                Pending::Log(write) | Pending::Store(write) => writes.push((due.0, write)),
                other => {
                    others.insert(due, other);
                }
            }
        }
        writes.sort_by_key(|(_, write)| write.place);
        (writes, others)
    }

    fn append(&mut self, now: Now, append: Append) -> Result<(), Refused> {
        let Append { ticket, topic_id, topic, epoch, run, early, replaces } = append;
        let stuff = Stuff::Run { run: run.clone(), replaces };
        let fits = self.make_room(now, stuff.cost())?;
        let Some(index) = self.store.open(topic_id, &topic) else {
            self.wait(now.mono, Pending::Failed { ticket, error: Error::TooManyTopics });
            return Ok(());
        };
        let given = self.store.logs[index].give(epoch, &run);
        let allowed = given.and_then(|()| fits.then_some(stuff).ok_or(Error::TooLarge));
        if early && allowed.is_ok() && self.config.best > AckLevel::Routed {
            self.wait(now.mono, Pending::Show { ticket });
        }
        self.write(now, ticket, Some(index), allowed);
        Ok(())
    }

    fn put(&mut self, now: Now, ticket: Ticket, values: Vec<Put>) -> Result<(), Refused> {
        let stuff = Stuff::Values(values);
        let fits = self.make_room(now, stuff.cost())?;
        self.write(now, ticket, None, fits.then_some(stuff).ok_or(Error::TooLarge));
        Ok(())
    }

    /// Makes room for so many bytes more; `false` if they never fit.
    fn make_room(&mut self, now: Now, bytes: usize) -> Result<bool, Refused> {
        let capacity = self.config.capacity_bytes;
        let wanted = self.pending_bytes.saturating_add(bytes);
        match (bytes <= capacity, wanted <= capacity) {
            (false, _) => Ok(false),
            (true, true) if self.store.make_room(wanted, capacity) => Ok(true),
            _ => Err(self.full(now)),
        }
    }

    fn write(
        &mut self,
        now: Now,
        ticket: Ticket,
        index: Option<usize>,
        allowed: Result<Stuff, Error>,
    ) {
        let unlucky = self.chance.below(1_000_000) < self.config.faults.fail_ppm.into();
        let outcome = if unlucky { allowed.and(Err(Error::Storage)) } else { allowed };
        self.pending_bytes += outcome.as_ref().map_or(0, Stuff::cost);
        self.made += 1;
        let write = Write { ticket, place: self.made, index, is_logged: false, outcome };
        let pending = match self.config.best {
            AckLevel::Routed | AckLevel::Logged => Pending::Store(write),
            AckLevel::Synced | AckLevel::Replicated => Pending::Log(write),
        };
        self.wait_in_order(now.mono, index, pending);
    }

    fn keep(&mut self, index: Option<usize>, stuff: Stuff, at: Instant) {
        match (stuff, index) {
            (Stuff::Run { run, replaces }, Some(index)) => {
                self.store.push(index, run, &replaces, at);
            }
            (Stuff::Values(values), _) => self.store.put(values),
            (Stuff::Run { .. }, None) => {}
        }
    }

    /// Makes a request due after a delay.
    fn wait_delayed(&mut self, now: Now, pending: Pending) {
        let due = now.mono + self.chance.within(&self.config.faults.delay);
        self.wait(due, pending);
    }

    /// Makes a write due after a delay, but not before those of its topic, or the puts, that wait
    /// already.
    fn wait_in_order(&mut self, from: Instant, index: Option<usize>, pending: Pending) {
        let due = from + self.chance.within(&self.config.faults.delay);
        let before = match index {
            Some(index) => &mut self.store.logs[index].due,
            None => &mut self.puts_due,
        };
        let due = before.map_or(due, |before| due.max(before));
        *before = Some(due);
        self.wait(due, pending);
    }

    fn wait(&mut self, due: Instant, pending: Pending) {
        self.made += 1;
        self.pending.insert((due, self.made), pending);
    }

    fn full(&self, now: Now) -> Refused {
        let next = self.pending.first_key_value().map(|((due, _), _)| *due);
        let wait = next.map_or(NO_ROOM, |due| due.saturating_duration_since(now.mono));
        Refused::Full { retry_after: wait.max(Duration::from_millis(1)) }
    }

    /// Does the next step that is due by now, up to one that completes something.
    fn step(&mut self, now: Now) -> Option<Completion> {
        loop {
            let entry = self.pending.first_entry().filter(|entry| entry.key().0 <= now.mono)?;
            let ((due, _), pending) = entry.remove_entry();
            match pending {
                Pending::Failed { ticket, error } => {
                    return Some(Completion::Failed { ticket, error });
                }
                Pending::Open { ticket, topic_id } => {
                    return Some(self.opened(now, ticket, topic_id));
                }
                Pending::Read { ticket, topic_id, from, max_bytes, max_count } => {
                    let page = self.store.page(topic_id, from, max_bytes, max_count);
                    let Page { floor, next, from, runs, damaged } = page;
                    return Some(Completion::Page { ticket, floor, from, next, runs, damaged });
                }
                Pending::Load { ticket, prefix, after, max_bytes } => {
                    let (values, more) = self.store.state.load(&prefix, after, max_bytes);
                    return Some(Completion::Values { ticket, values, more });
                }
                Pending::Show { ticket } => {
                    return Some(Completion::Stored { ticket, level: AckLevel::Routed });
                }
                Pending::Log(write) => {
                    let (ticket, index, works) = (write.ticket, write.index, write.outcome.is_ok());
                    let write = Write { is_logged: works, ..write };
                    self.wait_in_order(due, index, Pending::Store(write));
                    if works {
                        return Some(Completion::Stored { ticket, level: AckLevel::Logged });
                    }
                }
                Pending::Store(Write { ticket, place, index, outcome, .. }) => {
                    let stuff = match outcome {
                        Ok(stuff) => stuff,
                        Err(error) => return Some(Completion::Failed { ticket, error }),
                    };
                    self.pending_bytes -= stuff.cost();
                    self.stored = self.stored.max(place);
                    self.keep(index, stuff, now.mono);
                    return Some(Completion::Stored { ticket, level: self.config.best });
                }
            }
        }
    }

    fn opened(&mut self, now: Now, ticket: Ticket, topic_id: u64) -> Completion {
        let Some(log) = self.store.log_mut(topic_id) else {
            return Completion::Failed { ticket, error: Error::TooManyTopics };
        };
        let epoch = *log.epoch.get_or_insert(self.config.epoch);
        let (floor, next, lost) = (log.floor(), log.given() + 1, log.holes());
        let (seen, keys) = log.window.all(now.mono);
        Completion::Opened { ticket, topic_id, epoch, floor, next, lost, seen, keys }
    }
}

impl Journal for Memory {
    fn best(&self) -> AckLevel {
        self.config.best
    }

    fn submit(&mut self, now: Now, request: Request) -> Result<(), Refused> {
        if self.fenced {
            return Err(Refused::Fenced);
        }
        if self.pending.len() >= self.config.pending_max {
            return Err(self.full(now));
        }
        match request {
            Request::Append { ticket, topic_id, topic, epoch, run, early, replaces } => {
                let append = Append { ticket, topic_id, topic, epoch, run, early, replaces };
                return self.append(now, append);
            }
            Request::Put { ticket, values } => return self.put(now, ticket, values),
            Request::Open { ticket, topic_id, topic } => {
                // A topic too many is told by the completion.
                self.store.open(topic_id, &topic);
                self.wait_delayed(now, Pending::Open { ticket, topic_id });
            }
            Request::Read { ticket, topic_id, from, max_bytes, max_count } => {
                let read = Pending::Read { ticket, topic_id, from, max_bytes, max_count };
                self.wait_delayed(now, read);
            }
            Request::Load { ticket, prefix, after, max_bytes } => {
                let load = Pending::Load { ticket, prefix, after, max_bytes };
                self.wait_delayed(now, load);
            }
            Request::Pin { topic_id, name, offset } => self.store.pin(topic_id, name, offset),
        }
        Ok(())
    }

    fn poll(&mut self, now: Now) -> Option<Completion> {
        loop {
            if let Some((topic_id, floor)) = self.store.moved() {
                return Some(Completion::Floor { topic_id, floor });
            }
            if let Some(completion) = self.step(now) {
                return Some(completion);
            }
            if !self.store.expire(now.mono) {
                return None;
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let next = self.pending.first_key_value().map(|((due, _), _)| *due);
        next.into_iter().chain(self.store.deadline()).min()
    }
}

#[cfg(test)]
mod tests;
