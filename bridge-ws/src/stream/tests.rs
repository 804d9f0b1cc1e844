//! A broker and a stream face to face.

use std::sync::Arc;

use sampan_protocol::frame::Header;
use sampan_protocol::{Frame, FrameReader, Kind};

use super::*;
use crate::session::Named;

fn topic(epoch: u64) -> Arc<Named> {
    Arc::new(Named { id: 5, name: "order.1".to_owned(), epoch })
}

fn message(offset: u64, body: &[u8]) -> Event {
    let mut attributes = BytesMut::new();
    let json = b"application/json";
    sampan_protocol::attribute::put(
        &mut attributes,
        sampan_protocol::attribute::Tag::ContentType,
        json,
    );
    let frame = Header::new(Kind::Deliver).number(offset).to_frame(&attributes, body);
    let frame = Frame::decode(frame.expect("small"), 1 << 20).expect("valid");
    Event::Delivered { topic: topic(7), frame }
}

fn subscribed(positions: Vec<control::TopicPosition>) -> Event {
    let subscribed = control::Subscribed { joined_ms: 9, positions };
    Event::Answered { number: 1, answer: Answer::Subscribed(subscribed) }
}

fn said(stream: &mut Stream, event: Event) -> String {
    let mut out = String::new();
    stream.event(event, &Cache::default(), &mut out).expect("it goes on");
    out
}

/// The starts that the stream subscribes with.
fn starts(stream: &mut Stream) -> Vec<Start> {
    let (mut session, _) = Session::open(1, "test", "token").expect("valid");
    let mut reader = FrameReader::new(1 << 20);
    reader.push(stream.subscribe(&mut session, 4).expect("frames").freeze());
    std::iter::from_fn(|| reader.next_frame().expect("whole frames"))
        .map(|frame| control::decode::<Subscribe>(&frame).expect("SUBSCRIBE").start)
        .collect()
}

#[test]
fn a_reader_that_has_seen_nothing_resumes_where_it_joined() {
    let mut stream = Stream::new(&["order.1"], None, 0).expect("valid");
    assert_eq!(starts(&mut stream), [Start::Now]);
    let at = control::TopicPosition { topic: "order.1".to_owned(), epoch: 7, offset: 41 };
    let ready = said(&mut stream, subscribed(vec![at.clone()]));
    assert_eq!(ready, "id: 4;order.1=7:41\nevent: ready\ndata: {\"joined_ms\":4}\n\n");
    assert!(stream.is_ready());
    let mut again = Stream::new(&["order.1"], Some("4;order.1=7:41"), 0).expect("valid");
    assert_eq!(starts(&mut again), [Start::Resume { joined_ms: 4, positions: vec![at] }]);
}

#[test]
fn every_message_carries_all_positions() {
    let mut stream =
        Stream::new(&["order.*", "user.ann"], Some("4;user.ann=3:1"), 0).expect("valid");
    let starts = starts(&mut stream);
    assert_eq!(starts[0], Start::Resume { joined_ms: 4, positions: vec![] });
    assert!(matches!(&starts[1], Start::Resume { positions, .. } if positions.len() == 1));
    let text = said(&mut stream, message(42, b"{\r\n\"a\": 1\n}"));
    let (head, rest) = text.split_once('\n').expect("lines");
    assert_eq!(head, "id: 4;user.ann=3:1;order.1=7:42");
    assert!(rest.ends_with("\n\n") && !rest.contains('\r'));
    let data: String = rest.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    let data: serde_json::Value = serde_json::from_str(&data).expect("JSON");
    assert_eq!((&data["offset"], &data["payload"]["a"]), (&42.into(), &1.into()));
}

#[test]
fn a_gap_moves_the_position_unless_newer_values_follow() {
    let mut stream = Stream::new(&["order.1"], Some("4;order.1=7:1"), 0).expect("valid");
    let gap = |epoch, to, reason: GapReason| {
        let gap = control::Gap { epoch, from: 2, to, reason: reason.number() };
        Event::Gap { topic: topic(7), gap }
    };
    for (event, id) in [
        (gap(7, 5, GapReason::Conflated), "id: 4;order.1=7:1\n"),
        (gap(6, 5, GapReason::UnsyncedLost), "id: 4;order.1=7:1\n"),
        (gap(7, 5, GapReason::SlowReader), "id: 4;order.1=7:5\n"),
    ] {
        let text = said(&mut stream, event);
        assert!(text.starts_with(id) && text.contains("event: gap\n"), "{text}");
    }
}

#[test]
fn a_broker_that_drains_says_when_to_come_back() {
    let mut stream = Stream::new(&["order.1"], None, 12_345).expect("valid");
    let away = control::GoAway {
        code: 400,
        reconnect_within_ms: 1000,
        close_after_ms: 2000,
        reason: String::new(),
    };
    let text = said(&mut stream, Event::Draining(away));
    assert!(text.starts_with("retry: 333\nevent: goaway\n"), "{text}");
}

#[test]
fn a_stream_is_of_a_few_topics() {
    let many = vec!["a"; TOPICS_MAX + 1];
    for bad in [&many[..], &[], &["a b"], &["a..b"]] {
        assert!(Stream::new(bad, None, 0).is_err(), "{bad:?}");
    }
}
