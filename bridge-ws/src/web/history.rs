//! `GET /v1/topics/{topic}/history`.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sampan_protocol::Code;
use serde::Deserialize;

use super::call::{Call, unexpected};
use super::caller::{Asked, Caller};
use super::route::{Content, Route, TOPIC};
use crate::bridge::Bridge;
use crate::failure::Failure;
use crate::json::{History, Past};
use crate::parameter::Parameter;
use crate::session::Answer;

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
    let Options { limit, from, since, last } = options;
    if limit.is_some_and(|limit| limit > Past::LIMIT_MAX) {
        return Err(Failure::new(Code::BAD_FIELD, "a page has at most 1,000 messages"));
    }
    let body = Past { topic, limit, from, since, last }.history()?;
    let (mut call, _) = Call::open(&bridge, &caller).await?;
    let frame = call.session.history(1, &body)?;
    let Answer::Page(page) = call.answer(frame).await? else { return Err(unexpected()) };
    let body = serde_json::to_vec(&History::new(&page, &bridge.cache, false)?);
    let body = body.map_err(|_| unexpected())?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
