//! Chats in SQLite and PostgreSQL: each change is one transaction.
//!
//! What is asked for by a value has a column of its own; the rest of a conversation, a message or an
//! agent is JSON in `body`.

mod agents;
mod conversations;
mod messages;
mod participants;
mod schema;
mod steps;

pub(crate) use self::schema::SCHEMA;
use super::{Answer, Choice, Created, Outcome, Page, Search, Step, Store};
use crate::chat::model::{Agent, Assignment, Conversation, Message, Participant, Revision};
use crate::moment::Moment;
use crate::outbox::{self, Event};
use crate::store::encoding::{json, name};
use crate::store::{Database, Work};

/// Chats in a SQL database.
#[derive(Clone, Debug)]
pub struct SqlStore(Database);

impl SqlStore {
    /// The chats of this database.
    #[must_use]
    pub fn new(database: &Database) -> Self {
        SqlStore(database.clone())
    }
}

impl Store for SqlStore {
    async fn create(
        &self,
        conversation: &Conversation,
        open_max: Option<u32>,
        events: &[Event],
    ) -> Answer<Created> {
        // Whatever returns early takes everything back.
        let mut work = self.0.begin().await?;
        let customer = &conversation.customer_id;
        if open_max.is_some() {
            work.hold(&format!("conversations of {customer}")).await?;
        }
        if !conversations::insert(&mut work, conversation).await? {
            return Ok(Created::Known);
        }
        if let Some(max) = open_max
            && conversations::open_of(&mut work, customer).await? > i64::from(max)
        {
            return Ok(Created::Full);
        }
        add_all(&mut work, events).await?;
        work.commit().await?;
        Ok(Created::New)
    }

    async fn conversation(&self, id: &str) -> Answer<Option<Conversation>> {
        conversations::find(&self.0, id).await
    }

    async fn waiting(&self, max: u32) -> Answer<Vec<Conversation>> {
        conversations::waiting(&self.0, max).await
    }

    async fn of_agent(&self, agent_id: &str) -> Answer<Vec<Conversation>> {
        conversations::of_agent(&self.0, agent_id).await
    }

    async fn of_customer(&self, customer_id: &str, max: u32) -> Answer<Vec<Conversation>> {
        conversations::of_customer(&self.0, customer_id, max).await
    }

    async fn rested(&self, woken: Moment, resolved: Moment, max: u32) -> Answer<Vec<Conversation>> {
        conversations::rested(&self.0, woken, resolved, max).await
    }

    async fn apply(&self, step: &Step) -> Answer<Outcome> {
        steps::apply(&self.0, step).await
    }

    async fn message(&self, id: &str) -> Answer<Option<Message>> {
        messages::find(&self.0, id).await
    }

    async fn messages(&self, conversation_id: &str, page: Page) -> Answer<Vec<Message>> {
        messages::page(&self.0, conversation_id, page).await
    }

    async fn search(&self, wanted: &Search) -> Answer<Vec<Message>> {
        messages::search(&self.0, wanted).await
    }

    async fn rewrite(
        &self,
        before: &Message,
        after: &Message,
        revision: &Revision,
    ) -> Answer<bool> {
        messages::rewrite(&self.0, before, after, revision).await
    }

    async fn revisions(&self, message_id: &str) -> Answer<Vec<Revision>> {
        messages::revisions(&self.0, message_id).await
    }

    async fn join(&self, who: &Participant) -> Answer<Participant> {
        participants::join(&self.0, who).await
    }

    async fn leave(&self, conversation_id: &str, user_id: &str, at: Moment) -> Answer<bool> {
        participants::leave(&self.0, conversation_id, user_id, at).await
    }

    async fn participants(&self, conversation_id: &str) -> Answer<Vec<Participant>> {
        participants::all(&self.0, conversation_id).await
    }

    async fn advance(&self, to: &Participant, events: &[Event]) -> Answer<bool> {
        participants::advance(&self.0, to, events).await
    }

    async fn put_agent(&self, agent: &Agent) -> Answer<Agent> {
        agents::put(&self.0, agent).await
    }

    async fn agent(&self, id: &str) -> Answer<Option<Agent>> {
        agents::find(&self.0, id).await
    }

    async fn agents(&self) -> Answer<Vec<Agent>> {
        agents::all(&self.0).await
    }

    async fn set_status(
        &self,
        id: &str,
        choice: Choice,
        events: &[Event],
    ) -> Answer<Option<Agent>> {
        agents::set_status(&self.0, id, choice, events).await
    }

    async fn seen(&self, live: &[String], gone: &[String], at: Moment) -> Answer<()> {
        agents::seen(&self.0, live, gone, at).await
    }

    async fn recount(&self) -> Answer<u64> {
        agents::recount(&self.0).await
    }

    async fn assignments(&self, conversation_id: &str) -> Answer<Vec<Assignment>> {
        agents::assignments(&self.0, conversation_id).await
    }
}

async fn add_all(work: &mut Work<'_>, events: &[Event]) -> Answer<()> {
    for event in events {
        outbox::add(work, event).await?;
    }
    Ok(())
}
