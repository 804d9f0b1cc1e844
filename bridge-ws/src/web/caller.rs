//! Who calls: the bearer token and the address. And what they send, refused as a problem.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use sampan_protocol::Code;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::failure::Failure;
use crate::json::is_shallow;

/// How long a request's body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The peer of a request and the token it shows.
pub(super) struct Caller {
    pub(super) token: String,
    pub(super) address: SocketAddr,
}

/// A request's body.
pub(super) struct Body(pub(super) Bytes);

/// A request's body as JSON.
pub(super) struct Json<T>(pub(super) T);

/// A request's query.
pub(super) struct Asked<T>(pub(super) T);

impl Body {
    /// The body as a text that is shallow enough to be JSON of ours.
    pub(super) fn text(&self) -> Result<&str, Failure> {
        let malformed = |why| Failure::new(Code::MALFORMED, why);
        let text = std::str::from_utf8(&self.0).map_err(|_| malformed("the body is not UTF-8"))?;
        is_shallow(text).then_some(text).ok_or_else(|| malformed("the body nests deeper than 32"))
    }
}

/// The address of a request's peer.
pub(super) fn address(parts: &Parts) -> Result<SocketAddr, Failure> {
    let found = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
    found.ok_or_else(|| Failure::new(Code::PROTOCOL, "the listener does not name the peer"))
}

/// The token of the Authorization header, the only place for it.
pub(super) fn bearer(headers: &HeaderMap) -> Result<String, Failure> {
    let missing = || Failure::new(Code::BAD_TOKEN, "give the token as Authorization: Bearer TOKEN");
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(missing()) };
    let (scheme, token) =
        value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(missing)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(missing());
    }
    Ok(token.trim().to_owned())
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Ok(Caller { token: bearer(&parts.headers)?, address: address(parts)? })
    }
}

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let refused = |error: BytesRejection| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => Failure::of(Code::TOO_LARGE),
            _ => Failure::new(Code::MALFORMED, &error.body_text()),
        };
        let body = timeout(BODY_TIMEOUT, Bytes::from_request(request, state)).await;
        let late = |_| Failure::new(Code::IDLE, "the body did not come in time");
        body.map_err(late)?.map(Body).map_err(refused)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let body = Body::from_request(request, state).await?;
        let malformed =
            |error: serde_json::Error| Failure::new(Code::MALFORMED, &error.to_string());
        serde_json::from_str(body.text()?).map(Json).map_err(malformed)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query = Query::from_request_parts(parts, state).await;
        let Query(asked) =
            query.map_err(|error| Failure::new(Code::BAD_FIELD, &error.body_text()))?;
        Ok(Asked(asked))
    }
}
