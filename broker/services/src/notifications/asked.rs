//! What is asked about notifications, and answered.

use sampan_client::notifications as told;
pub use sampan_client::notifications::{
    Accepted, BulkItem, BulkPart, BulkWanted, DeliveryOf, DeviceGone, DeviceProvider, DevicePut,
    FailedWanted, InboxWanted, JobState, Mark, Marked, Preferences, Preview, PreviewWanted,
    Progress, QuietHours, Refused, RefusedItems, Replay, Suppress, Suppressions,
    SuppressionsWanted, TemplatePut, Templates, Updated, Wanted, WebPushKey, WhoseWanted,
};

pub use super::model::{Attempt, Device, Item, Outcome};
use crate::moment::Moment;

/// Rows of a page.
pub(super) const PAGE_MAX: u32 = 100;

/// A notification with all that came of it.
pub type Report = told::Report<Moment>;
/// Deliveries that were given up, the newest first.
pub type Failed = told::Failed<Moment>;
/// A part of an inbox.
pub type Inbox = told::Inbox<Moment>;
/// A user's devices.
pub type Devices = told::Devices<Moment>;
