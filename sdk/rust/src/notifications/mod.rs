//! What users are told, by push, e-mail, text message and in the inbox of the shop's pages: the
//! topics to ask on, questions and answers, JSON both ways.
//! [`Client::notifications`](crate::Client::notifications) has a method for each.
//!
//! Times are texts of UTC such as `2026-11-23T02:28:29.123Z`; who has a type of its own for them
//! puts it in the place of `Time`.

mod again;
mod bulk;
mod data;
mod device;
mod handle;
mod inbox;
mod job;
mod kind;
mod marks;
mod preference;
mod sending;
mod template;
mod watcher;

pub use bulk::{BulkItem, BulkPart, BulkWanted, JobState, Progress, Refused, RefusedItems};
pub use data::Data;
pub use device::{Device, DeviceGone, DeviceProvider, DevicePut, Devices, WebPushKey, WhoseWanted};
pub use handle::Notifications;
pub use inbox::{Inbox, InboxWanted, Item, Mark, Marked, Updated};
pub use job::JobFollower;
pub use kind::{Channel, Kind, Priority};
pub(crate) use marks::Marks;
pub use preference::{Preferences, QuietHours, Suppress, Suppressions, SuppressionsWanted};
pub use sending::{
    Accepted, Attempt, DeliveryOf, Failed, FailedWanted, Outcome, Replay, Report, State, Trigger,
    Wanted,
};
pub use template::{Preview, PreviewWanted, Template, TemplatePut, Templates};
pub use watcher::{News, Watcher};

/// Asks for a notification without an answer: a [`Trigger`] that is published.
pub const TRIGGER: &str = "notify.trigger";
/// Sends a notification: [`Trigger`], answered by [`Accepted`].
pub const SEND: &str = "notify.send";
/// What came of a notification: [`Wanted`], answered by [`Report`].
pub const GET: &str = "notify.get";
/// Takes a notification back: [`Wanted`], answered by [`Report`].
pub const CANCEL: &str = "notify.cancel";
/// Tries a delivery anew that was given up: [`Replay`], answered by [`DeliveryOf`].
pub const REPLAY: &str = "notify.replay";
/// Deliveries that were given up: [`FailedWanted`], answered by [`Failed`].
pub const FAILED: &str = "notify.failed";
/// A part of an inbox: [`InboxWanted`], answered by [`Inbox`].
pub const INBOX: &str = "notify.inbox";
/// What the asker has seen and read: [`Mark`], answered by [`Updated`].
pub const MARK: &str = "notify.mark";
/// A device registers: [`DevicePut`], answered by [`Device`].
pub const DEVICE_PUT: &str = "notify.device_put";
/// A device is forgotten: [`DeviceGone`]; the answer has no members.
pub const DEVICE_REMOVE: &str = "notify.device_remove";
/// A user's devices: [`WhoseWanted`], answered by [`Devices`].
pub const DEVICES: &str = "notify.devices";
/// Whom browsers subscribe for: no members, answered by [`WebPushKey`].
pub const WEBPUSH_KEY: &str = "notify.webpush_key";
/// What a user has chosen: [`WhoseWanted`], answered by [`Preferences`].
pub const PREFERENCES: &str = "notify.preferences";
/// A user chooses: [`Preferences`], answered by [`Preferences`].
pub const PREFERENCES_PUT: &str = "notify.preferences_put";
/// All templates: no members, answered by [`Templates`].
pub const TEMPLATES: &str = "notify.templates";
/// Writes a template: [`TemplatePut`], answered by [`Template`].
pub const TEMPLATE_PUT: &str = "notify.template_put";
/// Tries a template: [`PreviewWanted`], answered by [`Preview`].
pub const PREVIEW: &str = "notify.preview";
/// An address gets nothing more: [`Suppress`]; the answer has no members.
pub const SUPPRESS: &str = "notify.suppress";
/// It gets something again: [`Suppress`]; the answer has no members.
pub const UNSUPPRESS: &str = "notify.unsuppress";
/// Addresses that get nothing: [`SuppressionsWanted`], answered by [`Suppressions`].
pub const SUPPRESSIONS: &str = "notify.suppressions";
/// A part of a bulk job: [`BulkPart`], answered by [`Progress`].
pub const BULK: &str = "notify.bulk_part";
/// How far a bulk job is: [`BulkWanted`], answered by [`Progress`].
pub const BULK_GET: &str = "notify.bulk_get";
/// Items of a bulk job that were refused: [`BulkWanted`], answered by [`RefusedItems`].
pub const BULK_REFUSED: &str = "notify.bulk_refused";
/// Stops a bulk job: [`BulkWanted`], answered by [`Progress`].
pub const BULK_CANCEL: &str = "notify.bulk_cancel";
/// Goes on with a bulk job that was stopped: [`BulkWanted`], answered by [`Progress`].
pub const BULK_RESUME: &str = "notify.bulk_resume";
