//! What the wire costs: frames, attributes, topics and control bodies.
//!
//! Times are per operation; where bytes move, the throughput is that of the bytes on the wire.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sampan_protocol::attribute::{Attributes, Tag, put, put_number};
use sampan_protocol::control::{
    self, Body, Hello, Member, Members, Start, Subscribe, TopicName, TopicPosition,
};
use sampan_protocol::frame::{Header, Kind};
use sampan_protocol::limits::PAYLOAD_BYTES_MAX;
use sampan_protocol::{Frame, FrameReader, Pattern, Topic, topic};

const PAYLOAD: [u8; 128] = [b'.'; 128];

/// Attributes of a typical chat message: topic, event, key, content type.
fn attributes() -> Bytes {
    let mut out = BytesMut::new();
    put(&mut out, Tag::Topic, b"chat.conversation.018f3a6e-7b5c");
    put(&mut out, Tag::Event, b"chat:new_message");
    put(&mut out, Tag::ContentType, b"application/json");
    put_number(&mut out, Tag::Sequence, 4711);
    out.freeze()
}

fn deliver(number: u64) -> Header {
    Header { topic_id: 42, time_ms: 1_700_000_000_000, ..Header::new(Kind::Deliver) }.number(number)
}

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("frame");
    let frame = deliver(7).to_frame(&[], &PAYLOAD).expect("small");
    group.throughput(Throughput::Bytes(frame.len() as u64));
    group.bench_function("encode_128", |b| {
        let mut out = BytesMut::with_capacity(64 * 1024);
        b.iter(|| {
            out.clear();
            deliver(black_box(7)).write(&mut out, &[], black_box(&PAYLOAD)).expect("small");
        });
    });
    group.bench_function("encode_128_alone", |b| {
        b.iter(|| deliver(black_box(7)).to_frame(&[], black_box(&PAYLOAD)).expect("small"));
    });
    group.bench_function("decode_128", |b| {
        b.iter(|| Frame::decode(black_box(frame.clone()), PAYLOAD_BYTES_MAX).expect("valid"));
    });

    // A burst as it arrives: chunks of one packet's size, so that frames lie across their borders.
    let mut stream = BytesMut::new();
    for number in 0..1000 {
        deliver(number).write(&mut stream, &[], &PAYLOAD).expect("small");
    }
    let stream = stream.freeze();
    let packets: Vec<Bytes> = (0..stream.len())
        .step_by(1200)
        .map(|at| stream.slice(at..(at + 1200).min(stream.len())))
        .collect();
    group.throughput(Throughput::Elements(1000));
    group.bench_function("read_stream_128", |b| {
        b.iter(|| {
            let mut reader = FrameReader::new(PAYLOAD_BYTES_MAX);
            let mut count = 0;
            for packet in &packets {
                reader.push(packet.clone());
                while let Some(frame) = reader.next_frame().expect("valid") {
                    count += frame.body_bytes().len();
                }
            }
            assert_eq!(count, 128_000);
        });
    });
    group.finish();
}

fn attribute(c: &mut Criterion) {
    let mut group = c.benchmark_group("attributes");
    let bytes = attributes();
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("parse_4", |b| {
        b.iter(|| Attributes::parse(black_box(&bytes)).expect("valid").topic.is_some());
    });
    group.bench_function("encode_4", |b| b.iter(attributes));
    group.finish();
}

fn topics(c: &mut Criterion) {
    let mut group = c.benchmark_group("topic");
    let name = "chat.conversation.018f3a6e-7b5c";
    let parsed = Topic::parse(name).expect("valid");
    group.bench_function("parse", |b| b.iter(|| Topic::parse(black_box(name)).expect("valid")));
    for (case, pattern) in [
        ("match_exact", name),
        ("match_star", "chat.*.018f3a6e-7b5c"),
        ("match_rest", "chat.>"),
        ("match_none", "order.*.items"),
    ] {
        let pattern = Pattern::parse(pattern).expect("valid");
        group.bench_function(case, |b| b.iter(|| black_box(&pattern).matches(black_box(&parsed))));
    }
    group.bench_function("token_of_id", |b| b.iter(|| topic::token(black_box("python3.11/a b"))));
    group.finish();
}

fn body<B: Body>(c: &mut Criterion, name: &str, body: &B) {
    let mut group = c.benchmark_group(format!("control/{name}"));
    let bytes = control::encode(body, 7).expect("valid");
    let frame = Frame::decode(bytes.clone(), PAYLOAD_BYTES_MAX).expect("valid");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("encode", |b| {
        b.iter(|| control::encode(black_box(body), 7).expect("valid"));
    });
    group.bench_function("decode", |b| {
        b.iter(|| control::decode::<B>(black_box(&frame)).expect("valid"));
    });
    group.finish();
}

fn bodies(c: &mut Criterion) {
    let hello = Hello {
        version: 1,
        features: 1,
        producer: 99,
        client: "sampan-client/0.1.0".to_owned(),
        token: "e".repeat(400),
    };
    body(c, "hello", &hello);
    let subscribe = Subscribe { pattern: "chat.conversation.42".to_owned(), start: Start::Now };
    body(c, "subscribe", &subscribe);
    let position = |n| TopicPosition { topic: format!("order.{n}"), epoch: 7, offset: n };
    let positions = (1..=100).map(position).collect();
    let start = Start::Resume { joined_ms: 1_700_000_000_000, positions };
    body(c, "resume_100", &Subscribe { pattern: "order.>".to_owned(), start });
    let name = "chat.conversation.42".to_owned();
    body(c, "topic", &TopicName { name, class: 3, epoch: 7, next: 1 });
    let member = |n| Member {
        user: format!("user-{n}"),
        role: "customer".to_owned(),
        sessions: 1,
        since_ms: 1,
    };
    let (topic, members) = ("shop.1".to_owned(), (0..100).map(member).collect());
    body(c, "members_100", &Members { topic, sequence: 1, count: 100, members });
}

criterion_group!(benches, frames, attribute, topics, bodies);
criterion_main!(benches);
