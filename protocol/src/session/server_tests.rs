//! The broker's end in virtual time.

use bytes::BytesMut;

use super::*;
use crate::attribute::{self, Tag};
use crate::control::Settlement;
use crate::frame::flag;
use crate::limits::DELAY_MS_MAX;

fn start() -> Now {
    Now { mono: Instant::now(), unix_ms: 1_000_000 }
}

fn hello() -> Frame {
    let body = Hello {
        version: VERSION,
        features: 0,
        producer: 7,
        client: "test".into(),
        token: "t".into(),
    };
    frame(control::encode(&body, 0).expect("valid"))
}

fn frame(bytes: Bytes) -> Frame {
    Frame::decode(bytes, 1 << 20).expect("valid")
}

fn accepted(expires_ms: u64) -> Accepted {
    Accepted {
        user: "u".into(),
        role: "customer".into(),
        expires_ms,
        session: 1,
        boot: 2,
        payload_bytes_max: 1024,
        subscriptions_max: 4,
        keep_alive: Duration::from_secs(10),
    }
}

fn live(now: Now, expires_ms: u64) -> Server {
    let (mut server, mut out) = (Server::new(now), VecDeque::new());
    server.handle(now, Input::Frame(hello()), &mut out);
    server.handle(now, Input::Verdict(Ok(accepted(expires_ms))), &mut out);
    assert!(server.is_live());
    server
}

fn handle(server: &mut Server, now: Now, input: Input) -> Vec<Output> {
    let mut out = VecDeque::new();
    server.handle(now, input, &mut out);
    out.into()
}

fn closed_with(outputs: &[Output], expected: Code) {
    match outputs.last() {
        Some(Output::Close { code, .. }) => assert_eq!(*code, expected),
        other => panic!("not closed: {other:?}"),
    }
}

#[test]
fn a_client_that_never_greets_is_closed_at_its_deadline() {
    let now = start();
    let mut server = Server::new(now);
    let late = now.after(GREETING_TIMEOUT);
    assert_eq!(server.deadline(), Some(late.mono));
    closed_with(&handle(&mut server, late, Input::Time), Code::SLOW_HANDSHAKE);
    assert_eq!(server.deadline(), None);
}

#[test]
fn only_hello_is_taken_first_and_nothing_before_welcome() {
    let now = start();
    let publish = || frame(Header::new(Kind::Publish).bare());
    let out = handle(&mut Server::new(now), now, Input::Frame(publish()));
    closed_with(&out, Code::PROTOCOL);
    let mut server = Server::new(now);
    handle(&mut server, now, Input::Frame(hello()));
    closed_with(&handle(&mut server, now, Input::Frame(publish())), Code::PROTOCOL);
}

#[test]
fn an_unknown_version_and_a_bad_token_are_named() {
    let now = start();
    let mut body = control::decode::<Hello>(&hello()).expect("valid");
    body.version = 9;
    let bytes = control::encode(&body, 0).expect("valid");
    let out = handle(&mut Server::new(now), now, Input::Frame(frame(bytes)));
    closed_with(&out, Code::UNSUPPORTED_VERSION);
    let mut server = Server::new(now);
    handle(&mut server, now, Input::Frame(hello()));
    let out = handle(&mut server, now, Input::Verdict(Err(Code::BAD_TOKEN)));
    closed_with(&out, Code::BAD_TOKEN);
}

#[test]
fn expiry_warns_then_closes_and_a_refresh_moves_it() {
    let now = start();
    let mut server = live(now, now.unix_ms + 600_000);
    let warn = now.after(Duration::from_secs(540));
    assert_eq!(server.deadline(), Some(warn.mono));
    let out = handle(&mut server, warn, Input::Time);
    assert!(matches!(&out[..], [Output::Send(_)]));
    let refresh = control::encode(&Refresh { token: "n".into() }, 5).expect("valid");
    let out = handle(&mut server, warn, Input::Frame(frame(refresh)));
    assert!(matches!(&out[..], [Output::Authenticate { .. }]));
    let later = warn.unix_ms + 600_000;
    handle(&mut server, warn, Input::Verdict(Ok(accepted(later))));
    let old_end = now.after(Duration::from_secs(600));
    assert!(handle(&mut server, old_end, Input::Time).is_empty());
    let end = warn.after(Duration::from_secs(600));
    closed_with(&handle(&mut server, end, Input::Time), Code::TOKEN_EXPIRED);
}

#[test]
fn a_refused_refresh_leaves_the_session_until_its_expiry() {
    let now = start();
    let mut server = live(now, now.unix_ms + 600_000);
    let refresh = control::encode(&Refresh { token: "n".into() }, 5).expect("valid");
    handle(&mut server, now, Input::Frame(frame(refresh)));
    let out = handle(&mut server, now, Input::Verdict(Err(Code::BAD_TOKEN)));
    assert!(matches!(&out[..], [Output::Send(_)]));
    assert!(server.is_live());
}

#[test]
fn the_third_malformed_control_frame_ends_the_session() {
    let now = start();
    let mut server = live(now, now.unix_ms + 600_000);
    let bad = || frame(Header::new(Kind::Subscribe).number(3).to_frame(&[], b"xx").expect("small"));
    for _ in 0..2 {
        let out = handle(&mut server, now, Input::Frame(bad()));
        assert!(matches!(&out[..], [Output::Send(_)]), "{out:?}");
    }
    closed_with(&handle(&mut server, now, Input::Frame(bad())), Code::PROTOCOL);
}

