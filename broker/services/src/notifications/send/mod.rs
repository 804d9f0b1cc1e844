//! Sending: what goes to a provider, and what it says.

use std::time::Duration;

use futures_core::future::BoxFuture;
use serde::{Deserialize, Serialize};

mod apns;
mod ece;
mod fcm;
mod jws;
mod receipt;
mod settings;
mod smtp;
mod twilio;
mod webpush;

pub(crate) use self::receipt::SIGNATURE;
pub(crate) use self::receipt::Told;
pub use self::receipt::{Receipt, Receipts};
pub use self::settings::{Settings, senders};
pub(super) use self::webpush::{Services, public_key};
use super::model::{Kind, Priority};
use super::rules::provider::{Answer, Class, Provider, classify};
use crate::moment::Moment;
use crate::outbound::Unasked;

/// Where a delivery goes.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "provider", rename_all = "snake_case")]
pub enum Endpoint {
    /// A device that Firebase knows.
    Fcm {
        /// Its registration token.
        token: String,
    },
    /// A device of Apple's.
    Apns {
        /// Its token, hexadecimal.
        token: String,
        /// Bundle id of the app.
        app: String,
    },
    /// A browser's subscription.
    #[serde(rename = "webpush")]
    WebPush {
        /// Where its push service takes messages.
        url: String,
        /// Its public key, base64url.
        p256dh: String,
        /// Its secret, base64url.
        auth: String,
    },
    /// A mailbox.
    #[serde(rename = "smtp")]
    Email {
        /// Its address.
        address: String,
    },
    /// A telephone.
    Sms {
        /// Its number, E.164.
        number: String,
    },
}

impl Endpoint {
    /// Who sends there.
    #[must_use]
    pub const fn provider(&self) -> Provider {
        match self {
            Endpoint::Fcm { .. } => Provider::Fcm,
            Endpoint::Apns { .. } => Provider::Apns,
            Endpoint::WebPush { .. } => Provider::WebPush,
            Endpoint::Email { .. } => Provider::Smtp,
            Endpoint::Sms { .. } => Provider::Sms,
        }
    }

    /// The host that is asked, where that is the endpoint's and not the settings'.
    pub(super) fn host(&self) -> &str {
        match self {
            Endpoint::WebPush { url, .. } => url.split('/').nth(2).unwrap_or_default(),
            _ => "",
        }
    }
}

/// Names the provider only: tokens, addresses and numbers stay out of logs.
impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}(..)", self.provider())
    }
}

/// What the user reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Title; empty for text messages.
    pub title: String,
    /// Body; of a mail, HTML.
    pub body: String,
    /// Where a tap leads.
    pub action_url: Option<String>,
    /// A picture.
    pub icon_url: Option<String>,
    /// Sound.
    pub sound: Option<String>,
    /// Number on the icon.
    pub badge: Option<u32>,
    /// What the app gets besides.
    pub data: serde_json::Value,
    /// Language.
    pub locale: String,
}

/// One delivery as a provider gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Outgoing {
    /// Id of the delivery: the same in every attempt.
    pub delivery_id: String,
    /// Where it goes.
    pub endpoint: Endpoint,
    /// What the user reads.
    pub content: Content,
    /// How much it matters.
    pub priority: Priority,
    /// When it is worth nothing any more.
    pub expires_at: Moment,
    /// A later one with the same takes its place on the device.
    pub collapse: Option<String>,
}

/// What an attempt came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What it means.
    pub class: Class,
    /// Status of HTTP or SMTP; 0 if there was none.
    pub status: u16,
    /// The provider's own code or reason, or ours where it gave none.
    pub code: String,
    /// The provider's id of the message.
    pub message_id: Option<String>,
    /// How long the provider wants to be left alone.
    pub retry_after: Option<Duration>,
    /// Since when the endpoint is gone, if the provider says.
    pub gone_since: Option<Moment>,
    /// Whether the provider may have taken it though it did not say so.
    pub is_ambiguous: bool,
}

impl Outcome {
    /// An outcome that says no more than this.
    #[must_use]
    pub fn new(class: Class, status: u16, code: &str) -> Self {
        let (code, message_id) = (code.to_owned(), None);
        let (retry_after, gone_since, is_ambiguous) = (None, None, false);
        Outcome { class, status, code, message_id, retry_after, gone_since, is_ambiguous }
    }

    /// What an answer of a provider comes to.
    fn of(provider: Provider, status: u16, code: &str, is_token_fault: bool) -> Self {
        Outcome::new(classify(provider, Answer { status, code, is_token_fault }), status, code)
    }

    /// No answer: the provider may have taken it all the same.
    fn silent(why: &str) -> Self {
        tracing::info!(why, "a provider of notifications did not answer");
        Outcome { is_ambiguous: true, ..Outcome::refused(Class::Retry, "no_answer") }
    }

    /// No connection: nothing was sent.
    fn unsent(why: &str) -> Self {
        tracing::info!(why, "a provider of notifications cannot be reached");
        Outcome::refused(Class::Retry, "no_connection")
    }

    /// What comes of a question without an answer.
    fn unasked(why: Unasked) -> Self {
        match why {
            Unasked::Refused => Outcome::refused(Class::Gone, "bad_endpoint"),
            Unasked::Unsent(why) => Outcome::unsent(&why),
            Unasked::Silent(why) => Outcome::silent(&why),
        }
    }

    /// What is not sent at all.
    fn refused(class: Class, code: &str) -> Self {
        Outcome::new(class, 0, code)
    }
}

/// Somebody who sends. It makes one attempt and never tries again by itself.
pub trait Sender: Send + Sync + 'static {
    /// Who sends.
    fn provider(&self) -> Provider;

    /// Makes one attempt. A failure is an outcome too: nothing else is told.
    fn send<'a>(&'a self, one: &'a Outgoing, now: Moment) -> BoxFuture<'a, Outcome>;
}
