//! `GET /v1/topics/{topic}/presence`.

use std::sync::Arc;

use axum::Json as Answered;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sampan_protocol::control::{self, PresenceAct};
use serde::Deserialize;

use super::call::{Call, unexpected};
use super::caller::{Asked, Caller};
use super::route::{Content, Route, TOPIC};
use crate::bridge::Bridge;
use crate::failure::Failure;
use crate::json::Members;
use crate::parameter::Parameter;
use crate::session::Answer;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(default)]
    after: String,
}

const PARAMETERS: [Parameter; 2] = [
    TOPIC,
    Parameter::text("after", "Begins behind this user by name: the last of the page before"),
];

pub(super) fn route() -> Route {
    Route {
        path: "/v1/topics/{topic}/presence",
        method: "get",
        handler: get(presence),
        summary: "Who is present on the topic",
        parameters: &PARAMETERS,
        question: Content::Nothing,
        answer: Content::json::<Members<'static>>(),
    }
}

async fn presence(
    State(bridge): State<Arc<Bridge>>,
    Path(topic): Path<String>,
    Asked(Options { after }): Asked<Options>,
    caller: Caller,
) -> Result<Response, Failure> {
    let (mut call, _) = Call::open(&bridge, &caller).await?;
    let read = control::Presence { after, ..control::Presence::of(&topic, PresenceAct::Read) };
    let frame = call.session.request(1, &read)?;
    let Answer::Members(members) = call.answer(frame).await? else { return Err(unexpected()) };
    Ok(Answered(Members::new(&members)).into_response())
}
