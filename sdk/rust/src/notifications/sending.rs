//! Sending, and what has become of what was sent.

use serde::{Deserialize, Serialize};

use super::{Channel, Data, Kind, Priority};

/// What a service wants a user to be told, on `notify.trigger`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// The user.
    pub user_id: String,
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What the templates of this type ask for.
    #[cfg_attr(feature = "schema", schemars(with = "serde_json::Value"))]
    pub data: Data,
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

impl Trigger {
    /// What a user is to be told, by the ways and with the times that are usual for it.
    #[must_use]
    pub fn new(user_id: impl Into<String>, kind: Kind, data: impl Into<Data>) -> Self {
        Trigger {
            user_id: user_id.into(),
            kind,
            data: data.into(),
            channels: None,
            priority: None,
            ttl: None,
            idempotency_key: None,
            event_id: None,
        }
    }
}

/// What has become of what was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Accepted {
    /// The notification.
    pub notification_id: String,
    /// Its deliveries, one for each endpoint.
    pub deliveries: Vec<DeliveryOf>,
}

/// A delivery to one endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeliveryOf {
    /// Id.
    pub delivery_id: String,
    /// By which way.
    pub channel: Channel,
    /// What has become of it.
    pub state: State,
    /// Why, where the state alone does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Attempts so far.
    pub attempts: u32,
}

/// What has become of a delivery to one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

impl State {
    /// Whether nothing more happens by itself.
    #[must_use]
    pub const fn is_over(self) -> bool {
        !matches!(self, State::Queued | State::Deferred | State::Sending)
    }
}

/// A notification with all that came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Report"))]
pub struct Report<Time = String> {
    /// Id.
    pub notification_id: String,
    /// The user.
    pub user_id: String,
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// When it was sent.
    pub created_at: Time,
    /// When it is worth nothing any more.
    pub expires_at: Time,
    /// Its deliveries.
    pub deliveries: Vec<DeliveryOf>,
    /// The attempts at them, in the order of time.
    pub attempts: Vec<Attempt<Time>>,
}

/// An attempt at a delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Attempt"))]
pub struct Attempt<Time = String> {
    /// The delivery.
    pub delivery_id: String,
    /// 1, 2, ...
    pub n: u32,
    /// When it began.
    pub at: Time,
    /// How long it took, milliseconds.
    pub ms: u64,
    /// Who was asked.
    pub provider: String,
    /// What came of it: `accepted`, `gone`, `ours`, `recipient`, `wait` or `retry`.
    pub class: String,
    /// Status of HTTP or SMTP; 0 if there was none.
    pub status: u64,
    /// The provider's own code.
    pub code: String,
}

/// One notification that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The notification.
    pub notification_id: String,
}

/// A delivery that was given up, to be tried anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// The delivery.
    pub delivery_id: String,
    /// Seconds for which it is worth sending from now on; what is left, if nothing is said.
    #[serde(default)]
    pub ttl: Option<u32>,
}

/// Which of the deliveries that were given up are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FailedWanted {
    /// How many of the newest at most, up to 100.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// Deliveries that were given up, the newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Failed"))]
pub struct Failed<Time = String> {
    /// The deliveries.
    pub deliveries: Vec<Outcome<Time>>,
}

/// What has become of a delivery: the payload of `notification:sent` and its like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Outcome"))]
pub struct Outcome<Time = String> {
    /// The delivery.
    pub delivery_id: String,
    /// The notification.
    pub notification_id: String,
    /// The user.
    pub user_id: String,
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// By which way.
    pub channel: Channel,
    /// Who sends there.
    pub provider: String,
    /// What has become of it.
    pub state: State,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Attempts so far.
    pub attempts: u32,
    /// The bulk job that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// When.
    pub at: Time,
}
