//! The broker end to end: the real binary as a child process, real sockets on loopback, the Rust
//! SDK, and clients that break the rules by hand.

mod asking;
mod catalog;
mod chat;
mod chatting;
mod course;
mod crash;
mod delivery;
mod devices;
mod following;
mod groups;
mod harness;
mod hostile;
mod houses;
mod inventory;
mod journal;
mod mongo;
mod notifications;
mod operation;
mod orders;
mod outage;
mod prose;
mod refusals;
mod routing;
mod services;
mod telling;
mod tokens;
mod tracking;
