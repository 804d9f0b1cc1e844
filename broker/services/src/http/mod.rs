//! What the services answer over HTTP themselves: bytes of files, ratings by link, and webhooks.
//! Whoever has a signed link, or signs, needs no token.

mod failure;
mod files;
mod outgoing;
mod ratings;
mod webhooks;

use axum::Router;

pub(crate) use self::webhooks::Gateways;

use crate::chat::files::{Blobs, Files};
use crate::chat::ratings::Ratings;
use crate::chat::store::Store;
use crate::orders::Orders;
use crate::orders::carriers::Carriers;

/// Routes, to be mounted on a listener.
pub type Routes = Router;

/// All of the services' own routes.
pub(crate) fn routes<S: Store, B: Blobs>(files: &Files<S, B>, ratings: &Ratings<S>) -> Routes {
    files::routes(files).merge(ratings::routes(ratings))
}

/// The route of what tracking services and gateways tell by themselves.
pub(crate) fn webhooks(tracking: (Orders, Carriers), messages: Gateways) -> Routes {
    webhooks::routes(tracking, messages)
}
