//! What is asked about files, and what becomes of their bytes.

use std::sync::Arc;
use std::time::Duration;

use sampan_client::Code;
use sampan_client::chat::{self as told, FileBegin as Begin, FileOf as Link};
use tokio::sync::Semaphore;
use tracing::warn;

use super::blobs::Blobs;
use super::busy::Busy;
use super::link::{self, FETCH_WITHIN, Purpose, UPLOAD_WITHIN};
use super::store::{Bytes, Shelf, Stored, User};
use super::upload::{Upload, failed};
use crate::chat::access::seen;
use crate::chat::model::{Attachment, Message, ScanStatus, Status};
use crate::chat::rules::sniff::{FILE_BYTES_MAX, file_name};
use crate::chat::store::Store;
use crate::id::Id;
use crate::moment::Moment;
use crate::refusal::Refusal;
use crate::role::Role;
use crate::secret::secret;
use crate::service::{Asker, Host, Problem};
use crate::signature::Secret;
use crate::store::{self, Database};

/// Bytes of a declared type.
const TYPE_BYTES_MAX: usize = 128;
/// Uploads at the same time, of all and of one owner; more are told that it is busy.
const UPLOADS_MAX: usize = 64;
const UPLOADS_OF_ONE_MAX: usize = 4;
/// Files that are looked at in one sweep.
const SWEEP_MAX: u32 = 500;
/// Between two sweeps.
const SWEEP: Duration = Duration::from_secs(60);
/// How long a file may wait for its message.
const UNUSED_WITHIN: Duration = Duration::from_secs(86_400);

/// Where a file is uploaded.
pub type Begun = told::FileBegun<Moment>;
/// A link to a file.
pub type Linked = told::FileLink<Moment>;

/// A file to be given out.
#[derive(Debug)]
pub struct Fetched<R> {
    /// Its name.
    pub name: String,
    /// The type that its bytes have.
    pub mime_type: String,
    /// Whether a browser may show it in its place.
    pub is_inline: bool,
    /// Bytes.
    pub size_bytes: u64,
    /// All of them.
    pub bytes: R,
}

/// Files of messages.
#[derive(Clone, Debug)]
pub struct Files<S, B> {
    database: Database,
    shelf: Shelf,
    chats: S,
    blobs: B,
    room: Arc<Semaphore>,
    busy: Busy,
}

impl<S: Store, B: Blobs> Files<S, B> {
    /// The files of a database, for the chats of a store, with their bytes in another.
    #[must_use]
    pub fn new(database: &Database, chats: S, blobs: B) -> Self {
        let (database, shelf) = (database.clone(), Shelf::new(database));
        let (room, busy) = (Arc::new(Semaphore::new(UPLOADS_MAX)), Busy::new(UPLOADS_OF_ONE_MAX));
        Files { database, shelf, chats, blobs, room, busy }
    }

    /// Announces a file.
    ///
    /// # Errors
    /// A problem of the question, or of the database.
    pub async fn begin(&self, asker: &Asker, asked: &Begin) -> Result<Begun, Problem> {
        let chat = seen(&self.chats, &asked.conversation_id, asker).await?;
        if chat.status == Status::Archived {
            return Err(Refusal::Closed("the conversation is archived").into());
        }
        let name = file_name(&asked.file_name)?;
        if asked.size_bytes == 0 || asked.size_bytes > FILE_BYTES_MAX {
            return Err(Problem::field("size_bytes", "1 byte to 25 MiB"));
        }
        if asked.mime_type.len() > TYPE_BYTES_MAX {
            return Err(Problem::field("mime_type", "at most 128 bytes"));
        }
        let now = Moment::now();
        let file = Stored {
            id: Id::new().to_string(),
            conversation_id: chat.id,
            owner_id: asker.user.clone(),
            file_name: name,
            declared_type: asked.mime_type.clone(),
            size_bytes: i64::try_from(asked.size_bytes).unwrap_or(i64::MAX),
            created_at: now,
            blob: String::new(),
            bytes: None,
            message_id: None,
            private: false,
            taken_at: None,
        };
        if !self.shelf.announce(&file).await? {
            return Err(Problem::full("100 of your files wait for their messages"));
        }
        let expires_at = now.after(UPLOAD_WITHIN);
        let path = link::path(&self.secret().await?, Purpose::Upload, &file.id, expires_at);
        Ok(Begun { id: file.id, path, expires_at })
    }

