//! Acks, repeats after a loss, bounds.

use super::rig::{Rig, message, options, sequences, topic};
use crate::code::Code;
use crate::control::{self, PublishRefused};
use crate::frame::Kind;
use crate::session::client::{Event, NotTaken, Options, Publish, Run, State};
use crate::{AckLevel, attribute};

#[test]
fn a_topic_is_named_until_an_ack_gives_its_id() {
    let mut rig = Rig::live();
    rig.publish("a.b", b"1");
    let named = rig.published[0].attributes().expect("valid").topic.map(str::to_owned);
    assert_eq!(named.as_deref(), Some("a.b"));
    rig.ack(77, 1, 5, 1);
    rig.publish("a.b", b"2");
    assert_eq!(sequences(&rig.published), [(1, 0, true), (2, 77, true)]);
    assert!(rig.published[1].attribute_bytes().is_empty());
}

#[test]
fn a_run_acks_consecutive_publishes_with_their_offsets() {
    let mut rig = Rig::live();
    for _ in 0..5 {
        rig.publish("a", b"x");
    }
    rig.ack(1, 4, 104, 4);
    let run = Run {
        first: 1,
        count: 4,
        epoch: 1,
        offset: 101,
        level: AckLevel::Routed,
        duplicate: false,
        stale: false,
    };
    assert_eq!(rig.runs(), [run]);
    assert_eq!(rig.client.pending(), 1);
}

#[test]
fn unacked_publishes_are_sent_again_in_order_under_their_sequences() {
    let mut rig = Rig::live();
    for _ in 0..5 {
        rig.publish("a", b"x");
    }
    rig.ack(1, 1, 1, 1);
    rig.ack(1, 3, 3, 1);
    rig.reconnect(1);
    assert_eq!(sequences(&rig.published), [(2, 1, true), (4, 1, true), (5, 1, true)]);
    rig.ack(1, 5, 5, 4);
    assert_eq!(rig.runs(), [Run { first: 2, count: 4, offset: 2, ..rig.runs()[0] }]);
    assert_eq!(rig.client.pending(), 0);
}

#[test]
fn a_repeat_that_is_refused_may_have_happened_the_first_time() {
    let refuse = |rig: &mut Rig, sequence| {
        let (code, reason) = (Code::RATE_LIMITED.0, String::new());
        let body = PublishRefused { code, retry_after_ms: 100, reason };
        rig.control(control::encode(&body, sequence).expect("small"));
    };
    let mut rig = Rig::new(options());
    rig.publish("a", b"asked before the first session");
    rig.accept(1);
    rig.publish("a", b"sent once");
    rig.publish("a", b"sent again");
    refuse(&mut rig, 1);
    refuse(&mut rig, 2);
    rig.lose(None);
    rig.publish("a", b"asked between two sessions");
    rig.wait();
    rig.accept(1);
    refuse(&mut rig, 3);
    refuse(&mut rig, 4);
    let doubts = rig.events.iter().filter_map(|event| match event {
        Event::PublishRefused { failure, .. } => Some(failure.may_have_happened),
        _ => None,
    });
    assert_eq!(doubts.collect::<Vec<_>>(), [false, false, true, false]);
}

#[test]
fn topic_ids_are_void_in_another_broker_process() {
    let mut rig = Rig::live();
    rig.publish("a", b"x");
    rig.ack(9, 1, 1, 1);
    rig.publish("a", b"x");
    rig.reconnect(2);
    assert_eq!(sequences(&rig.published), [(2, 0, true)]);
}

#[test]
fn publishes_wait_for_a_session() {
    let mut rig = Rig::new(options());
    rig.publish("a", b"1");
    rig.publish("a", b"2");
    assert!(rig.published.is_empty());
    assert_eq!(rig.client.publish_unacked(&message("a", b"")), Err(NotTaken::NotLive));
    rig.accept(1);
    assert_eq!(sequences(&rig.published), [(1, 0, true), (2, 0, true)]);
}

