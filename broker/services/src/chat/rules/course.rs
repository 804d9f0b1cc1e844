//! How a conversation goes: who waits for whom since when, and what of it counts. Whatever is heard
//! comes in the order in which it was said.

use serde::{Deserialize, Serialize};

use super::figures::Fact;
use super::sla::Facts;
use crate::chat::model::{Message, Sender, Status};
use crate::moment::Moment;

/// How a conversation stands between its customer and the shop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Course {
    /// When the customer began, or came back after it was resolved.
    pub began: Option<Moment>,
    /// Since when the customer waits for a reply.
    pub unanswered_since: Option<Moment>,
    /// When an agent first replied since it began.
    pub first_reply: Option<Moment>,
    /// When it was resolved, if it has not gone on since.
    pub resolved: Option<Moment>,
    /// Who has it, or had it last.
    pub agent_id: Option<String>,
    /// The last message that was heard.
    pub last_seq: u64,
}

/// What is heard of a conversation.
#[derive(Clone, Debug)]
pub enum Heard {
    /// A message, new or changed.
    Said(Box<Message>),
    /// It stands differently since then.
    Stands(Status, Moment),
    /// An agent has it.
    Given(String),
}

/// Something that counts, and for which agent.
pub type Counted = (Option<String>, Fact, Moment);

impl Course {
    /// How it goes on, and what counts of that.
    #[must_use]
    pub fn hear(&self, heard: &Heard) -> (Course, Vec<Counted>) {
        match heard {
            Heard::Given(agent) => {
                (Course { agent_id: Some(agent.clone()), ..self.clone() }, Vec::new())
            }
            Heard::Stands(Status::Resolved, at) => self.resolve(*at),
            Heard::Stands(..) => (self.clone(), Vec::new()),
            // A changed message was counted when it was new; notes are nobody's reply.
            Heard::Said(message) if message.seq <= self.last_seq || message.private => {
                (self.clone(), Vec::new())
            }
            Heard::Said(message) => {
                let after = Course { last_seq: message.seq, ..self.clone() };
                match message.sender_type {
                    Sender::Customer => after.ask(message.created_at),
                    Sender::Agent => after.reply(&message.sender_id, message.created_at),
                    Sender::System => (after, Vec::new()),
                }
            }
        }
    }

    fn ask(self, at: Moment) -> (Course, Vec<Counted>) {
        let is_new = self.began.is_none() || self.resolved.is_some();
        let before = if is_new {
            Course { began: Some(at), first_reply: None, resolved: None, ..self }
        } else {
            self
        };
        let began = is_new.then_some((None, Fact::Began, at));
        let counted = began.into_iter().chain([(None, Fact::CustomerWrote, at)]).collect();
        let unanswered_since = before.unanswered_since.or(Some(at));
        (Course { unanswered_since, ..before }, counted)
    }

    fn reply(self, agent: &str, at: Moment) -> (Course, Vec<Counted>) {
        let mut counted = Vec::new();
        if let (None, Some(began)) = (self.first_reply, self.began) {
            counted.push((Some(agent.to_owned()), Fact::FirstReply(at.since(began)), at));
        }
        if let Some(since) = self.unanswered_since {
            counted.push((Some(agent.to_owned()), Fact::Reply(at.since(since)), at));
        }
        let first_reply = self.first_reply.or(self.began.map(|_| at));
        (Course { unanswered_since: None, first_reply, ..self }, counted)
    }

    fn resolve(&self, at: Moment) -> (Course, Vec<Counted>) {
        let (Some(began), None) = (self.began, self.resolved) else {
            return (self.clone(), Vec::new());
        };
        let counted = (self.agent_id.clone(), Fact::Resolved(at.since(began)), at);
        let after = Course { resolved: Some(at), unanswered_since: None, ..self.clone() };
        (after, vec![counted])
    }

    /// What the shop's promises are measured by; `None` before the customer began.
    #[must_use]
    pub fn facts(&self) -> Option<Facts> {
        Some(Facts {
            began: self.began?,
            first_reply: self.first_reply,
            unanswered_since: self.unanswered_since.filter(|_| self.first_reply.is_some()),
            resolved: self.resolved,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::chat::model::{Content, Kind, Receipt};

    fn at(seconds: i64) -> Moment {
        Moment::from_ms(1_000_000_000 + seconds * 1_000)
    }

    fn said(seq: u64, sender_type: Sender, seconds: i64) -> Heard {
        Heard::Said(Box::new(Message {
            id: seq.to_string(),
            conversation_id: "c".to_owned(),
            seq,
            client_message_id: seq.to_string(),
            sender_id: "amy".to_owned(),
            sender_type,
            content: Content::default(),
            message_type: Kind::Text,
            status: Receipt::Sent,
            created_at: at(seconds),
            updated_at: at(seconds),
            epoch: 1,
            reply_to: None,
            private: false,
            edited_at: None,
            deleted_at: None,
        }))
    }

    fn counted(course: &mut Course, heard: &Heard) -> Vec<Fact> {
        let (after, counted) = course.hear(heard);
        *course = after;
        counted.into_iter().map(|(_, fact, _)| fact).collect()
    }

    #[test]
    fn the_first_reply_counts_from_the_beginning_and_each_reply_from_the_first_question() {
        use Sender::{Agent, Customer};
        let seconds = Duration::from_secs;
        let mut course = Course::default();
        let began = [Fact::Began, Fact::CustomerWrote];
        assert_eq!(counted(&mut course, &said(1, Customer, 0)), began);
        assert_eq!(counted(&mut course, &said(2, Customer, 30)), [Fact::CustomerWrote]);
        assert_eq!(counted(&mut course, &Heard::Given("amy".to_owned())), []);
        let first = [Fact::FirstReply(seconds(60)), Fact::Reply(seconds(60))];
        assert_eq!(counted(&mut course, &said(3, Agent, 60)), first);
        assert_eq!(counted(&mut course, &said(4, Agent, 70)), [], "nobody had asked");
        assert_eq!(counted(&mut course, &said(5, Customer, 100)), [Fact::CustomerWrote]);
        assert_eq!(course.facts().and_then(|facts| facts.unanswered_since), Some(at(100)));
        assert_eq!(counted(&mut course, &said(6, Agent, 110)), [Fact::Reply(seconds(10))]);
        assert_eq!(counted(&mut course, &said(6, Agent, 500)), [], "it was edited");
        let resolved = Heard::Stands(Status::Resolved, at(600));
        assert_eq!(counted(&mut course, &resolved), [Fact::Resolved(seconds(600))]);
        assert_eq!(counted(&mut course, &resolved), [], "once");
        assert_eq!(counted(&mut course, &said(7, Customer, 900)), began, "it has come back");
        assert_eq!(counted(&mut course, &said(8, Agent, 905))[0], Fact::FirstReply(seconds(5)));
    }

    #[test]
    fn notes_and_what_the_shop_itself_says_are_no_reply() {
        let mut course = Course::default();
        counted(&mut course, &said(1, Sender::Customer, 0));
        assert_eq!(counted(&mut course, &said(2, Sender::System, 5)), []);
        let Heard::Said(note) = said(3, Sender::Agent, 6) else { unreachable!() };
        let note = Heard::Said(Box::new(Message { private: true, ..*note }));
        assert_eq!(counted(&mut course, &note), []);
        assert_eq!(course.facts().expect("begun").first_reply, None);
    }
}
