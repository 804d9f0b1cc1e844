//! Checkpoints that are whole, half, damaged, missing and foreign.

use std::fs;

use super::*;

const STORE: u64 = 77;
const LIMIT: Duration = Duration::from_secs(60);

fn open(path: &Path) -> Opened {
    Store::open(path, STORE, LIMIT)
}

fn round(changes: &[(&str, Option<&str>)], mark: &str) -> Round {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let changes = changes.iter().map(|(key, value)| (bytes(key), value.map(bytes))).collect();
    Round { changes, mark: bytes(mark) }
}

/// Offers until it is taken.
fn apply(store: &Store, mut round: Round) {
    loop {
        match store.offer(round) {
            Offer::Taken => return,
            Offer::Busy(again) => round = again,
            Offer::Ended(fault) => panic!("{fault}"),
        }
        thread::yield_now();
    }
}

fn texts(gathered: Option<Gathered>) -> Texts {
    let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
    gathered.map(|Gathered { entries, mark }| {
        (entries.iter().map(|(key, value)| (text(key), text(value))).collect(), text(&mark))
    })
}

/// A checkpoint after two rounds.
fn filled(path: &Path) {
    let opened = open(path);
    assert!(opened.gathered.is_none() && opened.fault.is_none());
    let store = opened.store.expect("opened");
    apply(&store, round(&[("a", Some("0")), ("b", Some("1")), ("c", Some("2"))], "1"));
    apply(&store, round(&[("a", Some("3")), ("c", None), ("d", None)], "2"));
    store.close(LIMIT);
}

type Texts = Option<(Vec<(String, String)>, String)>;

/// What a round has left.
fn left(entries: &[(&str, &str)], mark: &str) -> Texts {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Some((entries.iter().map(pair).collect(), mark.to_owned()))
}

fn first() -> Texts {
    left(&[("a", "0"), ("b", "1"), ("c", "2")], "1")
}

fn second() -> Texts {
    left(&[("a", "3"), ("b", "1")], "2")
}

#[test]
fn what_was_applied_is_given_back_with_its_mark() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("index");
    filled(&path);
    fs::write(path.join("snap.00000000000000FF.generating"), b"half").expect("written");
    let opened = open(&path);
    assert!(opened.fault.is_none(), "{:?}", opened.fault);
    assert_eq!(texts(opened.gathered), second());
    let store = opened.store.expect("opened");
    apply(&store, round(&[], "3"));
    store.close(LIMIT);
    assert_eq!(texts(open(&path).gathered), left(&[("a", "3"), ("b", "1")], "3"));
}

#[test]
fn a_lock_that_is_given_back_late_is_waited_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("index");
    filled(&path);
    let held = open(&path).store.expect("opened");
    let late = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        held.close(LIMIT);
    });
    let opened = open(&path);
    assert!(opened.fault.is_none(), "{:?}", opened.fault);
    assert_eq!(texts(opened.gathered), second());
    late.join().expect("closed");
}

#[test]
fn a_checkpoint_that_is_gone_is_a_new_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("index");
    filled(&path);
    fs::remove_dir_all(&path).expect("removed");
    let opened = open(&path);
    assert!(opened.gathered.is_none() && opened.fault.is_none() && opened.store.is_some());
}

#[test]
fn one_that_does_not_fit_the_log_is_moved_aside() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("index");
    filled(&path);
    let opened = open(&path).store.expect("opened").start_over(&path, STORE, LIMIT);
    assert!(matches!(opened.fault, Some(Fault::Foreign)) && opened.gathered.is_none());
    assert!(directory.path().join("index.bad.1").is_dir());
    let store = opened.store.expect("another one");
    apply(&store, round(&[("z", Some("9"))], "1"));
    store.close(LIMIT);
    let other = Store::open(&path, STORE + 1, LIMIT);
    assert!(matches!(other.fault, Some(Fault::Damaged(_))), "{:?}", other.fault);
    assert!(directory.path().join("index.bad.2").is_dir());
}

/// Exactly what a round has left, or nothing; never anything else.
fn assert_all_or_nothing(path: &Path, how: &str) {
    let opened = open(path);
    match opened.gathered {
        Some(gathered) => {
            let had = texts(Some(gathered));
            assert!(had == second() || had == first(), "{how}: {had:?}");
        }
        None => assert!(opened.store.is_some(), "{how}: there is another one"),
    }
    if let Some(store) = opened.store {
        store.close(LIMIT);
    }
}

#[test]
fn one_that_is_cut_or_damaged_gives_all_or_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let whole = directory.path().join("whole");
    filled(&whole);
    let files: Vec<_> = fs::read_dir(&whole).expect("listed").flatten().collect();
    let files: Vec<_> = files.iter().filter(|file| file.path().is_file()).collect();
    assert!(files.len() > 1, "a configuration and a file of data");
    let path = directory.path().join("index");
    let copy = || {
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(path.join("blobs")).expect("made");
        for file in &files {
            fs::copy(file.path(), path.join(file.file_name())).expect("copied");
        }
    };
    for file in &files {
        let (name, bytes) = (file.file_name(), fs::read(file.path()).expect("read"));
        let written = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        for step in 0..8 {
            let at = written * step / 8;
            copy();
            fs::write(path.join(&name), &bytes[..at]).expect("written");
            assert_all_or_nothing(&path, &format!("{} cut at {at}", name.display()));
            copy();
            let mut damaged = bytes.clone();
            damaged.iter_mut().skip(at).take(3).for_each(|byte| *byte ^= 0x5A);
            fs::write(path.join(&name), &damaged).expect("written");
            assert_all_or_nothing(&path, &format!("{} damaged at {at}", name.display()));
        }
        copy();
        fs::remove_file(path.join(&name)).expect("removed");
        assert_all_or_nothing(&path, &format!("{} removed", name.display()));
    }
}
