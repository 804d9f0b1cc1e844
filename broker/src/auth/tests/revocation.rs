//! Revocations: what they match, and what a restart and a damaged file make of them.

use std::fs;
use std::time::Duration;

use super::NOW;
use crate::auth::revocation::Error;
use crate::auth::{Identity, Revocations, Role, Target};

const HOUR: Duration = Duration::from_secs(3600);
const HOUR_MS: u64 = 3_600_000;

fn identity(user: &str, issued_unix_ms: Option<u64>, token_id: Option<&str>) -> Identity {
    Identity {
        user: user.to_owned(),
        role: Role::Customer,
        expires_unix_ms: NOW + HOUR_MS,
        issued_unix_ms,
        token_id: token_id.map(str::to_owned),
    }
}

#[test]
fn a_revocation_ends_what_it_names_and_nothing_else() {
    let user = || Target::User("u1".to_owned());
    let token = || Target::Token("t1".to_owned());
    let rows = [
        (token(), identity("u1", Some(NOW), Some("t1")), true),
        (token(), identity("u2", None, Some("t1")), true),
        (token(), identity("u1", Some(NOW), Some("t2")), false),
        (token(), identity("u1", Some(NOW), None), false),
        (user(), identity("u1", Some(NOW - 1), Some("t2")), true),
        (user(), identity("u1", Some(NOW), None), true),
        (user(), identity("u1", Some(NOW + 1), None), false),
        (user(), identity("u1", None, None), true),
        (user(), identity("u2", None, None), false),
        (Target::IssuedBefore(NOW), identity("u9", Some(NOW - 1), None), true),
        (Target::IssuedBefore(NOW), identity("u9", Some(NOW), None), false),
        (Target::IssuedBefore(NOW), identity("u9", None, None), true),
    ];
    for (target, identity, expected) in rows {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("revocations");
        let revocations = Revocations::open(&path, HOUR, NOW).unwrap();
        assert!(!revocations.is_revoked(&identity));
        let revocation = revocations.revoke(target, NOW).unwrap();
        let case = format!("{revocation:?} {identity:?}");
        assert_eq!(revocation.matches(&identity), expected, "{case}");
        assert_eq!(revocations.is_revoked(&identity), expected, "{case}");
        let reopened = Revocations::open(&path, HOUR, NOW).unwrap();
        assert_eq!(reopened.is_revoked(&identity), expected, "reopened: {case}");
    }
}

#[test]
fn a_later_revocation_of_the_same_target_covers_the_earlier() {
    let directory = tempfile::tempdir().unwrap();
    let revocations = Revocations::open(directory.path().join("r"), HOUR, NOW).unwrap();
    let user = || Target::User("u1".to_owned());
    revocations.revoke(user(), NOW).unwrap();
    revocations.revoke(user(), NOW + 5000).unwrap();
    revocations.revoke(Target::IssuedBefore(NOW), NOW).unwrap();
    revocations.revoke(Target::IssuedBefore(NOW - 9000), NOW).unwrap();
    assert_eq!(revocations.count(), 2);
    assert!(revocations.is_revoked(&identity("u1", Some(NOW + 4000), None)));
    assert!(revocations.is_revoked(&identity("u2", Some(NOW - 1), None)));
}

#[test]
fn revocations_are_forgotten_when_their_tokens_have_expired() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("revocations");
    let revocations = Revocations::open(&path, HOUR, NOW).unwrap();
    for target in [Target::Token("t".into()), Target::User("u".into()), Target::IssuedBefore(NOW)] {
        assert_eq!(revocations.revoke(target, NOW).unwrap().until_unix_ms, NOW + HOUR_MS);
    }
    let just_before = Revocations::open(&path, HOUR, NOW + HOUR_MS - 1).unwrap();
    assert_eq!(just_before.count(), 3);
    let after = Revocations::open(&path, HOUR, NOW + HOUR_MS).unwrap();
    assert_eq!(after.count(), 0);
    revocations.revoke(Target::Token("late".into()), NOW + HOUR_MS).unwrap();
    assert_eq!(revocations.count(), 1);
}

#[test]
fn a_full_list_refuses_more_but_still_revokes_by_age() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("revocations");
    let revocations = Revocations::open(&path, HOUR, NOW).unwrap().with_room_for(2);
    let revoke = |target, now| revocations.revoke(target, now).map(drop);
    revoke(Target::User("u1".into()), NOW).unwrap();
    revoke(Target::Token("t1".into()), NOW).unwrap();
    let error = revoke(Target::Token("t2".into()), NOW).unwrap_err();
    assert!(matches!(error, Error::Full) && error.is_retryable());
    assert!(!revocations.is_revoked(&identity("u2", Some(NOW), Some("t2"))));
    revoke(Target::User("u1".into()), NOW + 1).unwrap();
    revoke(Target::IssuedBefore(NOW), NOW).unwrap();
    revoke(Target::Token("t2".into()), NOW + HOUR_MS).unwrap();
}

#[test]
fn ids_that_no_token_can_have_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let revocations = Revocations::open(directory.path().join("r"), HOUR, NOW).unwrap();
    for id in ["", "a\nb", &"x".repeat(129)] {
        for target in [Target::Token(id.to_owned()), Target::User(id.to_owned())] {
            assert!(matches!(revocations.revoke(target, NOW), Err(Error::Target)));
        }
    }
}

#[test]
fn a_damaged_file_stops_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("revocations");
    let revocations = Revocations::open(&path, HOUR, NOW).unwrap();
    revocations.revoke(Target::User("u1".to_owned()), NOW).unwrap();
    let sound = fs::read(&path).unwrap();
    let is_corrupt = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        matches!(Revocations::open(&path, HOUR, NOW), Err(Error::Corrupt(_)))
    };
    assert!(!is_corrupt(&sound));
    for cut in 0..sound.len() {
        assert!(is_corrupt(&sound[..cut]), "cut at {cut}");
    }
    for at in 0..sound.len() {
        let mut flipped = sound.clone();
        flipped[at] ^= 1;
        assert!(is_corrupt(&flipped), "flipped at {at}");
    }
}

#[test]
fn a_draft_left_by_a_crash_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("revocations");
    Revocations::open(&path, HOUR, NOW).unwrap().revoke(Target::User("u1".into()), NOW).unwrap();
    fs::write(directory.path().join("revocations.new"), "half a li").unwrap();
    let revocations = Revocations::open(&path, HOUR, NOW).unwrap();
    assert!(revocations.is_revoked(&identity("u1", Some(NOW), None)));
    revocations.revoke(Target::User("u2".into()), NOW).unwrap();
    assert_eq!(Revocations::open(&path, HOUR, NOW).unwrap().count(), 2);
}

#[test]
fn a_revocation_that_cannot_be_kept_is_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let gone = directory.path().join("gone");
    fs::create_dir(&gone).unwrap();
    let revocations = Revocations::open(gone.join("revocations"), HOUR, NOW).unwrap();
    fs::remove_dir(&gone).unwrap();
    let error = revocations.revoke(Target::User("u1".into()), NOW).unwrap_err();
    assert!(matches!(error, Error::Io(_)) && error.is_retryable());
    assert!(!revocations.is_revoked(&identity("u1", Some(NOW), None)));
}
