//! Files of messages: announced and asked for here, brought and fetched over HTTP.

use serde::{Deserialize, Serialize};

/// A file that is to be uploaded for a message of this conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Begin"))]
#[serde(deny_unknown_fields)]
pub struct FileBegin {
    /// The conversation.
    pub conversation_id: String,
    /// Its name; a path before it is dropped.
    pub file_name: String,
    /// Its bytes, exactly, up to 25 MiB.
    pub size_bytes: u64,
    /// What it is taken for; its bytes decide.
    #[serde(default)]
    pub mime_type: String,
}

/// Where a file is uploaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Begun"))]
pub struct FileBegun<Time = String> {
    /// Id, which a message names.
    pub id: String,
    /// Where the bytes go by PUT: a path on the services' HTTP listener.
    pub path: String,
    /// When it no longer holds.
    pub expires_at: Time,
}

/// Which file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Link"))]
#[serde(deny_unknown_fields)]
pub struct FileOf {
    /// Id.
    pub id: String,
}

/// A link to a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Linked"))]
pub struct FileLink<Time = String> {
    /// Where it is fetched: a path on the services' HTTP listener.
    pub path: String,
    /// When it no longer holds.
    pub expires_at: Time,
}
