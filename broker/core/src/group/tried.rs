//! What is remembered of messages that were handed out and are not settled.

use std::sync::Arc;

/// Failures of one message that are remembered, the newest.
pub(crate) const FAILURES_MAX: usize = 10;
/// Bytes of failures that one block remembers; beyond it the oldest go, until half of it is free.
pub(super) const FAILURE_BYTES_MAX: usize = 32 * 1024;
/// Bytes that a failure is counted with, beside its texts: a time and two lengths.
const FAILURE_BYTES: usize = 16;

/// One failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When it failed, Unix milliseconds.
    pub at_ms: u64,
    /// Whose it was.
    pub user: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
}

impl Failure {
    /// Bytes that it takes at most when it is stored.
    pub(super) fn bytes(&self) -> usize {
        self.user.len() + self.reason.len() + FAILURE_BYTES
    }
}

/// What is remembered of a message that is not settled and has been handed out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tried {
    pub(crate) attempts: u32,
    /// Whether it is to become a dead letter.
    pub(crate) condemned: bool,
    /// When it may come again, Unix milliseconds; 0 if it need not wait.
    pub(crate) due_ms: u64,
    pub(crate) failures: Vec<Failure>,
}

impl Tried {
    /// Bytes that its failures take at most.
    pub(super) fn failure_bytes(&self) -> usize {
        self.failures.iter().map(Failure::bytes).sum()
    }
}

/// Gives up the oldest failures of these messages, of so many bytes or a little more; how many they
/// were.
pub(super) fn shed<'a>(
    list: impl Iterator<Item = (&'a u64, &'a mut Tried)>,
    bytes: usize,
) -> usize {
    let mut list: Vec<&mut Tried> = list.map(|(_, tried)| tried).collect();
    let all = list.iter().flat_map(|tried| &tried.failures);
    let mut ages: Vec<(u64, usize)> = all.map(|failure| (failure.at_ms, failure.bytes())).collect();
    ages.sort_unstable();
    let (mut counted, mut until_ms) = (0, 0);
    for (at_ms, size) in ages {
        if counted >= bytes {
            break;
        }
        (counted, until_ms) = (counted + size, at_ms);
    }
    // As many of those of the last moment as are needed.
    let mut gone = 0;
    for tried in &mut list {
        tried.failures.retain(|failure| {
            let goes = failure.at_ms < until_ms || failure.at_ms == until_ms && gone < bytes;
            gone += if goes { failure.bytes() } else { 0 };
            !goes
        });
    }
    gone
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_oldest_failures_are_given_up_whosever_they_are() {
        let failure = |at_ms| Failure { at_ms, user: Arc::from("me"), reason: Arc::from("no") };
        let tried = |times: &[u64]| Tried {
            failures: times.iter().map(|at_ms| failure(*at_ms)).collect(),
            ..Tried::default()
        };
        let mut list: BTreeMap<u64, Tried> = [(1, tried(&[5, 7])), (2, tried(&[6, 9]))].into();
        assert_eq!(shed(list.iter_mut(), 21), 40);
        assert_eq!(list, [(1, tried(&[7])), (2, tried(&[9]))].into());
        assert_eq!(shed(list.iter_mut(), usize::MAX), 40);
        assert_eq!(list, [(1, tried(&[])), (2, tried(&[]))].into());
    }
}
