//! The keys under which a group's values are stored. Listed in `spec/groups.md`.

use bytes::Bytes;
use sampan_protocol::Topic;

/// What every group's definition starts with.
pub(crate) const GROUPS: &str = "group/";
/// What every cursor starts with.
pub(crate) const CURSORS: &str = "cursor/";
/// What every block starts with.
pub(crate) const BLOCKS: &str = "block/";
/// What every message on its way back starts with.
pub(crate) const RETURNS: &str = "back/";
/// What every dead letter starts with.
pub(crate) const LETTERS: &str = "dead/";

pub(crate) fn group(group: &Topic) -> Bytes {
    format!("{GROUPS}{group}").into()
}

pub(crate) fn cursor(group: &Topic, topic: &Topic) -> Bytes {
    format!("{CURSORS}{group}/{topic}").into()
}

pub(crate) fn block(group: &Topic, topic: &Topic, number: u64) -> Bytes {
    format!("{BLOCKS}{group}/{topic}/{number:016x}").into()
}

pub(crate) fn returned(group: &Topic, id: u64) -> Bytes {
    format!("{RETURNS}{group}/{id:016x}").into()
}

pub(crate) fn letter(group: &Topic, id: u64) -> Bytes {
    format!("{LETTERS}{group}/{id:016x}").into()
}

/// What every dead letter of the group starts with.
pub(crate) fn letters(group: &Topic) -> Bytes {
    format!("{LETTERS}{group}/").into()
}

/// A key's parts behind its first.
pub(crate) fn parts(key: &[u8]) -> Option<(Topic, Option<&str>, Option<u64>)> {
    let mut parts = std::str::from_utf8(key).ok()?.split('/').skip(1);
    let group = Topic::parse(parts.next()?).ok()?;
    let (second, third) = (parts.next(), parts.next());
    let number = third.or(second).and_then(|part| u64::from_str_radix(part, 16).ok());
    Some((group, second, number))
}
