//! `/healthz`, `/readyz` and `/metrics`.

use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::metrics::Metrics;

/// The routes for operators. Each answers from memory; `ready` says in a sentence how ready, or why
/// not.
pub fn router(
    ready: impl Fn() -> Result<String, String> + Clone + Send + Sync + 'static,
    metrics: Arc<Metrics>,
) -> Router {
    let ready = move || match ready() {
        Ok(how) => format!("{how}\n").into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    };
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(move || std::future::ready(ready())))
        .route("/metrics", get(move || std::future::ready(text(&metrics))))
}

fn text(metrics: &Metrics) -> Response {
    match metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
