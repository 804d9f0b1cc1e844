//! A disk that lets a test in: a read that takes as long as it likes, a write that panics.

use std::io::{IoSlice, Result};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::storage::faulty::FaultyFile;
use crate::storage::{File, Storage};

/// Called ahead of each read and write.
type Watch = Arc<dyn Fn(Kind) + Send + Sync>;

struct Watched(Faulty, Watch);

struct WatchedFile(FaultyFile, Watch);

impl Storage for Watched {
    type File = WatchedFile;

    fn list(&self) -> Result<Vec<String>> {
        self.0.list()
    }

    fn create(&self, name: &str) -> Result<WatchedFile> {
        self.0.create(name).map(|file| WatchedFile(file, self.1.clone()))
    }

    fn open(&self, name: &str) -> Result<WatchedFile> {
        self.0.open(name).map(|file| WatchedFile(file, self.1.clone()))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.0.remove(name)
    }

    fn sync_dir(&self) -> Result<()> {
        self.0.sync_dir()
    }
}

impl File for WatchedFile {
    fn len(&self) -> Result<u64> {
        self.0.len()
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> Result<usize> {
        (self.1)(Kind::Read);
        self.0.read_at(buffer, at)
    }

    fn write_at(&self, parts: &[IoSlice<'_>], at: u64) -> Result<()> {
        (self.1)(Kind::Write);
        self.0.write_at(parts, at)
    }

    fn sync(&self) -> Result<()> {
        self.0.sync()
    }

    fn set_len(&self, bytes: u64) -> Result<()> {
        self.0.set_len(bytes)
    }
}

/// Where a thread is held.
struct Gate {
    is_shut: AtomicBool,
    arrived: Sender<()>,
    open: Mutex<Receiver<()>>,
    /// Whether a thread that was held has gone on.
    has_passed: AtomicBool,
}

impl Gate {
    /// A gate that is open, what arrives when a thread is held at it, and what lets that go on.
    fn new() -> (Arc<Self>, Receiver<()>, Sender<()>) {
        let ((arrived, has_arrived), (open, opened)) = (channel(), channel());
        let (is_shut, has_passed) = (AtomicBool::new(false), AtomicBool::new(false));
        let gate = Gate { is_shut, arrived, open: Mutex::new(opened), has_passed };
        (Arc::new(gate), has_arrived, open)
    }

    fn shut(&self) {
        self.is_shut.store(true, Ordering::Release);
    }

    fn pass(&self) {
        if self.is_shut.swap(false, Ordering::AcqRel) {
            self.arrived.send(()).expect("the test waits for it");
            let _ = self.open.lock().expect("whole").recv_timeout(PATIENCE);
            self.has_passed.store(true, Ordering::Release);
        }
    }
}

fn start_watched(watch: Watch) -> Desk<Watched> {
    let place = Place::new();
    let options = Options { tail_bytes: 0, ..place.options };
    let log = Log::open(Watched(place.disk, watch), options, place.now).expect("opens");
    let (hooks, woken, events) = hooks();
    let front = Front::start(log, None, Settings::default(), hooks).expect("threads");
    Desk { front, woken, events }
}

/// A front whose reads, or whose writes, can be held at a gate.
fn start_gated(on: Kind, gate: &Arc<Gate>) -> Desk<Watched> {
    let gate = gate.clone();
    start_watched(Arc::new(move |kind| {
        if kind == on {
            gate.pass()
        }
    }))
}

fn read(ticket: u64) -> Request {
    let (ticket, from) = (Ticket(ticket), Start::Offset(1));
    Request::Read { ticket, topic_id: 7, from, max_bytes: 1 << 20, max_count: 9 }
}

#[test]
fn a_read_that_waits_for_the_disk_holds_up_neither_a_commit_nor_the_shard() {
    let (gate, has_arrived, open) = Gate::new();
    let mut desk = start_gated(Kind::Read, &gate);
    desk.append(1, run(1, &[100]), false).expect("taken");
    assert!(desk.is_stored(1));
    gate.shut();
    desk.submit(read(2)).expect("taken");
    has_arrived.recv_timeout(PATIENCE).expect("the disk is read");
    desk.append(3, run(2, &[100]), false).expect("taken");
    assert!(desk.is_stored(3));
    assert!(!gate.has_passed.load(Ordering::Acquire), "the commit has waited for the read");
    open.send(()).expect("it is held");
    loop {
        if let Completion::Page { runs, .. } = desk.next() {
            assert_eq!(runs.iter().map(|run| run.to).max(), Some(1));
            return;
        }
    }
}

/// The tickets that fail as fenced next, in order of their numbers; nothing else may be told.
fn fenced(desk: &mut Desk<Watched>, count: usize) -> Vec<u64> {
    let failed = (0..count).map(|_| match desk.next() {
        Completion::Failed { ticket, error: journal::Error::Fenced } => ticket.0,
        other => panic!("{other:?}"),
    });
    let mut failed: Vec<u64> = failed.collect();
    failed.sort_unstable();
    failed
}

#[test]
fn a_panic_while_writing_fails_what_is_in_hand_and_what_waits() {
    let (gate, has_arrived, open) = Gate::new();
    let (held, breaks) = (gate.clone(), Arc::new(AtomicBool::new(false)));
    let broken = breaks.clone();
    let mut desk = start_watched(Arc::new(move |kind| {
        if kind == Kind::Write {
            assert!(!broken.load(Ordering::Acquire), "this disk breaks whoever writes");
            held.pass();
        }
    }));
    gate.shut();
    desk.append(1, run(1, &[100]), false).expect("taken");
    has_arrived.recv_timeout(PATIENCE).expect("it is written");
    // The first two are taken together, the third is too heavy to go with them.
    desk.append(2, run(2, &[100]), false).expect("taken");
    desk.submit(open_of(3)).expect("taken");
    desk.put(4, "key", 2 << 20).expect("taken");
    breaks.store(true, Ordering::Release);
    open.send(()).expect("it is held");
    assert!(desk.is_stored(1));
    assert_eq!(fenced(&mut desk, 3), [2, 3, 4]);
    assert!(matches!(desk.events()[..], [Event::Fenced { .. }]), "{:?}", desk.events());
    assert_eq!(desk.put(5, "key", 1), Err(Refused::Fenced));
}

#[test]
fn a_panic_while_reading_fails_what_is_in_hand_and_what_waits() {
    let (gate, has_arrived, open) = Gate::new();
    let held = gate.clone();
    let mut desk = start_watched(Arc::new(move |kind| {
        if kind == Kind::Read {
            let was_shut = held.is_shut.load(Ordering::Acquire);
            held.pass();
            assert!(!was_shut, "this disk breaks whoever reads");
        }
    }));
    desk.append(1, run(1, &[100]), false).expect("taken");
    assert!(desk.is_stored(1));
    gate.shut();
    desk.submit(read(2)).expect("taken");
    has_arrived.recv_timeout(PATIENCE).expect("the disk is read");
    desk.submit(read(3)).expect("taken");
    desk.submit(read(4)).expect("taken");
    open.send(()).expect("it is held");
    assert_eq!(fenced(&mut desk, 3), [2, 3, 4]);
    assert_eq!(desk.submit(read(5)), Err(Refused::Fenced));
}

fn open_of(ticket: u64) -> Request {
    super::open(ticket, topic("a"))
}