    /// A fresh link to a file of a message that the asker may see, or to one of the asker's own.
    ///
    /// # Errors
    /// A problem of the question, or of the database.
    pub async fn link(&self, asker: &Asker, asked: &Link) -> Result<Linked, Problem> {
        let (file, _) = self.find(&asked.id).await?;
        seen(&self.chats, &file.conversation_id, asker).await.map_err(|_| no_file())?;
        let is_own = file.owner_id == asker.user;
        let is_seen = file.message_id.is_some() && (!file.private || asker.role != Role::Customer);
        if !is_own && !is_seen {
            return Err(no_file());
        }
        let expires_at = Moment::now().after(FETCH_WITHIN);
        let path = link::path(&self.secret().await?, Purpose::Fetch, &file.id, expires_at);
        Ok(Linked { path, expires_at })
    }

    /// Gives uploaded files to a message of their owner. The same again gives the same; a message
    /// that is not stored within a day loses them.
    ///
    /// # Errors
    /// A refusal of `content.attachments` if one is not the owner's, not of the conversation, not
    /// uploaded, or another message's. Those of the database.
    pub async fn take(&self, ids: &[String], user: &User<'_>) -> Result<Vec<Attachment>, Problem> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let taken = self.shelf.take(ids, user, Moment::now()).await?;
        let taken =
            taken.ok_or_else(|| Problem::field("content.attachments", "no such file of yours"))?;
        let secret = self.secret().await?;
        let until = Moment::now().after(FETCH_WITHIN);
        Ok(taken.into_iter().filter_map(|file| attachment(file, &secret, until)).collect())
    }

    /// Begins to take the bytes of a file in.
    ///
    /// # Errors
    /// A problem of the question, or of the database.
    pub async fn upload(&self, id: &str, token: &str) -> Result<Upload<B>, Problem> {
        let busy = |_| Problem::new(Code::BUSY, "there are as many uploads as there may be");
        let place = self.room.clone().try_acquire_owned().map_err(busy)?;
        link::check(&self.secret().await?, Purpose::Upload, id, token, Moment::now())?;
        let file = self.shelf.find(id).await?.ok_or_else(no_file)?;
        if file.bytes.is_some() {
            return Err(Refusal::Conflict("the file is uploaded already").into());
        }
        let own = self.busy.enter(&file.owner_id);
        let own =
            own.ok_or_else(|| Problem::new(Code::BUSY, "four of your files are on their way"))?;
        let blob = Id::new().to_string();
        if !self.shelf.begin(&file, &blob).await? {
            return Err(Refusal::Conflict("the file is being uploaded").into());
        }
        if !file.blob.is_empty() {
            // What an upload that was cut off has left, perhaps with its process.
            self.blobs.remove(&file.blob).await.map_err(failed)?;
        }
        let writing = self.blobs.create(&blob).await.map_err(failed)?;
        let (shelf, blobs) = (self.shelf.clone(), self.blobs.clone());
        Ok(Upload::new(shelf, blobs, file, blob, writing, (place, own)))
    }

    /// Notes that a message with files is stored, so that they stay.
    ///
    /// # Errors
    /// Those of the database; the next sweep notes it then.
    pub async fn keep(&self, message_id: &str) -> Result<(), store::Error> {
        self.shelf.keep(message_id, true).await
    }

