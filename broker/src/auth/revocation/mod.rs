//! Ending tokens before their time: by id, by user, or all from before a moment.
//!
//! [`Revocations`] is what verification looks at; a [`Revocation`] is what is matched against
//! live identities to end their connections.

mod file;
mod list;
mod target;

pub use file::Error;
pub use list::{MAX_TOKEN_LIFETIME, Revocations};
pub use target::{Revocation, Target};
