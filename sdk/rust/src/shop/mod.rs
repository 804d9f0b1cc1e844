//! The shop itself: what its backend tells of users, and the figures that it is run by. The topics to
//! ask on, questions and answers, JSON both ways. [`Client::shop`](crate::Client::shop) has a method
//! for each.
//!
//! Times are texts of UTC such as `2026-11-23T02:28:29.123Z`; who has a type of its own for them
//! puts it in the place of `Time`.

mod figures;
mod handle;
mod role;
mod user;

pub use figures::{Counts, Day, Figures, Shown, Wanted};
pub use handle::Shop;
pub use role::Role;
pub use user::{User, UserTold, UserWanted};

/// The shop tells of a user: [`UserTold`], answered by [`User`].
pub const USER_UPSERT: &str = "users.upsert";
/// One user: [`UserWanted`], answered by [`User`].
pub const USER_GET: &str = "users.get";
/// The figures of the shop, by day: [`Wanted`], answered by [`Shown`].
pub const FIGURES: &str = "shop.figures";
