//! One conversation, as somebody who looks at it sees it go on.

use serde::de::DeserializeOwned;

use super::{
    ArchivedEvent, AssignedEvent, JoinEvent, Message, ReceiptEvent, Snapshot, StatusEvent,
    TransferEvent, TypingEvent,
};
use crate::{Delivery, Error, Gap, Received, Subscription};

/// Where it is told who types.
const TYPING: &str = "chat.typing.";

/// What is told of a conversation.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum News {
    /// A message has come. Each is told once; those of one kind, notes or others, in order.
    Message(Message),
    /// A message was edited or deleted: how it is now.
    Changed(Message),
    /// Messages have reached somebody.
    Delivered(ReceiptEvent),
    /// Somebody has read.
    Read(ReceiptEvent),
    /// Somebody types, or has stopped.
    Typing(TypingEvent),
    /// Somebody looks at the conversation.
    Joined(JoinEvent),
    /// Somebody looks at it no longer.
    Left(JoinEvent),
    /// It stands differently.
    Status(StatusEvent),
    /// An agent has it.
    Assigned(AssignedEvent),
    /// One agent has handed it to another.
    Transferred(TransferEvent),
    /// It is over for good.
    Archived(ArchivedEvent),
    /// Something that was told is lost: [`Chat::history`](super::Chat::history) has the messages.
    Lost(Gap),
}

/// A conversation that somebody looks at. Dropping it ends only what is told, and not the part that
/// the asker takes in it.
#[derive(Debug)]
pub struct Room {
    snapshot: Snapshot,
    /// The conversation itself.
    told: Subscription,
    typing: Subscription,
    /// For agents.
    notes: Option<Subscription>,
    /// All messages up to this one are known; of notes, up to the other.
    known: u64,
    known_note: u64,
}

impl Room {
    pub(super) fn new(
        snapshot: Snapshot,
        told: Subscription,
        typing: Subscription,
        notes: Option<Subscription>,
    ) -> Self {
        let last = snapshot.last_seq;
        Room { snapshot, told, typing, notes, known: last, known_note: last }
    }

    /// How the conversation stood when it was entered, with its last messages.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// What is told next; none when the subscription has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<News> {
        loop {
            let delivery = tokio::select! {
                biased;
                delivery = self.told.next() => delivery?,
                Some(delivery) = next(&mut self.notes) => delivery,
                Some(delivery) = self.typing.next() => match delivery {
                    Delivery::Message(_) => delivery,
                    // What somebody typed then is nothing to anybody now.
                    Delivery::Gap(_) => continue,
                },
            };
            let news = match delivery {
                // What stands on one topic is no word on another.
                Delivery::Message(message) => read(&message).filter(|news| {
                    let is_typing = message.topic().as_str().starts_with(TYPING);
                    is_typing == matches!(news, News::Typing(_))
                }),
                Delivery::Gap(gap) => gap.is_loss().then_some(News::Lost(gap)),
            };
            if let Some(news) = news.and_then(|news| self.sift(news)) {
                return Some(news);
            }
        }
    }

    /// Why there is no more, once there is not.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.told.error()
    }

    /// The news, if it is any.
    fn sift(&mut self, news: News) -> Option<News> {
        let News::Message(message) = news else { return Some(news) };
        let known = if message.private { &mut self.known_note } else { &mut self.known };
        if message.seq > *known {
            *known = message.seq;
            return Some(News::Message(message));
        }
        let is_changed = message.edited_at.is_some() || message.deleted_at.is_some();
        is_changed.then_some(News::Changed(message))
    }
}

async fn next(subscription: &mut Option<Subscription>) -> Option<Delivery> {
    match subscription {
        Some(subscription) => subscription.next().await,
        None => None,
    }
}

/// What a message tells; nothing if it is of a kind that is not known here.
fn read(message: &Received) -> Option<News> {
    match message.event()? {
        "message:receive" => json(message).map(News::Message),
        "message:delivered" => json(message).map(News::Delivered),
        "message:read" => json(message).map(News::Read),
        "user:typing" => json(message).map(News::Typing),
        "conversation:join" => json(message).map(News::Joined),
        "conversation:leave" => json(message).map(News::Left),
        "conversation:status" => json(message).map(News::Status),
        "agent:assigned" => json(message).map(News::Assigned),
        "agent:transfer" => json(message).map(News::Transferred),
        "conversation:archived" => json(message).map(News::Archived),
        _ => None,
    }
}

fn json<T: DeserializeOwned>(message: &Received) -> Option<T> {
    serde_json::from_slice(message.payload_bytes()).ok()
}
