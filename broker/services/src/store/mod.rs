//! Databases: how they are opened, asked, changed and migrated, and what can go wrong with them.
//!
//! SQLite and PostgreSQL share one text of each statement wherever both take it: parameters are
//! `$1`, ids are TEXT, times BIGINT milliseconds of UTC, JSON is TEXT.

mod address;
mod error;
mod lease;
mod migration;
mod sql;

pub use address::Address;
pub use error::{Error, Fault};
pub use lease::Lease;
pub(crate) use lease::SCHEMA as LEASES;
pub use migration::{Schema, migrate};
pub use sql::{Column, Database, Query, Row, Text, Value, Work, both, each};
