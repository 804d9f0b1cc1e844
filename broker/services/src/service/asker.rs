//! Who asks, and what an authorizer says.

use std::time::Duration;

use crate::role::Role;

/// Who asks, as the broker has found from the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The user.
    pub user: String,
    /// The user's role.
    pub role: Role,
}

/// What an authorizer says of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Yes or no.
    pub is_allowed: bool,
    /// How long the broker may go by it without asking again.
    pub ttl: Duration,
}

impl Verdict {
    /// Yes, for so long.
    #[must_use]
    pub fn yes(ttl: Duration) -> Self {
        Verdict { is_allowed: true, ttl }
    }

    /// No, for so long.
    #[must_use]
    pub fn no(ttl: Duration) -> Self {
        Verdict { is_allowed: false, ttl }
    }
}
