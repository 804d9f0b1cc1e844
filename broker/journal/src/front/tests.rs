//! A journal with its threads: what is told and in which order, what a failing disk does to it, and
//! that it ends whole.

mod watched;

use std::io::ErrorKind;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use sampan_core::journal::{self, Completion, Journal, Refused, Request, Run, Start, Ticket};
use sampan_protocol::{AckLevel, Topic};

use super::commit::now;
use super::{Event, Front, Hooks, Settings};
use crate::storage::Disk;
use crate::storage::faulty::{Fault, Faulty, Kind};
use crate::tests::{Place, run, topic};
use crate::{Log, Options, Stored};

/// Not a measure of speed: how long anything that must happen may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A front, and what wakes and reports arrive at.
struct Desk<S: crate::storage::Storage> {
    front: Front<S>,
    woken: Receiver<()>,
    events: Arc<Mutex<Vec<Event>>>,
}

fn hooks() -> (Hooks, Receiver<()>, Arc<Mutex<Vec<Event>>>) {
    let (wake, woken): (Sender<()>, _) = channel();
    let events = Arc::new(Mutex::new(Vec::new()));
    let reported = events.clone();
    let report = Arc::new(move |event| reported.lock().expect("whole").push(event));
    // A test that has ended listens no more.
    (Hooks { wake: Arc::new(move || _ = wake.send(())), report }, woken, events)
}

fn start(place: &Place, settings: Settings) -> Desk<Faulty> {
    let (hooks, woken, events) = hooks();
    let front = Front::start(place.open(), None, settings, hooks).expect("threads");
    Desk { front, woken, events }
}

impl<S: crate::storage::Storage> Desk<S> {
    fn submit(&mut self, request: Request) -> Result<(), Refused> {
        self.front.submit(now(), request)
    }

    fn append(&mut self, ticket: u64, run: Arc<Run>, early: bool) -> Result<(), Refused> {
        self.submit(append(ticket, "a", run, early))
    }

    fn put(&mut self, ticket: u64, key: &'static str, bytes: usize) -> Result<(), Refused> {
        let values = vec![(Bytes::from_static(key.as_bytes()), Some(vec![7; bytes].into()))];
        self.submit(Request::Put { ticket: Ticket(ticket), values })
    }

    /// What comes next.
    fn next(&mut self) -> Completion {
        loop {
            match self.front.poll(now()) {
                Some(completion) => return completion,
                None => self.woken.recv_timeout(PATIENCE).expect("something is told"),
            }
        }
    }

    /// Levels of a ticket as they are told, up to the last one or its failure.
    fn levels(&mut self, ticket: u64) -> (Vec<AckLevel>, Option<journal::Error>) {
        let mut levels = Vec::new();
        loop {
            match self.next() {
                Completion::Stored { ticket: Ticket(of), level } if of == ticket => {
                    levels.push(level);
                    if level == AckLevel::Synced {
                        return (levels, None);
                    }
                }
                Completion::Failed { ticket: Ticket(of), error } if of == ticket => {
                    return (levels, Some(error));
                }
                _ => {}
            }
        }
    }

    fn is_stored(&mut self, ticket: u64) -> bool {
        self.levels(ticket).1.is_none()
    }

    /// The offsets of all messages of `a`.
    fn offsets(&mut self, topic_id: u64) -> Vec<u64> {
        let (ticket, from) = (Ticket(999), Start::Offset(1));
        let read = Request::Read { ticket, topic_id, from, max_bytes: 1 << 30, max_count: 1 << 20 };
        self.submit(read).expect("taken");
        loop {
            if let Completion::Page { runs, .. } = self.next() {
                return runs.iter().flat_map(|run| run.from..=run.to).collect();
            }
        }
    }

    fn events(&self) -> Vec<Event> {
        self.events.lock().expect("whole").clone()
    }
}

fn append(ticket: u64, name: &str, run: Arc<Run>, early: bool) -> Request {
    let (ticket, topic, replaces) = (Ticket(ticket), topic(name), Vec::new());
    Request::Append { ticket, topic_id: 7, topic, epoch: 1, run, early, replaces }
}

fn open(ticket: u64, topic: Topic) -> Request {
    Request::Open { ticket: Ticket(ticket), topic_id: 7, topic }
}

