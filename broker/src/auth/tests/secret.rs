//! The secret file: who may read it, and what it must hold.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{Fixture, SECRET};
use crate::auth::{Config, Secret, secret};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_created_secret_is_private_and_stays_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    let first = secret::load_or_create(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(fs::read_to_string(&path).unwrap().trim().len(), 43);
    let second = secret::load_or_create(&path).unwrap();
    assert_eq!(first.as_bytes(), second.as_bytes());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn processes_that_start_at_once_share_one_secret() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    let made: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..8).map(|_| scope.spawn(|| secret::load_or_create(&path).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(made.iter().all(|secret| secret.as_bytes() == made[0].as_bytes()));
}

#[test]
fn a_file_that_others_may_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    for exposed in [0o644, 0o604, 0o602, 0o601, 0o620] {
        write(&path, SECRET, exposed);
        let loaded = secret::load_or_create(&path);
        assert!(matches!(loaded, Err(secret::Error::Exposed)), "{exposed:o}");
    }
    for private in [0o600, 0o400, 0o440] {
        write(&path, SECRET, private);
        assert!(secret::load_or_create(&path).is_ok(), "{private:o}");
    }
}

#[test]
fn a_secret_that_can_be_guessed_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    for text in ["", "secret", &format!("{}\n\n", "x".repeat(31))] {
        write(&path, text, 0o600);
        assert!(matches!(secret::load_or_create(&path), Err(secret::Error::TooShort)));
    }
    assert!(matches!(Secret::from_text("secret"), Err(secret::Error::TooShort)));
    write(&path, &"x".repeat(4097), 0o600);
    assert!(matches!(secret::load(&path), Err(secret::Error::TooLong)));
    assert!(matches!(secret::load(directory.path()), Err(secret::Error::NotAFile)));
}

#[test]
fn a_secret_file_works_like_the_variable() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    write(&path, &format!("{SECRET}\n"), 0o600);
    let config = Config { secret_file: Some(path), ..Config::default() };
    let fixture = Fixture::new(directory, &config, None);
    let token = super::HMAC.token(None, &super::claims());
    assert!(fixture.verifier.verify(&token, super::NOW).is_ok());
}
