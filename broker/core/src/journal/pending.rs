//! What a memory journal has been asked and has not yet done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sampan_protocol::Topic;

use super::log::cost;
use super::state::{self, Put};
use super::{Error, Run, Start, Ticket};

#[derive(Debug)]
pub(super) enum Pending {
    Open { ticket: Ticket, topic_id: u64 },
    Read { ticket: Ticket, topic_id: u64, from: Start, max_bytes: usize, max_count: u32 },
    Load { ticket: Ticket, prefix: Bytes, after: Option<Bytes>, max_bytes: usize },
    Show { ticket: Ticket },
    Log(Write),
    Store(Write),
    Failed { ticket: Ticket, error: Error },
}

/// An append or a put on its way: first to be logged, if the journal tells that, then to the best
/// level.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) ticket: Ticket,
    /// Its place in the order of submission.
    pub(super) place: u64,
    /// The topic's log; `None` for a put.
    pub(super) index: Option<usize>,
    /// Whether `Logged` was told.
    pub(super) is_logged: bool,
    /// What is stored, or how the write ends. A failure takes its turn like a success.
    pub(super) outcome: Result<Stuff, Error>,
}

/// What a write stores.
#[derive(Debug)]
pub(super) enum Stuff {
    Run { run: Arc<Run>, replaces: Vec<Arc<str>> },
    Values(Vec<Put>),
}

impl Stuff {
    pub(super) fn cost(&self) -> usize {
        match self {
            Stuff::Run { run, replaces } => {
                cost(run) + replaces.iter().map(|key| key.len()).sum::<usize>()
            }
            Stuff::Values(values) => state::cost(values),
        }
    }
}

/// An append as it was asked for.
pub(super) struct Append {
    pub(super) ticket: Ticket,
    pub(super) topic_id: u64,
    pub(super) topic: Topic,
    pub(super) epoch: u64,
    pub(super) run: Arc<Run>,
    pub(super) early: bool,
    pub(super) replaces: Vec<Arc<str>>,
}

/// Requests by when they are due, then by the order of their making.
pub(super) type Waiting = BTreeMap<(Instant, u64), Pending>;
