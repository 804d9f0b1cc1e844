//! A payload inside JSON: a value, a string, or base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::value::RawValue;

/// How a payload looks inside JSON.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form<'a> {
    /// JSON, as it came.
    Json(&'a RawValue),
    /// Text, as a JSON string.
    Text(&'a str),
    /// Anything else.
    Base64(&'a [u8]),
}

/// What stands under `payload`.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Payload<'a> {
    Json(&'a RawValue),
    Text(&'a str),
}

impl<'a> Payload<'a> {
    /// A payload that stands in JSON as it is; `None` for one that would have to be base64.
    pub(crate) fn of(
        content_type: Option<&str>,
        content_encoding: Option<&str>,
        bytes: &'a [u8],
    ) -> Option<Self> {
        match Form::of(content_type, content_encoding, bytes) {
            Form::Json(value) => Some(Payload::Json(value)),
            Form::Text(text) => Some(Payload::Text(text)),
            Form::Base64(_) => None,
        }
    }
}

impl<'a> Form<'a> {
    /// The form of a payload: a JSON value if its content type is JSON, a string if it is text or
    /// none is given, base64 otherwise and where the bytes are not what the type says.
    pub(super) fn of(
        content_type: Option<&str>,
        content_encoding: Option<&str>,
        bytes: &'a [u8],
    ) -> Self {
        let text = std::str::from_utf8(bytes).ok().filter(|_| content_encoding.is_none());
        match (text, content_type) {
            (Some(text), Some(kind)) if is_json(kind) => {
                serde_json::from_str(text).map_or(Form::Base64(bytes), Form::Json)
            }
            (Some(text), None) => Form::Text(text),
            (Some(text), Some(kind)) if is_text(kind) => Form::Text(text),
            _ => Form::Base64(bytes),
        }
    }

    /// What stands under `payload`, or under `payload_base64`.
    pub(super) fn fields(self) -> (Option<Payload<'a>>, Option<String>) {
        match self {
            Form::Json(value) => (Some(Payload::Json(value)), None),
            Form::Text(text) => (Some(Payload::Text(text)), None),
            Form::Base64(bytes) => (None, Some(STANDARD.encode(bytes))),
        }
    }
}

/// Whether a content type is JSON.
pub(crate) fn is_json(content_type: &str) -> bool {
    let kind = essence(content_type);
    kind.eq_ignore_ascii_case("application/json")
        || kind
            .len()
            .checked_sub(5)
            .and_then(|at| kind.get(at..))
            .is_some_and(|suffix| suffix.eq_ignore_ascii_case("+json"))
}

fn is_text(content_type: &str) -> bool {
    essence(content_type).get(..5).is_some_and(|prefix| prefix.eq_ignore_ascii_case("text/"))
}

/// The content type without its parameters.
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_decides_and_the_bytes_must_agree() {
        let form = |kind: Option<&str>, encoding: Option<&str>, bytes: &[u8]| match Form::of(
            kind, encoding, bytes,
        ) {
            Form::Json(value) => format!("json {value}"),
            Form::Text(text) => format!("text {text}"),
            Form::Base64(bytes) => format!("base64 {}", bytes.len()),
        };
        let json = Some("application/json");
        assert_eq!(form(json, None, b"{\"a\":1}"), "json {\"a\":1}");
        assert_eq!(form(Some("Application/JSON; charset=utf-8"), None, b"1"), "json 1");
        assert_eq!(form(Some("application/vnd.shop+json"), None, b"[]"), "json []");
        assert_eq!(form(json, None, b"{\"a\":"), "base64 5");
        assert_eq!(form(json, None, b"1 2"), "base64 3");
        assert_eq!(form(json, None, b"\xff"), "base64 1");
        assert_eq!(form(json, Some("gzip"), b"{}"), "base64 2");
        assert_eq!(form(Some("text/plain"), None, b"{}"), "text {}");
        assert_eq!(form(None, None, b"{}"), "text {}");
        assert_eq!(form(None, None, b"\xff"), "base64 1");
        assert_eq!(form(Some("image/png"), None, b"png"), "base64 3");
        assert_eq!(form(Some("json"), None, b"1"), "base64 1");
    }
}
