//! What holds in a chat, whatever stores it: pure functions of what is known and the time.

pub mod content;
pub mod due;
pub mod lifecycle;
pub mod queue;
pub mod receipts;
pub mod revision;
pub mod routing;
pub mod sniff;
pub mod text;
pub mod typing;
