//! The figures a shop is run by: first response, resolution, engagement and content, by day and
//! agent.

use std::collections::BTreeMap;
use std::time::Duration;

pub use sampan_client::chat::{Figures, Times};

/// The goal of the first response.
pub const FIRST_RESPONSE_GOAL: Duration = Duration::from_secs(120);

/// Something that counts. Whoever wrote a reply has it on record, whoever has the chat now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A customer began a conversation or came back to one.
    Began,
    /// A customer wrote.
    CustomerWrote,
    /// An agent replied first, after so long.
    FirstReply(Duration),
    /// An agent replied, after so long; first replies among them.
    Reply(Duration),
    /// A conversation was resolved, so long after it began.
    Resolved(Duration),
    /// A customer rated.
    Rated(u8),
}

/// Counts a fact.
pub fn add(figures: &mut Figures, fact: Fact) {
    match fact {
        Fact::Began => figures.conversations += 1,
        Fact::CustomerWrote => figures.customer_messages += 1,
        Fact::FirstReply(took) => {
            figures.first_response.join(&once(took));
            figures.first_response_in_goal += u64::from(took <= FIRST_RESPONSE_GOAL);
        }
        Fact::Reply(took) => figures.reply.join(&once(took)),
        Fact::Resolved(took) => figures.resolution.join(&once(took)),
        Fact::Rated(rating) => {
            let at = usize::from(rating).wrapping_sub(1);
            if let Some(count) = figures.ratings.get_mut(at) {
                *count += 1;
            }
        }
    }
}

fn once(took: Duration) -> Times {
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    Times { count: 1, sum_ms: ms, max_ms: ms }
}

/// Figures by day and agent. What belongs to no agent is under the empty name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Book(BTreeMap<(String, String), Figures>);

impl Book {
    /// Counts a fact of a day, such as `2026-11-23`.
    pub fn add(&mut self, day: &str, agent: Option<&str>, fact: Fact) {
        let key = (day.to_owned(), agent.unwrap_or("").to_owned());
        add(self.0.entry(key).or_default(), fact);
    }

    /// Counts figures of a day and an agent, the empty name for none.
    pub fn join(&mut self, day: &str, agent: &str, figures: &Figures) {
        self.0.entry((day.to_owned(), agent.to_owned())).or_default().join(figures);
    }

    /// The figures from one day to another, both included, of one agent or of all.
    #[must_use]
    pub fn sum(&self, from: &str, to: &str, agent: Option<&str>) -> Figures {
        let mut out = Figures::default();
        for ((day, name), figures) in &self.0 {
            let is_meant = agent.is_none_or(|agent| agent == name);
            if is_meant && (from..=to).contains(&day.as_str()) {
                out.join(figures);
            }
        }
        out
    }

    /// All of them, by day and agent.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &str, &Figures)> {
        self.0.iter().map(|((day, agent), figures)| (day.as_str(), agent.as_str(), figures))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_by_day_and_by_the_agent_who_replied() {
        let seconds = Duration::from_secs;
        let mut book = Book::default();
        book.add("2026-11-22", None, Fact::Began);
        book.add("2026-11-22", None, Fact::CustomerWrote);
        book.add("2026-11-22", None, Fact::CustomerWrote);
        book.add("2026-11-22", Some("a"), Fact::FirstReply(seconds(60)));
        book.add("2026-11-23", Some("a"), Fact::FirstReply(seconds(180)));
        book.add("2026-11-23", Some("b"), Fact::Reply(seconds(10)));
        book.add("2026-11-23", Some("b"), Fact::Resolved(seconds(600)));
        for rating in [5, 4, 9, 0] {
            book.add("2026-11-23", Some("b"), Fact::Rated(rating));
        }
        let all = book.sum("2026-11-22", "2026-11-23", None);
        assert_eq!(all.first_response.mean_s(), Some(120.0));
        assert_eq!((all.in_goal(), all.engagement()), (Some(0.5), Some(2.0)));
        assert_eq!((all.satisfaction(), all.resolution.mean_s()), (Some(4.5), Some(600.0)));
        let a = book.sum("2026-11-23", "2026-11-23", Some("a"));
        assert_eq!((a.first_response.count, a.reply.count), (1, 0));
        assert_eq!(a.first_response.max_ms, 180_000);
        assert_eq!(book.sum("2026-11-24", "2026-11-25", None), Figures::default());
        assert_eq!(Figures::default().satisfaction(), None);
        assert_eq!(book.rows().count(), 4);
    }
}
