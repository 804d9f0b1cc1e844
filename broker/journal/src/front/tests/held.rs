//! A disk that holds a read for as long as it likes.

use std::io::{IoSlice, Result};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::storage::faulty::FaultyFile;
use crate::storage::{File, Storage};

/// Where reads are held.
struct Gate {
    is_shut: AtomicBool,
    arrived: Sender<()>,
    open: Mutex<Receiver<()>>,
    /// Whether a read that was held has gone on.
    has_passed: AtomicBool,
}

impl Gate {
    fn pass(&self) {
        if self.is_shut.swap(false, Ordering::AcqRel) {
            self.arrived.send(()).expect("the test waits for it");
            let _ = self.open.lock().expect("whole").recv_timeout(PATIENCE);
            self.has_passed.store(true, Ordering::Release);
        }
    }
}

struct Held(Faulty, Arc<Gate>);

struct HeldFile(FaultyFile, Arc<Gate>);

impl Storage for Held {
    type File = HeldFile;

    fn list(&self) -> Result<Vec<String>> {
        self.0.list()
    }

    fn create(&self, name: &str) -> Result<HeldFile> {
        self.0.create(name).map(|file| HeldFile(file, self.1.clone()))
    }

    fn open(&self, name: &str) -> Result<HeldFile> {
        self.0.open(name).map(|file| HeldFile(file, self.1.clone()))
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

impl File for HeldFile {
    fn len(&self) -> Result<u64> {
        self.0.len()
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> Result<usize> {
        self.1.pass();
        self.0.read_at(buffer, at)
    }

    fn write_at(&self, parts: &[IoSlice<'_>], at: u64) -> Result<()> {
        self.0.write_at(parts, at)
    }

    fn sync(&self) -> Result<()> {
        self.0.sync()
    }

    fn set_len(&self, bytes: u64) -> Result<()> {
        self.0.set_len(bytes)
    }
}

#[test]
fn a_read_that_waits_for_the_disk_holds_up_neither_a_commit_nor_the_shard() {
    let ((arrived, has_arrived), (open, opened)) = (channel(), channel());
    let (is_shut, has_passed) = (AtomicBool::new(false), AtomicBool::new(false));
    let gate = Arc::new(Gate { is_shut, arrived, open: Mutex::new(opened), has_passed });
    let place = Place::new();
    let options = Options { tail_bytes: 0, ..place.options };
    let log = Log::open(Held(place.disk, gate.clone()), options, place.now).expect("opens");
    let (hooks, woken, events) = hooks();
    let front = Front::start(log, None, Settings::default(), hooks).expect("threads");
    let mut desk = Desk { front, woken, events };
    desk.append(1, run(1, &[100]), false).expect("taken");
    assert!(desk.is_stored(1));
    gate.is_shut.store(true, Ordering::Release);
    let (ticket, from) = (Ticket(2), Start::Offset(1));
    let read = Request::Read { ticket, topic_id: 7, from, max_bytes: 1 << 20, max_count: 9 };
    desk.submit(read).expect("taken");
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
