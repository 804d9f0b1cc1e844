//! `/healthz`, `/readyz` and `/metrics`.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::health::Health;
use super::metrics::Metrics;

/// The routes for operators. Each answers from memory.
pub fn router(health: Arc<Health>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(move || std::future::ready(ready(&health))))
        .route("/metrics", get(move || std::future::ready(text(&metrics))))
}

/// The routes for operators of services in a process of their own; `check` says why they do not
/// work, if they do not.
pub fn services_router(
    check: impl Fn() -> Result<(), String> + Clone + Send + Sync + 'static,
    metrics: Arc<Metrics>,
) -> Router {
    let ready = move || match check() {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    };
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(move || std::future::ready(ready())))
        .route("/metrics", get(move || std::future::ready(text(&metrics))))
}

fn ready(health: &Health) -> Response {
    match health.check(Instant::now()) {
        Ok(()) => match health.check_services() {
            Ok(()) => "ready\n".into_response(),
            // Messages go their way all the same.
            Err(why) => format!("ready, but without services: {why}\n").into_response(),
        },
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

fn text(metrics: &Metrics) -> Response {
    match metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
