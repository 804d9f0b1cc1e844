//! `sampan journal`: a store that runs, a store at rest, and one that has rotted.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Broker, sampan};

/// Exit code, standard output and standard error of a command.
fn run(directory: &Path, args: &[&str]) -> (i32, String, String) {
    let done = Command::output(&mut sampan(directory, args)).expect("run");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (done.status.code().expect("a code"), text(done.stdout), text(done.stderr))
}

/// Sealed segments that hold this text.
fn segments_with(directory: &Path, text: &[u8]) -> Vec<(PathBuf, usize)> {
    let mut found = Vec::new();
    for log in std::fs::read_dir(directory.join("sampan-data/journal")).expect("logs") {
        for file in std::fs::read_dir(log.expect("a log").path()).expect("files") {
            let path = file.expect("a file").path();
            if path.extension().is_some_and(|ending| ending == "seg") {
                let bytes = std::fs::read(&path).expect("read");
                let at = bytes.windows(text.len()).position(|part| part == text);
                found.extend(at.map(|at| (path, at)));
            }
        }
    }
    found
}

#[test]
fn a_journal_at_rest_is_looked_at_checked_and_mended() {
    let broker = Broker::start();
    for payload in ["first", "a payload that will rot", "last"] {
        assert_eq!(broker.run(&["pub", "order.1", payload]).code, 0);
    }
    let (code, _, told) = run(broker.directory.path(), &["journal", "inspect"]);
    assert!(code == 1 && told.contains("in use"), "{code} {told}");
    broker.signal(Signal::TERM);
    let (done, directory) = broker.ended();
    assert_eq!(done.code, 0, "{done:?}");

    let (code, logs, told) = run(directory.path(), &["journal", "inspect", "--json"]);
    assert_eq!(code, 0, "{told}");
    let logs: Vec<Value> =
        logs.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(logs.len() as u64, logs[0]["logs"].as_u64().expect("a number"));
    let topics = logs.iter().flat_map(|log| log["topics"].as_array().expect("a list"));
    let topic = topics.into_iter().find(|topic| topic["topic"] == "order.1").expect("listed");
    assert_eq!((&topic["next"], &topic["messages"]), (&4.into(), &3.into()));
    let (code, found, told) = run(directory.path(), &["journal", "verify"]);
    assert_eq!((code, told.as_str()), (0, ""), "{found}");
    let segments = || found.lines().filter(|line| line.starts_with("segment "));
    assert!(
        segments().count() > 0 && segments().all(|line| line.ends_with("every checksum right"))
    );

    let rotten = segments_with(directory.path(), b"will rot");
    let [(path, at)] = &rotten[..] else { panic!("one segment: {rotten:?}") };
    let mut bytes = std::fs::read(path).expect("read");
    bytes[*at] ^= 1;
    std::fs::write(path, bytes).expect("written");
    let (code, found, told) = run(directory.path(), &["journal", "verify"]);
    assert!(code == 5 && told.contains("damaged"), "{found} {told}");
    let name = path.file_stem().and_then(|name| name.to_str()).expect("text");
    let of_it = |line: &&str| line.contains(name) && line.contains("DAMAGED");
    let of_it: Vec<_> = found.lines().filter(of_it).collect();
    let [segment, place] = &of_it[..] else { panic!("{found}") };
    assert!(segment.ends_with(", DAMAGED") && place.contains("a broken block at byte "), "{found}");
    let (code, mended, told) = run(directory.path(), &["journal", "repair", "--json"]);
    assert!(code == 5 && mended.contains("moved_aside"), "{mended} {told}");
    assert!(path.with_extension("damaged").is_file(), "nothing is deleted");
    let (code, found, told) = run(directory.path(), &["journal", "verify"]);
    assert_eq!(code, 0, "{found} {told}");

    let broker = Broker::start_in(directory, &[], "127.0.0.1:0");
    let read = broker.run(&["sub", "order.1", "--last", "3", "--count", "2", "--raw"]);
    assert_eq!(read.stdout, "first\nlast\n", "{read:?}");
}

#[test]
fn a_directory_without_a_journal_is_told() {
    let directory = tempfile::tempdir().expect("a directory");
    let (code, _, told) = run(directory.path(), &["journal", "verify", "--data", "nowhere"]);
    assert!(code == 1 && told.contains("there is no journal"), "{code} {told}");
}
