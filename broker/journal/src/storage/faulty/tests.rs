//! What the faulty directory must itself get right for a proof on it to mean something.

use std::collections::BTreeSet;

use sampan_tests::choices::Every;

use super::*;

fn write(file: &FaultyFile, bytes: &[u8], at: u64) -> Result<()> {
    file.write_at(&[IoSlice::new(bytes)], at)
}

/// Every state that a crash may leave, as the contents of file `a`.
fn states(storage: &Faulty) -> BTreeSet<Option<Vec<u8>>> {
    let mut every = Every::default();
    let mut found = BTreeSet::new();
    while every.again() {
        let state = storage.crash(&mut |bound| every.choose(bound));
        found.insert(state.bytes("a").map(|bytes| bytes.to_vec()));
    }
    found
}

#[test]
fn a_name_lasts_once_the_directory_is_synced_and_bytes_once_the_file_is() {
    let storage = Faulty::default();
    let file = storage.create("a").expect("new");
    write(&file, b"x", 0).expect("space");
    let all = [None, Some(vec![]), Some(vec![0]), Some(vec![b'x'])];
    assert_eq!(states(&storage), all.into());
    file.sync().expect("synced");
    assert_eq!(states(&storage), [None, Some(vec![b'x'])].into());
    storage.sync_dir().expect("synced");
    assert_eq!(states(&storage), [Some(vec![b'x'])].into());
    storage.remove("a").expect("there");
    assert_eq!(states(&storage), [None, Some(vec![b'x'])].into());
}

#[test]
fn a_write_tears_at_sectors_and_pages_and_nowhere_else() {
    let storage = Faulty::default();
    let file = storage.create("a").expect("new");
    file.set_len(1536).expect("long");
    file.sync().expect("synced");
    storage.sync_dir().expect("synced");
    write(&file, &[7; 1024], 256).expect("space");
    let parts = [256..512, 512..1024, 1024..1280];
    let state = |kept: u8| {
        let mut bytes = vec![0; 1536];
        for (number, part) in parts.iter().enumerate().filter(|(n, _)| kept & 1 << n != 0) {
            assert!(number < 3);
            bytes[part.clone()].fill(7);
        }
        Some(bytes)
    };
    assert_eq!(states(&storage), (0..8).map(state).collect());
    assert_eq!(storage.kill().bytes("a").map(|bytes| bytes.to_vec()), state(7));
}

#[test]
fn a_rename_and_a_length_last_as_a_whole_or_not_at_all() {
    let storage = Faulty::default();
    for name in ["a", "b"] {
        let file = storage.create(name).expect("new");
        write(&file, name.as_bytes(), 0).expect("space");
        file.sync().expect("synced");
    }
    storage.sync_dir().expect("synced");
    storage.rename("b", "a").expect("there");
    assert_eq!(states(&storage), [Some(b"a".to_vec()), Some(b"b".to_vec())].into());
    assert_eq!(storage.list().expect("listed"), ["a"]);
    storage.sync_dir().expect("synced");
    storage.open("a").expect("there").set_len(0).expect("cut");
    assert_eq!(states(&storage), [Some(vec![]), Some(b"b".to_vec())].into());
}

#[test]
fn what_a_failed_sync_was_to_keep_stays_in_doubt() {
    let storage = Faulty::default();
    let file = storage.create("a").expect("new");
    storage.sync_dir().expect("synced");
    write(&file, b"x", 0).expect("space");
    storage.fail(Fault { on: Kind::Sync, skip: 0, times: 1, error: ErrorKind::Other });
    assert!(file.sync().is_err());
    file.sync().expect("it lies");
    assert_eq!(states(&storage), [Some(vec![]), Some(vec![0]), Some(vec![b'x'])].into());
    assert_eq!(storage.kill().bytes("a").map(|bytes| bytes.to_vec()), Some(vec![b'x']));
}

#[test]
fn faults_befall_the_operations_that_they_are_meant_for() {
    let storage = Faulty::default();
    let file = storage.create("a").expect("new");
    storage.fail(Fault { on: Kind::Write, skip: 1, times: 2, error: ErrorKind::Other });
    let wrote: Vec<bool> = (0..5).map(|_| write(&file, &[7; 1500], 0).is_ok()).collect();
    assert_eq!(wrote, [true, false, false, true, true]);
    file.set_len(0).expect("cut");
    storage.fail(Fault { on: Kind::Write, skip: 0, times: 1, error: ErrorKind::Other });
    assert!(write(&file, &[7; 1500], 0).is_err());
    assert_eq!(file.len().expect("known"), 512);
    storage.fail(Fault { on: Kind::Read, skip: 0, times: u64::MAX, error: ErrorKind::Other });
    assert!(file.read_at(&mut [0], 0).is_err());
    storage.heal();
    assert_eq!(file.read_at(&mut [0; 9], 508).expect("there"), 4);
}

#[test]
fn a_full_disk_takes_what_fits_and_overwrites_what_it_has() {
    let storage = Faulty::default();
    storage.limit(1000);
    let file = storage.create("a").expect("new");
    let full = |result: Result<()>| result.map_err(|error| error.kind());
    assert_eq!(full(write(&file, &[7; 1500], 0)), Err(ErrorKind::StorageFull));
    assert_eq!((file.len().expect("known"), storage.used()), (1000, 1000));
    assert_eq!(full(write(&file, &[8; 1000], 0)), Ok(()));
    assert_eq!(storage.create("b").map(|_| ()).map_err(|e| e.kind()), Err(ErrorKind::StorageFull));
    file.set_len(100).expect("cut");
    file.set_len(9000).expect("long");
    assert_eq!(storage.used(), 100);
    assert_eq!(full(write(&file, &[7; 100], 8000)), Err(ErrorKind::StorageFull));
    storage.heal();
    assert_eq!(full(write(&file, &[7; 100], 8000)), Ok(()));
}

#[test]
fn steps_played_again_lead_to_the_same_disk() {
    let storage = Faulty::default();
    storage.record();
    let file = storage.create("a").expect("new");
    write(&file, &[7; 700], 100).expect("space");
    file.sync().expect("synced");
    storage.sync_dir().expect("synced");
    storage.rename("a", "c").expect("there");
    file.set_len(300).expect("cut");
    storage.create("a").expect("new");
    let mut medium = Medium::default();
    storage.steps().iter().for_each(|step| medium.apply(step));
    assert_eq!(storage.recorded(), 7);
    let again = Faulty::from(medium);
    assert_eq!(states(&storage), states(&again));
    assert_eq!(storage.kill().bytes("c"), again.kill().bytes("c"));
}
