//! Whom a conversation is there for.

use super::model::Conversation;
use super::store::Store;
use crate::role::Role;
use crate::service::{Asker, Problem};

/// Whether a conversation is there for this asker: customers have their own, agents serve all.
pub(super) fn may_see(chat: &Conversation, asker: &Asker) -> bool {
    asker.role != Role::Customer || chat.customer_id == asker.user
}

/// The conversation of this id, whoever asks.
pub(super) async fn find(chats: &impl Store, id: &str) -> Result<Conversation, Problem> {
    chats.conversation(id).await?.ok_or_else(unknown)
}

/// The conversation, if it is there for this asker: of another's nobody learns that there is one.
pub(super) async fn seen(
    chats: &impl Store,
    id: &str,
    asker: &Asker,
) -> Result<Conversation, Problem> {
    let chat = find(chats, id).await?;
    if may_see(&chat, asker) { Ok(chat) } else { Err(unknown()) }
}

pub(super) fn unknown() -> Problem {
    Problem::not_found("there is no such conversation, or not for you")
}
