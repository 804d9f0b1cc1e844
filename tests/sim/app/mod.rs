//! What clients do: small programs over the client session, each of which notes in the history
//! what it did and what it was told.

mod authorizer;
mod member;
mod publisher;
mod reader;
mod talk;

use std::time::Instant;

use sampan_protocol::Now;
use sampan_protocol::session::client::{Client as Session, Event};

pub(crate) use self::authorizer::Authorizer;
pub(crate) use self::member::{Member, Watcher};
pub(crate) use self::publisher::{Publisher, Publishing};
pub(crate) use self::reader::Reader;
pub(crate) use self::talk::{Asker, Asking, Responder};
use crate::chance::Chance;
use crate::history::History;

/// Numbers of different publishers, or askers, on one seat start this far apart.
const APART: u64 = 1 << 32;

/// What a task works with.
pub(crate) struct Ctx<'a> {
    pub(crate) now: Now,
    pub(crate) seat: u32,
    pub(crate) session: &'a mut Session,
    pub(crate) history: &'a mut History,
    pub(crate) chance: &'a mut Chance,
}

/// One thing that a client does.
pub(crate) trait Task {
    /// The client has been opened; it has no session yet.
    fn open(&mut self, ctx: &mut Ctx<'_>);

    /// Something happened in the session; it may concern another task.
    fn told(&mut self, ctx: &mut Ctx<'_>, event: &Event);

    /// When [`Task::act`] is to be called.
    fn due(&self) -> Option<Instant> {
        None
    }

    fn act(&mut self, ctx: &mut Ctx<'_>) {
        let _ = ctx;
    }

    /// Whether nothing is left to do or to wait for.
    fn is_done(&self) -> bool {
        true
    }
}
