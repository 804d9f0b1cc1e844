//! Browsers and plain HTTP against a broker in a process of its own.

mod bad;
mod beside_chat;
mod engine;
mod groups;
mod harness;
mod http;
mod inventory;
mod late;
mod many;
mod notifications;
mod shop;
mod socket;
mod sse;
mod tokens;
mod users;
