//! What a user has chosen, and which addresses want nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Channel, Kind};

/// What a user has chosen. What is not named is left to the rules: offers only to those who asked
/// for them, all else to those who did not refuse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Preferences {
    /// Whose; the asker's if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// By channel.
    #[serde(default)]
    pub channels: BTreeMap<Channel, bool>,
    /// By type and channel; goes before what is said of the channel.
    #[serde(default)]
    pub types: BTreeMap<Kind, BTreeMap<Channel, bool>>,
    /// When to be left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
}

/// When a user wants to be left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct QuietHours {
    /// Name of the time zone; the user's if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tz: Option<String>,
    /// The first minute of the day.
    pub from: u16,
    /// The minute of the day at which they are over; of the next day, if it is before the first.
    pub to: u16,
    /// Days on which they begin, Monday first; every day if nothing is said.
    #[serde(default = "every_day")]
    pub days: [bool; 7],
}

fn every_day() -> [bool; 7] {
    [true; 7]
}

/// An address that wants nothing more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Suppress {
    /// The way: `email` or `sms`.
    pub channel: Channel,
    /// The address or number.
    pub address: String,
    /// Why, in a word.
    #[serde(default)]
    pub reason: Option<String>,
}

/// A part of the addresses that want nothing more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Suppressions {
    /// The addresses, in their order.
    pub suppressions: Vec<Suppress>,
}

/// Which part of them is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SuppressionsWanted {
    /// The way.
    pub channel: Channel,
    /// Those behind this address.
    #[serde(default)]
    pub after: Option<String>,
    /// How many at most, up to 100.
    #[serde(default)]
    pub limit: Option<u32>,
}
