//! Failures as problem documents (RFC 9457), with the protocol's codes.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sampan_protocol::{Code, Reaction};
use schemars::JsonSchema;
use serde::Serialize;

use crate::failure::{Failure, Told};

const CONTENT_TYPE: (HeaderName, &str) = (header::CONTENT_TYPE, "application/problem+json");

/// A problem document.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Problem<'a> {
    /// `urn:sampan:code:` and the code.
    r#type: String,
    /// What the code means.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// One sentence for a person.
    detail: &'a str,
    /// Number of the code; its hundred tells the reaction.
    code: u16,
    /// Name of the code.
    name: &'a str,
    /// Whether the same may succeed later.
    retryable: bool,
    /// When it may be tried again, milliseconds, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u32>,
}

/// Codes whose status is not that of their hundred.
const STATUS: [(Code, StatusCode); 17] = [
    (Code::TOO_LARGE, StatusCode::PAYLOAD_TOO_LARGE),
    (Code::UNKNOWN_TOPIC, StatusCode::NOT_FOUND),
    (Code::UNKNOWN_REQUEST, StatusCode::NOT_FOUND),
    (Code::LEVEL_UNAVAILABLE, StatusCode::CONFLICT),
    (Code::STALE, StatusCode::CONFLICT),
    (Code::UNKNOWN_GROUP, StatusCode::NOT_FOUND),
    (Code::GROUP_DIFFERS, StatusCode::CONFLICT),
    (Code::UNKNOWN_DEAD_LETTER, StatusCode::NOT_FOUND),
    (Code::RATE_LIMITED, StatusCode::TOO_MANY_REQUESTS),
    (Code::TOO_MANY, StatusCode::TOO_MANY_REQUESTS),
    (Code::DEADLINE, StatusCode::GATEWAY_TIMEOUT),
    (Code::RESPONDER_LOST, StatusCode::BAD_GATEWAY),
    (Code::TOKEN_EXPIRED, StatusCode::UNAUTHORIZED),
    (Code::IDLE, StatusCode::REQUEST_TIMEOUT),
    (Code::PROTOCOL, StatusCode::INTERNAL_SERVER_ERROR),
    // Of the codes that applications define, the two that mean everywhere what HTTP means by them.
    (Code(904), StatusCode::NOT_FOUND),
    (Code(909), StatusCode::CONFLICT),
];

/// The HTTP status of a code.
pub(super) fn status(code: Code) -> StatusCode {
    let own = STATUS.iter().find(|(own, _)| *own == code).map(|(_, status)| *status);
    own.unwrap_or(match code.reaction() {
        Reaction::Fix => StatusCode::BAD_REQUEST,
        Reaction::NotAllowed => StatusCode::FORBIDDEN,
        Reaction::RetryLater | Reaction::Reconnect | Reaction::ReconnectWithBackoff => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Reaction::Stop => StatusCode::UNAUTHORIZED,
        Reaction::Application => StatusCode::UNPROCESSABLE_ENTITY,
    })
}

impl<'a> Problem<'a> {
    pub(super) fn new(failure: &'a Failure) -> Self {
        let Told { code, name, reason, retryable, retry_after_ms } = failure.told();
        Problem {
            r#type: format!("urn:sampan:code:{code}"),
            title: failure.code.text(),
            status: status(failure.code).as_u16(),
            detail: reason,
            code,
            name,
            retryable,
            retry_after_ms,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = status(self.code);
        let body = serde_json::to_vec(&Problem::new(&self)).unwrap_or_default();
        let mut response = (status, [CONTENT_TYPE], body).into_response();
        let headers = response.headers_mut();
        if self.retry_after_ms > 0 {
            // Whole seconds, rounded up, so that a client that waits exactly as told is not early.
            let seconds = u64::from(self.retry_after_ms.div_ceil(1000));
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_status_that_says_whose_fault_it_is() {
        for (code, name, _) in Code::ALL {
            let status = status(*code);
            assert!(status.is_client_error() || status.is_server_error(), "{name}");
            let is_retryable = matches!(status.as_u16(), 401 | 408 | 429 | 502 | 503 | 504);
            assert!(!code.is_retryable() || is_retryable, "{name}: {status}");
        }
        assert_eq!(status(Code(947)), StatusCode::UNPROCESSABLE_ENTITY);
    }

    #[test]
    fn a_problem_tells_when_to_come_back() {
        let failure = Failure { retry_after_ms: 1_001, ..Failure::of(Code::RATE_LIMITED) };
        let response = failure.into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    }
}
