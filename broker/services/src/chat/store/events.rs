//! The event of a message, which only the store can make: it gives the message its sequence.

use sampan_client::topic_token;

use crate::chat::model::{Message, Name};
use crate::outbox::Event;
use crate::store::Error;

/// `message:receive` for those who may see it: private notes have a topic of their own, which is
/// granted to agents.
pub(super) fn received(message: &Message) -> Result<Event, Error> {
    let kind = if message.private { "note" } else { "conversation" };
    let topic = format!("chat.{kind}.{}", topic_token(&message.conversation_id));
    let event = Event::of(&topic, Name::Receive.text(), message.updated_at, message)?;
    Ok(event.producer("chat").key(&message.conversation_id))
}
