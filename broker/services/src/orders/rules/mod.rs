//! What holds for orders, whatever stores them and whoever carries them.

pub mod polling;
pub mod timeline;
pub mod tracking;
