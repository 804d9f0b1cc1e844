//! What a client says on a WebSocket: one JSON object per request, or a list of them.

use std::fmt;

use sampan_protocol::Code;
use sampan_protocol::control::{self, PresenceAct, Settlement};
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::failure::Failure;
use crate::json::{Consume, Handle, Past, Publish, Start, is_shallow, present};

/// Requests of one list.
const LIST_MAX: usize = 256;

/// The act that acknowledges a job and all of its topic that the consumer holds before it.
const THROUGH: &str = "ack_through";

/// What a client asks for, under its id; 0 if it gave none.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) id: u64,
    pub(super) operation: Operation,
}

/// What a client asks for.
#[derive(Debug)]
pub(super) enum Operation {
    Connect(Box<Connect>),
    Subscribe(Start),
    Unsubscribe,
    Publish(Box<Publish>),
    Request(Box<Ask>),
    Emit(Box<Emit>),
    Presence(control::Presence),
    History(control::History),
    Refresh(control::Refresh),
    Consume(Box<Consume>),
    Pull { count: u64 },
    Settle(Box<Settling>),
    Leave,
    Ping,
}

/// The first request.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Connect {
    /// The token, unless the upgrade carried it as `Authorization`.
    pub(super) token: Option<String>,
    /// Name and version of the software.
    pub(super) client: Option<String>,
    /// Subscriptions to be made at once, as `subscribe` takes them.
    pub(super) resume: Vec<Resumed>,
    /// Whether payloads with content encoding `gzip` are wanted as they are.
    pub(super) inflates: bool,
}

/// A subscription that a client had before.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Resumed {
    pub(super) id: u64,
    pub(super) subscribe: Start,
}

/// A request to whoever serves a topic.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ask {
    pub(super) topic: String,
    pub(super) event: Option<String>,
    #[serde(default, deserialize_with = "present")]
    pub(super) payload: Option<Box<RawValue>>,
    pub(super) timeout_ms: Option<u64>,
}

/// A named event.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Emit {
    pub(super) event: String,
    #[serde(default, deserialize_with = "present")]
    pub(super) payload: Option<Box<RawValue>>,
    pub(super) timeout_ms: Option<u64>,
}

/// What became of a job.
#[derive(Debug)]
pub(super) struct Settling {
    pub(super) handle: Handle,
    pub(super) settlement: Settlement,
    pub(super) is_cumulative: bool,
    pub(super) delay_ms: Option<u64>,
    pub(super) reason: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settle {
    handle: String,
    act: String,
    delay_ms: Option<u64>,
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pull {
    count: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Presence {
    topic: String,
    act: String,
    #[serde(default)]
    after: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refresh {
    token: String,
}

/// A request's id, and what it asks for unless that cannot be read.
pub(super) type Parsed = (u64, Result<Operation, Failure>);

/// The requests in a text, each parsed for itself: one that cannot be read spoils no other.
///
/// # Errors
/// When the text is no JSON of the right shape.
pub(super) fn parse(text: &str) -> Result<Vec<Parsed>, Failure> {
    if !is_shallow(text) {
        return Err(Failure::new(Code::MALFORMED, "the text nests deeper than 32"));
    }
    let malformed = |error: serde_json::Error| Failure::new(Code::MALFORMED, &error.to_string());
    let envelopes = if text.trim_start().starts_with('[') {
        let List(items) = serde_json::from_str(text).map_err(malformed)?;
        items
    } else {
        vec![serde_json::from_str::<Envelope<'_>>(text).map_err(malformed)?]
    };
    Ok(envelopes.into_iter().map(|envelope| (envelope.id, envelope.operation())).collect())
}

/// `{"id": 7, "NAME": BODY}`.
struct Envelope<'a> {
    id: u64,
    name: String,
    body: &'a RawValue,
}

struct List<'a>(Vec<Envelope<'a>>);

impl Envelope<'_> {
    fn operation(&self) -> Result<Operation, Failure> {
        let Envelope { name, body, .. } = self;
        Ok(match name.as_str() {
            "connect" => Operation::Connect(Box::new(read(body)?)),
            "subscribe" => Operation::Subscribe(read(body)?),
            "unsubscribe" => nothing(body, Operation::Unsubscribe)?,
            "publish" => Operation::Publish(Box::new(read(body)?)),
            "request" => Operation::Request(Box::new(read(body)?)),
            "emit" => Operation::Emit(Box::new(read(body)?)),
            "presence" => Operation::Presence(read::<Presence>(body)?.body()?),
            "history" => Operation::History(read::<Past>(body)?.history()?),
            "refresh" => {
                let Refresh { token } = read(body)?;
                Operation::Refresh(control::Refresh { token })
            }
            "consume" => Operation::Consume(Box::new(read(body)?)),
            "pull" => {
                let Pull { count } = read(body)?;
                Operation::Pull { count }
            }
            "settle" => Operation::Settle(Box::new(read::<Settle>(body)?.settling()?)),
            "leave" => nothing(body, Operation::Leave)?,
            "ping" => nothing(body, Operation::Ping)?,
            _ => return Err(Failure::new(Code::UNKNOWN_KIND, "there is no such operation")),
        })
    }
}

fn read<'a, T: Deserialize<'a>>(body: &'a RawValue) -> Result<T, Failure> {
    serde_json::from_str(body.get())
        .map_err(|error| Failure::new(Code::MALFORMED, &error.to_string()))
}

fn nothing(body: &RawValue, operation: Operation) -> Result<Operation, Failure> {
    let Nothing {} = read(body)?;
    Ok(operation)
}

impl Settle {
    fn settling(self) -> Result<Settling, Failure> {
        let Settle { handle, act, delay_ms, reason } = self;
        let is_cumulative = act == THROUGH;
        let settlement = if is_cumulative {
            Settlement::Ack
        } else {
            let named = Settlement::ALL.iter().find(|settlement| settlement.name() == act);
            *named.ok_or_else(|| {
                let reason = "act is one of ack, ack_through, nak, release, reject and extend";
                Failure::new(Code::BAD_FIELD, reason)
            })?
        };
        Ok(Settling { handle: handle.parse()?, settlement, is_cumulative, delay_ms, reason })
    }
}

impl Presence {
    fn body(self) -> Result<control::Presence, Failure> {
        let act = PresenceAct::ALL.iter().find(|act| act.name() == self.act);
        let act = act.ok_or_else(|| {
            Failure::new(Code::BAD_FIELD, "act is one of enter, leave, watch, unwatch and read")
        })?;
        Ok(control::Presence { after: self.after, ..control::Presence::of(&self.topic, *act) })
    }
}

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Reader)
    }
}

