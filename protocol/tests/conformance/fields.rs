//! Decoded frames as JSON: header, attributes and control bodies field by field.

use sampan_protocol::attribute::{self, Attributes};
use sampan_protocol::control::{self, Body, From, Member, Start, TopicPosition};
use sampan_protocol::{Error, Frame, Header, Kind};
use serde_json::{Value, json};

use crate::vectors::{hex, text};

/// A value as the vectors show it.
pub(crate) trait Json {
    fn json(&self) -> Value;
}

macro_rules! plain {
    ($($type:ty),*) => { $(impl Json for $type { fn json(&self) -> Value { json!(self) } })* };
}
plain!(u8, u16, u32, bool);

impl Json for String {
    fn json(&self) -> Value {
        text(self)
    }
}

impl Json for u64 {
    fn json(&self) -> Value {
        json!(self.to_string())
    }
}

impl<T: Json> Json for Vec<T> {
    fn json(&self) -> Value {
        self.iter().map(Json::json).collect()
    }
}

impl Json for Start {
    fn json(&self) -> Value {
        match self {
            Start::Now => json!({ "variant": "Now" }),
            Start::Last(count) => json!({ "variant": "Last", "count": count }),
            Start::Since(ms) => json!({ "variant": "Since", "time_ms": ms.json() }),
            Start::Resume { joined_ms, positions } => json!({
                "variant": "Resume", "joined_ms": joined_ms.json(), "positions": positions.json(),
            }),
        }
    }
}

impl Json for From {
    fn json(&self) -> Value {
        match self {
            From::Offset(offset) => json!({ "variant": "Offset", "offset": offset.json() }),
            From::Last(count) => json!({ "variant": "Last", "count": count }),
            From::Since(ms) => json!({ "variant": "Since", "time_ms": ms.json() }),
        }
    }
}

macro_rules! structs {
    ($($name:ident { $($field:ident),* })*) => {
        $(impl Json for $name {
            fn json(&self) -> Value {
                json!({ $(stringify!($field): self.$field.json()),* })
            }
        })*
    };
}
structs! {
    TopicPosition { topic, epoch, offset }
    Member { user, role, sessions, since_ms }
}

macro_rules! bodies {
    ($($name:ident { $($field:ident),* })*) => {
        $(impl Json for control::$name {
            fn json(&self) -> Value {
                json!({ $(stringify!($field): self.$field.json()),* })
            }
        })*

        /// The fields of the frame's control body and its struct's name; nothing for other kinds.
        pub(crate) fn body(frame: &Frame) -> Option<Result<Value, Error>> {
            $(if frame.header.kind == control::$name::KIND {
                return Some(control::decode::<control::$name>(frame).map(|body| body.json()));
            })*
            None
        }

        /// The name of the struct that is the body of this kind.
        pub(crate) fn body_name(kind: Kind) -> Option<&'static str> {
            $(if kind == control::$name::KIND { return Some(stringify!($name)); })*
            None
        }
    };
}
bodies! {
    Hello { version, features, producer, client, token }
    Welcome {
        version, features, session, boot, user, role, expires_ms, now_ms, payload_bytes_max,
        subscriptions_max, keep_alive_ms
    }
    Refresh { token }
    Refreshed { expires_ms }
    Expiring { expires_ms }
    Refused { code, retry_after_ms, reason }
    PublishRefused { code, retry_after_ms, reason }
    GoAway { code, reconnect_within_ms, close_after_ms, reason }
    Close { code, retry_after_ms, reason }
    Subscribe { pattern, start }
    Subscribed { joined_ms, positions }
    History { topic, from, limit }
    TopicName { name, class, epoch, next }
    Gap { epoch, from, to, reason }
    Serve { pattern, role }
    Ask { user, role, action, topic }
    Answer { allow, ttl_ms }
    Presence { topic, act, after }
    Members { topic, sequence, count, members }
    MembersChanged { topic, sequence, count, joined, left }
    Consume { group, pattern, start, window, order, ack_wait_ms, attempts_max }
}

/// `GoAway` as GOAWAY, `PublishRefused` as PUBLISH_REFUSED.
pub(crate) fn kind_name(kind: Kind) -> String {
    let mut out = String::new();
    for (at, c) in format!("{kind:?}").char_indices() {
        if at > 0 && c.is_ascii_uppercase() && kind != Kind::GoAway {
            out.push('_');
        }
        out.push(c.to_ascii_uppercase());
    }
    out
}

pub(crate) fn header(header: &Header) -> Value {
    json!({
        "kind": kind_name(header.kind), "flags": header.flags, "topic_id": header.topic_id.json(),
        "number": header.number.json(), "time_ms": header.time_ms.json(),
    })
}

/// The attributes as `[name, value]`, by ascending tag.
pub(crate) fn attributes(bytes: &[u8]) -> Result<Value, Error> {
    let a = Attributes::parse(bytes)?;
    let texts = [
        (1, "topic", a.topic),
        (2, "event", a.event),
        (3, "key", a.key),
        (4, "content type", a.content_type),
        (5, "content encoding", a.content_encoding),
        (6, "idempotency key", a.idempotency_key),
        (16, "user", a.user),
        (17, "role", a.role),
        (19, "reason", a.reason),
    ];
    let numbers = [
        (7, "producer", a.producer),
        (8, "version", a.version),
        (9, "sequence", a.sequence),
        (10, "deadline", a.deadline_ms),
        (12, "epoch", a.epoch),
        (13, "count", a.count),
        (14, "floor", a.floor),
        (15, "next", a.next),
        (18, "code", a.code),
        (20, "consumer", a.consumer),
        (21, "attempt", a.attempt),
        (22, "delay", a.delay_ms),
    ];
    let texts = texts.into_iter().filter_map(|(t, n, v)| Some((t, json!([n, text(v?)]))));
    let numbers = numbers.into_iter().filter_map(|(t, n, v)| Some((t, json!([n, v?.json()]))));
    let headers = a.headers.iter().map(|(name, v)| (11, json!(["header", [text(name), hex(v)]])));
    let mut all: Vec<(u8, Value)> = texts.chain(numbers).chain(headers).collect();
    let order: Vec<u8> = attribute::raw(bytes).map(|raw| raw.expect("parsed").0).collect();
    all.sort_by_key(|(tag, _)| *tag);
    assert!(order.len() >= all.len());
    Ok(all.into_iter().map(|(_, value)| value).collect())
}
