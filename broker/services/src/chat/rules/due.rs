//! What time alone does to a conversation.

use std::time::Duration;

use crate::chat::model::{Agent, Conversation, EndReason, Status, TransferTarget};
use crate::moment::Moment;

use super::lifecycle::{Event, REOPEN_WITHIN};

/// What becomes of the chats of an agent who went offline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Absence {
    /// They wait for another.
    #[default]
    Requeue,
    /// They wait for somebody with this skill.
    Forward(String),
    /// They stay.
    Keep,
    /// They are resolved.
    Close,
}

/// How long everything may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patience {
    /// An agent may be offline so long and keep its chats. Default 60 s.
    pub offline: Duration,
    /// What happens then.
    pub absence: Absence,
    /// An agent may take so long to reply first. Default 90 s.
    pub first_reply: Duration,
    /// A resolved chat is archived after so long, but not before it can no longer be reopened.
    /// Default 30 days.
    pub archive: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            offline: Duration::from_secs(60),
            absence: Absence::default(),
            first_reply: Duration::from_secs(90),
            archive: Duration::from_secs(30 * 86_400),
        }
    }
}

impl Patience {
    /// How long a resolved chat is kept before it is archived.
    #[must_use]
    pub fn archived(&self) -> Duration {
        self.archive.max(REOPEN_WITHIN.saturating_add(Duration::from_millis(1)))
    }
}

/// What is due for a conversation, whose agent is `agent` if it has one. An agent that is unknown
/// counts as offline since it got the chat; one that got it while offline has the whole time from
/// then on. That an agent was not seen says nothing: nobody may have looked.
#[must_use]
pub fn due(
    chat: &Conversation,
    agent: Option<&Agent>,
    patience: &Patience,
    now: Moment,
) -> Option<Event> {
    let is_over =
        |since: Option<Moment>, time: Duration| since.is_some_and(|since| now >= since.after(time));
    match chat.status {
        Status::Archived => None,
        Status::Resolved => {
            is_over(chat.resolved_at, patience.archived()).then_some(Event::Archive)
        }
        Status::Waiting => is_over(chat.snoozed_until, Duration::ZERO).then_some(Event::Wake),
        Status::Active => {
            let gone = match agent {
                Some(agent) => {
                    agent.offline_since.and_then(|gone| chat.assigned_at.max(Some(gone)))
                }
                None => chat.assigned_at,
            };
            if is_over(gone, patience.offline)
                && let Some(event) = absent(chat, &patience.absence)
            {
                return Some(event);
            }
            if chat.first_reply_at.is_none() && is_over(chat.assigned_at, patience.first_reply) {
                return Some(Event::Requeue(EndReason::NoReply));
            }
            let asked = chat.transfer.as_ref().map(|asked| asked.expires_at);
            is_over(asked, Duration::ZERO).then_some(Event::TransferExpired)
        }
    }
}

