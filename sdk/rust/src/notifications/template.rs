//! What notifications say.

use serde::{Deserialize, Serialize};

use super::{Channel, Data, Kind, Priority};

/// `NotificationTemplate` of the requirements, of one channel and language.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// A template as a shop writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TemplatePut {
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// For which way.
    pub channel: Channel,
    /// Language, such as `th`; `default` for all others.
    pub locale: String,
    /// Title.
    #[serde(default)]
    pub title_template: String,
    /// Body.
    pub body_template: String,
    /// Where a tap leads.
    #[serde(default)]
    pub action_url: Option<String>,
    /// A picture.
    #[serde(default)]
    pub icon_url: Option<String>,
    /// Number on the icon; the user's unread ones if there is none.
    #[serde(default)]
    pub badge_count: Option<u32>,
    /// Sound.
    #[serde(default)]
    pub sound: Option<String>,
    /// How much it matters.
    #[serde(default)]
    pub priority: Priority,
    /// Seconds for which it is worth sending; 0 is now or never.
    pub ttl: u32,
}

/// Templates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Templates {
    /// The newest of each type, channel and language; version 0 ships.
    pub templates: Vec<Template>,
}

/// A template that is to be tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PreviewWanted {
    /// The type.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The way.
    pub channel: Channel,
    /// The language.
    #[serde(default)]
    pub locale: String,
    /// What it is filled with.
    #[cfg_attr(feature = "schema", schemars(with = "serde_json::Value"))]
    pub data: Data,
}

/// What a user would read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Preview {
    /// The template.
    pub template_id: String,
    /// Title.
    pub title: String,
    /// Body.
    pub body: String,
    /// Text messages that it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sms_parts: Option<usize>,
}
