//! Orders and where they are: the topics to ask on, questions and answers, JSON both ways.
//! [`Client::orders`](crate::Client::orders) has a method for each.
//!
//! Times are texts of UTC such as `2026-11-23T02:28:29.123Z`; who has a type of its own for them
//! puts it in the place of `Time`.

mod follower;
mod handle;
mod order;
mod question;

pub use follower::{Follower, News};
pub use handle::Orders;
pub use order::{
    Checkpoint, Location, Order, OrderStatusUpdate, Source, Status, StopReason, TrackingEvent,
    TrackingStopped,
};
pub use question::{
    Heard, History, HistoryWanted, List, ListWanted, StatusTold, Summary, Upsert, Wanted,
};

/// The shop tells of an order: [`Upsert`], answered by [`Order`].
pub const UPSERT: &str = "orders.upsert";
/// The shop says where an order stands: [`StatusTold`], answered by [`Heard`].
pub const STATUS: &str = "orders.status";
/// One order: [`Wanted`], answered by [`Order`].
pub const GET: &str = "orders.get";
/// Orders, the newest first: [`ListWanted`], answered by [`List`].
pub const LIST: &str = "orders.list";
/// What was heard of an order: [`HistoryWanted`], answered by [`History`].
pub const HISTORY: &str = "orders.history";
/// The shop has a carrier asked, or asked again: [`Wanted`], answered by [`Order`].
pub const TRACK: &str = "orders.track";
/// The shop has a carrier asked no more: [`Wanted`], answered by [`Order`].
pub const UNTRACK: &str = "orders.untrack";
/// How all orders stand: no members, answered by [`Summary`].
pub const SUMMARY: &str = "orders.summary";
