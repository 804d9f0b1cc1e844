//! An event on its way out, and the message that it becomes.

use std::fmt::Display;

use sampan_client::{AckLevel, Message, Topic};
use serde::Serialize;

use crate::id::Id;
use crate::moment::Moment;
use crate::signature::id_of;
use crate::store::Error;

/// The version of the envelope.
const ENVELOPE: &[u8] = b"1";

/// Where operators look.
pub const DASHBOARD: &str = "admin.dashboard";

/// Something that has happened, for whoever reads a topic.
///
/// The payload is what clients get as it is; everything about the event travels beside it, in
/// fields and headers of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Unique id, under which the broker takes it once.
    pub id: String,
    /// Where it is published.
    pub topic: Topic,
    /// Its name, such as `message:receive`.
    pub name: String,
    /// What it is about. Events of one topic and key are published in the order of their commits.
    pub key: Option<String>,
    /// Version of the value, for topics that keep the newest only.
    pub version: Option<u64>,
    /// The service that it comes from.
    pub producer: String,
    /// When it happened.
    pub occurred_at: Moment,
    /// JSON.
    pub payload: String,
}

impl Event {
    /// An event with a new id.
    ///
    /// # Errors
    /// `Program` if the payload has no JSON form.
    pub fn new(
        topic: Topic,
        name: &str,
        occurred_at: Moment,
        payload: &impl Serialize,
    ) -> Result<Self, Error> {
        let payload = serde_json::to_string(payload).map_err(|error| wrong(name, &error))?;
        let producer = name.split(':').next().unwrap_or_default().to_owned();
        let (key, version, name) = (None, None, name.to_owned());
        let id = Id::new().to_string();
        Ok(Event { id, topic, name, key, version, producer, occurred_at, payload })
    }

    /// The same for a topic that is named.
    ///
    /// # Errors
    /// `Program` if there is no such topic, too.
    pub fn of(
        topic: &str,
        name: &str,
        occurred_at: Moment,
        payload: &impl Serialize,
    ) -> Result<Self, Error> {
        let topic = Topic::parse(topic).map_err(|error| wrong(topic, &error))?;
        Event::new(topic, name, occurred_at, payload)
    }

    /// The same under the id of these names, so that what is told again is taken once.
    #[must_use]
    pub fn named(self, names: &[&str]) -> Self {
        Event { id: id_of(names), ..self }
    }

    /// Whether it can be sent: one that cannot would be stored, and lost.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.carrying(Vec::new()).check().map_err(|error| wrong(&self.name, &error))
    }

    /// The same with a key.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        Event { key: Some(key.to_owned()), ..self }
    }

    /// The same with a version.
    #[must_use]
    pub fn version(self, version: u64) -> Self {
        Event { version: Some(version), ..self }
    }

    /// The same from this service.
    #[must_use]
    pub fn producer(self, producer: &str) -> Self {
        Event { producer: producer.to_owned(), ..self }
    }

    /// What it is put in order by.
    pub(super) fn lane(&self) -> String {
        format!("{} {}", self.topic.as_str(), self.key.as_deref().unwrap_or_default())
    }

    /// The message that it becomes.
    pub(super) fn message(&self) -> Message {
        self.carrying(self.payload.clone().into_bytes())
    }

    fn carrying(&self, payload: Vec<u8>) -> Message {
        let message = Message::new(self.topic.clone(), payload)
            .event(&self.name)
            .content_type("application/json")
            .idempotency_key(&self.id)
            .header("event_id", self.id.as_bytes())
            .header("envelope", ENVELOPE)
            .header("producer", self.producer.as_bytes())
            .header("occurred_at", self.occurred_at.as_ms().to_string().as_bytes());
        let message = self.key.iter().fold(message, |message, key| message.key(key));
        self.version.iter().fold(message, |message, version| message.version(*version))
    }

    /// The message for a topic that keeps what it was told.
    pub(super) fn synced(&self) -> Message {
        self.message().ack(AckLevel::Synced)
    }
}

fn wrong(what: &str, why: &dyn Display) -> Error {
    Error::Program(format!("an event: {what}: {why}"))
}
