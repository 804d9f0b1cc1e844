//! Why a service does not do what it is asked, as its asker is told.

use sampan_client::Code;

use crate::refusal::Refusal;
use crate::store;

macro_rules! problems {
    ($($name:ident = $number:literal, $make:ident, $text:literal;)*) => {
        /// The codes that services give beside those of the broker: number, name and meaning.
        pub const CODES: &[(Code, &str, &str)] =
            &[$((Code($number), stringify!($name), $text)),*];

        impl Problem {
            $(#[doc = $text]
            #[must_use]
            pub fn $make(reason: &str) -> Self {
                Problem::new(Code($number), reason)
            })*
        }
    };
}

/// Why something is not done. The code's hundred tells the asker what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The code.
    pub code: Code,
    /// One sentence for a person.
    pub reason: String,
    /// Whether nothing has happened and the same can be tried at once.
    pub(super) is_contended: bool,
}

problems! {
    NOT_FOUND = 904, not_found, "There is no such thing, or not for the asker.";
    CONFLICT = 909, conflict, "It does not go with how things stand; ask how they stand first.";
    DIFFERS = 910, differs, "The same key was used for something else.";
    CLOSED = 911, closed, "It has ended, and nothing can be added.";
    FULL = 912, full, "There is no room for one more.";
    FAULT = 999, fault, "The service has failed on it; the same will fail again.";
}

impl Problem {
    /// A problem.
    #[must_use]
    pub fn new(code: Code, reason: &str) -> Self {
        Problem { code, reason: reason.to_owned(), is_contended: false }
    }

    /// A field that holds what it may not.
    #[must_use]
    pub fn field(field: &str, why: &str) -> Self {
        Problem::new(Code::BAD_FIELD, &format!("{field}: {why}"))
    }

    /// Whether it is the database or this program that has failed, and not what was asked.
    pub(crate) fn is_ours(&self) -> bool {
        self.code == Code::BUSY || self.code == Problem::fault("").code
    }

    /// The asker may not do this.
    #[must_use]
    pub fn not_allowed(reason: &str) -> Self {
        Problem::new(Code::NOT_GRANTED, reason)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let make = match refusal {
            Refusal::Field { field, why } => return Problem::field(field, why),
            Refusal::NotAllowed(_) => Problem::not_allowed,
            Refusal::NotFound(_) => Problem::not_found,
            Refusal::Conflict(_) => Problem::conflict,
            Refusal::Differs(_) => Problem::differs,
            Refusal::Closed(_) => Problem::closed,
            Refusal::Full(_) => Problem::full,
        };
        make(&refusal.to_string())
    }
}

impl From<store::Error> for Problem {
    fn from(error: store::Error) -> Self {
        use store::Error as E;
        match &error {
            // The text of a driver may name hosts and statements, which are no asker's business.
            E::Unavailable(_) | E::Setup(_) | E::Newer { .. } => {
                tracing::warn!(%error, "a request waits for its database");
                Problem::new(Code::BUSY, "the database is not available; try again")
            }
            E::Contended(_) => Problem {
                is_contended: true,
                ..Problem::new(Code::BUSY, "others change the same at this moment; try again")
            },
            E::Conflict(_) => Problem::conflict("the stored data do not allow it"),
            E::Unkept => Problem::new(Code::BAD_FIELD, "a text has a NUL character"),
            E::Damaged(_) | E::Program(_) => {
                tracing::error!(%error, "a request has failed");
                Problem::fault("the service has failed on it")
            }
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.reason)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_md_lists_every_code_with_its_name_and_meaning() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/services.md");
        let text = std::fs::read_to_string(path).expect("the specification");
        let line = |start: String| text.lines().find(|line| line.starts_with(&start));
        for (code, name, meaning) in CODES {
            let line = line(format!("| {} | {name} | ", code.0)).expect(name).to_lowercase();
            assert!(line.contains(&meaning.trim_end_matches('.').to_lowercase()), "{line}");
        }
        let codes = text.lines().filter(|line| line.starts_with("| 9")).count();
        assert_eq!(codes, CODES.len());
    }
}
