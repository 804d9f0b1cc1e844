//! `POST /v1/request/{topic}`: bytes in, bytes out.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use sampan_protocol::Code;
use serde::Deserialize;

use super::call::{Call, unexpected};
use super::caller::{Asked, Body, Caller};
use super::route::{Content, Route, TOPIC};
use crate::bridge::Bridge;
use crate::failure::Failure;
use crate::inflate::{Inflated, inflate};
use crate::parameter::Parameter;
use crate::session::{Answer, Question, TIMEOUT_MS, timeout_ms};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    event: Option<String>,
    timeout_ms: Option<u64>,
}

const PARAMETERS: [Parameter; 3] = [
    TOPIC,
    Parameter::text("event", "Name of the event"),
    Parameter::number("timeout_ms", "How long the answer may take, at most 60,000").or(TIMEOUT_MS),
];

pub(super) fn route() -> Route {
    Route {
        path: "/v1/request/{topic}",
        method: "post",
        handler: post(request),
        summary: "Asks whoever serves the topic; body and content type travel as they are",
        parameters: &PARAMETERS,
        question: Content::Bytes,
        answer: Content::Bytes,
    }
}

async fn request(
    State(bridge): State<Arc<Bridge>>,
    Path(topic): Path<String>,
    Asked(options): Asked<Options>,
    caller: Caller,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, Failure> {
    let text = |name: HeaderName| match headers.get(name).map(HeaderValue::to_str) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text)),
        Some(Err(_)) => Err(Failure::new(Code::BAD_FIELD, "content type and encoding are texts")),
    };
    let question = Question {
        topic: &topic,
        event: options.event.as_deref(),
        content_type: text(header::CONTENT_TYPE)?,
        content_encoding: text(header::CONTENT_ENCODING)?,
        timeout_ms: timeout_ms(options.timeout_ms),
        payload: &body,
    };
    ask(&bridge, &caller, &question).await
}

/// Asks, and answers with the payload and content type of the reply.
pub(super) async fn ask(
    bridge: &Bridge,
    caller: &Caller,
    question: &Question<'_>,
) -> Result<Response, Failure> {
    let (mut call, _) = Call::open(bridge, caller).await?;
    call.allow(Duration::from_millis(question.timeout_ms));
    let frame = call.session.ask(1, question)?;
    let Answer::Replied(reply) = call.answer(frame).await? else { return Err(unexpected()) };
    let attributes = reply.attributes()?;
    let Inflated { encoding, bytes } = inflate(attributes.content_encoding, reply.body_bytes())?;
    let content_type = attributes.content_type.unwrap_or("application/octet-stream");
    let content_type = HeaderValue::from_str(content_type).map_err(|_| unexpected())?;
    let headers = [
        (header::CONTENT_TYPE, content_type),
        // What a responder says is data, whatever a browser would take it for.
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment")),
    ];
    let body = match bytes {
        Cow::Borrowed(_) => reply.body(),
        Cow::Owned(inflated) => inflated.into(),
    };
    let mut response = (headers, body).into_response();
    if let Some(encoding) = encoding {
        let encoding = HeaderValue::from_str(encoding).map_err(|_| unexpected())?;
        response.headers_mut().insert(header::CONTENT_ENCODING, encoding);
    }
    Ok(response)
}
