//! Marking as delivered what a reader has got, beside the reading, which spares its push.

use tokio::sync::mpsc;

use super::{MARK, Mark, Marked, Updated};
use crate::Client;

/// Ids of one mark.
const PAGE: usize = 100;
/// Ids that may wait to be marked; more are not marked, which costs a push.
const WAITING_MAX: usize = 1_000;

/// Whoever marks. It ends when nobody tells it any more.
#[derive(Debug)]
pub(crate) struct Marks(mpsc::Sender<String>);

impl Marks {
    /// One that marks for the client's user.
    pub(crate) fn of(client: &Client) -> Self {
        let (ids, told) = mpsc::channel(WAITING_MAX);
        tokio::spawn(mark(client.clone(), told));
        Marks(ids)
    }

    /// Notes that the notification, or the event, of this id has reached its reader.
    pub(crate) fn delivered(&self, id: &str) {
        let _ = self.0.try_send(id.to_owned());
    }
}

/// What cannot be marked gets a push as well.
async fn mark(client: Client, mut told: mpsc::Receiver<String>) {
    let mut ids = Vec::new();
    while told.recv_many(&mut ids, PAGE).await > 0 {
        let mark = Mark { ids: Some(std::mem::take(&mut ids)), mark: Marked::Delivered };
        let _ = client.question::<Updated>(MARK, &mark).await;
    }
}