#[test]
fn publishes_without_ack_take_a_sequence_and_are_not_sent_again() {
    let mut rig = Rig::live();
    rig.client.publish_unacked(&message("a", b"1")).expect("room");
    rig.publish("a", b"2");
    rig.client.publish_unacked(&message("a", b"3")).expect("room");
    rig.publish("a", b"4");
    let sent = [(1, 0, false), (2, 0, true), (3, 0, false), (4, 0, true)];
    assert_eq!(sequences(&rig.published), sent);
    rig.reconnect(1);
    assert_eq!(sequences(&rig.published), [(2, 0, true), (4, 0, true)]);
}

#[test]
fn the_queue_is_bounded_by_count_and_bytes() {
    let mut rig = Rig::new(Options { pending_max: 3, ..options() });
    for _ in 0..3 {
        rig.publish("a", b"x");
    }
    assert_eq!(rig.client.publish(message("a", b"x")), Err(NotTaken::Full));
    let mut rig = Rig::new(Options { pending_bytes_max: 100, ..options() });
    let large = || Publish { payload: vec![0; 200].into(), ..message("a", b"") };
    rig.client.publish(large()).expect("one message of any size fits an empty queue");
    assert_eq!(rig.client.publish(message("a", b"x")), Err(NotTaken::Full));
    rig.accept(1);
    rig.ack(1, 1, 1, 1);
    rig.publish("a", b"x");
}

#[test]
fn a_payload_over_the_brokers_limit_is_refused_here() {
    let mut rig = Rig::live();
    let large = Publish { payload: vec![0; (1 << 20) + 1].into(), ..message("a", b"") };
    let refused = rig.client.publish(large);
    assert!(matches!(refused, Err(NotTaken::TooLarge { field: "payload", .. })));
    assert_eq!(rig.client.pending(), 0);
}

#[test]
fn a_large_payload_arrives_whole_between_small_ones() {
    let mut rig = Rig::live();
    rig.publish("a", b"1");
    let large = Publish { payload: vec![7; 100_000].into(), ..message("a", b"") };
    rig.client.publish(large).expect("room");
    rig.publish("a", b"3");
    let sizes: Vec<_> = rig.published.iter().map(|frame| frame.body_bytes().len()).collect();
    assert_eq!(sizes, [1, 100_000, 1]);
}

#[test]
fn a_refusal_settles_its_publish_and_says_whether_it_may_have_happened() {
    for (code, may) in [(Code::NOT_GRANTED, false), (Code::STORAGE, true)] {
        let mut rig = Rig::live();
        rig.publish("a", b"x");
        let body = PublishRefused { code: code.0, retry_after_ms: 5, reason: String::new() };
        rig.control(control::encode(&body, 1).expect("small"));
        let refused = rig.events.iter().find_map(|event| match event {
            Event::PublishRefused { sequence: 1, failure } => Some(failure),
            _ => None,
        });
        assert_eq!(refused.map(|f| (f.code, f.may_have_happened)), Some((code, may)));
        assert_eq!(rig.client.pending(), 0);
    }
}

#[test]
fn an_ack_for_what_was_never_sent_breaks_the_protocol() {
    for (sequence, offset, count) in [(2, 2, 1), (1, 1, 2), (1, 0, 0)] {
        let mut rig = Rig::live();
        rig.publish("a", b"x");
        rig.ack(1, sequence, offset, count);
        assert_eq!(rig.client.state(), State::Waiting, "{sequence} {offset} {count}");
    }
}

#[test]
fn an_ack_that_comes_twice_is_told_once() {
    let mut rig = Rig::live();
    rig.publish("a", b"x");
    rig.ack(1, 1, 1, 1);
    rig.ack(1, 1, 1, 1);
    assert_eq!(rig.runs().len(), 1);
    assert_eq!(rig.client.state(), State::Live);
}

#[test]
fn attributes_travel_with_the_name() {
    let mut rig = Rig::live();
    let mut attributes = bytes::BytesMut::new();
    attribute::put(&mut attributes, attribute::Tag::Event, b"e");
    let publish = Publish {
        topic: topic("a"),
        attributes: attributes.freeze(),
        payload: bytes::Bytes::new(),
        level: Some(AckLevel::Synced),
    };
    rig.client.publish(publish).expect("room");
    rig.drain();
    let frame = &rig.published[0];
    let attributes = frame.attributes().expect("valid");
    assert_eq!((attributes.topic, attributes.event), (Some("a"), Some("e")));
    assert_eq!((frame.header.kind, frame.header.flags), (Kind::Publish, 3));
}
