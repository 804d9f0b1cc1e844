//! What every store keeps to, on SQLite and on a real PostgreSQL.

mod faults;
mod leases;
mod migrations;
mod outbox;
mod sites;
mod users;