#[test]
fn a_drained_session_is_told_once_and_closed_in_time() {
    let now = start();
    let mut server = live(now, now.unix_ms + 600_000);
    let drain = || Input::Drain {
        reconnect_within: Duration::from_secs(1),
        close_after: Duration::from_secs(3),
    };
    assert_eq!(handle(&mut server, now, drain()).len(), 1);
    assert_eq!(handle(&mut server, now, drain()).len(), 0);
    let end = now.after(Duration::from_secs(3));
    closed_with(&handle(&mut server, end, Input::Time), Code::GOING_AWAY);
}

#[test]
fn a_frame_that_only_a_broker_sends_ends_the_session() {
    let now = start();
    let mut server = live(now, now.unix_ms + 600_000);
    let out = handle(&mut server, now, Input::Frame(frame(Header::new(Kind::Deliver).bare())));
    closed_with(&out, Code::PROTOCOL);
}

/// A SETTLE of attempt 2 of offset 9 with these attributes beside consumer, epoch and request 4.
fn settle(flags: u8, more: &[(Tag, u64)], text: Option<&str>) -> Frame {
    let mut attributes = BytesMut::new();
    let own = [(Tag::Consumer, 5), (Tag::Epoch, 7), (Tag::Sequence, 4), (Tag::Attempt, 2)];
    for (tag, value) in own.iter().chain(more) {
        attribute::put_number(&mut attributes, *tag, *value);
    }
    if let Some(text) = text {
        attribute::put(&mut attributes, Tag::Reason, text.as_bytes());
    }
    let header = Header { flags, topic_id: 3, ..Header::new(Kind::Settle) }.number(9);
    frame(header.to_frame(&attributes, &[]).expect("small"))
}

#[test]
fn a_settle_names_its_run_its_delay_and_its_reason() {
    let now = start();
    let mut server = live(now, now.unix_ms + 600_000);
    let expected = Settle {
        number: 4,
        consumer: 5,
        topic_id: 3,
        epoch: 7,
        from: 9,
        to: 9,
        attempt: 2,
        is_cumulative: false,
        settlement: Settlement::Ack,
        delay: None,
        reason: String::new(),
    };
    let run = Settle { from: 2, ..expected.clone() };
    let cumulative = Settle { is_cumulative: true, ..expected.clone() };
    let (delay, reason) = (Some(Duration::from_secs(2)), "no stock".to_owned());
    let nak = Settle { settlement: Settlement::Nak, delay, reason, ..expected.clone() };
    for (frame, expected) in [
        (settle(1, &[], None), expected),
        (settle(1, &[(Tag::Count, 8)], None), run),
        (settle(1 | flag::CUMULATIVE, &[], None), cumulative),
        (settle(2, &[(Tag::Delay, 2000)], Some("no stock")), nak),
    ] {
        match &handle(&mut server, now, Input::Frame(frame))[..] {
            [Output::Command(Command::Settle(got))] => assert_eq!(*got, expected),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_settle_that_makes_no_sense_is_refused_under_its_request() {
    let now = start();
    let day = u64::from(DELAY_MS_MAX);
    for bad in [
        settle(0, &[], None),
        settle(6, &[], None),
        settle(2 | flag::CUMULATIVE, &[], None),
        settle(1, &[(Tag::Count, 0)], None),
        settle(1, &[(Tag::Count, 10)], None),
        settle(5, &[(Tag::Delay, day + 1)], None),
    ] {
        let mut server = live(now, now.unix_ms + 600_000);
        match &handle(&mut server, now, Input::Frame(bad))[..] {
            [Output::Send(answer)] => {
                let answer = frame(answer.clone());
                let refused: control::Refused = control::decode(&answer).expect("REFUSED");
                assert_eq!((answer.header.number, refused.code), (4, Code::BAD_FIELD.0));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_consume_leaves_what_it_does_not_name_and_its_names_follow_the_grammar() {
    let now = start();
    let mut server = live(now, now.unix_ms + 600_000);
    let body = control::Consume {
        group: "billing".into(),
        pattern: "order.*".into(),
        start: control::Start::Since(0),
        window: 10,
        order: 0,
        ack_wait_ms: 0,
        attempts_max: 3,
    };
    let sent = |body: &control::Consume| frame(control::encode(body, 6).expect("valid"));
    match &handle(&mut server, now, Input::Frame(sent(&body)))[..] {
        [Output::Command(Command::Consume(got))] => {
            assert_eq!((got.number, got.order, got.ack_wait), (6, None, None));
            assert_eq!(got.attempts_max.map(std::num::NonZeroU32::get), Some(3));
        }
        other => panic!("{other:?}"),
    }
    for bad in [
        control::Consume { group: "a.*".into(), ..body.clone() },
        control::Consume { pattern: "a..b".into(), ..body },
    ] {
        match &handle(&mut server, now, Input::Frame(sent(&bad)))[..] {
            [Output::Send(answer)] => {
                let refused: control::Refused =
                    control::decode(&frame(answer.clone())).expect("REFUSED");
                assert_eq!(refused.code, Code::BAD_TOPIC.0);
            }
            other => panic!("{other:?}"),
        }
    }
}
