//! The collections of chats.

use crate::store::mongo::{Index, Shape};

/// Conversations, each with who takes part and with what is still to follow from its changes.
pub(super) const CONVERSATIONS: &str = "conversations";
/// Messages, each with what it said before.
pub(super) const MESSAGES: &str = "messages";
/// Agents, each with the slots that are taken.
pub(super) const AGENTS: &str = "agents";
/// Who had what when.
pub(super) const ASSIGNMENTS: &str = "assignments";
/// What waited to be published and never will be, with the reason.
pub(super) const REFUSED: &str = "refused";

/// The shape of a chat's database.
pub(super) const SHAPE: Shape = Shape {
    name: "chat",
    version: 1,
    indexes: &[
        plain(CONVERSATIONS, "queue", &["status", "waiting_since", "_id"]),
        plain(CONVERSATIONS, "agent", &["agent_id", "status"]),
        plain(CONVERSATIONS, "customer", &["customer_id", "last_message_at"]),
        plain(CONVERSATIONS, "snoozed", &["status", "snoozed_until"]),
        plain(CONVERSATIONS, "resolved", &["status", "resolved_at"]),
        plain(CONVERSATIONS, "pending", &["pending.id"]),
        unique(MESSAGES, "place", &["conversation_id", "seq"]),
        unique(MESSAGES, "once", &["conversation_id", "sender_id", "client_message_id"]),
        plain(MESSAGES, "words_newest", &["words", "updated_at", "_id"]),
        unique(AGENTS, "email", &["email"]),
        plain(AGENTS, "pending", &["pending.id"]),
        unique(ASSIGNMENTS, "epoch", &["conversation_id", "epoch"]),
        plain(ASSIGNMENTS, "agent", &["agent_id", "ended_at"]),
    ],
    dropped: &[(MESSAGES, "words")],
};

const fn plain(
    collection: &'static str,
    name: &'static str,
    fields: &'static [&'static str],
) -> Index {
    Index { collection, name, fields, is_unique: false }
}

const fn unique(
    collection: &'static str,
    name: &'static str,
    fields: &'static [&'static str],
) -> Index {
    Index { is_unique: true, ..plain(collection, name, fields) }
}
