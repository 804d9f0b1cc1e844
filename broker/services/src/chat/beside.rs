//! What goes with chats beside the talk itself: files, canned responses, ratings.

use super::canned::{self, Canned, Shelf};
use super::files::{self, Blobs, Files};
use super::ratings::{self, Ratings};
use super::store::Store;
use crate::http::{self, Routes};
use crate::service::Host;
use crate::store::Database;

/// What goes with the chats of one store.
#[derive(Clone, Debug)]
pub struct Beside<S, B> {
    canned: Canned<S>,
    ratings: Ratings<S>,
    files: Files<S, B>,
}

impl<S: Store, B: Blobs> Beside<S, B> {
    /// What goes with the chats of `chats`; its own tables are in `database`, bytes in `blobs`.
    #[must_use]
    pub fn new(database: &Database, chats: S, blobs: B) -> Self {
        Beside {
            canned: Canned::new(Shelf::new(database), chats.clone()),
            ratings: Ratings::new(database, chats.clone()),
            files: Files::new(database, chats, blobs),
        }
    }

    /// The files of messages.
    #[must_use]
    pub fn files(&self) -> &Files<S, B> {
        &self.files
    }

    /// Answers for all of them.
    ///
    /// # Errors
    /// Those of the client.
    pub async fn serve(&self, host: &mut Host) -> Result<(), sampan_client::Error> {
        canned::serve(host, &self.canned).await?;
        ratings::serve(host, &self.ratings).await?;
        files::serve(host, &self.files).await
    }

    /// What they answer over HTTP themselves.
    pub fn routes(&self) -> Routes {
        http::routes(&self.files, &self.ratings)
    }
}
