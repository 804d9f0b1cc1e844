//! Cross-origin requests: pages of the allowed origins may call, others may not.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::bridge::Bridge;
use crate::counters::count;

/// What a page may send and read.
const PREFLIGHT: [(HeaderName, HeaderValue); 4] = [
    (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST")),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("authorization, content-type, last-event-id"),
    ),
    (header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600")),
    (header::VARY, HeaderValue::from_static("origin")),
];

/// What a request says about the page that it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// It comes from no page.
    None,
    /// It comes from a page of this allowed origin.
    Allowed(HeaderValue),
    /// It comes from another page, or hides where from.
    Refused,
}

/// The page that a request comes from.
pub(super) fn page(bridge: &Bridge, headers: &HeaderMap) -> Page {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let has = |name| headers.contains_key::<HeaderName>(name);
    match headers.get(header::ORIGIN) {
        // A page's WebSocket names its origin; cookies without one come from what hides it.
        None if has(header::UPGRADE) && has(header::COOKIE) => Page::Refused,
        None => Page::None,
        Some(origin) => {
            let allowed =
                origin.to_str().is_ok_and(|o| bridge.origins.allow(o, text(header::HOST)));
            if allowed { Page::Allowed(origin.clone()) } else { Page::Refused }
        }
    }
}

/// Lets pages of allowed origins read the answers. Others are refused before anything is done.
pub(super) async fn cors(
    State(bridge): State<Arc<Bridge>>,
    request: Request,
    next: Next,
) -> Response {
    let page = page(&bridge, request.headers());
    if page == Page::Refused {
        count(&bridge.counters.bridge_origins_refused);
        return (StatusCode::FORBIDDEN, "this origin is not allowed\n").into_response();
    }
    let is_preflight = request.method() == Method::OPTIONS;
    let mut response = match &page {
        Page::Allowed(_) if is_preflight => (StatusCode::NO_CONTENT, PREFLIGHT).into_response(),
        _ => next.run(request).await,
    };
    if let Page::Allowed(origin) = page {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        // Cookies mean nothing here, but clients of Socket.IO may insist on sending theirs.
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
    }
    response
}
