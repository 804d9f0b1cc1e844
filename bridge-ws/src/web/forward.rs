//! Routes that are answered by request and reply, from their rows.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::routing::{get, post};
use sampan_protocol::Code;

use super::caller::{Body, Caller};
use super::request::ask;
use super::route::{Content, Route};
use crate::bridge::Bridge;
use crate::failure::Failure;
use crate::forward::Forward;
use crate::json::is_shallow;
use crate::session::Question;

/// How long an answer may take.
const TIMEOUT_MS: u64 = 10_000;

/// The route of a row.
pub(super) fn route(forward: &Forward) -> Route {
    let Forward { path, topic, summary, question, answer } = *forward;
    let (method, handler, question) = match question {
        Some(form) => {
            let handler = post(move |State(bridge), caller, Body(body)| async move {
                let body = check(&body)?;
                answered(bridge, caller, topic, body).await
            });
            ("post", handler, Content::Json(form))
        }
        None => {
            let handler = get(move |State(bridge), caller| answered(bridge, caller, topic, "{}"));
            ("get", handler, Content::Nothing)
        }
    };
    let answer = Content::Json(answer);
    Route { path, method, handler, summary, parameters: &[], question, answer }
}

fn check(body: &[u8]) -> Result<&str, Failure> {
    let text = std::str::from_utf8(body).ok().filter(|text| is_shallow(text));
    text.ok_or_else(|| Failure::new(Code::MALFORMED, "the body is no JSON, or nests too deep"))
}

async fn answered(
    bridge: Arc<Bridge>,
    caller: Caller,
    topic: &str,
    body: &str,
) -> Result<Response, Failure> {
    let question = Question {
        topic,
        event: None,
        content_type: Some("application/json"),
        timeout_ms: TIMEOUT_MS,
        payload: body.as_bytes(),
    };
    let mut response = ask(&bridge, &caller, &question).await?;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.remove(header::CONTENT_DISPOSITION);
    Ok(response)
}
