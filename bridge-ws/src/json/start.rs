//! Where a subscription starts, as JSON.

use std::collections::BTreeMap;

use sampan_protocol::control::{self, TopicPosition};
use sampan_protocol::limits::POSITIONS_MAX;
use sampan_protocol::{Code, Position};
use serde::Deserialize;

use crate::failure::Failure;

/// Where a subscription starts: with the next message if nothing is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Start {
    /// Topic or pattern.
    pub(crate) topic: String,
    /// With the last so many messages of each topic.
    last: Option<u32>,
    /// With the first message at or after this Unix time in milliseconds.
    since: Option<u64>,
    /// After these positions, `EPOCH:OFFSET` by topic.
    positions: Option<BTreeMap<String, String>>,
    /// Where topics without a position resume: `joined_ms` of the subscription's first answer.
    joined_ms: Option<u64>,
}

impl Start {
    /// The body of SUBSCRIBE.
    pub(crate) fn subscribe(self) -> Result<control::Subscribe, Failure> {
        let bad = |reason| Failure::new(Code::BAD_FIELD, reason);
        let Start { topic, last, since, positions, joined_ms } = self;
        let start = match (last, since, positions, joined_ms) {
            (None, None, None, None) => control::Start::Now,
            (Some(count), None, None, None) => control::Start::Last(count),
            (None, Some(time_ms), None, None) => control::Start::Since(time_ms),
            (None, None, positions, joined_ms) => {
                let positions = positions.unwrap_or_default();
                if positions.len() > POSITIONS_MAX {
                    return Err(Failure::new(Code::TOO_LARGE, "more positions than one may give"));
                }
                let parse = |(topic, text): (String, String)| {
                    let at: Position =
                        text.parse().map_err(|_| bad("a position is EPOCH:OFFSET"))?;
                    Ok(TopicPosition { topic, epoch: at.epoch, offset: at.offset })
                };
                control::Start::Resume {
                    joined_ms: joined_ms.unwrap_or(0),
                    positions: positions.into_iter().map(parse).collect::<Result<_, Failure>>()?,
                }
            }
            _ => return Err(bad("give one of last, since, and positions with joined_ms")),
        };
        Ok(control::Subscribe { pattern: topic, start })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(json: &str) -> Result<control::Start, Code> {
        let start: Start = serde_json::from_str(json).map_err(|_| Code::MALFORMED)?;
        start.subscribe().map(|body| body.start).map_err(|failure| failure.code)
    }

    #[test]
    fn a_subscription_starts_at_one_place() {
        assert_eq!(start(r#"{"topic":"a"}"#), Ok(control::Start::Now));
        assert_eq!(start(r#"{"topic":"a","last":3}"#), Ok(control::Start::Last(3)));
        assert_eq!(start(r#"{"topic":"a","since":9}"#), Ok(control::Start::Since(9)));
        let positions = vec![TopicPosition { topic: "a".to_owned(), epoch: 7, offset: 41 }];
        let resume = control::Start::Resume { joined_ms: 5, positions };
        let json = r#"{"topic":"a","positions":{"a":"7:41"},"joined_ms":5}"#;
        assert_eq!(start(json), Ok(resume));
        assert_eq!(start(r#"{"topic":"a","last":3,"since":9}"#), Err(Code::BAD_FIELD));
        assert_eq!(start(r#"{"topic":"a","positions":{"a":"7"}}"#), Err(Code::BAD_FIELD));
        assert_eq!(start(r#"{"topic":"a","lats":3}"#), Err(Code::MALFORMED));
    }
}
