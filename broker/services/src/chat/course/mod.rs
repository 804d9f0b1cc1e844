//! The course of conversations: what the group `chat` hears of them becomes figures, promises kept
//! or missed, and news for customers who are not there.

mod asked;
mod desk;
mod follow;
mod promises;
mod store;

pub use self::asked::{
    Apply, Day, FiguresShown, FiguresWanted, Policies, PolicyPut, Promise, Shown, SlaWanted,
};
pub use self::desk::{FIGURES, SLA_APPLY, SLA_GET, SLA_LIST, SLA_PUT, serve};
pub(crate) use self::store::SCHEMA;
pub use self::store::{Counters, Courses, Place};
