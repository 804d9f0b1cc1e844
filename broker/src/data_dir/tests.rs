//! Modes, permanence and the lock.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn fresh() -> (tempfile::TempDir, DataDir) {
    let parent = tempfile::tempdir().expect("a temporary directory");
    let data = DataDir::new(parent.path().join("nested/data"));
    data.create().expect("made");
    (parent, data)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).expect("there").permissions().mode() & 0o777
}

#[test]
fn everything_secret_is_for_its_owner_and_stays_the_same() {
    let (_parent, data) = fresh();
    let lock = data.lock().expect("free");
    data.transport_or_new(&lock).expect("made");
    let certificate = data.certificate_or_new(&lock).expect("made");
    data.secret_or_new().expect("made");
    assert_eq!(mode(data.path()), 0o700);
    for name in ["transport-secret", "dev-key.pem", "jwt-secret", "lock"] {
        assert_eq!(mode(&data.path().join(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&data.certificate_path()), 0o644);

    let secret = || std::fs::read(data.path().join("transport-secret")).expect("there");
    let first = secret();
    data.transport_or_new(&lock).expect("read");
    assert_eq!(secret(), first);
    let read = data.certificate_or_new(&lock).expect("read");
    assert_eq!((read.chain, read.key), (certificate.chain, certificate.key));
}

#[test]
fn a_second_broker_is_refused_until_the_first_is_gone() {
    let (_parent, data) = fresh();
    let lock = data.lock().expect("free");
    let refused = data.lock().expect_err("held").to_string();
    assert!(refused.contains("in use by another broker"), "{refused}");
    assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
    drop(lock);
    data.lock().expect("free again");
}

#[test]
fn damage_is_told_and_not_repaired() {
    let (_parent, data) = fresh();
    let lock = data.lock().expect("free");
    std::fs::write(data.path().join("transport-secret"), b"short").expect("written");
    assert!(matches!(data.transport_or_new(&lock), Err(Error::Transport(_))));
    std::fs::write(data.certificate_path(), b"no certificate").expect("written");
    std::fs::write(data.path().join("dev-key.pem"), b"no key").expect("written");
    assert!(matches!(data.certificate_or_new(&lock), Err(Error::Certificate(..))));
}

#[test]
fn without_a_secret_the_next_step_is_told() {
    let (_parent, data) = fresh();
    let error = data.secret().expect_err("there is none").to_string();
    assert!(error.contains("start `sampan serve` first"), "{error}");
}
