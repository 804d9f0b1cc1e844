//! What the services answer about conversations and agents over HTTP.

use sampan_bridge_ws::{Forward, Parameter};
use sampan_services::chat::course;
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

const POLICY: Parameter = Parameter::path("id", "Id of the promise");
const FIGURES: [Parameter; 3] = [
    Parameter::text("from", "The first day, such as 2026-11-01, of UTC").required(),
    Parameter::text("to", "The last day, up to 400 days later").required(),
    Parameter::text("agent_id", "Of this agent only"),
];
const SEARCH: [Parameter; 4] = [
    Parameter::text("text", "Words, all of which a message has").required(),
    Parameter::text("conversation_id", "In this conversation only"),
    Parameter::text("before", "Older ones than this message: next of the page before"),
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
        Forward::get::<chat::Found>(
            "/v1/chat/search",
            chat::SEARCH,
            "Messages that have what is sought, the newest first",
        )
        .with(&SEARCH),
        Forward::get::<course::Shown>(
            "/v1/chat/figures",
            course::FIGURES,
            "First response, resolution, engagement and satisfaction, by day and agent",
        )
        .with(&FIGURES),
        Forward::get::<course::Policies>(
            "/v1/chat/sla-policies",
            course::SLA_LIST,
            "What is promised to customers",
        ),
        Forward::put::<course::PolicyPut, course::PolicyPut>(
            "/v1/chat/sla-policies/{id}",
            course::SLA_PUT,
            "Promises something to customers; the promise `default` is made to everybody",
        )
        .with(&[POLICY]),
        Forward::post::<course::Apply, course::Promise>(
            "/v1/chat/sla",
            course::SLA_APPLY,
            "Makes another promise to one conversation",
        ),
        Forward::get::<course::Promise>(
            "/v1/chat/conversations/{conversation_id}/sla",
            course::SLA_GET,
            "The promise to a conversation, and how it is kept",
        )
        .with(&[CONVERSATION]),
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
