//! Routes that are answered by request and reply, from their rows.

use std::sync::Arc;

use axum::extract::{RawPathParams, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use sampan_protocol::Code;
use serde_json::{Map, Value};

use super::caller::{Asked, Body, Caller};
use super::request::ask;
use super::route::{Content, Route};
use crate::bridge::Bridge;
use crate::failure::Failure;
use crate::forward::{Forward, Method};
use crate::parameter::{Parameter, Sort};
use crate::session::{Question, TIMEOUT_MS};

/// The route of a row.
pub(super) fn route(forward: &Forward) -> Route {
    let Forward { method, path, topic, summary, parameters, question, answer } = *forward;
    let is_json = answer.is_some();
    let (filter, method) = match method {
        Method::Get => (MethodFilter::GET, "get"),
        Method::Post => (MethodFilter::POST, "post"),
        Method::Put => (MethodFilter::PUT, "put"),
    };
    let has_body = question.is_some();
    let handler = on(
        filter,
        move |State(bridge), in_path: RawPathParams, Asked(query), caller, body: Body| async move {
            let text = if has_body { Some(body.text()?) } else { None };
            let named = in_path.iter().map(|(name, text)| (name.to_owned(), text.to_owned()));
            let question = asked(parameters, named.collect(), query, text)?;
            answered(bridge, caller, topic, &question, is_json).await
        },
    );
    let question = question.map_or(Content::Nothing, Content::Json);
    let answer = answer.map_or(Content::Bytes, Content::Json);
    Route { path, method, handler, summary, parameters, question, answer }
}

/// The question that path, query and body ask.
fn asked(
    parameters: &[Parameter],
    in_path: Vec<(String, String)>,
    query: Vec<(String, String)>,
    body: Option<&str>,
) -> Result<String, Failure> {
    let bad = |why: &str, name: &str| Failure::new(Code::BAD_FIELD, &format!("{why} {name}"));
    let mut question: Map<String, Value> = match body {
        // It goes on as it is.
        Some(body) if parameters.is_empty() => return Ok(body.to_owned()),
        Some(body) => serde_json::from_str(body)
            .map_err(|error| Failure::new(Code::MALFORMED, &error.to_string()))?,
        None => Map::new(),
    };
    if let Some(twice) = parameters.iter().find(|parameter| question.contains_key(parameter.name)) {
        return Err(bad("the path has, and the body may not have,", twice.name));
    }
    for parameter in parameters {
        if let Some(default) = parameter.default {
            question.insert(parameter.name.to_owned(), default.into());
        }
    }
    let named = in_path.into_iter().map(|named| (named, true));
    for ((name, text), is_path) in named.chain(query.into_iter().map(|named| (named, false))) {
        let mut known = parameters.iter();
        let parameter = known.find(|known| known.name == name && known.is_path == is_path);
        let parameter = parameter.ok_or_else(|| bad("there is no parameter", &name))?;
        let value = match parameter.sort {
            Sort::Text => text.into(),
            Sort::Number => {
                text.parse::<u64>().map_err(|_| bad("give a whole number as", &name))?.into()
            }
            Sort::Truth => {
                text.parse::<bool>().map_err(|_| bad("give true or false as", &name))?.into()
            }
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
