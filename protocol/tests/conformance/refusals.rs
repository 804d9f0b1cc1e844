//! What the broker's end of a live session answers to the malformed vectors.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sampan_protocol::control::{self, Close, Hello, Refused};
use sampan_protocol::limits::PAYLOAD_BYTES_MAX;
use sampan_protocol::session::Server;
use sampan_protocol::session::server::{Accepted, Input, Output};
use sampan_protocol::{Code, Frame, FrameReader, Kind, Now};
use serde_json::json;

use crate::vectors::{join, load};

fn now() -> Now {
    Now { mono: Instant::now(), unix_ms: 1_767_182_400_000 }
}

fn handle(server: &mut Server, input: Input) -> VecDeque<Output> {
    let mut out = VecDeque::new();
    server.handle(now(), input, &mut out);
    out
}

fn hello(version: u16) -> Input {
    let (client, token) = ("test".to_owned(), "t".to_owned());
    let body = Hello { version, features: 0, producer: 1, client, token };
    let bytes = control::encode(&body, 0).expect("valid");
    Input::Frame(Frame::decode(bytes, PAYLOAD_BYTES_MAX).expect("valid"))
}

fn live() -> Server {
    let mut server = Server::new(now());
    handle(&mut server, hello(1));
    let accepted = Accepted {
        user: "u".into(),
        role: "customer".into(),
        expires_ms: now().unix_ms + 3_600_000,
        session: 1,
        boot: 1,
        payload_bytes_max: 1 << 20,
        subscriptions_max: 16,
        keep_alive: Duration::from_secs(15),
    };
    handle(&mut server, Input::Verdict(Ok(accepted)));
    assert!(server.is_live());
    server
}

/// The frames that the session sends.
fn sent(outputs: &VecDeque<Output>) -> Vec<Frame> {
    let frame = |output: &Output| match output {
        Output::Send(bytes) => Some(Frame::decode(bytes.clone(), 0).expect("own frame")),
        _ => None,
    };
    outputs.iter().filter_map(frame).collect()
}

fn close_code(frame: &Frame) -> Code {
    Code(control::decode::<Close>(frame).expect("CLOSE").code)
}

#[test]
fn a_live_session_refuses_every_malformed_command_with_its_code() {
    let from_client = [
        Kind::Subscribe,
        Kind::History,
        Kind::Serve,
        Kind::Presence,
        Kind::Refresh,
        Kind::Answer,
        Kind::Consume,
    ];
    let mut refused = 0;
    for vector in load("malformed.json") {
        let bytes = Bytes::from(join(&vector["bytes"]));
        let Ok(frame) = Frame::decode(bytes, PAYLOAD_BYTES_MAX) else { continue };
        if !from_client.contains(&frame.header.kind) {
            continue;
        }
        let mut server = live();
        let answers = sent(&handle(&mut server, Input::Frame(frame)));
        let body: Refused = control::decode(&answers[0]).expect("REFUSED");
        assert_eq!(json!(body.code), vector["expect"]["code"], "{}", vector["name"]);
        assert!(server.is_live(), "{}", vector["name"]);
        refused += 1;
    }
    assert!(refused > 40, "{refused}");
}

#[test]
fn a_live_session_ends_with_a_stream_that_cannot_be_cut() {
    let mut ended = 0;
    for vector in load("malformed.json") {
        let mut reader = FrameReader::new(PAYLOAD_BYTES_MAX);
        reader.push(Bytes::from(join(&vector["bytes"])));
        let Err(error) = reader.next_frame() else { continue };
        let mut server = live();
        let answers = sent(&handle(&mut server, Input::Broken(error)));
        assert_eq!(close_code(&answers[0]), Code::PROTOCOL, "{}", vector["name"]);
        assert!(server.is_closed(), "{}", vector["name"]);
        ended += 1;
    }
    assert!(ended > 10, "{ended}");
}

#[test]
fn a_hello_of_another_version_or_without_its_form_is_closed_with_its_code() {
    for (version, code) in [(0, Code::UNSUPPORTED_VERSION), (2, Code::UNSUPPORTED_VERSION)] {
        let mut server = Server::new(now());
        assert_eq!(close_code(&sent(&handle(&mut server, hello(version)))[0]), code);
    }
    for vector in load("malformed.json") {
        let bytes = Bytes::from(join(&vector["bytes"]));
        let Ok(frame) = Frame::decode(bytes, PAYLOAD_BYTES_MAX) else { continue };
        let mut server = Server::new(now());
        let answers = sent(&handle(&mut server, Input::Frame(frame)));
        assert_eq!(close_code(&answers[0]), Code::PROTOCOL, "{}", vector["name"]);
        assert!(server.is_closed());
    }
}
