//! Routes that are answered by request and reply, from their rows.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::routing::{get, post};
use sampan_protocol::Code;
use serde_json::{Map, Value};

use super::caller::{Asked, Body, Caller};
use super::request::ask;
use super::route::{Content, Route};
use crate::bridge::Bridge;
use crate::failure::Failure;
use crate::forward::Forward;
use crate::parameter::Parameter;
use crate::session::{Question, TIMEOUT_MS};

/// The route of a row.
pub(super) fn route(forward: &Forward) -> Route {
    let Forward { path, topic, summary, parameters, question, answer } = *forward;
    let is_json = answer.is_some();
    let (method, handler, question) = match question {
        Some(form) => {
            let handler = post(move |State(bridge), caller, body: Body| async move {
                answered(bridge, caller, topic, body.text()?, is_json).await
            });
            ("post", handler, Content::Json(form))
        }
        None => {
            let handler = get(move |State(bridge), Asked(query), caller| async move {
                let body = asked(parameters, query)?;
                answered(bridge, caller, topic, &body, is_json).await
            });
            ("get", handler, Content::Nothing)
        }
    };
    let answer = answer.map_or(Content::Bytes, Content::Json);
    Route { path, method, handler, summary, parameters, question, answer }
}

/// The question that a query asks.
fn asked(parameters: &[Parameter], query: Vec<(String, String)>) -> Result<String, Failure> {
    let bad = |why: &str, name: &str| Failure::new(Code::BAD_FIELD, &format!("{why} {name}"));
    let mut question: Map<String, Value> =
        parameters.iter().filter_map(|p| Some((p.name.to_owned(), p.default?.into()))).collect();
    for (name, text) in query {
        let parameter = parameters.iter().find(|parameter| parameter.name == name);
        let parameter = parameter.ok_or_else(|| bad("there is no parameter", &name))?;
        let value = if parameter.is_number {
            text.parse::<u64>().map_err(|_| bad("give a whole number as", &name))?.into()
        } else {
            text.into()
        };
        question.insert(name, value);
    }
    let mut required = parameters.iter().filter(|parameter| parameter.is_required);
    match required.find(|parameter| !question.contains_key(parameter.name)) {
        Some(missing) => Err(bad("give", missing.name)),
        None => Ok(Value::Object(question).to_string()),
    }
}

async fn answered(
    bridge: Arc<Bridge>,
    caller: Caller,
    topic: &str,
    body: &str,
    is_json: bool,
) -> Result<Response, Failure> {
    let question = Question {
        topic,
        event: None,
        content_type: Some("application/json"),
        content_encoding: None,
        timeout_ms: TIMEOUT_MS,
        payload: body.as_bytes(),
    };
    let mut response = ask(&bridge, &caller, &question).await?;
    if is_json {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.remove(header::CONTENT_DISPOSITION);
    }
    Ok(response)
}