#[test]
fn each_level_is_told_once_and_weakest_first() {
    use AckLevel::{Logged, Routed, Synced};
    let mut desk = start(&Place::new(), Settings::default());
    desk.append(1, run(1, &[100, 100]), false).expect("taken");
    assert_eq!(desk.levels(1), (vec![Logged, Synced], None));
    desk.append(2, run(3, &[100]), true).expect("taken");
    assert_eq!(desk.levels(2), (vec![Routed, Logged, Synced], None));
    desk.put(3, "key", 10).expect("taken");
    assert_eq!(desk.levels(3), (vec![Logged, Synced], None));
    assert_eq!(desk.offsets(7), [1, 2, 3]);
    let prefix = Bytes::from_static(b"k");
    let load = Request::Load { ticket: Ticket(4), prefix, after: None, max_bytes: 1 << 20 };
    desk.submit(load).expect("taken");
    let Completion::Values { values, more, .. } = desk.next() else { panic!("values") };
    assert_eq!((values.len(), more), (1, false));
    assert_eq!(desk.front.monitor().report().messages, 3);
}

#[test]
fn an_open_tells_of_everything_that_was_handed_over_before_it() {
    let mut desk = start(&Place::new(), Settings::default());
    for offset in 1..=50 {
        desk.append(offset, run(offset, &[100]), false).expect("taken");
    }
    desk.submit(open(51, topic("a"))).expect("taken");
    loop {
        if let Completion::Opened { next, floor, .. } = desk.next() {
            assert_eq!((next, floor), (51, 1));
            return;
        }
    }
}

#[test]
fn what_cannot_be_appended_fails_alone_and_in_its_turn() {
    let mut desk = start(&Place::new(), Settings::default());
    desk.append(1, run(5, &[100]), false).expect("taken");
    desk.append(2, run(5, &[100]), false).expect("taken");
    desk.append(3, run(6, &[100]), false).expect("taken");
    let mut ends = Vec::new();
    while ends.len() < 3 {
        match desk.next() {
            Completion::Stored { ticket, level: AckLevel::Synced } => ends.push((ticket.0, None)),
            Completion::Failed { ticket, error } => ends.push((ticket.0, Some(error))),
            _ => {}
        }
    }
    assert_eq!(ends, [(1, None), (2, Some(journal::Error::OffsetReused)), (3, None)]);
}

#[test]
fn a_failing_disk_fences_and_acknowledges_nothing() {
    for on in [Kind::Sync, Kind::Write] {
        let place = Place::new();
        let mut desk = start(&place, Settings::default());
        desk.append(1, run(1, &[100]), false).expect("taken");
        assert!(desk.is_stored(1));
        place.disk.fail(Fault { on, skip: 0, times: 1, error: ErrorKind::Other });
        desk.append(2, run(2, &[100]), false).expect("taken");
        let (levels, error) = desk.levels(2);
        assert!(levels.is_empty() && error.is_some(), "{levels:?} {error:?}");
        let refused = || Err(Refused::Fenced);
        assert_eq!(desk.append(3, run(3, &[100]), false), refused());
        assert_eq!(desk.put(4, "key", 1), refused());
        assert!(matches!(desk.events()[..], [Event::Fenced { .. }]), "{:?}", desk.events());
        assert!(desk.front.monitor().report().fenced);
        drop(desk);
        place.disk.heal();
        let mut desk = start(&place, Settings::default());
        desk.submit(open(1, topic("a"))).expect("taken");
        desk.next();
        assert!(desk.offsets(7).starts_with(&[1]), "what was acknowledged is there");
    }
}

#[test]
fn beyond_its_bound_nothing_is_taken_and_acks_have_room_of_their_own() {
    let place = Place::new();
    let settings = Settings { queue_bytes: 10_000, ..Settings::default() };
    let mut desk = start(&place, settings);
    let mut next = 1;
    let refused = loop {
        match desk.append(next, run(next, &[4000]), false) {
            Ok(()) => next += 1,
            Err(refused) => break refused,
        }
        assert!(next < 1_000_000, "a writer that is always faster");
    };
    assert!(matches!(refused, Refused::Full { retry_after } if retry_after > Duration::ZERO));
    desk.put(1 << 40, "key", 1000).expect("room for an ack");
    assert!(desk.is_stored(1 << 40));
    assert_eq!(desk.front.monitor().report().refused, 1);
}

#[test]
fn a_full_disk_refuses_messages_and_takes_acks_until_there_is_space() {
    let place = Place::new();
    let mut desk = start(&place, Settings::default());
    place.disk.limit(place.disk.used());
    let mut next = 1;
    while desk.append(next, run(next, &[4000]), false).is_ok() {
        desk.levels(next);
        next += 1;
        assert!(next < 1000, "a disk without end");
    }
    assert!(desk.events().contains(&Event::Full) && desk.front.monitor().report().full);
    desk.put(1 << 40, "key", 100).expect("taken");
    assert!(desk.is_stored(1 << 40), "an ack is stored");
    place.disk.heal();
    loop {
        next += 1;
        if desk.append(next, run(next, &[100]), false).is_ok() && desk.is_stored(next) {
            break;
        }
        std::thread::yield_now();
    }
    assert!(desk.events().contains(&Event::Room));
    assert!(!desk.events().iter().any(|event| matches!(event, Event::Fenced { .. })));
}

