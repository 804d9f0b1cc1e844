//! Taking part in a group, as JSON.

use sampan_protocol::Code;
use sampan_protocol::control::{self, GroupOrder};
use serde::Deserialize;

use crate::failure::Failure;

/// Jobs that a consumer holds at most if it does not say.
const WINDOW: u32 = 100;

/// A consumer of a group. What a group that exists is stays as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Consume {
    /// Name of the group, which is made if there is none.
    group: String,
    /// Topic or pattern that the group reads.
    topic: String,
    /// Jobs that the consumer holds at most; 0 for one that pulls.
    window: Option<u32>,
    /// A group that is made starts with the last so many messages of each topic.
    last: Option<u32>,
    /// A group that is made starts with the first message at or after this Unix time in ms.
    since: Option<u64>,
    /// In which order a group that is made hands out: `any` or `key`.
    order: Option<String>,
    /// How long a consumer of a group that is made may take for a job.
    ack_wait_ms: Option<u32>,
    /// How often a group that is made hands out a message at most.
    attempts_max: Option<u32>,
}

impl Consume {
    /// The body of CONSUME.
    pub(crate) fn body(self) -> Result<control::Consume, Failure> {
        let bad = |reason| Failure::new(Code::BAD_FIELD, reason);
        let Consume { group, topic, window, last, since, order, ack_wait_ms, attempts_max } = self;
        let start = match (last, since) {
            (None, None) => control::Start::Now,
            (Some(count), None) => control::Start::Last(count),
            (None, Some(time_ms)) => control::Start::Since(time_ms),
            (Some(_), Some(_)) => return Err(bad("give one of last and since")),
        };
        let order = match order {
            None => 0,
            Some(name) => {
                let order = GroupOrder::ALL.iter().find(|order| order.name() == name);
                order.ok_or_else(|| bad("order is any or key"))?.number()
            }
        };
        Ok(control::Consume {
            group,
            pattern: topic,
            start,
            window: window.unwrap_or(WINDOW),
            order,
            ack_wait_ms: ack_wait_ms.unwrap_or(0),
            attempts_max: attempts_max.unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(rest: &str) -> Result<control::Consume, Code> {
        let json = format!(r#"{{"group":"g","topic":"order.*"{rest}}}"#);
        let consume: Consume = serde_json::from_str(&json).map_err(|_| Code::MALFORMED)?;
        consume.body().map_err(|failure| failure.code)
    }

    #[test]
    fn a_consumer_says_what_it_wants_and_the_group_decides_the_rest() {
        let plain = body("").expect("valid");
        assert_eq!((plain.window, plain.order, plain.ack_wait_ms), (WINDOW, 0, 0));
        assert_eq!((plain.pattern.as_str(), plain.start), ("order.*", control::Start::Now));
        let full = r#","window":0,"last":3,"order":"key","ack_wait_ms":5,"attempts_max":2"#;
        let full = body(full).expect("valid");
        assert_eq!((full.window, full.order), (0, GroupOrder::Key.number()));
        assert_eq!((full.ack_wait_ms, full.attempts_max), (5, 2));
        assert_eq!(full.start, control::Start::Last(3));
        assert_eq!(body(r#","order":"random""#), Err(Code::BAD_FIELD));
        assert_eq!(body(r#","last":1,"since":2"#), Err(Code::BAD_FIELD));
        assert_eq!(body(r#","widnow":1"#), Err(Code::MALFORMED));
    }
}
