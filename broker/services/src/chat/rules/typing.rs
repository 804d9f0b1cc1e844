//! Who types at this moment. It is never stored and always ends.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::moment::Moment;

/// A user who goes on typing is told of at most this often.
pub const REPEAT: Duration = Duration::from_secs(3);
/// Typing that is not told of again ends after this.
pub const EXPIRE: Duration = Duration::from_secs(7);
/// Users who may type in one conversation at once.
const TYPISTS_MAX: usize = 64;

/// What to tell the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The user types, until then.
    Typing(Moment),
    /// The user has stopped.
    Stopped,
}

/// Who types in one conversation. Memory is an entry per user who types, 64 at most.
#[derive(Clone, Debug, Default)]
pub struct Typists(BTreeMap<String, Moment>);

impl Typists {
    /// A user types; what to tell, if anything.
    pub fn typed(&mut self, user: &str, now: Moment) -> Option<Told> {
        self.end(now);
        let is_known = self.0.contains_key(user);
        let is_recent = self.0.get(user).is_some_and(|told| now.since(*told) < REPEAT);
        if is_recent || (!is_known && self.0.len() >= TYPISTS_MAX) {
            return None;
        }
        self.0.insert(user.to_owned(), now);
        Some(Told::Typing(now.after(EXPIRE)))
    }

    /// A user stopped, or sent what was being typed; what to tell, if anything.
    pub fn stopped(&mut self, user: &str, now: Moment) -> Option<Told> {
        self.end(now);
        self.0.remove(user).map(|_| Told::Stopped)
    }

    /// Users who type at this moment.
    pub fn typing(&self, now: Moment) -> impl Iterator<Item = &str> {
        let live = move |told: &Moment| now.since(*told) < EXPIRE;
        self.0.iter().filter(move |(_, told)| live(told)).map(|(user, _)| user.as_str())
    }

    /// When nobody types any more if nobody goes on: the entry can be dropped then.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        self.0.values().max().map(|told| told.after(EXPIRE))
    }

    fn end(&mut self, now: Moment) {
        self.0.retain(|_, told| now.since(*told) < EXPIRE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Moment {
        Moment::from_ms(1_000_000 + seconds * 1_000)
    }

    #[test]
    fn typing_ends_by_itself() {
        let mut typists = Typists::default();
        assert_eq!(typists.typed("u", at(0)), Some(Told::Typing(at(7))));
        assert_eq!(typists.typing(at(6)).collect::<Vec<_>>(), ["u"]);
        assert_eq!(typists.typing(at(7)).count(), 0);
        assert_eq!(typists.deadline(), Some(at(7)));
    }

    #[test]
    fn keys_in_a_row_are_told_of_every_three_seconds() {
        let mut typists = Typists::default();
        let told: Vec<i64> = (0..10).filter(|s| typists.typed("u", at(*s)).is_some()).collect();
        assert_eq!(told, [0, 3, 6, 9]);
    }

    #[test]
    fn a_message_or_a_stop_clears_it_once() {
        let mut typists = Typists::default();
        typists.typed("u", at(0));
        assert_eq!(typists.stopped("u", at(1)), Some(Told::Stopped));
        assert_eq!(typists.stopped("u", at(1)), None);
        assert_eq!(typists.typed("u", at(1)), Some(Told::Typing(at(8))));
    }

    #[test]
    fn a_crowd_is_bounded() {
        let mut typists = Typists::default();
        for user in 0..1_000 {
            typists.typed(&user.to_string(), at(0));
        }
        assert_eq!(typists.typing(at(0)).count(), TYPISTS_MAX);
        assert!(typists.typed("later", at(8)).is_some());
    }
}
