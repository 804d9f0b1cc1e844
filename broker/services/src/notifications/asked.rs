//! What is asked about notifications, and answered.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::model::{Channel, Kind, Priority, State, Template};
use crate::moment::Moment;

/// Rows of a page.
pub(super) const PAGE_MAX: u32 = 100;

/// What has become of what was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// The notification.
    pub notification_id: String,
    /// Its deliveries, one for each endpoint.
    pub deliveries: Vec<DeliveryOf>,
}

/// A delivery to one endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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

/// A notification with all that came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Id.
    pub notification_id: String,
    /// The user.
    pub user_id: String,
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// When it was sent.
    pub created_at: Moment,
    /// When it is worth nothing any more.
    pub expires_at: Moment,
    /// Its deliveries.
    pub deliveries: Vec<DeliveryOf>,
    /// The attempts at them, in the order of time.
    pub attempts: Vec<Attempt>,
}

/// An attempt at a delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Attempt {
    /// The delivery.
    pub delivery_id: String,
    /// 1, 2, ...
    pub n: u32,
    /// When it began.
    pub at: Moment,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The notification.
    pub notification_id: String,
}

/// A delivery that was given up, to be tried anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// The delivery.
    pub delivery_id: String,
    /// Seconds for which it is worth sending from now on; what is left, if nothing is said.
    #[serde(default)]
    pub ttl: Option<u32>,
}

/// Which of the deliveries that were given up are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailedWanted {
    /// How many of the newest at most, up to 100.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// Deliveries that were given up, the newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failed {
    /// The deliveries.
    pub deliveries: Vec<Outcome>,
}

/// What has become of a delivery: the payload of `notification:sent` and its like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
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
    pub at: Moment,
}

/// Which part of an inbox is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Inbox {
    /// What is in it, the newest first.
    pub items: Vec<Item>,
    /// How many of all are not read.
    pub unread: u64,
}

/// A notification as its user sees it: in the inbox, and the payload of `notification:new`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Item {
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
    pub data: Value,
    /// How much it matters.
    pub priority: Priority,
    /// When it was made.
    pub created_at: Moment,
    /// Since when it was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<Moment>,
    /// Since when it is read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Moment>,
    /// Since when it is in the archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archived_at: Option<Moment>,
}

/// What a user says of notifications, or of events that tell the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Updated {
    /// Those that have changed.
    pub notification_ids: Vec<String>,
    /// What was said of them.
    #[serde(rename = "as")]
    pub mark: Marked,
    /// How many of all are not read.
    pub unread: u64,
}

/// A device as it tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Device {
    /// Id.
    pub device_id: String,
    /// Who sends there.
    pub provider: DeviceProvider,
    /// The app.
    pub app: String,
    /// When it last told of itself.
    pub last_seen_at: Moment,
}

/// A user's devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Devices {
    /// The devices.
    pub devices: Vec<Device>,
}

/// The shop's own key for Web Push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebPushKey {
    /// What a browser subscribes with as its `applicationServerKey`, base64url.
    pub key: String,
}

/// Whose devices or preferences are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhoseWanted {
    /// Whose; the asker's if nothing is said.
    #[serde(default)]
    pub user_id: Option<String>,
}

/// A device that is to be forgotten, as at a log-out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// What a user has chosen. What is not named is left to the rules: offers only to those who asked
/// for them, all else to those who did not refuse.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// A template as a shop writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Templates {
    /// The newest of each type, channel and language; version 0 ships.
    pub templates: Vec<Template>,
}

/// A template that is to be tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
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
    pub data: Value,
}

/// What a user would read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// An address that wants nothing more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Suppressions {
    /// The addresses, in their order.
    pub suppressions: Vec<Suppress>,
}

/// Which part of them is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// A part of a bulk job. The same part is taken once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkPart {
    /// The job, as its maker calls it.
    pub job_id: String,
    /// Place of the first of these items in the job.
    pub from: u32,
    /// Up to 1,000 items.
    pub items: Vec<BulkItem>,
    /// Whether the job is whole with them and begins.
    #[serde(default)]
    pub is_last: bool,
}

/// One notification of a bulk job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkItem {
    /// The user.
    #[serde(alias = "userId")]
    pub user_id: String,
    /// What it is about.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// What the templates of this type ask for.
    pub data: Value,
    /// The ways; push and inbox if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<Channel>>,
}

/// A bulk job that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkWanted {
    /// The job.
    pub job_id: String,
}

/// Where a bulk job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// Its parts are coming.
    Open,
    /// Its notifications are being made and sent.
    Running,
    /// All of its deliveries have ended.
    Done,
    /// It was stopped.
    Cancelled,
}

/// How far a bulk job is: an answer, and the payload of `bulk:progress`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// The job.
    pub job_id: String,
    /// Where it stands.
    pub state: JobState,
    /// Items so far.
    pub total: u64,
    /// Of these, those that became notifications.
    pub done: u64,
    /// Those that were refused, such as for a missing variable.
    pub failed: u64,
    /// Deliveries by state.
    pub deliveries: BTreeMap<String, u64>,
}

/// Items of a job that were refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refused {
    /// Place in the job.
    pub n: u64,
    /// Why.
    pub reason: String,
}

/// The items of a job that were refused, the first 100.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedItems {
    /// The items.
    pub items: Vec<Refused>,
}
