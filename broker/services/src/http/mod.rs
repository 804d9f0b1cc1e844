//! What the services answer over HTTP themselves: bytes of files, and ratings by link. Whoever has
//! a signed link needs no token.

mod failure;
mod files;
mod outgoing;
mod ratings;

use axum::Router;

use crate::chat::files::{Blobs, Files};
use crate::chat::ratings::Ratings;
use crate::chat::store::Store;

/// Routes, to be mounted on a listener.
pub type Routes = Router;

/// All of the services' own routes.
pub(crate) fn routes<S: Store, B: Blobs>(files: &Files<S, B>, ratings: &Ratings<S>) -> Routes {
    files::routes(files).merge(ratings::routes(ratings))
}
