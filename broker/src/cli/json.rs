//! The JSON lines, field by field. Names and their order are a contract.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sampan_client::admin::DeadLetter;
use sampan_client::{Ack, Job, Received, Reply};
use serde::Serialize;

/// One line of `pub --json`.
#[derive(Debug, Serialize)]
pub(super) struct AckLine<'a> {
    topic: &'a str,
    epoch: u64,
    offset: u64,
    duplicate: bool,
    ack: &'static str,
    n: u64,
}

impl<'a> AckLine<'a> {
    /// The ack of the `n`-th message of the input.
    pub(super) fn new(topic: &'a str, ack: &Ack, n: u64) -> Self {
        let Ack { epoch, offset, duplicate, level, .. } = *ack;
        AckLine { topic, epoch, offset, duplicate, ack: level.name(), n }
    }
}

/// One line of `sub --json`.
#[derive(Debug, Serialize)]
pub(super) struct MessageLine<'a> {
    topic: &'a str,
    epoch: u64,
    offset: u64,
    event: Option<&'a str>,
    content_type: Option<&'a str>,
    #[serde(flatten)]
    payload: Payload<'a>,
    /// Unix milliseconds.
    time: u64,
}

impl<'a> MessageLine<'a> {
    pub(super) fn new(message: &'a Received) -> Self {
        MessageLine {
            topic: message.topic().as_str(),
            epoch: message.epoch(),
            offset: message.offset(),
            event: message.event(),
            content_type: message.content_type(),
            payload: Payload::of(message.payload_bytes()),
            time: message.time_ms(),
        }
    }
}

/// One line of `export`.
#[derive(Debug, Serialize)]
pub(super) struct KeptLine<'a> {
    #[serde(flatten)]
    message: MessageLine<'a>,
    key: Option<&'a str>,
    /// Those of the application; what is no text is left out.
    headers: BTreeMap<&'a str, &'a str>,
}

impl<'a> KeptLine<'a> {
    pub(super) fn new(message: &'a Received) -> Self {
        let headers = message.headers().into_iter();
        let headers = headers
            .filter_map(|(name, value)| Some((name, std::str::from_utf8(value).ok()?)))
            .collect();
        KeptLine { message: MessageLine::new(message), key: message.key(), headers }
    }
}

/// One line of `sub --group --json`.
#[derive(Debug, Serialize)]
pub(super) struct JobLine<'a> {
    #[serde(flatten)]
    message: MessageLine<'a>,
    id: &'a str,
    attempt: u64,
    key: Option<&'a str>,
}

impl<'a> JobLine<'a> {
    pub(super) fn new(id: &'a str, job: &'a Job) -> Self {
        JobLine { message: MessageLine::new(job), id, attempt: job.attempt(), key: job.key() }
    }
}

/// One line of `dlq peek --json`.
#[derive(Debug, Serialize)]
pub(super) struct LetterLine<'a> {
    #[serde(flatten)]
    letter: &'a DeadLetter,
    #[serde(flatten)]
    payload: Payload<'a>,
}

impl<'a> LetterLine<'a> {
    pub(super) fn new(letter: &'a DeadLetter, payload: &'a [u8]) -> Self {
        LetterLine { letter, payload: Payload::of(payload) }
    }
}

/// The line of `request --json`.
#[derive(Debug, Serialize)]
pub(super) struct ReplyLine<'a> {
    topic: &'a str,
    content_type: Option<&'a str>,
    #[serde(flatten)]
    payload: Payload<'a>,
}

impl<'a> ReplyLine<'a> {
    pub(super) fn new(topic: &'a str, reply: &'a Reply, payload: &'a [u8]) -> Self {
        ReplyLine { topic, content_type: reply.content_type(), payload: Payload::of(payload) }
    }
}

/// A payload as a string where it is UTF-8, else as base64.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Payload<'a> {
    Text { payload: &'a str },
    Binary { payload_base64: String },
}

impl<'a> Payload<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(payload) => Payload::Text { payload },
            Err(_) => Payload::Binary { payload_base64: STANDARD.encode(bytes) },
        }
    }
}

#[cfg(test)]
mod tests {
    use sampan_client::AckLevel;

    use super::*;

    #[test]
    fn lines_have_the_fields_of_the_contract_in_order() {
        let ack =
            Ack { epoch: 3, offset: 7, duplicate: false, stale: false, level: AckLevel::Routed };
        let line = serde_json::to_string(&AckLine::new("a.b", &ack, 2)).expect("JSON");
        let expected =
            r#"{"topic":"a.b","epoch":3,"offset":7,"duplicate":false,"ack":"routed","n":2}"#;
        assert_eq!(line, expected);

        let message = |bytes| MessageLine {
            topic: "a",
            epoch: 1,
            offset: 2,
            event: None,
            content_type: Some("text/plain"),
            payload: Payload::of(bytes),
            time: 5,
        };
        let text = serde_json::to_string(&message("h\u{e9}\n".as_bytes())).expect("JSON");
        let head = r#"{"topic":"a","epoch":1,"offset":2,"event":null,"content_type":"text/plain","#;
        assert_eq!(text, format!("{head}{}", "\"payload\":\"h\u{e9}\\n\",\"time\":5}"));
        let binary = serde_json::to_string(&message(&[0xff, 0x00])).expect("JSON");
        assert_eq!(binary, format!("{head}{}", r#""payload_base64":"/wA=","time":5}"#));
    }
}
