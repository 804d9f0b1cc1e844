//! `GET /v1/topics/{topic}/history`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sampan_protocol::{Code, control};
use serde::Deserialize;

use super::call::{Call, unexpected};
use super::caller::{Asked, Caller};
use super::route::{Content, Route, TOPIC};
use crate::bridge::Bridge;
use crate::failure::Failure;
use crate::json::History;
use crate::parameter::Parameter;
use crate::session::Answer;

/// Messages of a page if the caller does not say.
const LIMIT: u32 = 100;
/// Messages of a page at most.
const LIMIT_MAX: u32 = 1000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    limit: Option<u32>,
    from: Option<u64>,
    since: Option<u64>,
    last: Option<u32>,
}

const PARAMETERS: [Parameter; 5] = [
    TOPIC,
    Parameter::number("limit", "Messages of a page, at most 1,000; 100 if absent"),
    Parameter::number(
        "from",
        "Begins with this offset; the next page is asked from the last offset plus 1",
    ),
    Parameter::number(
        "since",
        "Begins with the first message at or after this Unix time in milliseconds",
    ),
    Parameter::number(
        "last",
        "Begins with the last so many messages; a page of them if nothing is given",
    ),
];

pub(super) fn route() -> Route {
    Route {
        path: "/v1/topics/{topic}/history",
        method: "get",
        handler: get(history),
        summary: "A page of kept messages, by rising offset; an empty page is the end",
        parameters: &PARAMETERS,
        question: Content::Nothing,
        answer: Content::json::<History<'static>>(),
    }
}

async fn history(
    State(bridge): State<Arc<Bridge>>,
    Path(topic): Path<String>,
    Asked(options): Asked<Options>,
    caller: Caller,
) -> Result<Response, Failure> {
    let limit = options.limit.unwrap_or(LIMIT);
    if limit > LIMIT_MAX {
        return Err(Failure::new(Code::BAD_FIELD, "a page has at most 1,000 messages"));
    }
    let from = match (options.from, options.since, options.last) {
        (Some(offset), None, None) => control::From::Offset(offset),
        (None, Some(time_ms), None) => control::From::Since(time_ms),
        (None, None, last) => control::From::Last(last.unwrap_or(limit)),
        _ => return Err(Failure::new(Code::BAD_FIELD, "give one of from, since and last")),
    };
    let (mut call, _) = Call::open(&bridge, &caller).await?;
    let frame = call.session.history(1, &control::History { topic, from, limit })?;
    let Answer::Page(page) = call.answer(frame).await? else { return Err(unexpected()) };
    let body = serde_json::to_vec(&History::new(&page, &bridge.cache)?);
    let body = body.map_err(|_| unexpected())?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
