//! The devices of a user.

use serde::{Deserialize, Serialize};

/// A device as it tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DevicePut {
    /// Whose it is; the asker's if nothing is said.
    #[serde(default)]
    pub user_id: Option<String>,
    /// Who sends there: `firebase`, `apn` or `web_push`.
    pub provider: DeviceProvider,
    /// The app: a bundle id, a package, an origin.
    #[serde(default)]
    pub app: String,
    /// Its token; of a browser the URL of its subscription.
    pub token: String,
    /// A browser's public key, base64url.
    #[serde(default)]
    pub p256dh: Option<String>,
    /// A browser's secret, base64url.
    #[serde(default)]
    pub auth: Option<String>,
}

/// Who sends to a device, under the names of the requirements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeviceProvider {
    /// Firebase Cloud Messaging.
    Firebase,
    /// Apple Push Notification service.
    Apn,
    /// The push service of a browser.
    WebPush,
}

/// A device. Its token is not told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Device"))]
pub struct Device<Time = String> {
    /// Id.
    pub device_id: String,
    /// Who sends there.
    pub provider: DeviceProvider,
    /// The app.
    pub app: String,
    /// When it last told of itself.
    pub last_seen_at: Time,
}

/// A user's devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "Devices"))]
pub struct Devices<Time = String> {
    /// The devices.
    pub devices: Vec<Device<Time>>,
}

/// The shop's own key for Web Push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WebPushKey {
    /// What a browser subscribes with as its `applicationServerKey`, base64url.
    pub key: String,
}

/// Whose devices or preferences are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WhoseWanted {
    /// Whose; the asker's if nothing is said.
    #[serde(default)]
    pub user_id: Option<String>,
}

/// A device that is to be forgotten, as at a log-out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DeviceGone {
    /// Whose; the asker's if nothing is said.
    #[serde(default)]
    pub user_id: Option<String>,
    /// Its id.
    #[serde(default)]
    pub device_id: Option<String>,
    /// Its token, where the id is not known.
    #[serde(default)]
    pub token: Option<String>,
}
