//! Connections that poll, by the id that their requests name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::mpsc;

use super::Refused;
use super::polling::Deed;
use crate::bridge::random;
use crate::failure::Failure;

/// Requests of one connection that wait for its task.
const DEEDS_MAX: usize = 4;

/// Connections that poll.
#[derive(Clone, Default)]
pub(super) struct Sessions(Arc<Mutex<HashMap<String, mpsc::Sender<Deed>>>>);

/// A name for a connection, which nobody can guess.
pub(super) fn new_sid() -> Result<String, Failure> {
    Ok(URL_SAFE_NO_PAD.encode(random::<16>()?))
}

impl Sessions {
    /// A new connection: its name, and what its requests ask.
    pub(super) fn open(&self) -> Result<(String, mpsc::Receiver<Deed>), Failure> {
        let sid = new_sid()?;
        let (sender, deeds) = mpsc::channel(DEEDS_MAX);
        self.sessions().insert(sid.clone(), sender);
        Ok((sid, deeds))
    }

    /// The connection polls no longer.
    pub(super) fn close(&self, sid: &str) {
        self.sessions().remove(sid);
    }

    /// The way to a connection.
    pub(super) fn find(&self, sid: &str) -> Result<mpsc::Sender<Deed>, Refused> {
        self.sessions().get(sid).cloned().ok_or(Refused::UnknownSession)
    }

    /// Passes a request on, as soon as the connection takes it.
    pub(super) async fn send(&self, sid: &str, deed: Deed) -> Result<(), Refused> {
        self.find(sid)?.send(deed).await.map_err(|_| Refused::UnknownSession)
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Deed>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
