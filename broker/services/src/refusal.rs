//! Why a rule says no. It is always the asker's to mend: a rule has no faults of its own.

use std::fmt;

/// Why a rule says no. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A field holds what it may not; the same request will never do.
    Field {
        /// The field's name on the wire.
        field: &'static str,
        /// What it would have to be.
        why: &'static str,
    },
    /// The asker may not do this, whatever the state.
    NotAllowed(&'static str),
    /// It names something that is not there, or not for the asker.
    NotFound(&'static str),
    /// It does not go with how things stand; ask how they stand, then decide again.
    Conflict(&'static str),
    /// The same key was used for something else.
    Differs(&'static str),
    /// It has ended, and nothing can be added.
    Closed(&'static str),
    /// There is no room for one more; it may be asked again later.
    Full(&'static str),
}

impl Refusal {
    /// A refusal of a field.
    #[must_use]
    pub const fn field(field: &'static str, why: &'static str) -> Self {
        Refusal::Field { field, why }
    }

    /// Whether the same request can do later, without a change by the asker.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Refusal::Full(_))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Field { field, why } => write!(f, "{field}: {why}"),
            Refusal::NotAllowed(why)
            | Refusal::NotFound(why)
            | Refusal::Conflict(why)
            | Refusal::Differs(why)
            | Refusal::Closed(why)
            | Refusal::Full(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Refusal {}
