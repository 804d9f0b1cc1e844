//! What the services answer about conversations and agents over HTTP.

use sampan_bridge_ws::{Forward, Parameter};
use sampan_services::chat::model::{Agent, Conversation, Draft, Message};
use sampan_services::chat::service as chat;

const CONVERSATION: Parameter = Parameter::path("conversation_id", "Id of the conversation");
const CUSTOMER: Parameter =
    Parameter::text("customer_id", "Of this customer; the asker's own, if it is left out");
const AGENT: Parameter = Parameter::path("id", "Id of the agent");
const PAGE: [Parameter; 4] = [
    CONVERSATION,
    Parameter::number("before", "Those before this sequence"),
    Parameter::number("after", "Those behind this sequence"),
    Parameter::number("limit", "How many at most, up to 100").or(100),
];

pub(super) fn forwards() -> Vec<Forward> {
    let change =
        |path, topic, summary| Forward::post::<chat::Of, Conversation>(path, topic, summary);
    vec![
        Forward::post::<chat::Open, Conversation>(
            "/v1/chat/conversations",
            chat::OPEN,
            "Begins a conversation, or finds the one that was begun by the same id",
        ),
        Forward::get::<chat::List>("/v1/chat/conversations", chat::LIST, "Conversations")
            .with(&[CUSTOMER]),
        Forward::get::<Conversation>(
            "/v1/chat/conversations/{conversation_id}",
            chat::GET,
            "A conversation",
        )
        .with(&[CONVERSATION]),
        Forward::get::<chat::Messages>(
            "/v1/chat/conversations/{conversation_id}/messages",
            chat::HISTORY,
            "Messages of a conversation, in order",
        )
        .with(&PAGE),
        Forward::post::<Draft, Message>(
            "/v1/chat/messages",
            chat::SEND,
            "Sends a message; the same client_message_id again is the same message",
        ),
        Forward::post::<chat::Come, chat::Cursors>(
            "/v1/chat/messages/delivered",
            chat::DELIVERED,
            "The asker has got messages",
        ),
        Forward::post::<chat::Come, chat::Cursors>(
            "/v1/chat/messages/read",
            chat::READ,
            "The asker has read messages",
        ),
        change("/v1/chat/requeue", chat::REQUEUE, "Gives a conversation back to those that wait"),
        change("/v1/chat/resolve", chat::RESOLVE, "A conversation is answered"),
        change("/v1/chat/archive", chat::ARCHIVE, "A conversation is over for good"),
        Forward::post::<chat::Snooze, Conversation>(
            "/v1/chat/snooze",
            chat::SNOOZE,
            "Puts a conversation aside for a while",
        ),
        Forward::post::<chat::Assign, Conversation>(
            "/v1/chat/assign",
            chat::ASSIGN,
            "Gives a conversation that waits to an agent",
        ),
        Forward::post::<chat::HandOver, Conversation>(
            "/v1/chat/transfer",
            chat::TRANSFER,
            "Hands a conversation to another agent, or to whoever has a skill",
        ),
        Forward::get::<chat::Agents>("/v1/chat/agents", chat::AGENTS_LIST, "All agents"),
        Forward::put::<chat::AgentTold, Agent>(
            "/v1/chat/agents/{id}",
            chat::PUT_AGENT,
            "Tells of an agent: name, address, skills, limit",
        )
        .with(&[AGENT]),
    ]
}
