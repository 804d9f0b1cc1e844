//! Bytes of one file on their way in: counted, hashed, and looked at.

use std::io;

use sampan_client::Code;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;

use super::blobs::{Blobs, Writing};
use super::busy::Place;
use super::store::{Bytes, Shelf, Stored};
use crate::chat::rules::sniff::{Shown, sniff};
use crate::refusal::Refusal;
use crate::service::Problem;
use crate::signature::{Digest, hex};

/// Bytes of a file by which its type is known.
const HEAD_BYTES: usize = 8 * 1024;

/// What an upload has brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Uploaded {
    /// Id, which a message names.
    pub id: String,
    /// Its name.
    pub file_name: String,
    /// The type that its bytes have.
    pub mime_type: String,
    /// Bytes.
    pub size_bytes: u64,
    /// SHA-256 of the bytes in hexadecimal.
    pub sha256: String,
}

/// Bytes of a file on their way in. What does not come to its end is removed.
pub struct Upload<B: Blobs> {
    shelf: Shelf,
    blobs: B,
    file: Stored,
    blob: String,
    writing: Option<B::Writing>,
    digest: Digest,
    head: Vec<u8>,
    size: u64,
    _places: Places,
}

/// Room for an upload: among all, and among those of its owner.
type Places = (OwnedSemaphorePermit, Place);

impl<B: Blobs> std::fmt::Debug for Upload<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").field("file", &self.file).finish_non_exhaustive()
    }
}

impl<B: Blobs> Upload<B> {
    pub(super) fn new(
        shelf: Shelf,
        blobs: B,
        file: Stored,
        blob: String,
        writing: B::Writing,
        places: Places,
    ) -> Self {
        let (digest, head, size) = (Digest::default(), Vec::new(), 0);
        let writing = Some(writing);
        Upload { shelf, blobs, file, blob, writing, digest, head, size, _places: places }
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// A problem of the question, or of the database.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.size = self.size.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.size > self.announced() {
            return Err(wrong_size());
        }
        let missing = HEAD_BYTES.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(bytes.get(..missing).unwrap_or(&[]));
        self.digest.add(bytes);
        let writing = self.writing.as_mut().ok_or_else(|| Problem::fault("the file has ended"))?;
        writing.write(bytes).await.map_err(failed)
    }

    /// Makes the file lasting, if it is what was announced.
    ///
    /// # Errors
    /// A problem of the question, or of the database.
    pub async fn end(&mut self) -> Result<Uploaded, Problem> {
        if self.size != self.announced() {
            return Err(wrong_size());
        }
        let (mime_type, shown) = sniff(&self.head, &self.file.declared_type)?;
        let writing = self.writing.take().ok_or_else(|| Problem::fault("the file has ended"))?;
        let known = self.shelf.find(&self.file.id).await?;
        if known.is_none_or(|known| known.blob != self.blob) {
            return Err(begun_again());
        }
        writing.end().await.map_err(failed)?;
        let sha256 = hex(&std::mem::take(&mut self.digest).end());
        let is_inline = shown == Shown::Inline;
        let bytes = Bytes { mime_type: mime_type.to_owned(), is_inline, sha256: sha256.clone() };
        if !self.shelf.end(&self.file.id, &self.blob, &bytes).await? {
            return Err(begun_again());
        }
        Ok(Uploaded {
            id: self.file.id.clone(),
            file_name: self.file.file_name.clone(),
            mime_type: bytes.mime_type,
            size_bytes: self.size,
            sha256,
        })
    }

    /// Removes what has come, unless it may count after all: whether a commit without an answer has
    /// happened only the database knows. What it does not say the sweep comes to.
    pub async fn give_up(self) {
        drop(self.writing);
        let known = self.shelf.find(&self.file.id).await;
        let counts = |file: &Stored| file.blob == self.blob && file.bytes.is_some();
        if known.is_err() || known.is_ok_and(|file| file.as_ref().is_some_and(counts)) {
            return;
        }
        if let Err(error) = self.blobs.remove(&self.blob).await {
            // The sweep comes to it.
            tracing::warn!(%error, "what is left of an upload could not be removed");
        }
    }

    fn announced(&self) -> u64 {
        u64::try_from(self.file.size_bytes).unwrap_or(0)
    }
}

fn begun_again() -> Problem {
    Refusal::Conflict("the file was uploaded meanwhile").into()
}

fn wrong_size() -> Problem {
    Problem::field("size_bytes", "the bytes are more or fewer than was announced")
}

/// What the disk has failed on is tried again later.
pub(super) fn failed(error: io::Error) -> Problem {
    tracing::error!(%error, "the bytes of a file cannot be written or read");
    Problem::new(Code::BUSY, "files are not available; try again")
}
