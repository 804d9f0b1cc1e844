//! Users of the shop, as its backend tells of them.
//!
//! Chat asks whether a customer is a VIP, notifications where a user can be reached. A user that
//! nobody has told of is no VIP and has bought nothing.

mod model;
mod service;
mod store;

pub use model::{Upsert, User, Wanted, plain};
pub use service::{GET, UPSERT, serve};
pub(crate) use store::SCHEMA;
pub use store::Users;
