//! A change of a conversation with all that goes with it, and what became of it.

use super::Answer;
use crate::chat::model::Message;
use crate::chat::rules::lifecycle::Change;
use crate::chat::rules::words;
use crate::moment::Moment;
use crate::outbox::Event;
use crate::store::encoding::json;

/// What an agent must have to be given a chat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Room {
    /// It is online, not gone, and has a free slot.
    #[default]
    Online,
    /// It has a free slot, whatever it has chosen: somebody wants this very agent.
    Slot,
    /// Nothing: an admin wants it so.
    Nothing,
}

/// A change of a conversation, and what is stored with it or not at all.
#[derive(Clone, Debug)]
pub struct Step {
    /// The conversation after it, and what follows. Slots and assignments follow by its effects. It
    /// counts for the version before that of the conversation.
    pub change: Change,
    /// Messages that come with it; each gets its sequence from the store and an event of its own.
    pub messages: Vec<Message>,
    /// Further events.
    pub events: Vec<Event>,
    /// What an agent that is assigned must have.
    pub room: Room,
    /// When.
    pub at: Moment,
}

impl Step {
    /// A change and nothing more.
    #[must_use]
    pub fn new(change: Change, at: Moment) -> Self {
        Step { change, messages: Vec::new(), events: Vec::new(), room: Room::default(), at }
    }

    /// The same with a message.
    #[must_use]
    pub fn message(mut self, message: Message) -> Self {
        self.messages.push(message);
        self
    }
}

/// What became of a conversation that was to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is there now.
    New,
    /// It was there before, as it is.
    Known,
    /// Its customer has as many open ones as may be.
    Full,
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is stored; its messages with their sequences.
    Done(Vec<Message>),
    /// The conversation was changed meanwhile, or is not there: look again.
    Moved,
    /// The agent has no room.
    Full,
    /// The message had come before, and is this one. Nothing has changed.
    Repeated(Box<Message>),
    /// The sender used the same id for another message. Nothing has changed.
    Differs,
}

/// Which messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// So many behind a sequence.
    After(u64, u32),
    /// So many before a sequence.
    Before(u64, u32),
    /// The last so many.
    Last(u32),
}

impl Page {
    /// How many.
    #[must_use]
    pub fn max(self) -> u32 {
        let (Page::After(_, max) | Page::Before(_, max) | Page::Last(max)) = self;
        max
    }
}

/// What of all messages is sought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// Terms of [`crate::chat::rules::words`]; all are in what is found.
    pub terms: Vec<String>,
    /// In this customer's conversations only.
    pub customer_id: Option<String>,
    /// In this conversation only.
    pub conversation_id: Option<String>,
    /// Older than this message, by its id.
    pub before: Option<String>,
    /// How many at most.
    pub max: u32,
}

/// The terms that a message is found by; none of one that is deleted.
pub(super) fn terms(message: &Message) -> String {
    let text = message.content.text.as_deref().unwrap_or_default();
    match (words::terms(text), message.private) {
        (none, _) if none.is_empty() => none,
        (terms, true) => terms,
        (terms, false) => format!("{terms} {}", words::OPEN),
    }
}

/// What a sender has asked to be said, by which a repeat is told from another message.
pub(super) fn draft(message: &Message) -> Answer<String> {
    let Message { content, message_type, reply_to, private, .. } = message;
    json(&(content, message_type, reply_to, private))
}
