//! What tracking services, and gateways of text messages, tell by themselves.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use serde::Serialize;
use serde_json::json;

use super::failure::{failure, json_of};
use crate::notifications::Counters;
use crate::notifications::Suppress;
use crate::notifications::model::Channel;
use crate::notifications::send::{Receipts, SIGNATURE, Told};
use crate::notifications::store::Notifications;
use crate::orders::Orders;
use crate::orders::carriers::Carriers;
use crate::service::Problem;

/// Bytes of what a tracking service tells.
const BYTES_MAX: usize = 512 * 1024;
/// Bytes of what a gateway tells of one message.
const FORM_BYTES_MAX: usize = 16 * 1024;

/// What gateways of text messages tell, and who is told.
#[derive(Clone)]
pub(crate) struct Gateways {
    pub(crate) receipts: Receipts,
    pub(crate) store: Notifications,
    pub(crate) counters: Arc<Counters>,
}

impl Gateways {
    /// Takes a form; how many messages it is news of.
    async fn told(&self, signature: &str, body: &[u8]) -> Result<u32, Problem> {
        let read = self.receipts.read(body, signature);
        let read = read.inspect_err(|_| Counters::add(&self.counters.receipts_refused))?;
        let is_news = match read {
            None => return Ok(0),
            Some(Told::Became(receipt)) => self.store.heard(&receipt).await?,
            Some(Told::Stop(address)) => {
                let reason = Some("stop".to_owned());
                self.store.suppress(&Suppress { channel: Channel::Sms, address, reason }).await?;
                true
            }
        };
        let count = if is_news { &self.counters.receipts } else { &self.counters.receipts_unknown };
        Counters::add(count);
        Ok(u32::from(is_news))
    }
}

pub(super) fn routes(tracking: (Orders, Carriers), gateways: Gateways) -> Router {
    let parcels = post(told).layer(DefaultBodyLimit::max(BYTES_MAX));
    let parcels = Router::new().route("/v1/webhooks/{service}", parcels).with_state(tracking);
    let messages = post(came).layer(DefaultBodyLimit::max(FORM_BYTES_MAX));
    parcels.merge(Router::new().route("/v1/webhooks/twilio", messages).with_state(gateways))
}

async fn came(State(gateways): State<Gateways>, headers: HeaderMap, body: Bytes) -> Response {
    answer(gateways.told(value(&headers, SIGNATURE), &body).await)
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn answer<T: Serialize>(heard: Result<T, Problem>) -> Response {
    match heard {
        Ok(heard) => json_of(StatusCode::OK, &json!({ "heard": heard })),
        Err(problem) => failure(&problem),
    }
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
    let signature = value(&headers, provider.service().signature_header());
    answer(carriers.told(&orders, provider, signature, &body).await)
}
