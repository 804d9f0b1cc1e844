//! Ratings by link.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;

use super::failure::{failure, json_of, preflight};
use crate::chat::ratings::{Linked, Ratings};
use crate::chat::store::Store;
use crate::service::Problem;

/// Bytes of an answer: 2,000 characters of comment in any form that JSON gives them.
const BYTES_MAX: usize = 32 * 1024;

pub(super) fn routes<S: Store>(ratings: &Ratings<S>) -> Router {
    Router::new()
        .route("/v1/chat/ratings/{conversation}/{token}", post(rate).options(preflight))
        .layer(DefaultBodyLimit::max(BYTES_MAX))
        .with_state(ratings.clone())
}

async fn rate<S: Store>(
    State(ratings): State<Ratings<S>>,
    Path((conversation, token)): Path<(String, String)>,
    body: Bytes,
) -> Response {
    let linked: Linked = match serde_json::from_slice(&body) {
        Ok(linked) => linked,
        Err(error) => {
            let code = sampan_client::Code::BAD_FIELD;
            return failure(&Problem::new(code, &error.to_string()));
        }
    };
    match ratings.rate_by_link(&conversation, &token, linked).await {
        Ok(rating) => json_of(StatusCode::OK, &rating),
        Err(problem) => failure(&problem),
    }
}
