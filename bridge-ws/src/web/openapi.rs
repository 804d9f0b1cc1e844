//! The OpenAPI 3.1 document, made of the route table and the types of its bodies.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::header;
use axum::routing::{MethodRouter, get};
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::route::{Content, Route};
use crate::bridge::Bridge;
use crate::parameter::{Parameter, Sort};

/// Answers with the document.
pub(super) fn handler(document: Value) -> MethodRouter<Arc<Bridge>> {
    let body = Bytes::from(document.to_string());
    get(move || std::future::ready(([(header::CONTENT_TYPE, "application/json")], body.clone())))
}

/// The document of these routes.
pub(super) fn document(routes: &[Route]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let problem = schemas.subschema_for::<Problem<'static>>();
    let mut paths = Map::new();
    for route in routes {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method] = operation(route, &mut schemas, &problem.clone().to_value());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Sampan",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The broker over plain HTTP. Codes are those of the protocol.",
        },
        "security": [{ "bearer": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
            "schemas": schemas.take_definitions(true),
        },
    })
}

fn operation(route: &Route, schemas: &mut SchemaGenerator, problem: &Value) -> Value {
    let parameters: Vec<Value> = route.parameters.iter().map(parameter).collect();
    let mut operation = json!({
        "summary": route.summary,
        "parameters": parameters,
        "responses": {
            "200": { "description": "Done", "content": content(&route.answer, schemas) },
            "default": {
                "description": "Refused",
                "content": { "application/problem+json": { "schema": problem } },
            },
        },
    });
    if !matches!(route.question, Content::Nothing) {
        let mut content = content(&route.question, schemas);
        leave_out(&mut content, route.parameters);
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation
}

/// Takes the members that stand in the path out of a body's form.
fn leave_out(content: &mut Value, parameters: &[Parameter]) {
    let Some(form) = content.pointer_mut("/application~1json/schema") else { return };
    for Parameter { name, .. } in parameters.iter().filter(|parameter| parameter.is_path) {
        if let Some(members) = form.get_mut("properties").and_then(Value::as_object_mut) {
            members.remove(*name);
        }
        if let Some(required) = form.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|member| member.as_str() != Some(name));
        }
    }
}

fn parameter(parameter: &Parameter) -> Value {
    let Parameter { name, about, sort, is_required, is_path, default } = *parameter;
    let kind = match sort {
        Sort::Text => "string",
        Sort::Number => "integer",
        Sort::Truth => "boolean",
    };
    let mut schema = json!({ "type": kind });
    if let Some(default) = default {
        schema["default"] = default.into();
    }
    json!({
        "name": name,
        "in": if is_path { "path" } else { "query" },
        "required": is_required,
        "description": about,
        "schema": schema,
    })
}

fn content(content: &Content, schemas: &mut SchemaGenerator) -> Value {
    match content {
        Content::Nothing => json!({}),
        Content::Bytes => json!({ "*/*": {} }),
        Content::Events => json!({ "text/event-stream": { "schema": { "type": "string" } } }),
        Content::Json(form) => {
            json!({ "application/json": { "schema": form(schemas).to_value() } })
        }
    }
}
