//! What a client is told: messages, jobs, and payloads as it can read them.

use super::*;

#[test]
fn messages_that_wait_together_leave_together() {
    let mut talk = Talk::live();
    let mut frames = named().to_vec();
    for offset in 1..=3 {
        let deliver = header(Kind::Deliver).number(offset).to_frame(&[], b"x").expect("small");
        frames.extend_from_slice(&deliver);
    }
    talk.broker(&frames.into());
    let texts = talk.out.texts.take();
    assert_eq!(texts.len(), 1);
    let list: Value = serde_json::from_slice(&texts[0]).expect("JSON");
    let offsets: Vec<_> =
        list.as_array().expect("a list").iter().map(|m| &m["message"]["offset"]).collect();
    assert_eq!(offsets, [1, 2, 3]);
}

#[test]
fn a_job_is_told_with_a_handle_that_settles_it() {
    let mut talk = Talk::live();
    let numbers = [(Tag::Consumer, 3), (Tag::Attempt, 2), (Tag::Epoch, 7)];
    talk.broker(&named());
    talk.broker(&message(Kind::Job, &[], &numbers, b"x"));
    let job = talk.hears()[0]["job"].clone();
    assert_eq!((&job["consumer"], &job["attempt"]), (&3.into(), &2.into()));
    assert_eq!((&job["message"]["offset"], &job["message"]["payload"]), (&9.into(), &"x".into()));
    let handle = job["handle"].as_str().expect("a text");
    let settle = json!({"id": 4, "settle": {"handle": handle, "act": "ack_through"}});
    talk.says(&settle.to_string());
    let mut reader = sampan_protocol::FrameReader::new(1 << 20);
    reader.push(std::mem::take(&mut talk.out.frames).freeze());
    let settle = reader.next_frame().expect("whole").expect("one");
    assert_eq!((settle.header.topic_id, settle.header.number), (5, 9));
    let attributes = settle.attributes().expect("valid");
    assert_eq!((attributes.consumer, attributes.epoch), (Some(3), Some(7)));
    assert_eq!((attributes.sequence, attributes.attempt), (Some(4), Some(2)));
    let mut count = BytesMut::new();
    attribute::put_number(&mut count, Tag::Count, 2);
    let settled = header(Kind::Settled).number(5).to_frame(&count, b"").expect("small");
    talk.broker(&settled);
    let heard = talk.hears();
    let settled = |id: u64| json!({"id": id, "settled": {"late": false}});
    assert_eq!(heard, [settled(4), settled(5)]);
    for bad in ["", "1:2:3", "a:b:c:d:e"] {
        let settle = json!({"id": 6, "settle": {"handle": bad, "act": "ack"}});
        assert!(request::parse(&settle.to_string()).expect("JSON")[0].1.is_err(), "{bad}");
    }
}

#[test]
fn gzip_is_inflated_for_those_who_do_not_say_that_they_do_it() {
    let packed = crate::inflate::gzip(b"{\"a\":1}");
    let texts = [(Tag::ContentType, "application/json"), (Tag::ContentEncoding, "gzip")];
    let deliver = |payload: &[u8]| message(Kind::Deliver, &texts, &[], payload);
    let mut plain = Talk::live();
    plain.broker(&named());
    plain.broker(&deliver(&packed));
    let told = plain.hears()[0]["message"].clone();
    assert_eq!((&told["payload"]["a"], &told["content_encoding"]), (&1.into(), &Value::Null));
    let mut able = Talk::new();
    able.says(r#"{"connect":{"token":"t","inflates":true}}"#);
    able.broker(&control::encode(&welcome(), 0).expect("valid"));
    able.broker(&named());
    able.broker(&deliver(&packed));
    let told = able.hears()[1]["message"].clone();
    assert_eq!(told["content_encoding"], "gzip");
    assert!(told["payload_base64"].is_string() && told["payload"].is_null());
    let bomb = crate::inflate::gzip(&vec![0; 2 << 20]);
    for (payload, code) in [(&bomb[..], 102), (b"nonsense", 105)] {
        let mut talk = Talk::live();
        talk.broker(&named());
        talk.broker(&deliver(payload));
        let told = talk.hears()[0]["message"].clone();
        assert_eq!((&told["offset"], &told["error"]["code"]), (&9.into(), &code.into()));
        assert!(told["payload"].is_null() && told["payload_base64"].is_null());
    }
}

#[test]
fn what_grows_large_is_written_before_more_of_it_is_made() {
    let packed = crate::inflate::gzip(&vec![b'x'; 1 << 20]);
    let texts = [(Tag::ContentEncoding, "gzip")];
    let mut frames = named().to_vec();
    for _ in 0..5 {
        frames.extend_from_slice(&message(Kind::Deliver, &texts, &[], &packed));
    }
    let mut talk = Talk::live();
    let chunk = Bytes::from(frames);
    let _other = chunk.clone();
    talk.conversation.read(chunk, &talk.cache, &mut talk.out);
    let mut largest = 0;
    let mut heard = 0;
    while talk.conversation.go_on(&talk.cache, &mut talk.out) {
        largest = largest.max(talk.out.texts.bytes());
        heard += talk.hears().len();
    }
    heard += talk.hears().len();
    assert_eq!(heard, 5);
    assert!(largest < 2 << 20, "{largest}");
}

#[test]
fn connections_that_get_the_same_bytes_share_what_they_become() {
    let mut first = Talk::live();
    let mut second = Talk::live();
    let chunk = message(Kind::Deliver, &[], &[], b"x");
    for talk in [&mut first, &mut second] {
        talk.broker(&named());
        talk.hears();
    }
    let cache = Cache::default();
    let mut shared = Vec::new();
    for talk in [&mut first, &mut second] {
        talk.conversation.read(chunk.clone(), &cache, &mut talk.out);
        shared.extend(talk.out.texts.take());
    }
    assert_eq!(shared[0], shared[1]);
    assert_eq!(shared[0].as_ptr(), shared[1].as_ptr(), "made once");
    let mut third = Talk::live();
    third.says(r#"{"id":1,"ping":{}}"#);
    third.conversation.read(chunk, &cache, &mut third.out);
    let heard = third.hears();
    assert!(heard[0]["pong"].is_object() && heard[1]["message"].is_object(), "in order");
}
