//! SQL databases behind one door: nothing else names the driver.

mod database;
mod fault;
mod query;
mod row;
mod work;

pub use database::Database;
pub use query::{Query, Text, Value, both, each};
pub use row::{Column, Row};
pub use work::Work;
