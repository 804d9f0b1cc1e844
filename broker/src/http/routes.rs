//! `/healthz`, `/readyz`, `/metrics` and `/scaling`.

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::metrics::Metrics;
use crate::scaling::Watch;

/// The routes for operators. Each answers from memory; `ready` says in a sentence how ready, or why
/// not.
pub fn router(
    ready: impl Fn() -> Result<String, String> + Clone + Send + Sync + 'static,
    metrics: Arc<Metrics>,
    scaling: Watch,
) -> Router {
    let ready = move || match ready() {
        Ok(how) => format!("{how}\n").into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    };
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(move || std::future::ready(ready())))
        .route("/metrics", get(move || std::future::ready(text(&metrics))))
        .route("/scaling", get(move || std::future::ready(standing(&scaling))))
}

/// Whether there should be more processes of this sort.
fn standing(scaling: &Watch) -> Response {
    match serde_json::to_string(&scaling.standing()) {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn text(metrics: &Metrics) -> Response {
    match metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
