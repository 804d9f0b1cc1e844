//! `POST /v1/publish` and `/v1/publish/batch`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json as Answered;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::BytesMut;
use sampan_protocol::Code;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::call::{Call, unexpected};
use super::caller::{Caller, Json};
use super::problem::Problem;
use super::route::{Content, Route};
use crate::bridge::Bridge;
use crate::counters::count;
use crate::failure::Failure;
use crate::json::{Acked, Publish};
use crate::session::{Ack, Answer, Event};

/// Messages of one batch.
const BATCH_MAX: usize = 256;

/// Messages to publish, each for itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Batch {
    /// At most 256 messages. Those of one topic are ordered as they stand.
    messages: Vec<Publish>,
}

/// What has happened to the messages of a batch.
#[derive(Debug, Serialize, JsonSchema)]
struct Results<'a> {
    /// One per message, in their order: an ack, or a problem document.
    results: Vec<Outcome<'a>>,
}

/// What has happened to one message of a batch.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
enum Outcome<'a> {
    Acked(Acked),
    Problem(Problem<'a>),
}

/// What was told of a message: the ack and its offset, or why there is none.
type Told = Result<(Arc<Ack>, u64), Failure>;

pub(super) fn one() -> Route {
    Route {
        path: "/v1/publish",
        method: "post",
        handler: post(publish_one),
        summary: "Publishes a message; the answer says what has happened to it",
        parameters: &[],
        question: Content::json::<Publish>(),
        answer: Content::json::<Acked>(),
    }
}

pub(super) fn batch() -> Route {
    Route {
        path: "/v1/publish/batch",
        method: "post",
        handler: post(publish_batch),
        summary: "Publishes messages; each succeeds or fails for itself",
        parameters: &[],
        question: Content::json::<Batch>(),
        answer: Content::json::<Results<'static>>(),
    }
}

async fn publish_one(
    State(bridge): State<Arc<Bridge>>,
    caller: Caller,
    Json(message): Json<Publish>,
) -> Result<Answered<Acked>, Failure> {
    let told = publish(&bridge, &caller, std::slice::from_ref(&message)).await?;
    let (ack, offset) = told.into_iter().next().ok_or_else(unexpected)??;
    Ok(Answered(Acked::new(Some(message.topic()), &ack, offset)))
}

async fn publish_batch(
    State(bridge): State<Arc<Bridge>>,
    caller: Caller,
    Json(batch): Json<Batch>,
) -> Result<Response, Failure> {
    if batch.messages.len() > BATCH_MAX {
        return Err(Failure::new(Code::TOO_LARGE, "a batch has at most 256 messages"));
    }
    let told = publish(&bridge, &caller, &batch.messages).await?;
    let outcomes = batch.messages.iter().zip(&told).map(|(message, told)| match told {
        Ok((ack, offset)) => Outcome::Acked(Acked::new(Some(message.topic()), ack, *offset)),
        Err(failure) => Outcome::Problem(Problem::new(failure)),
    });
    Ok(Answered(Results { results: outcomes.collect() }).into_response())
}

/// Publishes the messages through one session, and waits for what became of each.
async fn publish(
    bridge: &Bridge,
    caller: &Caller,
    messages: &[Publish],
) -> Result<Vec<Told>, Failure> {
    let (mut call, _) = Call::open(bridge, caller).await?;
    let mut told: BTreeMap<u64, Told> = BTreeMap::new();
    let mut frames = BytesMut::new();
    for (number, message) in (1..).zip(messages) {
        if message.wants_no_ack() {
            let reason = "over HTTP every publish has an ack";
            told.insert(number, Err(Failure::new(Code::BAD_FIELD, reason)));
            continue;
        }
        match message.publish(|publish| call.session.publish(number, publish)) {
            Ok(frame) => frames.extend_from_slice(&frame),
            Err(failure) => _ = told.insert(number, Err(failure)),
        }
    }
    call.send(frames.freeze()).await;
    while told.len() < messages.len() {
        match call.next().await? {
            Event::Published(ack) => {
                let ack = Arc::new(ack);
                let told_of = |&(number, offset): &(u64, u64)| (number, Ok((ack.clone(), offset)));
                told.extend(ack.acks.iter().map(told_of));
            }
            Event::Answered { number, answer: Answer::Refused(failure) } => {
                told.insert(number, Err(failure));
            }
            Event::Closed(failure) => return Err(failure),
            _ => {}
        }
    }
    for _ in told.values().filter(|told| told.is_err()) {
        count(&bridge.counters.bridge_http_publishes_refused);
    }
    Ok(told.into_values().collect())
}
