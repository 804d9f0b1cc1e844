//! Sampan's client for Rust.
//!
//! ```no_run
//! # async fn example() -> Result<(), sampan_client::Error> {
//! use sampan_client::{Client, Delivery, Message, Options, Start, Token, Topic};
//!
//! let token = Token::Static("eyJ...".to_owned());
//! let client = Client::connect(Options::new("quic://broker.example:3001", token)).await?;
//!
//! let topic = Topic::parse("order.42").map_err(sampan_client::invalid)?;
//! let mut orders = client.subscribe(&topic, Start::Now).await?;
//! let ack = client.publish(Message::new(topic, "{}").event("order:updated")).await?;
//! println!("published at offset {}", ack.offset);
//!
//! while let Some(delivery) = orders.next().await {
//!     if let Delivery::Message(message) = delivery {
//!         println!("{} {:?}", message.offset(), message.payload());
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A [`Client`] is one session and survives its connections: after a loss it connects again by
//! itself with full jitter, resumes every subscription after the last message seen, and sends every
//! unacknowledged publish again under its first sequence, so that nothing is lost or doubled. All
//! methods need a tokio runtime. Dropping the last handle of a client ends its session at once;
//! [`Client::close`] flushes first.

mod acks;
pub mod admin;
mod authorizer;
pub mod chat;
mod client;
mod consumer;
mod endpoint;
mod error;
mod groups;
mod handle;
mod history;
pub mod inventory;
mod job;
mod link;
mod message;
pub mod notifications;
mod options;
pub mod orders;
mod presence;
mod publisher;
mod queue;
mod quic;
mod received;
mod responder;
mod routes;
mod shared;
pub mod shop;
mod start;
mod status;
mod subscription;
mod transport;
mod worker;

pub use authorizer::{Authorizer, Question};
pub use client::Client;
pub use consumer::{Consume, Consumer};
pub use endpoint::Endpoint;
pub use error::{Error, invalid};
pub use groups::DeadLetters;
pub use history::Page;
pub use job::{Job, Receipt, Settling};
pub use message::{Ack, Message};
pub use options::{Options, Token, TokenProvider, Trust};
pub use presence::{Change, Presence, Watch};
pub use protocol::control::{
    Action, From as HistoryFrom, GapReason, Member, Members, Start, TopicPosition,
};
pub use protocol::link::Broker;
pub use protocol::topic::{token as topic_token, token_to_id as topic_token_to_id};
pub use protocol::{AckLevel, Class, Code, Pattern, Position, Reaction, Topic};
pub use publisher::{Acks, PendingAck, Publisher, Settled};
pub use received::{Delivery, Gap, Received};
pub use responder::{Call, Reply, Responder};
pub use status::{Event, Events, State, Status};
pub use subscription::Subscription;
pub use worker::{Failure, Worker};
