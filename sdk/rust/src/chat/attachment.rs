//! A file that belongs to a message.

use serde::{Deserialize, Serialize};

/// What is known about the harm a file may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ScanStatus {
    /// Nobody has looked.
    #[default]
    Pending,
    /// Nothing was found.
    Clean,
    /// It does harm; it is not given out.
    Infected,
    /// The scanner could not tell.
    Failed,
}

/// A file that was uploaded, `FileAttachment` of the requirements.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Attachment {
    /// Id.
    pub id: String,
    /// The name that its owner gave it, without any path.
    pub file_name: String,
    /// The type that its bytes have.
    pub mime_type: String,
    /// Bytes.
    pub size_bytes: u64,
    /// SHA-256 of the bytes in hexadecimal.
    pub sha256: String,
    /// Where it is fetched; signed, and good for a while.
    pub url: String,
    /// Where a small picture of it is fetched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thumbnail_url: Option<String>,
    /// Pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Milliseconds, for sound and film.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// What a scanner has said.
    #[serde(default)]
    pub scan_status: ScanStatus,
}
