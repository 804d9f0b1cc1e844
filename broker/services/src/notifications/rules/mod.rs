//! What holds for notifications, whatever stores and whoever sends them.

pub mod breaker;
pub mod pace;
pub mod preference;
pub mod provider;
pub mod quiet;
pub mod retry;
pub mod sms;
pub mod template;
