//! Duties: what follows from a change of a conversation, each as often as anybody likes.

use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{MongoStore, agents, assignments, messages, pending};
use crate::chat::model::{Assignment, EndReason, Message, Revision};
use crate::chat::store::Answer;
use crate::moment::Moment;
use crate::store::mongo::doc;

/// What is to be done beside the conversation's own document.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Duty {
    /// A message is added at its place.
    Message {
        /// The message.
        message: Box<Message>,
    },
    /// A message says something else.
    Rewrite {
        /// The message.
        message: Box<Message>,
        /// What it said.
        revision: Box<Revision>,
        /// How often it was rewritten before.
        no: i64,
    },
    /// An agent has the conversation.
    Begun(Assignment),
    /// An agent has it no longer.
    Ended {
        /// Who.
        agent_id: String,
        /// The slot that becomes free.
        slot: Option<String>,
        /// Which time.
        epoch: u64,
        /// Why.
        reason: EndReason,
        /// When.
        at: Moment,
    },
    /// An agent has replied for the first time.
    Replied {
        /// Which time it had the conversation.
        epoch: u64,
        /// When.
        at: Moment,
    },
}

/// Carries out the duties of a conversation in their order, and takes them from its list.
pub(super) async fn settle(
    store: &MongoStore,
    conversation_id: &str,
    duties: &[(String, Duty)],
) -> Answer<()> {
    if duties.is_empty() {
        return Ok(());
    }
    for (_, duty) in duties {
        carry_out(store, conversation_id, duty).await?;
    }
    let ids: Vec<String> = duties.iter().map(|(id, _)| id.clone()).collect();
    let own = doc! { "_id": conversation_id };
    store.conversations().hasty().update(own, pending::pull(&ids)).await.map(|_| ())
}

/// The same for a change that is stored: what fails now the relay does later.
pub(super) async fn settle_or_leave(
    store: &MongoStore,
    conversation_id: &str,
    duties: &[(String, Duty)],
) {
    if let Err(error) = settle(store, conversation_id, duties).await {
        warn!(%error, conversation = conversation_id, "what follows from a change is left to the relay");
        store.0.tell_events();
    }
}

async fn carry_out(store: &MongoStore, conversation_id: &str, duty: &Duty) -> Answer<()> {
    match duty {
        Duty::Message { message } => messages::insert(store, message).await,
        Duty::Rewrite { message, revision, no } => {
            messages::replace(store, message, revision, *no).await
        }
        Duty::Begun(assignment) => assignments::begin(store, assignment).await,
        Duty::Ended { agent_id, slot, epoch, reason, at } => {
            if let Some(slot) = slot {
                agents::free_slot(store, agent_id, slot).await?;
            }
            assignments::end(store, conversation_id, *epoch, *reason, *at).await
        }
        Duty::Replied { epoch, at } => {
            assignments::first_reply(store, conversation_id, *epoch, *at).await
        }
    }
}
