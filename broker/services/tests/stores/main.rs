//! What every store keeps to, on SQLite and on a real PostgreSQL.

mod beside_chat;
mod chat;
mod faults;
mod figures;
mod inventory;
mod leases;
mod migrations;
mod mongo;
mod notifications;
mod orders;
mod outbox;
mod servers;
mod sites;
mod users;
