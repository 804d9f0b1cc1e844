//! Questions that wait for an answer: requests to responders, and questions to authorizers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sampan_protocol::Topic;
use sampan_protocol::control::Action;
use sampan_protocol::session::server::Command;

use crate::message::Origin;
use crate::session::SessionKey;
use crate::trie::Trie;

/// Whoever offers to answer, as every shard knows it.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    by_pattern: Trie<Vec<(Origin, u64)>>,
    /// Calls that this shard has open with each responder.
    open: BTreeMap<Origin, usize>,
    turn: usize,
}

impl Offers {
    pub(crate) fn add(&mut self, pattern: &str, origin: Origin, number: u64) {
        self.by_pattern.insert(pattern).push((origin, number));
    }

    pub(crate) fn remove(&mut self, pattern: &str, origin: Origin, number: u64) {
        let Some(list) = self.by_pattern.exact_mut(pattern) else { return };
        list.retain(|offer| *offer != (origin, number));
        if list.is_empty() {
            self.by_pattern.remove(pattern);
        }
    }

    /// The responder with the fewest open calls of this shard; in turn among equals.
    pub(crate) fn choose(&mut self, topic: &Topic) -> Option<Origin> {
        let mut found = Vec::new();
        self.by_pattern.matching(topic, &mut |offers| found.extend(offers.iter().map(|o| o.0)));
        found.sort_unstable();
        found.dedup();
        self.turn = self.turn.wrapping_add(1);
        let turn = self.turn.checked_rem(found.len())?;
        found.rotate_left(turn);
        found.into_iter().min_by_key(|origin| self.open.get(origin).copied().unwrap_or(0))
    }

    pub(crate) fn opened(&mut self, responder: Origin) {
        *self.open.entry(responder).or_default() += 1;
    }

    pub(crate) fn closed(&mut self, responder: Origin) {
        if let Some(open) = self.open.get_mut(&responder) {
            *open -= 1;
            if *open == 0 {
                self.open.remove(&responder);
            }
        }
    }
}

/// One open call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) responder: Origin,
    pub(crate) purpose: Purpose,
}

/// What an open call is for.
#[derive(Debug)]
pub(crate) enum Purpose {
    /// A session's request.
    Request {
        /// Who asked.
        session: SessionKey,
        /// Under which number.
        number: u64,
    },
    /// An authorization question.
    Ask {
        /// What is asked.
        question: Question,
        /// What waits for the answer, in order.
        waiting: Vec<(SessionKey, Waiting)>,
    },
}

/// What waits for an authorizer.
#[derive(Debug)]
pub(crate) enum Waiting {
    /// A command, which is carried out or refused.
    Command(Command),
    /// A subscription of this number, which stays or ends.
    Standing(u64),
}

/// What an authorizer is asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Question {
    pub(crate) user: Arc<str>,
    pub(crate) role: &'static str,
    pub(crate) action: u8,
    pub(crate) topic: Arc<str>,
}

impl Question {
    pub(crate) fn new(user: Arc<str>, role: &'static str, action: Action, topic: &str) -> Self {
        Question { user, role, action: action.number(), topic: Arc::from(topic) }
    }
}

/// Answers of authorizers, kept for their time to live.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    kept: BTreeMap<Question, (bool, Instant)>,
    /// When those that are over were last looked for.
    swept_at: Option<Instant>,
}

/// Answers that one shard keeps.
const ANSWERS_MAX: usize = 100_000;
/// Between two looks, through all of them, for those that are over.
const SWEEP: Duration = Duration::from_secs(1);

impl Answers {
    /// What was answered, and until when it holds.
    pub(crate) fn find(&self, now: Instant, question: &Question) -> Option<(bool, Instant)> {
        self.kept.get(question).filter(|(_, until)| *until > now).copied()
    }

    pub(crate) fn keep(&mut self, now: Instant, question: Question, allow: bool, ttl: Duration) {
        if ttl.is_zero() {
            return;
        }
        if self.kept.len() >= ANSWERS_MAX {
            if self.swept_at.is_none_or(|at| now >= at + SWEEP) {
                self.swept_at = Some(now);
                self.kept.retain(|_, (_, until)| *until > now);
            }
            // What is not kept is asked again.
            if self.kept.len() >= ANSWERS_MAX {
                self.kept.pop_first();
            }
        }
        self.kept.insert(question, (allow, now + ttl));
    }

    /// Forgets what was answered about a user.
    pub(crate) fn forget(&mut self, user: &str) {
        self.kept.retain(|question, _| &*question.user != user);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_kept_for_their_time_and_no_more_than_may_be() {
        let (mut answers, begun) = (Answers::default(), Instant::now());
        let question = |n: usize| {
            Question::new(n.to_string().into(), "customer", Action::Subscribe, "order.1")
        };
        let minute = Duration::from_secs(60);
        for n in 0..ANSWERS_MAX + 10 {
            answers.keep(begun, question(n), true, minute);
        }
        assert_eq!(answers.kept.len(), ANSWERS_MAX);
        let last = question(ANSWERS_MAX + 9);
        assert_eq!(answers.find(begun, &last), Some((true, begun + minute)));
        let later = begun + minute;
        assert_eq!(answers.find(later, &last), None);
        answers.keep(later, last, false, minute);
        assert_eq!(answers.kept.len(), 1, "what is over makes room");
    }
}
