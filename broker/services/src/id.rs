//! Ids of what the services make: unique everywhere, and in the order of their making.

use std::fmt;

use uuid::Uuid;

/// A new id. Its text has 36 characters and is one token of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(Uuid);

impl Id {
    /// An id that nothing has had before.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default that differs each time is none")]
    pub fn new() -> Self {
        Id(Uuid::now_v7())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
