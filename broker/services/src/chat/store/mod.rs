//! What chat keeps, and how it changes: a contract that each database fulfils.
//!
//! A conversation is changed by a guarded update on its version, together with everything that
//! follows from the change. A message gets its place in the conversation from the store.
//! Conversations, messages and agents are JSON in `body`; what is asked for by a value stands beside.

mod events;
mod mongo;
mod sql;
mod step;

use std::future::Future;

use tracing::error;

pub use self::mongo::MongoStore;
pub(crate) use self::sql::SCHEMA;
pub use self::sql::SqlStore;
pub use self::step::{Created, Outcome, Page, Room, Search, Step};
use super::model::{Agent, AgentStatus, Assignment, Conversation, Message, Participant, Revision};
use crate::moment::Moment;
use crate::outbox::Event;
use crate::store::Error;

/// What is chosen for an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Whether it takes chats.
    pub status: AgentStatus,
    /// When.
    pub at: Moment,
    /// Whether the agent itself has said so, and so lives.
    pub is_own: bool,
}

/// The answer of a store.
type Answer<T> = Result<T, Error>;

/// What can be read of a list: one row that is damaged takes no other with it.
fn readable<T>(rows: impl IntoIterator<Item = Answer<T>>) -> Answer<Vec<T>> {
    let is_kept = |row: &Answer<T>| match row {
        Err(error @ Error::Damaged(_)) => {
            error!(%error, "a row is damaged, and is left out");
            false
        }
        _ => true,
    };
    rows.into_iter().filter(is_kept).collect()
}

/// A store of chats. Events that are given to it leave if and only if the change is stored.
pub trait Store: Clone + Send + Sync + 'static {
    /// Adds a conversation, unless there is one of its id, or its customer has `open_max` open ones.
    fn create(
        &self,
        conversation: &Conversation,
        open_max: Option<u32>,
        events: &[Event],
    ) -> impl Future<Output = Answer<Created>> + Send;

    /// The conversation of this id.
    fn conversation(&self, id: &str) -> impl Future<Output = Answer<Option<Conversation>>> + Send;

    /// Conversations for which an agent is to be found, those that wait longest first.
    fn waiting(&self, max: u32) -> impl Future<Output = Answer<Vec<Conversation>>> + Send;

    /// The conversations that an agent has.
    fn of_agent(&self, agent_id: &str) -> impl Future<Output = Answer<Vec<Conversation>>> + Send;

    /// A customer's conversations, the newest first.
    fn of_customer(
        &self,
        customer_id: &str,
        max: u32,
    ) -> impl Future<Output = Answer<Vec<Conversation>>> + Send;

    /// Conversations that were put aside until `woken` or earlier, and those that were resolved at
    /// `resolved` or earlier; of each the earliest first, at most `max`.
    fn rested(
        &self,
        woken: Moment,
        resolved: Moment,
        max: u32,
    ) -> impl Future<Output = Answer<Vec<Conversation>>> + Send;

    /// Carries out a change and all that follows from it, or nothing.
    fn apply(&self, step: &Step) -> impl Future<Output = Answer<Outcome>> + Send;

    /// The message of this id.
    fn message(&self, id: &str) -> impl Future<Output = Answer<Option<Message>>> + Send;

    /// Messages of a conversation, by sequence.
    fn messages(
        &self,
        conversation_id: &str,
        page: Page,
    ) -> impl Future<Output = Answer<Vec<Message>>> + Send;

    /// Messages that have all terms, the newest first.
    fn search(&self, wanted: &Search) -> impl Future<Output = Answer<Vec<Message>>> + Send;

    /// Puts a changed message in the place of `before`, and keeps what it said; whether it was as
    /// `before` says.
    fn rewrite(
        &self,
        before: &Message,
        after: &Message,
        revision: &Revision,
    ) -> impl Future<Output = Answer<bool>> + Send;

    /// What a message said before, the oldest first.
    fn revisions(&self, message_id: &str) -> impl Future<Output = Answer<Vec<Revision>>> + Send;

    /// Lets a user take part, or again; the cursors of one who had been there stay.
    fn join(&self, who: &Participant) -> impl Future<Output = Answer<Participant>> + Send;

    /// Notes that a user has left; whether it took part.
    fn leave(
        &self,
        conversation_id: &str,
        user_id: &str,
        at: Moment,
    ) -> impl Future<Output = Answer<bool>> + Send;

    /// Who takes or took part.
    fn participants(
        &self,
        conversation_id: &str,
    ) -> impl Future<Output = Answer<Vec<Participant>>> + Send;

    /// Moves a participant's cursors up to those given, never down; whether one has moved. Only
    /// then the events leave.
    fn advance(
        &self,
        to: &Participant,
        events: &[Event],
    ) -> impl Future<Output = Answer<bool>> + Send;

    /// Tells of an agent: name, address, skills, limit. What the agent does and has stays.
    fn put_agent(&self, agent: &Agent) -> impl Future<Output = Answer<Agent>> + Send;

    /// The agent of this id.
    fn agent(&self, id: &str) -> impl Future<Output = Answer<Option<Agent>>> + Send;

    /// All agents, by id.
    fn agents(&self) -> impl Future<Output = Answer<Vec<Agent>>> + Send;

    /// Notes what an agent has chosen; none if there is no such agent.
    fn set_status(
        &self,
        id: &str,
        choice: Choice,
        events: &[Event],
    ) -> impl Future<Output = Answer<Option<Agent>>> + Send;

    /// Notes which agents live and which have gone. One that has chosen to be offline stays as it
    /// was seen last, and one that had gone before is gone since then.
    fn seen(
        &self,
        live: &[String],
        gone: &[String],
        at: Moment,
    ) -> impl Future<Output = Answer<()>> + Send;

    /// Counts the chats of all agents again; how many counts were wrong.
    fn recount(&self) -> impl Future<Output = Answer<u64>> + Send;

    /// The times that agents had a conversation, in order.
    fn assignments(
        &self,
        conversation_id: &str,
    ) -> impl Future<Output = Answer<Vec<Assignment>>> + Send;
}
