//! Packets of Socket.IO: what a client's mean, and the text of ours.

use std::collections::VecDeque;

use bytes::Bytes;
use sampan_protocol::Code;
use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use serde_json::value::RawValue;
use socketioxide_core::packet::PacketData;
use socketioxide_core::parser::{Parse, ParseConfig, ParseError, ParserState};
use socketioxide_core::{Str, Value};
use socketioxide_parser_common::CommonParser;

use super::{PARTS_TIMEOUT, PAYLOAD_MAX};
use crate::failure::Failure;
use crate::json::is_shallow;

/// Attachments of one packet.
const ATTACHMENTS_MAX: usize = 10;
/// Bytes of a namespace's name.
const NAMESPACE_BYTES_MAX: usize = 256;
/// Names that clients of Socket.IO keep for themselves.
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// A client's packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) namespace: String,
    pub(super) said: Said,
}

/// What a client's packet says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Joins the namespace; the payload, if there is one.
    Connect(Option<String>),
    /// Leaves the namespace.
    Disconnect,
    /// An event.
    Event(Event),
    /// The answer to an event of ours; none asks for one.
    Ack,
}

/// A client's event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) name: String,
    /// What the client waits for an answer under.
    pub(super) ack: Option<u64>,
    pub(super) argument: Argument,
}

/// The first argument of an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Argument {
    /// JSON; `null` if there is no argument.
    Json(String),
    /// Bytes that stand alone.
    Binary(Bytes),
    /// Bytes inside of JSON, which nobody here takes.
    Mixed,
}

/// Puts packets together from what comes, one at a time.
#[derive(Debug)]
pub(super) struct Reader {
    config: ParseConfig,
    state: ParserState,
}

impl Default for Reader {
    fn default() -> Self {
        let config = ParseConfig {
            max_incoming_binary_buf_size: PAYLOAD_MAX,
            max_incoming_binaries: ATTACHMENTS_MAX,
            packet_completion_timeout: PARTS_TIMEOUT,
        };
        Reader { config, state: ParserState::default() }
    }
}

impl Reader {
    /// A packet's text; `None` while its attachments are missing.
    ///
    /// # Errors
    /// When it makes no sense.
    pub(super) fn text(&mut self, text: &str) -> Result<Option<Packet>, Failure> {
        let text = Str::copy_from_slice(text);
        whole(CommonParser.decode_str(&self.config, &self.state, text))
    }

    /// An attachment; `None` while others are missing.
    ///
    /// # Errors
    /// When none is due.
    pub(super) fn binary(&mut self, bytes: Bytes) -> Result<Option<Packet>, Failure> {
        whole(CommonParser.decode_bin(&self.config, &self.state, bytes))
    }
}

fn malformed(why: &str) -> Failure {
    Failure::new(Code::MALFORMED, why)
}

fn whole(
    parsed: Result<socketioxide_core::packet::Packet, ParseError>,
) -> Result<Option<Packet>, Failure> {
    let packet = match parsed {
        Ok(packet) => packet,
        Err(ParseError::NeedsMoreBinaryData) => return Ok(None),
        Err(error) => return Err(malformed(&error.to_string())),
    };
    if packet.ns.len() > NAMESPACE_BYTES_MAX {
        return Err(malformed("the namespace's name is too long"));
    }
    let said = match packet.inner {
        PacketData::Connect(None) => Said::Connect(None),
        PacketData::Connect(Some(payload)) => Said::Connect(Some(texts(payload)?.0.to_string())),
        PacketData::Disconnect => Said::Disconnect,
        PacketData::Event(data, ack) | PacketData::BinaryEvent(data, ack) => {
            let (text, attachments) = texts(data)?;
            let ack = ack.map(u64::try_from).transpose();
            let ack = ack.map_err(|_| malformed("the ack's id is no number"))?;
            Said::Event(event(&text, ack, &attachments)?)
        }
        PacketData::EventAck(..) | PacketData::BinaryAck(..) => Said::Ack,
        PacketData::ConnectError(_) => return Err(malformed("a client refuses nothing")),
    };
    Ok(Some(Packet { namespace: packet.ns.to_string(), said }))
}

fn texts(value: Value) -> Result<(Str, VecDeque<Bytes>), Failure> {
    match value {
        Value::Str(text, attachments) if is_shallow(&text) => {
            Ok((text, attachments.unwrap_or_default()))
        }
        Value::Str(..) => Err(malformed("the packet nests deeper than 32")),
        Value::Bytes(_) => Err(malformed("a packet begins with text")),
    }
}

fn event(text: &str, ack: Option<u64>, attachments: &VecDeque<Bytes>) -> Result<Event, Failure> {
    let List { name, argument } =
        serde_json::from_str(text).map_err(|error| malformed(&error.to_string()))?;
    if RESERVED.contains(&name.as_str()) {
        return Err(malformed("the event's name is reserved"));
    }
    let argument = if attachments.is_empty() {
        Argument::Json(argument.map_or("null", RawValue::get).to_owned())
    } else {
        with_attachments(text, argument, attachments)?
    };
    Ok(Event { name, ack, argument })
}

