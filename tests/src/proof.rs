//! What a proof tells in the end: how many cases it ran, what else it counted, and whether it held.

use std::env;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Names the file to which every proof adds a line; see `scripts/crash.sh`.
const TABLE: &str = "CRASH_TABLE";

/// A proof that runs. When it is dropped it tells its cases, and one violation if it has failed or
/// panics: a violation ends it.
#[derive(Debug)]
pub struct Proof {
    name: &'static str,
    cases: AtomicU64,
    failed: bool,
    notes: Vec<String>,
}

impl Proof {
    /// A proof of this name that has run no case yet.
    #[must_use]
    pub fn of(name: &'static str) -> Self {
        Proof { name, cases: AtomicU64::new(0), failed: false, notes: Vec::new() }
    }

    /// So many cases more have been run.
    pub fn ran(&self, cases: u64) {
        self.cases.fetch_add(cases, Ordering::Relaxed);
    }

    /// How many cases have been run.
    #[must_use]
    pub fn cases(&self) -> u64 {
        self.cases.load(Ordering::Relaxed)
    }

    /// Something else that was counted.
    pub fn note(&mut self, counted: impl fmt::Display) {
        self.notes.push(counted.to_string());
    }

    /// Ends it with what was found, which is handed on.
    ///
    /// # Errors
    /// What was found to be wrong.
    pub fn end(mut self, found: Result<String, String>) -> Result<String, String> {
        self.failed = found.is_err();
        self.notes.extend(found.clone());
        found
    }

    /// Plays every number below `count` once, on all cores; `play` answers how many cases it ran.
    pub fn each(&self, count: u64, play: impl Fn(u64) -> u64 + Sync) {
        self.play(&|number, _| number < count, &play);
    }

    /// Plays numbers from 0 on, on all cores, until there were so many cases.
    pub fn until(&self, wanted: u64, play: impl Fn(u64) -> u64 + Sync) {
        self.play(&|_, ran| ran < wanted, &play);
    }

    fn play(
        &self,
        goes_on: &(dyn Fn(u64, u64) -> bool + Sync),
        play: &(dyn Fn(u64) -> u64 + Sync),
    ) {
        let next = AtomicU64::new(0);
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if !goes_on(number, self.cases()) {
                    return;
                }
                self.ran(play(number));
            }
        };
        thread::scope(|scope| {
            let cores = thread::available_parallelism().map_or(1, usize::from);
            (1..cores).for_each(|_| drop(scope.spawn(work)));
            work();
        });
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} cases", self.name, self.cases())?;
        self.notes.iter().try_for_each(|note| write!(f, ", {note}"))
    }
}

impl Drop for Proof {
    fn drop(&mut self) {
        println!("{self}");
        let Some(path) = env::var_os(TABLE) else { return };
        let violations = u64::from(self.failed || thread::panicking());
        let (name, notes) = (self.name, &self.notes);
        let line = format!("{name}\t{}\t{violations}\t{}\n", self.cases(), notes.join(", "));
        let told = OpenOptions::new().create(true).append(true).open(&path);
        if let Err(error) = told.and_then(|mut table| table.write_all(line.as_bytes())) {
            println!("{}: {error}", path.display());
        }
    }
}

#[test]
fn every_number_is_played_once_and_no_more_than_are_wanted_begin() {
    let sum = AtomicU64::new(0);
    let proof = Proof::of("a sum");
    proof.each(100, |number| {
        sum.fetch_add(number, Ordering::Relaxed);
        2
    });
    assert_eq!((sum.into_inner(), proof.cases()), (4950, 200));
    let mut proof = Proof::of("enough");
    proof.until(1000, |_| 100);
    let cores = thread::available_parallelism().map_or(1, usize::from) as u64;
    assert!((1000..1000 + 100 * cores).contains(&proof.cases()), "{proof}");
    proof.note("2 halves");
    assert!(proof.to_string().ends_with("00 cases, 2 halves"));
}
