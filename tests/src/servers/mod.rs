//! Real database servers for tests: started from what is installed, each in a folder of its own,
//! and gone with the test's process, whatever ends it.
//!
//! Nothing here skips: a server that does not come up is a panic that says why and what to install.

mod guard;
mod mongo;
mod op_msg;
mod postgres;

pub use mongo::Mongo;
pub use postgres::Postgres;
