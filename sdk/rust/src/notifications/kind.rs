//! What a notification is about, and the ways to a user.

use serde::{Deserialize, Serialize};

/// What a notification is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
}

/// A way to a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
