//! Bytes that are no valid frame: each is refused with its error and code, and without a panic or an
//! allocation beyond what has arrived.

use bytes::Bytes;
use sampan_protocol::control::{
    Answer, Body, Gap, Hello, History, Members, Presence, Serve, Start, Subscribe, TopicName,
    TopicPosition, encode_with,
};
use sampan_protocol::limits::{HEADER_BYTES, NUMBER_MAX, PAYLOAD_BYTES_MAX};
use sampan_protocol::{Error, Frame, FrameReader, Header, Kind, Pattern, Topic};
use serde_json::{Value, json};

use crate::fields::body;
use crate::vectors::{check_file, join, load, pieces};

/// Decodes everything in `bytes`; the layer and the error that refuse it.
fn judge(bytes: &[u8]) -> Result<(), (&'static str, Error)> {
    let bytes = Bytes::copy_from_slice(bytes);
    let frame = Frame::decode(bytes, PAYLOAD_BYTES_MAX).map_err(|e| ("frame", e))?;
    let attributes = frame.attributes().map_err(|e| ("attributes", e))?;
    let at_topic = |e| ("topic", Error::from(e));
    if let Some(name) = attributes.topic {
        Topic::parse(name).map_err(at_topic)?;
    }
    let body = body(&frame).transpose().map_err(|e| ("body", e))?;
    for field in ["topic", "group"] {
        if let Some(name) = body.as_ref().and_then(|body| body[field].as_str()) {
            Topic::parse(name).map_err(at_topic)?;
        }
    }
    if let Some(pattern) = body.as_ref().and_then(|body| body["pattern"].as_str()) {
        Pattern::parse(pattern).map_err(at_topic)?;
    }
    Ok(())
}

fn verdict(bytes: &[u8]) -> Value {
    let Err((layer, error)) = judge(bytes) else { return json!("accepted") };
    let debug = format!("{error:?}");
    let name = debug.split(['(', ' ']).next().expect("a name");
    json!({ "layer": layer, "error": name, "code": error.code().0 })
}

