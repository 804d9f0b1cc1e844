//! The inbox of a user.

use serde::{Deserialize, Serialize};

use super::{Data, Kind, Priority};

/// Which part of an inbox is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct InboxWanted {
    /// Whose; the asker's if nothing is said.
    #[serde(default)]
    pub user_id: Option<String>,
    /// Those older than this notification.
    #[serde(default)]
    pub before: Option<String>,
    /// Those in the archive instead of the others.
    #[serde(default)]
    pub archived: Option<bool>,
    /// How many at most, up to 100.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// A part of an inbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Inbox"))]
pub struct Inbox<Time = String> {
    /// What is in it, the newest first.
    pub items: Vec<Item<Time>>,
    /// How many of all are not read.
    pub unread: u64,
}

/// A notification as its user sees it: in the inbox, and the payload of `notification:new`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Item"))]
pub struct Item<Time = String> {
    /// Id.
    pub notification_id: String,
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Title.
    pub title: String,
    /// Body.
    pub body: String,
    /// Where a tap leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action_url: Option<String>,
    /// A picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon_url: Option<String>,
    /// What it was made of.
    #[cfg_attr(feature = "schema", schemars(with = "serde_json::Value"))]
    pub data: Data,
    /// How much it matters.
    pub priority: Priority,
    /// When it was made.
    pub created_at: Time,
    /// Since when it was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Time>,
    /// Since when it is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Time>,
    /// Since when it is in the archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<Time>,
}

/// What a user says of notifications, or of events that tell the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Notifications, or ids of events; up to 100. All in the inbox, if nothing is said.
    #[serde(default)]
    pub ids: Option<Vec<String>>,
    /// What is said.
    #[serde(rename = "as")]
    pub mark: Marked,
}

/// What can be said of a notification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Marked {
    /// A page has it. Within 5 s that spares the push.
    Delivered,
    /// It was on the screen.
    Seen,
    /// It was read.
    Read,
    /// It is not read after all.
    Unread,
    /// Its link was followed.
    Clicked,
    /// It is put away.
    Archived,
}

/// How an inbox stands: the answer to a mark, and the payload of `notification:updated`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Updated {
    /// Those that have changed.
    pub notification_ids: Vec<String>,
    /// What was said of them.
    #[serde(rename = "as")]
    pub mark: Marked,
    /// How many of all are not read.
    pub unread: u64,
}
