//! What holds in a chat, whatever stores it: pure functions of what is known and the time.

pub mod averages;
pub mod canned;
pub mod content;
pub mod course;
pub mod due;
pub mod figures;
pub mod hours;
pub mod lifecycle;
pub mod page;
pub mod queue;
pub mod rating;
pub mod receipts;
pub mod revision;
pub mod routing;
pub mod sla;
pub mod sniff;
pub mod text;
pub mod typing;
pub mod words;
