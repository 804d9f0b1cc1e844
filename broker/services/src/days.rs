//! Days that are asked about.

use crate::moment::Moment;
use crate::service::Problem;

/// Milliseconds of a day.
pub(crate) const DAY_MS: i64 = 86_400_000;
/// Days of one answer.
const MAX: i64 = 400;

/// Days of UTC, from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    first: i64,
    last: i64,
}

impl Days {
    /// The days from one to another, such as `2026-11-01`, both included.
    ///
    /// # Errors
    /// A problem of the field that is no day, or of `to` if they are none or more than 400.
    pub fn parse(from: &str, to: &str) -> Result<Self, Problem> {
        let [first, last] = [("from", from), ("to", to)].map(|(field, text)| {
            let day = Moment::parse(&format!("{text}T00:00:00Z")).filter(|_| text.len() == 10);
            let day = day.map(|day| day.day());
            day.ok_or_else(|| Problem::field(field, "a day, such as 2026-11-01"))
        });
        let (first, last) = (first?, last?);
        if last < first || last - first >= MAX {
            return Err(Problem::field("to", "up to 400 days from the first"));
        }
        Ok(Days { first, last })
    }

    /// The first moment, and the first that is no part of them any more.
    #[must_use]
    pub fn moments(&self) -> (Moment, Moment) {
        (Moment::from_ms(self.first * DAY_MS), Moment::from_ms((self.last + 1) * DAY_MS))
    }
}

/// The name of the day of a moment.
pub(crate) fn of(at: Moment) -> String {
    at.to_string().chars().take(10).collect()
}

/// The name of a day by its number since 1970.
pub(crate) fn numbered(day: i64) -> String {
    of(Moment::from_ms(day * DAY_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_whole_and_both_ends_are_meant() {
        let (from, to) = Days::parse("2026-02-28", "2026-03-01").unwrap().moments();
        assert_eq!(from.to_string(), "2026-02-28T00:00:00.000Z");
        assert_eq!(to.to_string(), "2026-03-02T00:00:00.000Z");
        assert_eq!(
            (numbered(from.day()), of(from)),
            ("2026-02-28".to_owned(), "2026-02-28".to_owned())
        );
        for (from, to, field) in [
            ("yesterday", "2026-03-01", "from"),
            ("2026-02-30", "2026-03-01", "from"),
            ("2026-03-01", "2026-03-01T00:00:00Z", "to"),
            ("2026-03-02", "2026-03-01", "to"),
            ("2020-01-01", "2026-03-01", "to"),
        ] {
            let problem = Days::parse(from, to).unwrap_err();
            assert!(problem.reason.starts_with(field), "{from} {to}: {}", problem.reason);
        }
    }
}
