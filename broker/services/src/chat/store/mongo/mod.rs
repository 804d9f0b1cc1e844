//! Chats in MongoDB: each change is one update of one document.
//!
//! A change of a conversation is an update of its document, guarded by its version, which adds to
//! the list `pending` there whatever is to follow: messages, slots that become free, assignments,
//! events. That update is the one moment at which all of it is stored. Then it is carried out, entry
//! by entry, and each can be carried out twice; whoever finds an entry that a crash has left does so.
//!
//! An agent's slot is taken before the change that it is for, under an id of that attempt alone. If
//! the change does not come to be, the slot is given back, and [`recount`] gives back what a crash
//! has kept.

mod agents;
mod assignments;
mod conversations;
mod duty;
mod messages;
mod outbox;
mod participants;
mod pending;
mod recount;
mod schema;
mod steps;

use super::{Answer, Choice, Created, Outcome, Page, Search, Step, Store};
use crate::chat::model::{Agent, Assignment, Conversation, Message, Participant, Revision};
use crate::moment::Moment;
use crate::outbox::Event;
use crate::store::mongo::{Collection, Mongo, shape};

/// Chats in a database of MongoDB.
#[derive(Clone, Debug)]
pub struct MongoStore(Mongo);

impl MongoStore {
    /// The chats of this database.
    #[must_use]
    pub fn new(database: &Mongo) -> Self {
        MongoStore(database.clone())
    }

    /// Brings the database to what this program expects.
    ///
    /// # Errors
    /// `Newer` if a newer program was here; nothing was changed then. Those of the database.
    pub async fn prepare(&self) -> Answer<()> {
        shape(&self.0, &schema::SHAPE).await?;
        conversations::note_resolved(self).await
    }

    fn conversations(&self) -> Collection {
        self.0.collection(schema::CONVERSATIONS)
    }

    fn messages(&self) -> Collection {
        self.0.collection(schema::MESSAGES)
    }

    fn agents(&self) -> Collection {
        self.0.collection(schema::AGENTS)
    }

    fn assignments(&self) -> Collection {
        self.0.collection(schema::ASSIGNMENTS)
    }
}

impl Store for MongoStore {
    async fn create(
        &self,
        conversation: &Conversation,
        open_max: Option<u32>,
        events: &[Event],
    ) -> Answer<Created> {
        let customer = &conversation.customer_id;
        if let Some(max) = open_max
            && conversations::has_open(self, customer, max).await?
            && self.conversation(&conversation.id).await?.is_none()
        {
            return Ok(Created::Full);
        }
        let is_new = conversations::insert(self, conversation, events).await?;
        Ok(if is_new { Created::New } else { Created::Known })
    }

    async fn conversation(&self, id: &str) -> Answer<Option<Conversation>> {
        conversations::find(self, id).await
    }

    async fn waiting(&self, max: u32) -> Answer<Vec<Conversation>> {
        conversations::waiting(self, max).await
    }

    async fn of_agent(&self, agent_id: &str) -> Answer<Vec<Conversation>> {
        conversations::of_agent(self, agent_id).await
    }

    async fn of_customer(&self, customer_id: &str, max: u32) -> Answer<Vec<Conversation>> {
        conversations::of_customer(self, customer_id, max).await
    }

    async fn rested(&self, woken: Moment, resolved: Moment, max: u32) -> Answer<Vec<Conversation>> {
        conversations::rested(self, woken, resolved, max).await
    }

    async fn apply(&self, step: &Step) -> Answer<Outcome> {
        steps::apply(self, step).await
    }

    async fn message(&self, id: &str) -> Answer<Option<Message>> {
        messages::find(self, id).await
    }

    async fn messages(&self, conversation_id: &str, page: Page) -> Answer<Vec<Message>> {
        messages::page(self, conversation_id, page).await
    }

    async fn search(&self, wanted: &Search) -> Answer<Vec<Message>> {
        messages::search(self, wanted).await
    }

    async fn rewrite(
        &self,
        before: &Message,
        after: &Message,
        revision: &Revision,
    ) -> Answer<bool> {
        messages::rewrite(self, before, after, revision).await
    }

    async fn revisions(&self, message_id: &str) -> Answer<Vec<Revision>> {
        messages::revisions(self, message_id).await
    }

    async fn join(&self, who: &Participant) -> Answer<Participant> {
        participants::join(self, who).await
    }

    async fn leave(&self, conversation_id: &str, user_id: &str, at: Moment) -> Answer<bool> {
        participants::leave(self, conversation_id, user_id, at).await
    }

    async fn participants(&self, conversation_id: &str) -> Answer<Vec<Participant>> {
        participants::all(self, conversation_id).await
    }

    async fn advance(&self, to: &Participant, events: &[Event]) -> Answer<bool> {
        participants::advance(self, to, events).await
    }

    async fn put_agent(&self, agent: &Agent) -> Answer<Agent> {
        agents::put(self, agent).await
    }

    async fn agent(&self, id: &str) -> Answer<Option<Agent>> {
        agents::find(self, id).await
    }

    async fn agents(&self) -> Answer<Vec<Agent>> {
        agents::all(self).await
    }

    async fn set_status(
        &self,
        id: &str,
        choice: Choice,
        events: &[Event],
    ) -> Answer<Option<Agent>> {
        agents::set_status(self, id, choice, events).await
    }

    async fn seen(&self, live: &[String], gone: &[String], at: Moment) -> Answer<()> {
        agents::seen(self, live, gone, at).await
    }

    async fn recount(&self) -> Answer<u64> {
        recount::recount(self).await
    }

    async fn assignments(&self, conversation_id: &str) -> Answer<Vec<Assignment>> {
        assignments::all(self, conversation_id).await
    }
}
