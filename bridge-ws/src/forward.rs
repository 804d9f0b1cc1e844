//! Routes whose answer is the reply to a request: a row names the path, the topic and both forms.

use schemars::{JsonSchema, Schema, SchemaGenerator};

/// The form of a JSON body, told on demand.
type Form = fn(&mut SchemaGenerator) -> Schema;

/// An HTTP route that is answered by whoever serves a request topic, JSON both ways.
#[derive(Clone, Debug)]
pub struct Forward {
    pub(crate) path: &'static str,
    pub(crate) topic: &'static str,
    pub(crate) summary: &'static str,
    /// The form of the question; a route without one is a GET, and asks `{}`.
    pub(crate) question: Option<Form>,
    pub(crate) answer: Form,
}

impl Forward {
    /// A GET of `path` that asks `{}` on `topic`.
    #[must_use]
    pub fn get<Answer: JsonSchema>(
        path: &'static str,
        topic: &'static str,
        summary: &'static str,
    ) -> Self {
        let answer: Form = |schemas| schemas.subschema_for::<Answer>();
        Forward { path, topic, summary, question: None, answer }
    }

    /// A POST to `path` whose body is asked on `topic`.
    #[must_use]
    pub fn post<Question: JsonSchema, Answer: JsonSchema>(
        path: &'static str,
        topic: &'static str,
        summary: &'static str,
    ) -> Self {
        let question: Form = |schemas| schemas.subschema_for::<Question>();
        let answer: Form = |schemas| schemas.subschema_for::<Answer>();
        Forward { path, topic, summary, question: Some(question), answer }
    }
}
