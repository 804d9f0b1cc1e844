//! The simulator.

mod agenda;
mod app;
mod broker;
mod chance;
mod check;
mod history;
mod net;
mod payload;
mod scenario;
mod seat;
mod tls;
mod trace;
mod world;
