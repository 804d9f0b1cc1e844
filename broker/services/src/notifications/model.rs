//! Notifications under the names they have on the wire.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a notification is about.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An order stands differently.
    OrderStatusUpdate,
    /// A payment has come.
    PaymentConfirmation,
    /// Stock that somebody waits for.
    InventoryAlert,
    /// A message in a chat.
    ChatMessage,
    /// An offer. Only to those who asked for it.
    PromotionAlert,
}

impl Kind {
    /// Every type.
    pub const ALL: [Kind; 5] = [
        Kind::OrderStatusUpdate,
        Kind::PaymentConfirmation,
        Kind::InventoryAlert,
        Kind::ChatMessage,
        Kind::PromotionAlert,
    ];

    /// Whether it goes out at any hour and whatever the user has chosen.
    #[must_use]
    pub const fn is_critical(self) -> bool {
        matches!(self, Kind::PaymentConfirmation)
    }

    /// The member of its data that names what it is about.
    pub(crate) const fn subject(self) -> Option<&'static str> {
        match self {
            Kind::OrderStatusUpdate | Kind::PaymentConfirmation => Some("order_id"),
            Kind::InventoryAlert => Some("product_id"),
            Kind::ChatMessage => Some("conversation_id"),
            Kind::PromotionAlert => None,
        }
    }
}

/// A way to a user.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    /// The user's devices.
    Push,
    /// E-mail.
    Email,
    /// Text messages.
    Sms,
    /// The user's inbox in the shop's own pages.
    Websocket,
}

impl Channel {
    /// Every way.
    pub const ALL: [Channel; 4] = [Channel::Push, Channel::Email, Channel::Sms, Channel::Websocket];
    /// Those that are used if the caller names none.
    pub const DEFAULT: &[Channel] = &[Channel::Push, Channel::Websocket];
}

/// How much it matters that it comes soon.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// When it suits.
    Low,
    /// As most.
    #[default]
    Normal,
    /// At once.
    High,
}

/// What a service wants a user to be told, on `notify.trigger`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// The user.
    pub user_id: String,
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What the templates of this type ask for.
    pub data: serde_json::Value,
    /// The ways; [`Channel::DEFAULT`] if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<Channel>>,
    /// How much it matters; the template's if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Seconds for which it is worth sending; the template's if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u32>,
    /// The same key and content is the same notification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    /// The event that tells the same on the user's pages. Whoever marks it as delivered within 5 s
    /// gets no push. The notification itself, if it goes to the inbox.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
}

/// `NotificationTemplate` of the requirements, of one channel and language.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Template {
    /// Id.
    pub id: String,
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// For which way.
    pub channel: Channel,
    /// Language, such as `th`; `default` for all others.
    pub locale: String,
    /// The highest of a type, channel and language is used.
    pub version: u32,
    /// Title.
    pub title_template: String,
    /// Body.
    pub body_template: String,
    /// Where a tap leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_url: Option<String>,
    /// A picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon_url: Option<String>,
    /// Number on the icon; the user's unread ones if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub badge_count: Option<u32>,
    /// Sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sound: Option<String>,
    /// How much it matters.
    #[serde(default)]
    pub priority: Priority,
    /// Seconds for which it is worth sending; 0 is now or never.
    pub ttl: u32,
}

impl State {
    /// Whether nothing more happens by itself.
    #[must_use]
    pub const fn is_over(self) -> bool {
        !matches!(self, State::Queued | State::Deferred | State::Sending)
    }
}

/// What has become of a delivery to one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It waits for its turn.
    Queued,
    /// It waits for the end of quiet hours.
    Deferred,
    /// It is on its way to the provider.
    Sending,
    /// The provider has taken it.
    Sent,
    /// It has reached the endpoint.
    Delivered,
    /// The user has seen it.
    Seen,
    /// The user has followed it.
    Clicked,
    /// The endpoint does not exist.
    Bounced,
    /// It was given up.
    Failed,
    /// Its time was over before it was sent.
    Expired,
    /// It was not to be sent.
    Suppressed,
    /// The caller took it back.
    Cancelled,
}
