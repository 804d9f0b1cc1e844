//! Problems as HTTP answers.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sampan_client::Code;
use serde_json::json;

use crate::service::Problem;

/// The status of a code: those of its own, else that of its hundred.
const STATUSES: &[(u16, StatusCode)] = &[
    (904, StatusCode::NOT_FOUND),
    (909, StatusCode::CONFLICT),
    (910, StatusCode::CONFLICT),
    (911, StatusCode::GONE),
    (912, StatusCode::CONFLICT),
    (999, StatusCode::INTERNAL_SERVER_ERROR),
];

/// The JSON answer of a problem, as the bridge gives it.
pub(super) fn failure(problem: &Problem) -> Response {
    let Code(number) = problem.code;
    let own = STATUSES.iter().find(|(code, _)| *code == number);
    let status = own.map_or(
        match number / 100 {
            1 => StatusCode::BAD_REQUEST,
            2 => StatusCode::FORBIDDEN,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        },
        |(_, status)| *status,
    );
    let body = json!({ "code": number, "message": problem.reason });
    open(json_of(status, &body))
}

/// A JSON answer.
pub(super) fn json_of(status: StatusCode, body: &impl serde::Serialize) -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    match serde_json::to_vec(body) {
        Ok(body) => open((status, kind, Body::from(body)).into_response()),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The answer for pages of any origin: a link is all that it takes, and no cookie is looked at.
pub(super) fn open(mut response: Response) -> Response {
    let any = HeaderValue::from_static("*");
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    response
}

/// The answer to a browser that asks before it sends something.
pub(super) async fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type"),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    open((StatusCode::NO_CONTENT, headers).into_response())
}
