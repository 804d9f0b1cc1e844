//! `kill -9` at random moments: what was logged is still there, and the next process goes on.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use sampan_tests::chance::Chance;
use sampan_tests::history::Level;
use sampan_tests::proof::Proof;

use crate::report::Said;

/// Processes that are killed over one store before it is drained.
const KILLS_PER_STORE: u64 = 10;

/// This program as a witness.
fn witness(arguments: &[&str]) -> Child {
    let program = env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::piped()).spawn().expect("started")
}

/// Everything that a child says until it ends; a line that it did not end is not said.
fn listen(child: &mut Child, said: &mut Said) {
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    while out.read_line(&mut line).is_ok_and(|bytes| bytes > 0) {
        if let Some(whole) = line.strip_suffix('\n') {
            said.hear(whole);
        }
        line.clear();
    }
}

fn kill_one(directory: &Path, seed: u64, after: Duration, said: &mut Said) {
    let path = directory.to_str().expect("text");
    let mut child = witness(&["write", path, &seed.to_string()]);
    let id = child.id();
    let killer = thread::spawn(move || {
        thread::sleep(after);
        let killed = Command::new("kill").args(["-9", &id.to_string()]).status();
        assert!(killed.expect("kill runs").success(), "the witness ended by itself");
    });
    listen(&mut child, said);
    killer.join().expect("killed");
    child.wait().expect("ended");
}

/// Runs the kills; what was found.
pub(crate) fn run() -> Result<String, String> {
    let proof = Proof::of("kills of a log");
    let found = kill_all(&proof);
    proof.end(found)
}

fn kill_all(proof: &Proof) -> Result<String, String> {
    let kills: u64 = if crate::full() { 200 } else { 20 };
    let mut chance = Chance::of(kills, "kill", 0);
    let (mut acked, mut kept) = (0, 0);
    for store in 0..kills / KILLS_PER_STORE {
        let directory = tempfile::tempdir().expect("a directory");
        let mut said = Said::default();
        for number in 0..KILLS_PER_STORE {
            let after = Duration::from_millis(chance.between(&(50..=800)));
            kill_one(directory.path(), store * KILLS_PER_STORE + number + 1, after, &mut said);
            proof.ran(1);
        }
        // Twice: the second look sees what the first one has repaired.
        for look in 0..2 {
            said.look_again();
            let path = directory.path().to_str().expect("text");
            let mut child = witness(&["drain", path]);
            listen(&mut child, &mut said);
            child.wait().expect("ended");
            let report = said.check(Level::Logged)?;
            if report.violations() > 0 {
                return Err(format!("store {store}, look {look}: {report}"));
            }
            (acked, kept) = (acked + report.acked * (1 - look), kept + report.kept * (1 - look));
        }
    }
    if acked == 0 {
        return Err("nothing was acknowledged".to_owned());
    }
    Ok(format!("{acked} acked, {kept} kept, 0 lost"))
}
