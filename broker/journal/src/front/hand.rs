//! What a thread of a front has taken and not answered yet.

use std::sync::Arc;

use sampan_core::journal::{self, Completion, Ticket};

use super::desk::{Desk, FenceOnPanic, Told};
use super::queue::Queue;

/// Something that is asked of a thread.
pub(super) trait Asked {
    /// Under which ticket it is answered, if it is.
    fn ticket(&self) -> Option<Ticket>;
}

/// The tickets that a thread has in hand. However the thread ends, they fail, and so does all that
/// still waits for it: nobody is left without an answer.
pub(super) struct Hand<T: Asked> {
    pub(super) tickets: Vec<Ticket>,
    queue: Arc<Queue<T>>,
    desk: Arc<Desk>,
}

impl<T: Asked> Hand<T> {
    pub(super) fn new(queue: Arc<Queue<T>>, desk: Arc<Desk>) -> Self {
        Hand { tickets: Vec::new(), queue, desk }
    }
}

impl<T: Asked> Drop for Hand<T> {
    fn drop(&mut self) {
        // Whoever is told of the failure finds nothing taken any more.
        drop(FenceOnPanic(self.desk.clone()));
        let waiting = self.queue.shut();
        let waiting = waiting.iter().filter_map(Asked::ticket);
        let all = self.tickets.drain(..).chain(waiting);
        self.desk.tell(all.map(|ticket| failed(ticket, journal::Error::Fenced)));
    }
}

/// A request that has failed.
pub(super) fn failed(ticket: Ticket, error: journal::Error) -> Told {
    Told::Done(Completion::Failed { ticket, error })
}
