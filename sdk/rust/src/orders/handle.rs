//! Asking about orders, and telling of them.

use protocol::Topic;
use protocol::control::Start;
use protocol::topic::token;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{
    Checkpoint, Follower, GET, HISTORY, Heard, History, HistoryWanted, LIST, List, ListWanted,
    Order, STATUS, SUMMARY, StatusTold, Summary, TRACK, UNTRACK, UPSERT, Upsert, Wanted,
};
use crate::error::invalid;
use crate::{Client, Error};

impl Client {
    /// Orders, as the shop's services have them.
    #[must_use]
    pub fn orders(&self) -> Orders {
        Orders { client: self.clone() }
    }
}

/// Orders, as the shop's services have them.
///
/// # Errors
/// All methods: `Refused` with BAD_FIELD, NOT_GRANTED, BUSY or a code of the services (904 there is
/// no such order, or not for the asker; 909 it does not go with how the order stands); as for
/// [`Client::request`].
#[derive(Clone, Debug)]
pub struct Orders {
    client: Client,
}

impl Orders {
    /// Tells all of an order but its status, in the place of what was told before.
    ///
    /// # Errors
    /// See [`Orders`].
    pub async fn upsert(&self, told: &Upsert) -> Result<Order, Error> {
        self.ask(UPSERT, told).await
    }

    /// Says where an order stands. The same at the same time counts once.
    ///
    /// # Errors
    /// See [`Orders`].
    pub async fn status(&self, told: &StatusTold) -> Result<Heard, Error> {
        self.ask(STATUS, told).await
    }

    /// An order.
    ///
    /// # Errors
    /// See [`Orders`].
    pub async fn order(&self, id: &str) -> Result<Order, Error> {
        self.of(GET, id).await
    }

    /// Orders, the newest first. Customers and agents get their own.
    ///
    /// # Errors
    /// See [`Orders`].
    pub async fn list(&self, wanted: &ListWanted) -> Result<Vec<Order>, Error> {
        Ok(self.ask::<List>(LIST, wanted).await?.orders)
    }

    /// The newest of what was heard of an order, in the order in which it was so; at most 100.
    ///
    /// # Errors
    /// See [`Orders`].
    pub async fn history(&self, id: &str, limit: Option<u32>) -> Result<Vec<Checkpoint>, Error> {
        let question = HistoryWanted { id: id.to_owned(), limit };
        Ok(self.ask::<History>(HISTORY, &question).await?.checkpoints)
    }

    /// Has the carrier asked, or asked again.
    ///
    /// # Errors
    /// See [`Orders`].
    pub async fn track(&self, id: &str) -> Result<Order, Error> {
        self.of(TRACK, id).await
    }

    /// Has the carrier asked no more.
    ///
    /// # Errors
    /// See [`Orders`].
    pub async fn untrack(&self, id: &str) -> Result<Order, Error> {
        self.of(UNTRACK, id).await
    }

    /// How all orders stand.
    ///
    /// # Errors
    /// See [`Orders`].
    pub async fn summary(&self) -> Result<Summary, Error> {
        self.ask(SUMMARY, &serde_json::Map::new()).await
    }

    /// Follows an order: how it stands, and then all that is told of it, without a hole between.
    /// What its customer has been told by this gets no push.
    ///
    /// # Errors
    /// See [`Orders`]; as for [`Client::subscribe`].
    pub async fn follow(&self, id: &str) -> Result<Follower, Error> {
        let topic = format!("order.{}", token(id));
        let topic = Topic::parse(&topic).map_err(invalid)?;
        // Whatever is told while the order is asked for waits in the subscription.
        let told = self.client.subscribe(&topic, Start::Now).await?;
        Ok(Follower::new(&self.client, self.order(id).await?, told))
    }

    async fn of(&self, topic: &str, id: &str) -> Result<Order, Error> {
        self.ask(topic, &Wanted { id: id.to_owned() }).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        topic: &str,
        question: &impl Serialize,
    ) -> Result<T, Error> {
        self.client.question(topic, question).await
    }
}
