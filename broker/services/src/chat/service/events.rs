//! The events that follow from a change of a conversation.

use sampan_client::{Topic, topic_token};
use serde::Serialize;
use serde_json::json;

use crate::chat::model::{
    ArchivedEvent, AssignedEvent, Content, Conversation, Kind, Message, Metadata, Name, Receipt,
    Sender, StatusEvent, SystemLine, TransferEvent,
};
use crate::chat::rules::lifecycle::{Change, Effect};
use crate::id::Id;
use crate::moment::Moment;
use crate::outbox::Event;
use crate::service::Problem;

/// Who says what the shop itself says.
pub(super) const SHOP: &str = "system";
/// The queue that all agents serve.
const QUEUE: &str = "chat.queue.main";

/// A topic of a conversation: `kind` is `conversation`, `typing`, `note` or `position`; of an
/// agent: `agent`.
pub(super) fn topic(kind: &str, id: &str) -> Result<Topic, Problem> {
    parse(&format!("chat.{kind}.{}", topic_token(id)))
}

/// A user's own topic.
fn user(id: &str) -> String {
    format!("user.{}", topic_token(id))
}

pub(super) fn parse(name: &str) -> Result<Topic, Problem> {
    Topic::parse(name).map_err(|_| Problem::field("id", "too long to be one"))
}

/// An event about a conversation.
pub(super) fn event(
    topic: Topic,
    name: &str,
    conversation_id: &str,
    at: Moment,
    payload: &impl Serialize,
) -> Result<Event, Problem> {
    Ok(Event::new(topic, name, at, payload)?.producer("chat").key(conversation_id))
}

/// A conversation waits.
pub(super) fn entered(chat: &Conversation, at: Moment) -> Result<Event, Problem> {
    event(parse(QUEUE)?, Name::Entered.text(), &chat.id, at, &waits(chat))
}

fn waits(chat: &Conversation) -> serde_json::Value {
    json!({ "conversationId": chat.id, "priority": chat.priority })
}

/// What others are told of a change: events, and what the shop itself says in the conversation.
pub(super) fn follow(change: &Change, at: Moment) -> Result<(Vec<Event>, Vec<Message>), Problem> {
    let chat = &change.conversation;
    let id = chat.id.clone();
    let room = topic("conversation", &id)?;
    let (mut events, mut messages) = (Vec::new(), Vec::new());
    let mut tell = |topic: Topic, name: &str, payload: serde_json::Value| {
        event(topic, name, &chat.id, at, &payload).map(|event| events.push(event))
    };
    for effect in &change.effects {
        let id = id.clone();
        match effect {
            Effect::Status { old, new } => {
                let (old, new, version) = (*old, *new, chat.version);
                let told = StatusEvent { conversation_id: id, old, new, version };
                tell(room.clone(), Name::Status.text(), json!(told))?;
            }
            Effect::Assigned { agent_id, epoch, reason } => {
                let (agent, epoch, reason) = (agent_id.clone(), *epoch, *reason);
                let told = AssignedEvent { conversation_id: id, agent_id: agent, epoch, reason };
                tell(room.clone(), Name::Assigned.text(), json!(told))?;
                tell(parse(&user(agent_id))?, Name::Assigned.text(), json!(told))?;
            }
            Effect::Transferred { from, to, epoch } => {
                let (from_agent, to_agent, epoch) = (from.clone(), to.clone(), *epoch);
                let told = TransferEvent { conversation_id: id, from_agent, to_agent, epoch };
                tell(room.clone(), Name::Transfer.text(), json!(told))?;
            }
            Effect::TransferAsked(asked) => {
                tell(parse(&user(&asked.to))?, "agent:transfer_asked", asks(&id, asked))?;
            }
            Effect::TransferRefused(asked) => {
                tell(parse(&user(&asked.from))?, "agent:transfer_refused", asks(&id, asked))?;
                tell(parse(&user(&asked.to))?, "agent:transfer_refused", asks(&id, asked))?;
            }
            Effect::Queued => {
                tell(parse(QUEUE)?, Name::Entered.text(), waits(chat))?;
            }
            Effect::Dequeued => {
                tell(parse(QUEUE)?, Name::Left.text(), json!({ "conversationId": id }))?;
            }
            Effect::Archived => {
                let told = ArchivedEvent { conversation_id: id };
                tell(room.clone(), Name::Archived.text(), json!(told))?;
            }
            Effect::Line(line) => messages.push(said(chat, line.clone(), at)),
            Effect::AskRating(number) => {
                let told = json!({ "conversationId": id, "resolution_no": number });
                tell(parse(&user(&chat.customer_id))?, "conversation:rate", told)?;
            }
            Effect::Ended { .. } | Effect::FirstReply => {}
        }
    }
    Ok((events, messages))
}

fn asks(id: &str, asked: &crate::chat::model::Transfer) -> serde_json::Value {
    json!({
        "conversationId": id, "fromAgent": asked.from, "toAgent": asked.to,
        "note": asked.note, "expires_at": asked.expires_at,
    })
}

/// What the shop itself says.
fn said(chat: &Conversation, line: SystemLine, at: Moment) -> Message {
    let id = Id::new().to_string();
    let metadata = Metadata { system: Some(line), ..Metadata::default() };
    Message {
        client_message_id: id.clone(),
        id,
        conversation_id: chat.id.clone(),
        seq: 0,
        sender_id: SHOP.to_owned(),
        sender_type: Sender::System,
        content: Content { metadata: Some(metadata), ..Content::default() },
        message_type: Kind::System,
        status: Receipt::Sent,
        created_at: at,
        updated_at: at,
        epoch: chat.epoch,
        reply_to: None,
        private: false,
        edited_at: None,
        deleted_at: None,
    }
}