impl<'de> Deserialize<'de> for List<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(Lister)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Envelope<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with an operation and perhaps an id")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope<'de>, A::Error> {
        let (mut id, mut operation) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            let is_twice = match key.as_str() {
                "id" => id.replace(map.next_value::<u64>()?).is_some(),
                _ => operation.replace((key, map.next_value::<&RawValue>()?)).is_some(),
            };
            if is_twice {
                return Err(A::Error::custom("one id and one operation per object"));
            }
        }
        let (name, body) = operation.ok_or_else(|| A::Error::custom("no operation"))?;
        Ok(Envelope { id: id.unwrap_or(0), name, body })
    }
}

struct Lister;

impl<'de> Visitor<'de> for Lister {
    type Value = List<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of requests")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            if items.len() == LIST_MAX {
                return Err(A::Error::custom("more than 256 requests in a list"));
            }
            items.push(item);
        }
        Ok(List(items))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Result<Vec<(u64, Option<Code>)>, Code> {
        let parsed = parse(text).map_err(|failure| failure.code)?;
        let code = |operation: Result<Operation, Failure>| operation.err().map(|f| f.code);
        Ok(parsed.into_iter().map(|(id, operation)| (id, code(operation))).collect())
    }

    #[test]
    fn one_request_or_a_list_of_them() {
        assert_eq!(codes(r#"{"id":7,"ping":{}}"#), Ok(vec![(7, None)]));
        assert_eq!(codes(r#"{"ping":{},"id":7}"#), Ok(vec![(7, None)]));
        let list = r#" [{"id":1,"ping":{}},{"id":2,"nonsense":{}},{"id":3,"subscribe":{}}]"#;
        let expected = vec![(1, None), (2, Some(Code::UNKNOWN_KIND)), (3, Some(Code::MALFORMED))];
        assert_eq!(codes(list), Ok(expected));
        assert_eq!(codes("[]"), Ok(vec![]));
    }

    #[test]
    fn what_has_another_shape_is_malformed() {
        let many = format!("[{}]", vec![r#"{"ping":{}}"#; LIST_MAX + 1].join(","));
        let deep = format!(r#"{{"ping":{}{}}}"#, "[".repeat(40), "]".repeat(40));
        for bad in [
            "",
            "7",
            "null",
            "{}",
            r#"{"id":7}"#,
            r#"{"id":-1,"ping":{}}"#,
            r#"{"id":"7","ping":{}}"#,
            r#"{"id":7.5,"ping":{}}"#,
            r#"{"ping":{},"pong":{}}"#,
            r#"{"id":1,"id":2,"ping":{}}"#,
            r#"{"ping":{}} x"#,
            "[[]]",
            r#"[{"ping":{}}"#,
            &many,
            &deep,
        ] {
            assert_eq!(codes(bad), Err(Code::MALFORMED), "{bad}");
        }
    }
}
