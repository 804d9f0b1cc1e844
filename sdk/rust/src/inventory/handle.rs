//! Asking about stock, and looking at a product.

use std::collections::BTreeMap;

use protocol::Topic;
use protocol::control::Start;
use protocol::topic::token;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{
    ADJUST, Adjust, COMMIT, Commit, EXTEND, GET, GET_RESERVATION, Levels, Location, OfCustomer,
    PAYMENT_FAILED, PAYMENT_PENDING, ProductStock, RELEASE, RESERVATIONS, RESERVE, RESTOCK,
    Reservation, Reservations, Reserve, Reserved, Restock, SET_LOCATION, SET_THRESHOLD, Set, TELL,
    Tell, Threshold, ViewerUpdate, WantedProduct, WantedReservation,
};
use crate::error::invalid;
use crate::{Client, Delivery, Error, Subscription};

impl Client {
    /// Stock, as the shop's services have it.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        Inventory { client: self.clone() }
    }
}

/// Stock, as the shop's services have it.
///
/// # Errors
/// All methods: `Refused` with BAD_FIELD, NOT_GRANTED, BUSY or a code of the services (904 there is
/// no such thing, 909 it does not go with how things stand, 910 the key was used for something else,
/// 911 it has ended, 912 there is no room); as for [`Client::request`].
#[derive(Clone, Debug)]
pub struct Inventory {
    client: Client,
}

impl Inventory {
    /// Holds stock for a customer, all that is wanted or nothing, for a quarter of an hour. Sent
    /// again with the same idempotency key it is the same reservation.
    ///
    /// # Errors
    /// See [`Inventory`].
    pub async fn reserve(&self, wanted: &Reserve) -> Result<Reserved, Error> {
        self.ask(RESERVE, wanted).await
    }

    /// Gives a reservation up. The same again changes nothing.
    ///
    /// # Errors
    /// See [`Inventory`].
    pub async fn release(&self, reservation_id: &str) -> Result<Reservation, Error> {
        self.step(RELEASE, reservation_id).await
    }

    /// Makes a reservation longer, once.
    ///
    /// # Errors
    /// See [`Inventory`].
    pub async fn extend(&self, reservation_id: &str) -> Result<Reservation, Error> {
        self.step(EXTEND, reservation_id).await
    }

    /// Says that the customer is paying: it is kept half an hour.
    ///
    /// # Errors
    /// See [`Inventory`].
    pub async fn payment_pending(&self, reservation_id: &str) -> Result<Reservation, Error> {
        self.step(PAYMENT_PENDING, reservation_id).await
    }

    /// Says that the payment came to nothing: it holds as long as a new one.
    ///
    /// # Errors
    /// See [`Inventory`].
    pub async fn payment_failed(&self, reservation_id: &str) -> Result<Reservation, Error> {
        self.step(PAYMENT_FAILED, reservation_id).await
    }

    /// Sells what is held, for an order. The same again changes nothing.
    ///
    /// # Errors
    /// See [`Inventory`]; 911 if the stock is lost, and then the money is to be paid back.
    pub async fn commit(&self, reservation_id: &str, order_id: &str) -> Result<Reservation, Error> {
        let (reservation_id, order_id) = (reservation_id.to_owned(), order_id.to_owned());
        self.ask(COMMIT, &Commit { reservation_id, order_id }).await
    }

    /// One reservation.
    ///
    /// # Errors
    /// See [`Inventory`].
    pub async fn reservation(&self, reservation_id: &str) -> Result<Reservation, Error> {
        self.step(GET_RESERVATION, reservation_id).await
    }

    /// What a customer holds; the asker, if none is named.
    ///
    /// # Errors
    /// See [`Inventory`].
    pub async fn reservations(&self, customer_id: Option<&str>) -> Result<Vec<Reservation>, Error> {
        let question = OfCustomer { customer_id: customer_id.map(str::to_owned) };
        Ok(self.ask::<Reservations>(RESERVATIONS, &question).await?.reservations)
    }

    /// What there is of a product.
    ///
    /// # Errors
    /// See [`Inventory`].
    pub async fn product(&self, product_id: &str) -> Result<ProductStock, Error> {
        self.ask(GET, &WantedProduct { product_id: product_id.to_owned() }).await
    }

    /// Adds what has come.
    ///
    /// # Errors
    /// See [`Inventory`].
    pub async fn restock(&self, restock: &Restock) -> Result<Levels, Error> {
        self.ask(RESTOCK, restock).await
    }

    /// Sets right what was counted.
    ///
    /// # Errors
    /// See [`Inventory`].
    pub async fn adjust(&self, adjust: &Adjust) -> Result<Levels, Error> {
        self.ask(ADJUST, adjust).await
    }

    /// Says when stock is low.
    ///
    /// # Errors
    /// See [`Inventory`].
    pub async fn set_threshold(&self, threshold: &Threshold) -> Result<(), Error> {
        self.ask::<Set>(SET_THRESHOLD, threshold).await.map(|_| ())
    }

    /// Says what a location is for.
    ///
    /// # Errors
    /// See [`Inventory`].
    pub async fn set_location(&self, location: &Location) -> Result<(), Error> {
        self.ask::<Set>(SET_LOCATION, location).await.map(|_| ())
    }

    /// Has viewers told anew what is available, of one product or of all, within seconds: after the
    /// broker has lost what it kept, nobody else tells them.
    ///
    /// # Errors
    /// See [`Inventory`].
    pub async fn tell(&self, product_id: Option<&str>) -> Result<(), Error> {
        let wanted = Tell { product_id: product_id.map(str::to_owned) };
        self.ask::<Set>(TELL, &wanted).await.map(|_| ())
    }

    /// Looks at a product: what is available of its variants at once, and then every change.
    ///
    /// # Errors
    /// As for [`Client::subscribe`].
    pub async fn view(&self, product_id: &str) -> Result<Viewer, Error> {
        let topic = format!("inventory.product.{}", token(product_id));
        let topic = Topic::parse(&topic).map_err(invalid)?;
        let updates = self.client.subscribe(&topic, Start::Now).await?;
        Ok(Viewer { updates, versions: BTreeMap::new() })
    }

    async fn step(&self, topic: &str, reservation_id: &str) -> Result<Reservation, Error> {
        let reservation_id = reservation_id.to_owned();
        self.ask(topic, &WantedReservation { reservation_id }).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        topic: &str,
        question: &impl Serialize,
    ) -> Result<T, Error> {
        self.client.question(topic, question).await
    }
}

/// Somebody who looks at a product.
#[derive(Debug)]
pub struct Viewer {
    updates: Subscription,
    /// The last version of each variant.
    versions: BTreeMap<Option<String>, u64>,
}

impl Viewer {
    /// What is available of a variant, each time that it has changed; none when the subscription
    /// has ended. Of several changes a slow reader sees the last. Cancel-safe.
    pub async fn next(&mut self) -> Option<ViewerUpdate> {
        loop {
            let Delivery::Message(message) = self.updates.next().await? else { continue };
            if message.event() != Some("inventory_update") {
                continue;
            }
            let Ok(update) = serde_json::from_slice::<ViewerUpdate>(message.payload_bytes()) else {
                continue;
            };
            let last = self.versions.entry(update.variant_id.clone()).or_default();
            if update.version > *last {
                *last = update.version;
                return Some(update);
            }
        }
    }

    /// Why there is no more, once there is not.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.updates.error()
    }
}
