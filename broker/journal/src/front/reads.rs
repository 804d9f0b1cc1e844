//! The thread that reads, so that a reader of old messages holds up neither the shard nor a commit.

use std::sync::Arc;

use bytes::Bytes;
use sampan_core::journal::{Completion, Ticket};
use sampan_protocol::Topic;

use super::commit::now;
use super::desk::{Desk, Told};
use super::hand::{Asked, Hand, failed};
use super::queue::{Bound, Queue};
use crate::error::Error;
use crate::reader::{Reader, Wanted};
use crate::storage::Storage;

/// Questions taken at once.
const ROUND: Bound = Bound { items: 64, weight: usize::MAX };

/// What the reading thread is asked.
#[derive(Debug)]
pub(super) enum Ask {
    /// Where a topic stands.
    Open { ticket: Ticket, topic_id: u64, topic: Topic },
    /// A page of a topic.
    Read { ticket: Ticket, topic_id: u64, topic: Topic, wanted: Wanted },
    /// Values by key.
    Load { ticket: Ticket, prefix: Bytes, after: Option<Bytes>, max_bytes: usize },
}

impl Ask {
    pub(super) fn ticket(&self) -> Ticket {
        match self {
            Ask::Open { ticket, .. } | Ask::Read { ticket, .. } | Ask::Load { ticket, .. } => {
                *ticket
            }
        }
    }
}

impl Asked for Ask {
    fn ticket(&self) -> Option<Ticket> {
        Some(Ask::ticket(self))
    }
}

/// What the thread owns.
pub(super) struct Reads<S: Storage> {
    pub(super) reader: Reader<S>,
    pub(super) asks: Arc<Queue<Ask>>,
    pub(super) desk: Arc<Desk>,
}

impl<S: Storage> Reads<S> {
    /// Answers until the queue is closed.
    pub(super) fn run(self) {
        let mut hand = Hand::new(self.asks.clone(), self.desk.clone());
        let mut asks = Vec::new();
        while self.asks.take(ROUND, &mut asks) {
            hand.tickets.extend(asks.iter().rev().map(Ask::ticket));
            for ask in asks.drain(..) {
                let ticket = ask.ticket();
                let told = self.answer(ask).map_or_else(|e| failed(ticket, e.into()), Told::Done);
                hand.tickets.pop();
                self.desk.tell([told]);
            }
        }
    }

    fn answer(&self, ask: Ask) -> Result<Completion, Error> {
        Ok(match ask {
            Ask::Open { ticket, topic_id, topic } => {
                let standing = self.reader.standing(&topic, now())?;
                let crate::Standing { epoch, floor, next, lost, seen, keys } = standing;
                Completion::Opened { ticket, topic_id, epoch, floor, next, lost, seen, keys }
            }
            Ask::Read { ticket, topic_id, topic, wanted } => {
                let page = self.reader.read(&topic, topic_id, wanted)?;
                let crate::Page { floor, from, next, runs, damaged } = page;
                Completion::Page { ticket, floor, from, next, runs, damaged }
            }
            Ask::Load { ticket, prefix, after, max_bytes } => {
                let (values, more) = self.reader.load(&prefix, after.as_deref(), max_bytes)?;
                Completion::Values { ticket, values, more }
            }
        })
    }
}
