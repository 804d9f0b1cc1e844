//! What holds for orders, whatever stores them and whoever carries them.

pub mod carrier;
pub mod polling;
pub mod timeline;
pub mod webhook;