    /// Lets the next sweep look whether a message still needs its files.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn doubt(&self, message_id: &str) -> Result<(), store::Error> {
        self.shelf.keep(message_id, false).await
    }

    /// The message that a file was given to, if it is stored.
    async fn message(&self, file: &Stored) -> Result<Option<Message>, store::Error> {
        match &file.message_id {
            Some(id) => self.chats.message(id).await,
            None => Ok(None),
        }
    }

    /// The file of this id with its bytes there, unless its message is deleted.
    async fn find(&self, id: &str) -> Result<(Stored, Bytes), Problem> {
        let file = self.shelf.find(id).await?.ok_or_else(no_file)?;
        let bytes = file.bytes.clone().ok_or_else(no_file)?;
        match self.message(&file).await? {
            Some(message) if message.deleted_at.is_some() => Err(no_file()),
            _ => Ok((file, bytes)),
        }
    }

    /// A file for whoever has the link, until its message is deleted.
    ///
    /// # Errors
    /// A problem of the question, or of the database.
    pub async fn fetch(&self, id: &str, token: &str) -> Result<Fetched<B::Reading>, Problem> {
        link::check(&self.secret().await?, Purpose::Fetch, id, token, Moment::now())?;
        let (file, known) = self.find(id).await?;
        let bytes = self.blobs.read(&file.blob).await.map_err(failed)?;
        Ok(Fetched {
            name: file.file_name,
            mime_type: known.mime_type,
            is_inline: known.is_inline,
            size_bytes: u64::try_from(file.size_bytes).unwrap_or(0),
            bytes,
        })
    }

    /// Removes files that no message has used in time, and those of deleted messages.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn sweep(&self, now: Moment) -> Result<(), store::Error> {
        for file in self.shelf.doubtful(now.before(UNUSED_WITHIN), SWEEP_MAX).await? {
            let message = self.message(&file).await?;
            if let Some(message) = message.filter(|message| message.deleted_at.is_none()) {
                self.shelf.keep(&message.id, true).await?;
            } else if self.shelf.remove(&file).await? {
                let removed = match file.blob.is_empty() {
                    true => Ok(()),
                    false => self.blobs.remove(&file.blob).await,
                };
                match removed {
                    Ok(()) => drop(self.shelf.forget(&file.id).await?),
                    // One whose bytes cannot be removed holds up no other.
                    Err(error) => warn!(%error, id = file.id, "a file could not be removed"),
                }
            }
        }
        Ok(())
    }

    async fn secret(&self) -> Result<Secret, store::Error> {
        secret(&self.database, "files").await
    }
}

/// A file as messages have it, if its bytes are there.
fn attachment(file: Stored, secret: &Secret, until: Moment) -> Option<Attachment> {
    let bytes = file.bytes?;
    let url = link::path(secret, Purpose::Fetch, &file.id, until);
    Some(Attachment {
        id: file.id,
        file_name: file.file_name,
        mime_type: bytes.mime_type,
        size_bytes: u64::try_from(file.size_bytes).unwrap_or(0),
        sha256: bytes.sha256,
        url,
        thumbnail_url: None,
        width: None,
        height: None,
        duration_ms: None,
        scan_status: ScanStatus::Pending,
    })
}

fn no_file() -> Problem {
    Problem::not_found("there is no such file, or not for you")
}

/// Answers for files, and removes those that nobody needs.
///
/// # Errors
/// Those of the client.
pub async fn serve<S: Store, B: Blobs>(
    host: &mut Host,
    files: &Files<S, B>,
) -> Result<(), sampan_client::Error> {
    host.answer(files, told::FILE_BEGIN, Role::ALL, |its, asker, asked: Begin| async move {
        its.begin(&asker, &asked).await
    })
    .await?;
    host.answer(files, told::FILE_LINK, Role::ALL, |its, asker, asked: Link| async move {
        its.link(&asker, &asked).await
    })
    .await?;
    host.sweep(files, "chat.files", SWEEP, |its| async move { its.sweep(Moment::now()).await });
    Ok(())
}
