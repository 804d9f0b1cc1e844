//! One row of the route table: where it is, who answers it, and what the document says of it.

use std::sync::Arc;

use axum::routing::MethodRouter;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::bridge::Bridge;
use crate::parameter::Parameter;

/// A route.
pub(super) struct Route {
    pub(super) path: &'static str,
    pub(super) method: &'static str,
    pub(super) handler: MethodRouter<Arc<Bridge>>,
    pub(super) summary: &'static str,
    pub(super) parameters: &'static [Parameter],
    pub(super) question: Content,
    pub(super) answer: Content,
}

/// What a body holds.
pub(super) enum Content {
    /// There is no body.
    Nothing,
    /// JSON of this form.
    Json(fn(&mut SchemaGenerator) -> Schema),
    /// Any bytes, of any content type.
    Bytes,
    /// Server-sent events.
    Events,
}

impl Content {
    /// JSON of this type.
    pub(super) fn json<T: JsonSchema>() -> Self {
        Content::Json(|schemas| schemas.subschema_for::<T>())
    }
}

/// The topic in a path.
pub(super) const TOPIC: Parameter = Parameter::path("topic", "Topic name");
