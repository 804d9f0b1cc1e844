//! Databases: how they are opened, asked, changed and migrated, and what can go wrong with them.
//!
//! MongoDB can hold what one service keeps, instead of the SQL database that the others share.
//!
//! SQLite and PostgreSQL share one text of each statement wherever both take it: parameters are
//! `$1`, ids are TEXT, times BIGINT milliseconds of UTC, JSON is TEXT.

mod address;
pub(crate) mod encoding;
mod error;
mod lease;
mod migration;
pub(crate) mod mongo;
mod sql;

pub use address::Address;
pub use error::{Error, Fault};
pub(crate) use lease::SCHEMA as LEASES;
pub use lease::{Lease, Leases};
pub use migration::{Schema, migrate};
pub use mongo::Mongo;
pub use sql::{Column, Database, Query, Row, Text, Value, Work, both, each};
