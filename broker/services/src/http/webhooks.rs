//! What tracking services tell by themselves.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use serde_json::json;

use super::failure::{failure, json_of};
use crate::orders::Orders;
use crate::orders::carriers::Carriers;
use crate::service::Problem;

/// Bytes of a webhook.
const BYTES_MAX: usize = 512 * 1024;

pub(super) fn routes(orders: &Orders, carriers: &Carriers) -> Router {
    Router::new()
        .route("/v1/webhooks/{service}", post(told))
        .layer(DefaultBodyLimit::max(BYTES_MAX))
        .with_state((orders.clone(), carriers.clone()))
}

async fn told(
    State((orders, carriers)): State<(Orders, Carriers)>,
    Path(service): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(provider) = carriers.teller(&service) else {
        return failure(&Problem::not_found("webhooks of this service are not taken"));
    };
    let signature = headers.get(provider.signature_header());
    let signature = signature.and_then(|value| value.to_str().ok()).unwrap_or_default();
    match carriers.told(&orders, provider, signature, &body).await {
        Ok(heard) => json_of(StatusCode::OK, &json!({ "heard": heard })),
        Err(problem) => failure(&problem),
    }
}
