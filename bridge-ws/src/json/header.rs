//! Headers of the application in JSON: pairs of a name and a value, in their order.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sampan_protocol::Code;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

/// The value of a header: a text, or bytes that are none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields)]
pub(crate) enum HeaderValue<'a> {
    /// UTF-8, as a string.
    Text(Cow<'a, str>),
    /// Anything else.
    Bytes {
        /// The bytes as base64.
        base64: String,
    },
}

/// A header's name and value.
pub(crate) type Header<'a> = (Cow<'a, str>, HeaderValue<'a>);

/// The headers of a frame.
pub(super) fn told<'a>(headers: &[(&'a str, &'a [u8])]) -> Vec<Header<'a>> {
    let value = |bytes: &'a [u8]| match std::str::from_utf8(bytes) {
        Ok(text) => HeaderValue::Text(Cow::Borrowed(text)),
        Err(_) => HeaderValue::Bytes { base64: STANDARD.encode(bytes) },
    };
    headers.iter().map(|&(name, bytes)| (Cow::Borrowed(name), value(bytes))).collect()
}

/// The bytes of each header.
pub(super) fn given<'a>(headers: &'a [Header<'a>]) -> Result<Vec<Given<'a>>, Failure> {
    let bytes = |value: &'a HeaderValue<'a>| match value {
        HeaderValue::Text(text) => Ok(Cow::Borrowed(text.as_bytes())),
        HeaderValue::Bytes { base64 } => {
            let bad = |_| Failure::new(Code::BAD_FIELD, "a header's base64 is none");
            STANDARD.decode(base64).map(Cow::Owned).map_err(bad)
        }
    };
    headers.iter().map(|(name, value)| Ok((name.as_ref(), bytes(value)?))).collect()
}

/// A header's name, and its value as bytes.
type Given<'a> = (&'a str, Cow<'a, [u8]>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_keep_their_order_their_repeats_and_their_bytes() {
        let headers: [(&str, &[u8]); 3] = [("b", b"x"), ("a", &[0xff, 0]), ("b", b"")];
        let json = serde_json::to_string(&told(&headers)).expect("JSON");
        assert_eq!(json, r#"[["b","x"],["a",{"base64":"/wA="}],["b",""]]"#);
        let back: Vec<Header<'_>> = serde_json::from_str(&json).expect("headers");
        let back = given(&back).expect("bytes");
        let back: Vec<(&str, &[u8])> = back.iter().map(|(n, v)| (*n, v.as_ref())).collect();
        assert_eq!(back, headers);
    }

    #[test]
    fn a_value_is_a_text_or_base64() {
        let read = |json: &str| serde_json::from_str::<Vec<Header<'_>>>(json).map(|_| ());
        assert!(read(r#"[["a",1]]"#).is_err());
        assert!(read(r#"[["a",{"base64":"","more":1}]]"#).is_err());
        let bad: Vec<Header<'_>> = serde_json::from_str(r#"[["a",{"base64":"?"}]]"#).expect("read");
        assert_eq!(given(&bad).map(|_| ()).map_err(|f| f.code), Err(Code::BAD_FIELD));
    }
}