struct Cases(Vec<(&'static str, Vec<u8>)>);

impl Cases {
    fn add(&mut self, name: &'static str, bytes: impl AsRef<[u8]>) {
        self.0.push((name, bytes.as_ref().to_vec()));
    }

    /// A frame whose header may lie.
    fn raw(&mut self, name: &'static str, kind: u8, lengths: (u16, u32), content: &[u8]) {
        let mut bytes = vec![kind, 0];
        bytes.extend_from_slice(&lengths.0.to_le_bytes());
        bytes.extend_from_slice(&lengths.1.to_le_bytes());
        bytes.resize(HEADER_BYTES, 0);
        bytes.extend_from_slice(content);
        self.add(name, bytes);
    }

    /// A PUBLISH with these attribute bytes.
    fn attributes(&mut self, name: &'static str, attributes: &[u8]) {
        let frame = Header::new(Kind::Publish).to_frame(attributes, b"payload");
        self.add(name, frame.expect(name));
    }

    /// One attribute in a PUBLISH.
    fn attribute(&mut self, name: &'static str, tag: u8, value: &[u8]) {
        self.attributes(name, &attribute(tag, value));
    }

    /// A frame of this kind with these body bytes.
    fn body(&mut self, name: &'static str, kind: Kind, body: &[u8]) {
        self.add(name, Header::new(kind).to_frame(&[], body).expect(name));
    }

    /// The body, with bytes from `at` on replaced.
    fn patched<B: Body>(&mut self, name: &'static str, body: &B, at: usize, bytes: &[u8]) {
        let mut archive = archive(body);
        archive[at..at + bytes.len()].copy_from_slice(bytes);
        self.body(name, B::KIND, &archive);
    }
}

fn attribute(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("short").to_le_bytes();
    [&[tag, length[0], length[1]], value].concat()
}

fn archive<B: Body>(body: &B) -> Vec<u8> {
    encode_with(Header::new(B::KIND), body).expect("valid")[HEADER_BYTES..].to_vec()
}

fn subscribe(pattern: &str, start: Start) -> Subscribe {
    Subscribe { pattern: pattern.into(), start }
}

fn presence(topic: &str) -> Presence {
    Presence { topic: topic.into(), act: 1, after: String::new() }
}

fn frames(cases: &mut Cases) {
    let publish = Kind::Publish as u8;
    cases.add("nothing", b"");
    cases.add("half_a_header", [publish; 31]);
    for (name, kind) in [
        ("kind_0", 0),
        ("kind_15", 15),
        ("kind_19", 19),
        ("kind_23", 23),
        ("kind_39", 39),
        ("kind_200", 200),
        ("kind_255", 255),
    ] {
        cases.raw(name, kind, (0, 0), b"");
    }
    cases.raw("attributes_one_too_long", publish, (8193, 0), &[0; 8193]);
    cases.raw("attributes_promised_in_full", publish, (u16::MAX, 0), b"");
    cases.raw("payload_one_too_long", publish, (0, 1_048_577), b"");
    cases.raw("body_promised_in_full", publish, (0, u32::MAX), b"");
    cases.raw("control_body_one_too_long", Kind::Subscribe as u8, (0, 262_145), b"");
    cases.raw("page_one_too_long", Kind::Page as u8, (0, 1_114_113), b"");
    cases.raw("done_with_a_body", Kind::Done as u8, (0, 1), b"x");
    cases.raw("published_with_a_body", Kind::Published as u8, (0, 1), b"x");
    cases.raw("unsubscribe_with_a_body", Kind::Unsubscribe as u8, (0, 1), b"x");
    cases.raw("withdraw_with_a_body", Kind::Withdraw as u8, (0, 1), b"x");
    cases.raw("pull_with_a_body", Kind::Pull as u8, (0, 1), b"x");
    cases.raw("settle_with_a_body", Kind::Settle as u8, (0, 1), b"x");
    cases.raw("settled_with_a_body", Kind::Settled as u8, (0, 1), b"x");
    cases.raw("leave_with_a_body", Kind::Leave as u8, (0, 1), b"x");
    cases.raw("job_one_too_long", Kind::Job as u8, (0, 1_048_577), b"");
    cases.raw("body_cut_short", publish, (0, 8), b"payload");
    cases.raw("body_never_comes", publish, (0, 1_048_576), b"");
    cases.raw("bytes_after_the_frame", publish, (0, 6), b"payload");
    cases.raw("attributes_reach_past_the_end", publish, (8, 0), b"payload");
    let header = Header::new(Kind::Done);
    cases.add("number_one_too_large", header.number(NUMBER_MAX + 1).bare());
    cases.add("number_of_ones", header.number(u64::MAX).bare());
    cases.add("time_one_too_large", Header { time_ms: NUMBER_MAX + 1, ..header }.bare());
}

fn attributes(cases: &mut Cases) {
    cases.raw("body_counted_as_attributes", Kind::Publish as u8, (7, 0), b"payload");
    cases.attributes("attribute_of_one_byte", &[2]);
    cases.attributes("attribute_of_two_bytes", &[2, 0]);
    cases.attributes("attribute_cut_short", &[2, 2, 0, b'e']);
    cases.attributes("attribute_of_65535_bytes", &[2, 0xff, 0xff, b'e']);
    cases.attributes("unknown_attribute_cut_short", &[200, 1, 0]);
    for (name, tag, max) in [
        ("topic_one_too_long", 1, 255),
        ("event_one_too_long", 2, 128),
        ("key_one_too_long", 3, 255),
        ("content_type_one_too_long", 4, 128),
        ("content_encoding_one_too_long", 5, 128),
        ("idempotency_key_one_too_long", 6, 128),
        ("user_one_too_long", 16, 128),
        ("role_one_too_long", 17, 128),
        ("reason_one_too_long", 19, 256),
    ] {
        cases.attribute(name, tag, &vec![b'a'; max + 1]);
    }
    cases.attribute("topic_of_8_kib", 1, &[b'a'; 8189]);
    cases.attribute("topic_empty", 1, b"");
    cases.attribute("topic_with_a_newline", 1, b"order.\n");
    cases.attribute("topic_with_a_nul", 1, b"order.\0");
    cases.attribute("topic_with_a_space", 1, b"order. ");
    cases.attribute("topic_with_a_wildcard", 1, b"order.*");
    cases.attribute("topic_of_17_tokens", 1, b"a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a");
    cases.attribute("topic_not_utf8", 1, b"order.\xff");
    cases.attribute("event_with_delete", 2, b"a\x7f");
    cases.attribute("event_with_a_c1_control", 2, "a\u{85}".as_bytes());
    cases.attribute("event_cut_inside_a_character", 2, b"\xe0\xb8");
    cases.attribute("version_of_7_bytes", 8, &[0; 7]);
    cases.attribute("version_of_9_bytes", 8, &[0; 9]);
    cases.attribute("version_one_too_large", 8, &(NUMBER_MAX + 1).to_le_bytes());
    cases.attribute("producer_of_4_bytes", 7, &[1; 4]);
    cases.attributes("key_twice", &[attribute(3, b"a"), attribute(3, b"a")].concat());
    cases.attributes("version_twice", &attribute(8, &[0; 8]).repeat(2));
    cases.attribute("header_empty", 11, b"");
    cases.attribute("header_without_a_name", 11, b"\0value");
    cases.attribute("header_name_cut_short", 11, b"\x05name");
    cases.attribute("header_name_not_utf8", 11, b"\x01\xffvalue");
    cases.attribute("header_name_with_a_return", 11, b"\x02a\rvalue");
    cases.attributes("headers_17", &attribute(11, b"\x01n").repeat(17));
}

fn archives(cases: &mut Cases) {
    let order = "order.1001";
    let sound = archive(&presence(order));
    cases.body("body_empty", Kind::Presence, b"");
    cases.body("body_one_byte_short_in_front", Kind::Presence, &sound[1..]);
    cases.body("body_one_byte_short_at_the_end", Kind::Presence, &sound[..sound.len() - 1]);
    cases.body("body_with_a_byte_in_front", Kind::Presence, &[&b"x"[..], &sound].concat());
    cases.body("body_with_a_byte_at_the_end", Kind::Presence, &[&sound[..], b"\0"].concat());
    let mut hidden = sound.clone();
    hidden.splice(10..10, *b"hidden");
    hidden[20..24].copy_from_slice(&(-16i32).to_le_bytes());
    cases.body("slack_between_text_and_root", Kind::Presence, &hidden);
    cases.body("body_of_noise", Kind::Presence, &[0x5a; 64]);
    cases.body("body_of_zeros", Kind::Hello, &[0; 34]);
    cases.body("body_of_ones", Kind::Welcome, &[0xff; 70]);
    cases.body("body_of_256_kib_of_zeros", Kind::Subscribe, &[0; 262_144]);
    cases.body("body_of_another_kind", Kind::Hello, &archive(&subscribe("a", Start::Now)));

    cases.patched("text_distance_forward", &presence(order), 14, &4i32.to_le_bytes());
    cases.patched("text_distance_before_the_body", &presence(order), 14, &(-11i32).to_le_bytes());
    cases.patched("text_distance_least", &presence(order), 14, &i32::MIN.to_le_bytes());
    cases.patched("text_distance_into_itself", &presence(order), 14, &[0; 4]);
    cases.patched("text_length_one_more", &presence(order), 10, &[0x8b, 0, 0, 0]);
    cases.patched("text_length_one_less", &presence(order), 10, &[0x89, 0, 0, 0]);
    cases.patched("text_length_most", &presence(order), 10, &[0xbf, 0xff, 0xff, 0xff]);
    cases.patched("short_text_outside", &presence(order), 10, &[0x88, 0, 0, 0]);
    cases.patched("inline_text_with_slack", &presence("order"), 6, b"x");
    cases.patched("inline_text_with_ones_inside", &presence("order"), 2, &[0xff]);
    cases.patched("inline_text_not_utf8", &presence("order"), 4, &[0xc3]);
    cases.patched("outside_text_not_utf8", &presence(order), 9, &[0xff]);
    let hello = Hello {
        version: 1,
        features: 0,
        producer: 1,
        client: "a long client".into(),
        token: "a long client".into(),
    };
    cases.patched("two_texts_share_their_bytes", &hello, 26 + 26 + 4, &(-52i32).to_le_bytes());

    let start = |start| subscribe("a", start);
    cases.patched("start_of_an_unknown_variant", &start(Start::Now), 8, &[4]);
    cases.patched("start_now_with_slack", &start(Start::Now), 24, &[1]);
    cases.patched("start_last_with_slack", &start(Start::Last(1)), 13, &[1]);
    let resume = |positions| start(Start::Resume { joined_ms: 0, positions });
    let position = || TopicPosition { topic: "a".into(), epoch: 1, offset: 1 };
    cases.patched("list_count_huge", &resume(vec![]), 21, &u32::MAX.to_le_bytes());
    cases.patched("list_count_one_more", &resume(vec![position()]), 45, &[2]);
    cases.patched("list_count_one_less", &resume(vec![position()]), 45, &[0]);
    cases.patched("list_distance_forward", &resume(vec![position()]), 41, &8i32.to_le_bytes());
    cases.patched("list_distance_into_an_entry", &resume(vec![position()]), 41, &[0xd8]);
    cases.patched("empty_list_elsewhere", &resume(vec![]), 17, &[0xf0]);
    cases.patched("bool_of_2", &Answer { allow: true, ttl_ms: 0 }, 0, &[2]);
    let nobody = Members { topic: "a".into(), sequence: 0, count: 0, members: vec![] };
    cases.patched("members_count_huge", &nobody, 24, &[0, 0, 0, 0x10]);
}

fn ranges(cases: &mut Cases) {
    // A root of eight bytes with an outside text of any length, which no encoder here would write.
    let long = |length: u32, fill: u8, rest: &[u8]| {
        let mut body = vec![fill; length as usize];
        body.extend_from_slice(&((length & 63) | 128 | ((length & !63) << 2)).to_le_bytes());
        body.extend_from_slice(&(-i32::try_from(length).expect("short")).to_le_bytes());
        body.extend_from_slice(rest);
        body
    };
    cases.body("subscribe_to_256_bytes", Kind::Subscribe, &long(256, b'a', &[0; 17]));
    cases.body("subscribe_to_64_kib", Kind::Subscribe, &long(65_536, b'a', &[0; 17]));
    let entering = [&[1][..], &[0xff; 8]].concat();
    cases.body("presence_of_64_kib", Kind::Presence, &long(65_536, b'a', &entering));
    let mut behind = long(129, b'u', &[]);
    behind.truncate(129);
    behind.extend_from_slice(b"a\xff\xff\xff\xff\xff\xff\xff\x05\x81\x02\0\0");
    behind.extend_from_slice(&(-138i32).to_le_bytes());
    cases.body("presence_behind_129_bytes", Kind::Presence, &behind);
    cases.body("serve_of_64_kib", Kind::Serve, &long(65_536, b'a', &[1]));
    cases.body("refresh_with_8193_bytes", Kind::Refresh, &long(8193, b'a', &[]));
    cases.body("subscribe_to_control_characters", Kind::Subscribe, &long(10, 7, &[0; 17]));
    cases.patched("presence_with_a_newline", &presence("order.1"), 5, b"\n");
    cases.body("subscribe_to_spaces", Kind::Subscribe, &long(10, b' ', &[0; 17]));
    cases.patched("subscribe_to_nothing", &subscribe("a", Start::Now), 0, &[0xff]);
    cases.patched("presence_of_a_pattern", &presence("order.1"), 6, b"*");
    cases.add("subscribe_to_dots", {
        encode_with(Header::new(Kind::Subscribe), &subscribe("a..b", Start::Now)).expect("a body")
    });

    let hello =
        Hello { version: 1, features: 0, producer: 1, client: String::new(), token: String::new() };
    cases.patched("hello_of_producer_0", &hello, 10, &[0]);
    let last = subscribe("a", Start::Last(1));
    cases.patched("last_one_too_many", &last, 9, &1_000_001u32.to_le_bytes());
    let since = subscribe("a", Start::Since(1));
    cases.patched("since_one_too_large", &since, 9, &(NUMBER_MAX + 1).to_le_bytes());
    let gap = Gap { epoch: 1, from: 2, to: 3, reason: 1 };
    cases.patched("gap_backwards", &gap, 8, &[4]);
    cases.patched("gap_of_no_reason", &gap, 24, &[0]);
    cases.patched("gap_of_reason_7", &gap, 24, &[7]);
    cases.patched("gap_epoch_too_large", &gap, 0, &[0xff; 8]);
    let topic = TopicName { name: "a".into(), class: 1, epoch: 1, next: 1 };
    cases.patched("topic_of_class_0", &topic, 8, &[0]);
    cases.patched("topic_of_class_4", &topic, 8, &[4]);
    cases.patched("presence_act_0", &presence("a"), 8, &[0]);
    cases.patched("presence_act_6", &presence("a"), 8, &[6]);
    let serve = Serve { pattern: "a".into(), role: 1 };
    cases.patched("serve_role_3", &serve, 8, &[3]);
    let history =
        History { topic: "a".into(), from: sampan_protocol::control::From::Last(1), limit: 1 };
    cases.patched("history_of_no_messages", &history, 17, &[0]);
    cases.patched("history_from_nowhere", &history, 8, &[3]);
    let entry = archive(&subscribe(
        "a",
        Start::Resume {
            joined_ms: 0,
            positions: vec![TopicPosition { topic: "a".into(), epoch: 1, offset: 1 }],
        },
    ));
    let mut many = entry[..24].repeat(4097);
    let distance = -i32::try_from(many.len() + 17).expect("short");
    many.extend_from_slice(&entry[24..]);
    let end = many.len();
    many[end - 8..end - 4].copy_from_slice(&distance.to_le_bytes());
    many[end - 4..].copy_from_slice(&4097u32.to_le_bytes());
    cases.body("positions_4097", Kind::Subscribe, &many);
}

fn all() -> Vec<(&'static str, Vec<u8>)> {
    let mut cases = Cases(Vec::new());
    frames(&mut cases);
    attributes(&mut cases);
    archives(&mut cases);
    ranges(&mut cases);
    cases.0
}

#[test]
fn every_malformed_case_is_its_vector() {
    let vectors = all().into_iter().map(|(name, bytes)| {
        let cut = bytes.len().min(HEADER_BYTES);
        json!({ "name": name, "expect": verdict(&bytes), "bytes": pieces(&bytes, &[cut]) })
    });
    let about = "Bytes that are refused as one whole frame: `layer` says by what (frame, attributes, \
                 body, topic), `error` and `code` with what. See spec/wire.md.";
    check_file("malformed.json", about, vectors.collect());
}

#[test]
fn every_malformed_vector_is_refused_as_it_says() {
    for vector in load("malformed.json") {
        let verdict = verdict(&join(&vector["bytes"]));
        assert_ne!(verdict, json!("accepted"), "{}", vector["name"]);
        assert_eq!(verdict, vector["expect"], "{}", vector["name"]);
    }
}

#[test]
fn a_vector_cut_anywhere_is_never_a_frame_and_never_a_panic() {
    for vector in load("frames.json") {
        let bytes = join(&vector["bytes"]);
        for end in (0..bytes.len()).step_by(bytes.len().div_ceil(300)) {
            let refused = judge(&bytes[..end]).expect_err("cut short");
            assert!(matches!(refused, ("frame", Error::Truncated { .. })), "{}", vector["name"]);
        }
    }
}

#[test]
fn a_vector_with_any_bit_flipped_never_panics_and_stays_canonical() {
    for vector in load("frames.json") {
        let bytes = join(&vector["bytes"]);
        for at in (0..bytes.len()).step_by(bytes.len().div_ceil(400)) {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                let _ = judge(&flipped);
                if let Ok(frame) = Frame::decode(flipped.clone().into(), PAYLOAD_BYTES_MAX) {
                    assert_eq!(frame.to_bytes(), flipped, "{} {at}.{bit}", vector["name"]);
                }
            }
        }
    }
}

#[test]
fn a_reader_buffers_no_more_than_arrives() {
    for vector in load("malformed.json") {
        let bytes = join(&vector["bytes"]);
        let mut reader = FrameReader::new(PAYLOAD_BYTES_MAX);
        for chunk in bytes.chunks(17) {
            reader.push(Bytes::copy_from_slice(chunk));
            while let Ok(Some(_)) = reader.next_frame() {}
            assert!(reader.buffered_bytes() <= bytes.len(), "{}", vector["name"]);
        }
    }
}
