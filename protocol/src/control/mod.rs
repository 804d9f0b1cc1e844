//! Control bodies: what HELLO, SUBSCRIBE, GAP and the like say. The layouts are in `spec/wire.md`.
//!
//! Bodies are archives of flat structs. [`decode`] validates the archive, then the caps on lists and
//! texts, and accepts only the one encoding that [`encode`] makes, so that nothing hides in slack
//! bytes.

mod body;
mod check;
mod codec;
mod number;
mod part;

pub use body::{
    Answer, Ask, Close, Consume, Expiring, Gap, GoAway, Hello, History, Members, MembersChanged,
    Presence, PublishRefused, Refresh, Refreshed, Refused, Serve, Subscribe, Subscribed, TopicName,
    Welcome, reason_text, refused,
};
pub use codec::{Body, decode, encode, encode_with};
pub use number::{Action, GapReason, GroupOrder, PresenceAct, Settlement};
pub use part::{From, Member, Start, TopicPosition};

/// Feature bits of HELLO and WELCOME.
pub mod feature {
    /// Ephemeral messages may travel as datagrams.
    pub const DATAGRAMS: u64 = 1;
    /// Everything this version knows.
    pub const ALL: u64 = DATAGRAMS;
}
