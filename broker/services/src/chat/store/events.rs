//! The event of a message, which only the store can make: it gives the message its sequence.

use sampan_client::{Topic, topic_token};

use crate::chat::model::{Message, Name};
use crate::outbox::Event;
use crate::store::Error;

/// `message:receive` for those who may see it: private notes have a topic of their own, which is
/// granted to agents.
pub(super) fn received(message: &Message) -> Result<Event, Error> {
    let kind = if message.private { "note" } else { "conversation" };
    let topic = format!("chat.{kind}.{}", topic_token(&message.conversation_id));
    let wrong = |error: &dyn std::fmt::Display| Error::Program(format!("{topic}: {error}"));
    let parsed = Topic::parse(&topic).map_err(|error| wrong(&error))?;
    let at = message.updated_at.as_ms();
    let event = Event::new(parsed, Name::Receive.text(), at, message);
    let event = event.map_err(|error| wrong(&error))?.producer("chat");
    Ok(event.key(&message.conversation_id))
}