/// The argument of an event with attachments, each of which has its place in the text.
fn with_attachments(
    text: &str,
    argument: Option<&RawValue>,
    attachments: &VecDeque<Bytes>,
) -> Result<Argument, Failure> {
    let parse = |text: &str| {
        serde_json::from_str::<Json>(text).map_err(|error| malformed(&error.to_string()))
    };
    let mut places = Vec::new();
    gather(&parse(text)?, &mut places);
    places.sort_unstable();
    let every = (0..attachments.len()).map(|at| Some(at as u64));
    if !places.iter().copied().eq(every) {
        return Err(malformed("every attachment has one place"));
    }
    let argument = parse(argument.map_or("null", RawValue::get))?;
    match (place(&argument), attachments.front()) {
        (Some(Some(0)), Some(bytes)) if attachments.len() == 1 => {
            Ok(Argument::Binary(bytes.clone()))
        }
        _ => Ok(Argument::Mixed),
    }
}

/// Whether a value stands for an attachment, and for which one if it says so properly.
fn place(value: &Json) -> Option<Option<u64>> {
    let object = value.as_object()?;
    let is_place = object.get("_placeholder")? == &Json::Bool(true);
    is_place.then(|| object.get("num").and_then(Json::as_u64))
}

/// All places of attachments in a value, which is shallow.
fn gather(value: &Json, places: &mut Vec<Option<u64>>) {
    if let Some(place) = place(value) {
        return places.push(place);
    }
    match value {
        Json::Array(items) => items.iter().for_each(|item| gather(item, places)),
        Json::Object(members) => members.values().for_each(|item| gather(item, places)),
        _ => {}
    }
}

/// `["name", argument, ...]`; what follows is not looked at.
struct List<'a> {
    name: String,
    argument: Option<&'a RawValue>,
}

impl<'de> Deserialize<'de> for List<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Lister;
        impl<'de> Visitor<'de> for Lister {
            type Value = List<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list that begins with the event's name")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<List<'de>, A::Error> {
                let name = list.next_element()?;
                let name = name.ok_or_else(|| A::Error::custom("the event has no name"))?;
                let argument = list.next_element()?;
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(List { name, argument })
            }
        }
        from.deserialize_seq(Lister)
    }
}

/// Whether an event of this name means something else to clients of Socket.IO.
pub(super) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, attachments: &[&'static [u8]]) -> Result<Option<Said>, Code> {
        let mut reader = Reader::default();
        let mut read = reader.text(text);
        for bytes in attachments {
            read = reader.binary(Bytes::from_static(bytes));
        }
        read.map(|packet| packet.map(|packet| packet.said)).map_err(|failure| failure.code)
    }

    fn said(name: &str, ack: Option<u64>, argument: Argument) -> Result<Option<Said>, Code> {
        Ok(Some(Said::Event(Event { name: name.to_owned(), ack, argument })))
    }

    #[test]
    fn an_event_has_a_name_a_first_argument_and_perhaps_an_ack() {
        let json = |text: &str| Argument::Json(text.to_owned());
        assert_eq!(read(r#"2["a",{"b": 1},2]"#, &[]), said("a", None, json(r#"{"b": 1}"#)));
        assert_eq!(read(r#"27["a"]"#, &[]), said("a", Some(7), json("null")));
        let text = r#"51-["a",{"_placeholder":true,"num":0}]"#;
        let binary = Argument::Binary(Bytes::from_static(b"\xff"));
        assert_eq!(read(text, &[]), Ok(None));
        assert_eq!(read(text, &[b"\xff"]), said("a", None, binary));
        let inside = r#"51-["a",{"b":{"_placeholder":true,"num":0}}]"#;
        assert_eq!(read(inside, &[b"x"]), said("a", None, Argument::Mixed));
        assert_eq!(read("0", &[]), Ok(Some(Said::Connect(None))));
        assert_eq!(read("0{}", &[]), Ok(Some(Said::Connect(Some("{}".to_owned())))));
        assert_eq!(read("1", &[]), Ok(Some(Said::Disconnect)));
        assert_eq!(read("31[]", &[]), Ok(Some(Said::Ack)));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let deep = format!("2[\"a\",{}{}]", "[".repeat(40), "]".repeat(40));
        let long = format!("0/{}", "x".repeat(NAMESPACE_BYTES_MAX));
        for bad in [
            "",
            "7",
            "abc",
            "2",
            "2{}",
            "2[]",
            "2[1]",
            "2[\"a\"",
            "2abc[\"a\"]",
            "2[\"connect\"]",
            "2[\"disconnecting\"]",
            "4{\"message\":\"a\"}",
            "51[\"a\"]",
            "511-[\"a\"]",
            "51000000000-[\"a\"]",
            "5-[\"a\"]",
            &deep,
            &long,
        ] {
            assert_eq!(read(bad, &[]), Err(Code::MALFORMED), "{bad}");
        }
    }

    #[test]
    fn every_attachment_has_one_place_in_its_text() {
        for (places, count) in [
            (r#"{"_placeholder":true,"num":1}"#, 1),
            (r#"{"_placeholder":true,"num":-1}"#, 1),
            (r#"{"_placeholder":true,"num":"splice"}"#, 1),
            (r#"{"_placeholder":true,"num":0.5}"#, 1),
            (r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}"#, 1),
            (r#"{"_placeholder":true,"num":0}"#, 2),
            ("1", 1),
        ] {
            let attachments: Vec<&[u8]> = vec![b"x"; count];
            let text = format!("5{count}-[\"a\",{places}]");
            assert_eq!(read(&text, &attachments), Err(Code::MALFORMED), "{text}");
        }
        assert_eq!(read("2[\"a\"]", &[b"x"]), Err(Code::MALFORMED), "an attachment of nothing");
        let waits = r#"51-["a",{"_placeholder":true,"num":0}]"#;
        let mut reader = Reader::default();
        assert!(matches!(reader.text(waits), Ok(None)));
        assert!(reader.text("2[\"b\"]").is_err(), "nothing comes between");
    }
}
