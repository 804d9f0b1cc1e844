//! Routes whose answer is the reply to a request: a row names the path, the topic and
//! both forms.

use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::parameter::Parameter;

/// The form of a JSON body, told on demand.
type Form = fn(&mut SchemaGenerator) -> Schema;

/// How a route is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
    Put,
}

/// An HTTP route that is answered by whoever serves a request topic.
#[derive(Clone, Debug)]
pub struct Forward {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) topic: &'static str,
    pub(crate) summary: &'static str,
    /// What a GET asks: an object of those that are given. In another question those of the path
    /// stand beside the members of the body.
    pub(crate) parameters: &'static [Parameter],
    /// What a POST or PUT asks.
    pub(crate) question: Option<Form>,
    /// The form of the answer; none for bytes that are no JSON.
    pub(crate) answer: Option<Form>,
}

impl Forward {
    /// A GET of `path` that asks an object without members on `topic`.
    #[must_use]
    pub fn get<Answer: JsonSchema>(
        path: &'static str,
        topic: &'static str,
        summary: &'static str,
    ) -> Self {
        let answer: Form = |schemas| schemas.subschema_for::<Answer>();
        Forward { answer: Some(answer), ..Forward::bytes(path, topic, summary) }
    }

    /// As [`Forward::get`], with an answer that is no JSON.
    #[must_use]
    pub fn bytes(path: &'static str, topic: &'static str, summary: &'static str) -> Self {
        let method = Method::Get;
        Forward { method, path, topic, summary, parameters: &[], question: None, answer: None }
    }

    /// The same, which asks an object of these parameters.
    #[must_use]
    pub fn with(self, parameters: &'static [Parameter]) -> Self {
        Forward { parameters, ..self }
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
        let (method, question) = (Method::Post, Some(question));
        Forward { method, question, answer: Some(answer), ..Forward::bytes(path, topic, summary) }
    }

    /// As [`Forward::post`], for a body that takes the place of what was there. The question's form
    /// has the members of the path too, and the body has not.
    #[must_use]
    pub fn put<Question: JsonSchema, Answer: JsonSchema>(
        path: &'static str,
        topic: &'static str,
        summary: &'static str,
    ) -> Self {
        // Told in place rather than by name, so that what the path has can be left out.
        let question: Form = |schemas| Question::json_schema(schemas);
        let post = Forward::post::<Question, Answer>(path, topic, summary);
        Forward { method: Method::Put, question: Some(question), ..post }
    }
}