fn absent(chat: &Conversation, absence: &Absence) -> Option<Event> {
    match absence {
        Absence::Keep => None,
        Absence::Requeue => Some(Event::Requeue(EndReason::Offline)),
        Absence::Close => Some(Event::Resolve),
        Absence::Forward(skill) => {
            let to = TransferTarget::Skill(skill.clone());
            let from = chat.agent_id.clone()?;
            Some(Event::Transfer { from, to, is_asked: false, note: None })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::model::{Origin, Reason};
    use crate::chat::rules::lifecycle::step;

    fn at(seconds: i64) -> Moment {
        Moment::from_ms(1_000_000_000 + seconds * 1_000)
    }

    fn active() -> Conversation {
        let chat = Conversation::new("c", "u", Origin::default(), at(0));
        let claim = Event::Claim { agent_id: "a".to_owned(), reason: Reason::Auto };
        step(&chat, claim, at(0)).unwrap().conversation
    }

    fn seen(seconds: i64) -> Agent {
        Agent { id: "a".to_owned(), last_seen_at: Some(at(seconds)), ..Agent::default() }
    }

    fn gone(seconds: i64) -> Agent {
        Agent { offline_since: Some(at(seconds)), ..seen(seconds) }
    }

    fn found(chat: &Conversation, agent: &Agent, seconds: i64) -> Option<Event> {
        due(chat, Some(agent), &Patience::default(), at(seconds))
    }

    #[test]
    fn a_chat_leaves_an_agent_who_is_offline_for_a_minute() {
        let replied = step(&active(), Event::AgentWrote("a".to_owned()), at(1)).unwrap();
        let chat = replied.conversation;
        assert_eq!(found(&chat, &gone(100), 159), None);
        assert_eq!(found(&chat, &gone(100), 160), Some(Event::Requeue(EndReason::Offline)));
        let chosen = Agent { offline_since: Some(at(100)), ..seen(159) };
        assert_eq!(found(&chat, &chosen, 160), Some(Event::Requeue(EndReason::Offline)));
        let unknown = due(&chat, None, &Patience::default(), at(60));
        assert_eq!(unknown, Some(Event::Requeue(EndReason::Offline)));
    }

    #[test]
    fn a_chat_stays_with_an_agent_at_whom_nobody_could_look() {
        let replied = step(&active(), Event::AgentWrote("a".to_owned()), at(1)).unwrap();
        assert_eq!(found(&replied.conversation, &seen(1), 9_000), None);
    }

    #[test]
    fn who_gets_a_chat_while_offline_has_the_whole_minute() {
        let (chat, agent) = (active(), gone(-500));
        assert_eq!(found(&chat, &agent, 59), None);
        assert_eq!(found(&chat, &agent, 60), Some(Event::Requeue(EndReason::Offline)));
    }

    #[test]
    fn what_becomes_of_it_then_is_the_shops_choice() {
        let chat = active();
        let with = |absence| {
            let patience = Patience { absence, ..Patience::default() };
            due(&chat, Some(&gone(0)), &patience, at(61))
        };
        assert_eq!(with(Absence::Keep), None);
        assert_eq!(with(Absence::Close), Some(Event::Resolve));
        let forward = with(Absence::Forward("vip".to_owned())).unwrap();
        let after = step(&chat, forward, at(61)).unwrap().conversation;
        assert_eq!(after.wants.required_skills, ["vip"]);
    }

    #[test]
    fn an_agent_has_ninety_seconds_for_the_first_reply() {
        assert_eq!(found(&active(), &seen(89), 89), None);
        assert_eq!(found(&active(), &seen(90), 90), Some(Event::Requeue(EndReason::NoReply)));
        let replied = step(&active(), Event::AgentWrote("a".to_owned()), at(89)).unwrap();
        assert_eq!(found(&replied.conversation, &seen(900), 900), None);
    }

    #[test]
    fn a_resolved_chat_is_archived_when_it_can_no_longer_be_reopened() {
        let resolved = step(&active(), Event::Resolve, at(0)).unwrap().conversation;
        let patience = Patience { archive: Duration::ZERO, ..Patience::default() };
        let edge = at(0).after(REOPEN_WITHIN);
        assert_eq!(due(&resolved, None, &patience, edge), None);
        assert!(step(&resolved, Event::CustomerWrote, edge).is_ok());
        let late = edge.after(Duration::from_millis(1));
        assert_eq!(due(&resolved, None, &patience, late), Some(Event::Archive));
    }

    #[test]
    fn whatever_is_due_can_be_done() {
        let asked = Event::Transfer {
            from: "a".to_owned(),
            to: TransferTarget::Agent("b".to_owned()),
            is_asked: true,
            note: None,
        };
        let replied = step(&active(), Event::AgentWrote("a".to_owned()), at(1)).unwrap();
        let asked = step(&replied.conversation, asked, at(1)).unwrap().conversation;
        let snoozed = step(&active(), Event::Snooze(at(9)), at(1)).unwrap().conversation;
        for (chat, when) in [(asked, 61), (snoozed, 9)] {
            assert_eq!(found(&chat, &seen(when), when - 1), None);
            let event = found(&chat, &seen(when), when).unwrap();
            assert!(step(&chat, event, at(when)).is_ok());
        }
    }
}