#[test]
fn what_waits_is_stored_when_it_ends_and_the_log_is_closed() {
    let place = Place::new();
    let mut desk = start(&place, Settings::default());
    for offset in 1..=200 {
        desk.append(offset, run(offset, &[100]), true).expect("taken");
    }
    drop(desk);
    let log = place.open();
    assert!(log.opening.clean);
    let standing = log.reader.standing(&topic("a"), now()).expect("read");
    assert_eq!((standing.next, standing.lost), (201, Vec::new()));
}

/// A log in a real directory, with its checkpoint.
fn stored(path: &std::path::Path, options: &Options) -> Stored {
    Stored::open(path, options.clone(), now()).expect("opens")
}

fn start_stored(stored: Stored) -> Desk<Disk> {
    let (hooks, woken, events) = hooks();
    let Stored { log, index, .. } = stored;
    let front = Front::start(log, index, Settings::default(), hooks).expect("threads");
    Desk { front, woken, events }
}

fn keys(log: &Log<Disk>) -> usize {
    log.reader.load(b"", None, 1 << 30).expect("read").0.len()
}

#[test]
fn an_index_spares_the_gathering_and_is_never_the_truth() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, options) = (directory.path(), Place::new().options);
    let mut desk = start_stored(stored(path, &options));
    for (ticket, key) in [(1, "a"), (2, "b"), (3, "c")] {
        desk.put(ticket, key, 2000).expect("taken");
        assert!(desk.is_stored(ticket));
    }
    drop(desk);
    let again = stored(path, &options);
    assert!(again.log.opening.known && again.fault.is_none(), "{:?}", again.fault);
    assert_eq!(keys(&again.log), 3);
    let mut desk = start_stored(again);
    let values = vec![(Bytes::from_static(b"b"), None)];
    desk.submit(Request::Put { ticket: Ticket(4), values }).expect("taken");
    assert!(desk.is_stored(4));
    drop(desk);
    let again = stored(path, &options);
    assert!(again.log.opening.known);
    assert_eq!(keys(&again.log), 2);
    drop(start_stored(again));

    // An older checkpoint is one that the log goes on from.
    let old = directory.path().join("old");
    copy(&path.join("index"), &old);
    let mut desk = start_stored(stored(path, &options));
    desk.put(1, "d", 10).expect("taken");
    assert!(desk.is_stored(1));
    drop(desk);
    std::fs::remove_dir_all(path.join("index")).expect("there");
    std::fs::rename(&old, path.join("index")).expect("moved");
    let again = stored(path, &options);
    assert_eq!((again.log.opening.known, keys(&again.log)), (true, 3));
    drop(start_stored(again));

    // One that is gone, or damaged, costs a rebuild.
    std::fs::remove_dir_all(path.join("index")).expect("there");
    let again = stored(path, &options);
    assert_eq!((again.log.opening.known, keys(&again.log)), (false, 3));
    drop(start_stored(again));
    std::fs::write(path.join("index/db"), [0xA5; 5000]).expect("written");
    let again = stored(path, &options);
    assert_eq!((again.log.opening.known, keys(&again.log)), (false, 3));
    drop(start_stored(again));
    assert!(stored(path, &options).log.opening.known, "rebuilt");
}

#[test]
fn an_index_that_is_ahead_of_its_log_is_moved_aside() {
    let directory = tempfile::tempdir().expect("a directory");
    let (path, options) = (directory.path().join("log"), Place::new().options);
    drop(start_stored(stored(&path, &options)));
    let older = directory.path().join("older");
    copy(&path, &older);
    let mut desk = start_stored(stored(&path, &options));
    for ticket in 1..10 {
        desk.put(ticket, "late", 10).expect("taken");
        assert!(desk.is_stored(ticket));
    }
    drop(desk);
    std::fs::remove_dir_all(older.join("index")).expect("there");
    copy(&path.join("index"), &older.join("index"));
    let again = stored(&older, &options);
    assert!(!again.log.opening.known && again.fault.is_some());
    assert_eq!(keys(&again.log), 0);
    assert!(older.join("index.bad.1").is_dir());
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("listed") {
        let entry = entry.expect("listed");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("copied");
        }
    }
}
