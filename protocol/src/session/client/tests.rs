//! The client session against a scripted broker, in virtual time.

mod connection;
mod consumers;
mod deliveries;
mod publishes;
mod requests;
mod rig;
mod standing;
