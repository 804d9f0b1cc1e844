//! The roles of users.

pub use sampan_client::shop::Role;
