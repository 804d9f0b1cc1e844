//! Notifications under the names they have on the wire. They stand in the client's crate; here their
//! times are moments.

use sampan_client::notifications as told;
pub use sampan_client::notifications::{Channel, Kind, Priority, State, Template, Trigger};

use crate::moment::Moment;

/// What has become of a delivery: the payload of `notification:sent` and its like.
pub type Outcome = told::Outcome<Moment>;
/// A notification as its user sees it: in the inbox, and the payload of `notification:new`.
pub type Item = told::Item<Moment>;
/// An attempt at a delivery.
pub type Attempt = told::Attempt<Moment>;
/// A device. Its token is not told.
pub type Device = told::Device<Moment>;
