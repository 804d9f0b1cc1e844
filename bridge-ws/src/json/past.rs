//! Which kept messages a page of history is to hold: the same choice over HTTP and WebSocket.

use sampan_protocol::{Code, control};
use serde::Deserialize;

use crate::failure::Failure;

/// Messages of a page if the peer does not say.
const LIMIT: u32 = 100;

/// A page of history that is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Past {
    /// Topic name.
    pub(crate) topic: String,
    /// Messages of the page.
    pub(crate) limit: Option<u32>,
    /// With this offset and what follows it.
    pub(crate) from: Option<u64>,
    /// With the first message at or after this Unix time in milliseconds.
    pub(crate) since: Option<u64>,
    /// With the last so many messages; a page of them if nothing is given.
    pub(crate) last: Option<u32>,
}

impl Past {
    /// Messages of a page at most.
    pub(crate) const LIMIT_MAX: u32 = 1000;

    /// The body of HISTORY.
    pub(crate) fn history(self) -> Result<control::History, Failure> {
        let Past { topic, limit, from, since, last } = self;
        let limit = limit.unwrap_or(LIMIT).min(Past::LIMIT_MAX);
        let from = match (from, since, last) {
            (Some(offset), None, None) => control::From::Offset(offset),
            (None, Some(time_ms), None) => control::From::Since(time_ms),
            (None, None, last) => control::From::Last(last.unwrap_or(limit)),
            _ => return Err(Failure::new(Code::BAD_FIELD, "give one of from, since and last")),
        };
        Ok(control::History { topic, from, limit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(json: &str) -> Result<(control::From, u32), Code> {
        let past: Past = serde_json::from_str(json).map_err(|_| Code::MALFORMED)?;
        past.history().map(|body| (body.from, body.limit)).map_err(|failure| failure.code)
    }

    #[test]
    fn a_page_begins_at_one_place_and_has_an_end() {
        assert_eq!(asked(r#"{"topic":"a"}"#), Ok((control::From::Last(100), 100)));
        assert_eq!(asked(r#"{"topic":"a","limit":5}"#), Ok((control::From::Last(5), 5)));
        assert_eq!(asked(r#"{"topic":"a","last":3}"#), Ok((control::From::Last(3), 100)));
        assert_eq!(asked(r#"{"topic":"a","since":9}"#), Ok((control::From::Since(9), 100)));
        let from = r#"{"topic":"a","from":7,"limit":4000}"#;
        assert_eq!(asked(from), Ok((control::From::Offset(7), 1000)));
        assert_eq!(asked(r#"{"topic":"a","from":7,"last":3}"#), Err(Code::BAD_FIELD));
        assert_eq!(asked(r#"{"topic":"a","form":7}"#), Err(Code::MALFORMED));
    }
}
