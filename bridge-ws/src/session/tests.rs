//! Commands to frames and frames to events.

use sampan_protocol::control::{GapReason, Refused};

use super::*;

fn session() -> Session {
    let (session, hello) = Session::open(0, "test", "token").expect("valid");
    let hello = Frame::decode(hello, PAYLOAD_BYTES_MAX).expect("a frame");
    let hello: control::Hello = control::decode(&hello).expect("HELLO");
    assert_eq!((hello.producer, hello.token.as_str()), (1, "token"), "0 is no producer");
    session
}

fn frame(bytes: Bytes) -> Frame {
    Frame::decode(bytes, PAYLOAD_BYTES_MAX).expect("one whole frame")
}

fn read(session: &mut Session, frames: &[Bytes]) -> Result<Vec<Event>, Code> {
    let mut events = Vec::new();
    let read = session.read(frames.concat().into(), &mut events);
    read.map(|()| events).map_err(|failure| failure.code)
}

fn publish<'a>(topic: &'a str, payload: &'a [u8]) -> Publish<'a> {
    Publish { topic, payload, event: Some("e"), ..Publish::default() }
}

fn published(sequence: u64, count: u64, offset: u64) -> Bytes {
    let mut attributes = BytesMut::new();
    attribute::put_number(&mut attributes, Tag::Sequence, sequence);
    attribute::put_number(&mut attributes, Tag::Epoch, 7);
    attribute::put_number(&mut attributes, Tag::Count, count);
    let header = Header { flags: 1, ..Header::new(Kind::Published).number(offset) };
    header.to_frame(&attributes, &[]).expect("small")
}

#[test]
fn a_publish_names_its_topic_and_rises_by_one() {
    let mut session = session();
    let first = frame(session.publish(30, &publish("order.1", b"{}")).expect("valid"));
    let again = frame(session.publish(20, &publish("order.1", b"{}")).expect("valid"));
    let attributes = first.attributes().expect("valid");
    assert_eq!((attributes.topic, attributes.event), (Some("order.1"), Some("e")));
    assert_eq!((first.header.number, again.header.number), (1, 2));
    let events = read(&mut session, &[published(2, 2, 41)]).expect("valid");
    let [Event::Published(ack)] = &events[..] else { panic!("{events:?}") };
    assert_eq!((ack.acks.as_slice(), ack.epoch), (&[(30, 40), (20, 41)][..], 7));
}

#[test]
fn what_the_broker_would_refuse_spends_no_sequence() {
    let mut session = session();
    let long = "x".repeat(300);
    for (bad, code) in [
        (publish("a b", b""), Code::BAD_TOPIC),
        (Publish { key: Some(&long), ..publish("a", b"") }, Code::TOO_LARGE),
        (Publish { event: Some("\n"), ..publish("a", b"") }, Code::BAD_FIELD),
        (publish("a", &vec![0; PAYLOAD_BYTES_MAX + 1]), Code::TOO_LARGE),
    ] {
        assert_eq!(session.publish(1, &bad).map_err(|f| f.code), Err(code));
    }
    assert_eq!(frame(session.publish(1, &publish("a", b"")).expect("valid")).header.number, 1);
}

#[test]
fn a_refusal_is_told_under_the_number_of_the_request() {
    let mut session = session();
    session.publish(9, &publish("a", b"")).expect("valid");
    let refused = |code: Code| Refused { code: code.0, retry_after_ms: 5, reason: String::new() };
    let Refused { code, retry_after_ms, reason } = refused(Code::BUSY);
    let of_publish = control::PublishRefused { code, retry_after_ms, reason };
    let frames = [
        control::encode(&of_publish, 1).expect("valid"),
        control::encode(&refused(Code::NOT_GRANTED), 12).expect("valid"),
    ];
    let told: Vec<_> = read(&mut session, &frames)
        .expect("valid")
        .into_iter()
        .map(|event| match event {
            Event::Answered { number, answer: Answer::Refused(f) } => (number, f.code),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [(9, Code::BUSY), (12, Code::NOT_GRANTED)]);
}

#[test]
fn deliveries_and_gaps_carry_the_name_that_topic_gave() {
    let mut session = session();
    let name = control::TopicName { name: "order.1".to_owned(), class: 3, epoch: 7, next: 1 };
    let header = |kind| Header { topic_id: 5, ..Header::new(kind) };
    let deliver = header(Kind::Deliver).number(1).to_frame(&[], b"x").expect("small");
    assert_eq!(read(&mut session, std::slice::from_ref(&deliver)).map(|_| ()), Err(Code::PROTOCOL));
    let gap = control::Gap { epoch: 7, from: 2, to: 3, reason: GapReason::Retention.number() };
    let frames = [
        control::encode_with(header(Kind::Topic), &name).expect("valid"),
        deliver,
        control::encode_with(header(Kind::Gap), &gap).expect("valid"),
    ];
    let events = read(&mut session, &frames).expect("valid");
    let [Event::Delivered { topic, .. }, Event::Gap { .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((topic.name.as_str(), topic.epoch), ("order.1", 7));
}

#[test]
fn a_page_belongs_to_the_topic_that_was_asked_for() {
    let mut session = session();
    let ask = control::History { topic: "a".to_owned(), from: control::From::Last(2), limit: 2 };
    session.history(3, &ask).expect("valid");
    let mut attributes = BytesMut::new();
    attribute::put_number(&mut attributes, Tag::Epoch, 7);
    attribute::put_number(&mut attributes, Tag::Floor, 1);
    attribute::put_number(&mut attributes, Tag::Next, 3);
    let messages: Vec<Bytes> = (1..3)
        .map(|n| Header::new(Kind::Deliver).number(n).to_frame(&[], b"x").expect("small"))
        .collect();
    let page = Header::new(Kind::Page).number(3).to_frame(&attributes, &messages.concat());
    let page = page.expect("small");
    let events = read(&mut session, std::slice::from_ref(&page)).expect("valid");
    let [Event::Answered { number: 3, answer: Answer::Page(found) }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((found.topic.name.as_str(), found.messages.len(), found.next), ("a", 2, 3));
    assert_eq!(read(&mut session, &[page]).map(|_| ()), Err(Code::PROTOCOL), "nobody asked");
    for number in 10..10 + PAGES_MAX as u64 {
        session.history(number, &ask).expect("room");
    }
    assert_eq!(session.history(99, &ask).map_err(|f| f.code), Err(Code::TOO_MANY));
}

#[test]
fn a_reply_with_a_code_is_a_refusal() {
    let mut session = session();
    let mut attributes = BytesMut::new();
    attribute::put_number(&mut attributes, Tag::Code, 947);
    attribute::put(&mut attributes, Tag::Reason, b"sold out");
    let reply = Header::new(Kind::Reply).number(3).to_frame(&attributes, b"").expect("small");
    let events = read(&mut session, &[reply]).expect("valid");
    let [Event::Answered { number: 3, answer: Answer::Refused(failure) }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((failure.code, failure.reason.as_str()), (Code(947), "sold out"));
}

#[test]
fn ids_are_numbers_that_json_carries() {
    let mut session = session();
    for id in [0, NUMBER_MAX + 1] {
        assert_eq!(session.unsubscribe(id).map_err(|f| f.code), Err(Code::BAD_FIELD));
    }
    assert!(session.unsubscribe(NUMBER_MAX).is_ok());
    let publish = |id| session.publish(id, &publish("a", b"")).map_err(|f| f.code);
    assert_eq!(
        [0, NUMBER_MAX, NUMBER_MAX + 1].map(publish).map(|p| p.err()),
        [None, None, Some(Code::BAD_FIELD)]
    );
}
