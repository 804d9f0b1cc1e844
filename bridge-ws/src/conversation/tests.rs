//! A client and a broker face to face with the conversation, in virtual time.

use sampan_protocol::attribute::{self, Tag};
use sampan_protocol::frame::Header;
use sampan_protocol::{Frame, Kind, control};
use serde_json::Value;

use super::*;

struct Talk {
    conversation: Conversation,
    now: Instant,
    cache: Cache,
    out: Output,
}

impl Talk {
    fn new() -> Self {
        let now = Instant::now();
        let conversation = Conversation::new(now, None, 7);
        Talk { conversation, now, cache: Cache::default(), out: Output::default() }
    }

    /// A client that is live.
    fn live() -> Self {
        let mut talk = Talk::new();
        talk.says(r#"{"connect":{"token":"t"}}"#);
        assert_eq!(talk.kinds(), [Kind::Hello]);
        talk.broker(&control::encode(&welcome(), 0).expect("valid"));
        assert_eq!(talk.hears()[0]["welcome"]["user"], "ann");
        talk
    }

    fn says(&mut self, text: &str) {
        if self.conversation.heard(self.now, &mut self.out) {
            self.conversation.text(text, &mut self.out);
        }
    }

    fn broker(&mut self, frames: &Bytes) {
        self.conversation.read(frames.clone(), &self.cache, &mut self.out);
        while self.conversation.go_on(&self.cache, &mut self.out) {}
    }

    /// Goes on to the next deadline.
    fn wait(&mut self) -> Duration {
        let passed = self.conversation.deadline() - self.now;
        self.now += passed;
        self.conversation.time(self.now, &mut self.out);
        passed
    }

    /// What the client has been told.
    fn hears(&mut self) -> Vec<Value> {
        let mut heard = Vec::new();
        for text in self.out.texts.take() {
            match serde_json::from_slice(&text).expect("JSON") {
                Value::Array(list) => heard.extend(list),
                one => heard.push(one),
            }
        }
        heard
    }

    /// The kinds of the frames that the broker has been sent.
    fn kinds(&mut self) -> Vec<Kind> {
        let mut reader = sampan_protocol::FrameReader::new(1 << 20);
        reader.push(std::mem::take(&mut self.out.frames).freeze());
        let next = || reader.next_frame().expect("whole frames");
        std::iter::from_fn(next).map(|frame: Frame| frame.header.kind).collect()
    }

    fn closed(&mut self) -> Option<u16> {
        self.out.close.take().map(|closing| closing.status)
    }
}

fn welcome() -> Welcome {
    Welcome {
        version: 1,
        features: 0,
        session: u64::MAX,
        boot: 5,
        user: "ann".to_owned(),
        role: "customer".to_owned(),
        expires_ms: 9,
        now_ms: 8,
        payload_bytes_max: 1024,
        subscriptions_max: 16,
        keep_alive_ms: 1000,
    }
}

#[test]
fn what_is_said_before_the_welcome_is_held_until_then() {
    let mut talk = Talk::new();
    talk.says(
        r#"[{"connect":{"token":"t","resume":[{"id":1,"subscribe":{"topic":"a.>","positions":{"a.b":"7:1"}}}]}},
            {"id":2,"subscribe":{"topic":"b"}}]"#,
    );
    assert_eq!(talk.kinds(), [Kind::Hello]);
    assert!(!talk.conversation.is_listening());
    talk.broker(&control::encode(&welcome(), 0).expect("valid"));
    assert!(talk.conversation.is_listening());
    assert_eq!(talk.kinds(), [Kind::Subscribe, Kind::Subscribe]);
    let session = &talk.hears()[0]["welcome"]["session"];
    assert_eq!(session, &Value::from(u64::MAX.to_string()), "a number that JSON would round");
}

#[test]
fn nobody_whose_token_is_not_yet_judged_has_more_held_than_subscriptions_may_be() {
    for (count, code) in [(1024, None), (1025, Some(status::CODE + Code::TOO_MANY.0))] {
        let mut talk = Talk::new();
        let resume = vec![r#"{"id":1,"subscribe":{"topic":"a"}}"#; count].join(",");
        talk.says(&format!(r#"{{"connect":{{"token":"t","resume":[{resume}]}}}}"#));
        assert_eq!(talk.closed(), code, "{count}");
    }
}

#[test]
fn every_operation_becomes_its_frame() {
    let mut talk = Talk::live();
    for (text, kind) in [
        (r#"{"id":1,"subscribe":{"topic":"a","last":2}}"#, Kind::Subscribe),
        (r#"{"id":1,"unsubscribe":{}}"#, Kind::Unsubscribe),
        (r#"{"id":2,"publish":{"topic":"a","payload":1,"ack":"routed"}}"#, Kind::Publish),
        (r#"{"id":3,"request":{"topic":"a","payload":{}}}"#, Kind::Request),
        (r#"{"id":4,"presence":{"topic":"a","act":"watch"}}"#, Kind::Presence),
        (r#"{"id":5,"history":{"topic":"a","last":2}}"#, Kind::History),
        (r#"{"id":6,"refresh":{"token":"u"}}"#, Kind::Refresh),
        (r#"{"id":7,"consume":{"group":"g","topic":"a.>","window":0}}"#, Kind::Consume),
        (r#"{"id":7,"pull":{"count":3}}"#, Kind::Pull),
        (r#"{"id":8,"settle":{"handle":"7:5:1:9:1","act":"nak","delay_ms":5}}"#, Kind::Settle),
        (r#"{"id":7,"leave":{}}"#, Kind::Leave),
    ] {
        talk.says(text);
        assert_eq!(talk.kinds(), [kind], "{text}");
    }
    talk.says(r#"{"id":7,"ping":{}}"#);
    assert_eq!(talk.hears(), [serde_json::json!({"id":7,"pong":{}})]);
    assert_eq!(talk.closed(), None);
}

#[test]
fn a_request_that_cannot_be_done_is_refused_under_its_id() {
    let mut talk = Talk::live();
    for (text, code) in [
        (r#"{"id":3,"subscribe":{"topic":"a b"}}"#, None),
        (r#"{"id":3,"publish":{"topic":"a b","payload":1}}"#, Some(103)),
        (r#"{"id":3,"publish":{"topic":"a"}}"#, Some(105)),
        (r#"{"id":3,"subscribe":{"topic":"a","last":1,"since":2}}"#, Some(105)),
        (r#"{"id":3,"connect":{}}"#, Some(104)),
        (r#"{"id":3,"consume":{"group":"g","topic":"a","window":10001}}"#, Some(102)),
        (r#"{"id":3,"pull":{"count":0}}"#, Some(105)),
    ] {
        talk.says(text);
        let heard = talk.hears();
        let found = heard.first().map(|told| (told["id"].clone(), told["error"]["code"].clone()));
        assert_eq!(found, code.map(|code| (3.into(), code.into())), "{text}");
    }
    assert_eq!(talk.closed(), None, "none of them is a strike");
}

#[test]
fn the_third_request_that_makes_no_sense_is_the_last() {
    let mut talk = Talk::live();
    for _ in 0..2 {
        talk.says("nonsense");
        assert_eq!(talk.hears()[0]["error"]["name"], "MALFORMED");
        assert_eq!(talk.closed(), None);
    }
    talk.says(r#"{"id":1,"nonsense":{}}"#);
    let heard = talk.hears();
    assert_eq!(
        (&heard[0]["error"]["code"], &heard[1]["close"]["code"]),
        (&101.into(), &600.into())
    );
    assert_eq!(talk.closed(), Some(4600));
    talk.says(r#"{"ping":{}}"#);
    assert!(talk.hears().is_empty(), "nothing follows a close");
}

#[test]
fn whoever_does_not_connect_is_sent_away() {
    let mut talk = Talk::new();
    assert_eq!(talk.wait(), GREETING_TIMEOUT);
    assert_eq!(talk.closed(), Some(4501));
    let mut talk = Talk::new();
    talk.says(r#"{"id":1,"subscribe":{"topic":"a"}}"#);
    assert_eq!(talk.closed(), Some(4600));
    let mut talk = Talk::new();
    talk.says(r#"{"connect":{}}"#);
    assert_eq!(talk.closed(), Some(4601), "no token");
}

#[test]
fn a_silent_client_is_asked_twice_and_then_let_go() {
    let mut talk = Talk::live();
    for _ in 0..2 {
        assert_eq!(talk.wait(), PING_EVERY);
        assert!(std::mem::take(&mut talk.out.ping));
    }
    talk.wait();
    assert_eq!(talk.closed(), Some(4502));
    let mut talk = Talk::live();
    for _ in 0..10 {
        talk.wait();
        assert!(talk.conversation.heard(talk.now, &mut talk.out), "a pong");
    }
    assert_eq!(talk.closed(), None);
}

#[test]
fn a_flood_of_frames_is_a_breach_of_policy() {
    let mut talk = Talk::live();
    let flood = (0..=FRAMES.burst).take_while(|_| talk.conversation.heard(talk.now, &mut talk.out));
    assert_eq!(flood.count(), FRAMES.burst as usize - 1, "connect was one");
    assert_eq!(talk.closed(), Some(status::POLICY));
}

#[test]
fn the_brokers_close_is_told_with_its_code() {
    let mut talk = Talk::live();
    let close = control::Close { code: 602, retry_after_ms: 0, reason: "gone".to_owned() };
    talk.broker(&control::encode(&close, 0).expect("valid"));
    assert_eq!(talk.hears()[0]["close"]["reason"], "gone");
    assert_eq!(talk.closed(), Some(4602));
}

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

/// A frame of topic 5.
fn header(kind: Kind) -> sampan_protocol::Header {
    sampan_protocol::Header { topic_id: 5, ..sampan_protocol::Header::new(kind) }
}

/// The frame that names topic 5.
fn named() -> Bytes {
    let name = control::TopicName { name: "a".to_owned(), class: 3, epoch: 7, next: 1 };
    control::encode_with(header(Kind::Topic), &name).expect("valid")
}

/// A message with these texts and numbers among its attributes.
fn message(kind: Kind, texts: &[(Tag, &str)], numbers: &[(Tag, u64)], payload: &[u8]) -> Bytes {
    let mut attributes = BytesMut::new();
    texts.iter().for_each(|(tag, text)| attribute::put(&mut attributes, *tag, text.as_bytes()));
    numbers.iter().for_each(|(tag, n)| attribute::put_number(&mut attributes, *tag, *n));
    header(kind).number(9).to_frame(&attributes, payload).expect("small")
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

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(texts in proptest::collection::vec(".{0,80}", 1..8)) {
        let mut talk = Talk::live();
        for text in texts {
            talk.says(&text);
            talk.says(&format!(r#"{{"id":1,"subscribe":{text}}}"#));
        }
        talk.hears();
    }
}

#[test]
fn a_named_event_is_the_request_that_it_stands_for() {
    let mut talk = Talk::live();
    for (text, kind) in [
        (r#"{"id":1,"emit":{"event":"order:track","payload":"42"}}"#, Kind::Subscribe),
        (r#"{"id":2,"emit":{"event":"message:send","payload":{"text":"hi"}}}"#, Kind::Request),
        (r#"{"id":3,"emit":{"event":"auth:refresh","payload":"t"}}"#, Kind::Refresh),
    ] {
        talk.says(text);
        assert_eq!(talk.kinds(), [kind], "{text}");
    }
    for (text, code) in [
        (r#"{"id":4,"emit":{"event":"constructor"}}"#, Code::UNKNOWN_KIND),
        (r#"{"id":4,"emit":{"event":"order:track","payload":{}}}"#, Code::BAD_FIELD),
        (r#"{"id":4,"emit":{"event":"auth:refresh"}}"#, Code::BAD_FIELD),
        (r#"{"emit":{"event":"order:untrack","payload":1}}"#, Code::BAD_FIELD),
    ] {
        talk.says(text);
        assert_eq!(talk.hears()[0]["error"]["code"], code.0, "{text}");
        assert_eq!(talk.kinds(), [], "{text}");
    }
}

#[test]
fn who_joins_a_conversation_by_its_event_is_present_until_it_leaves() {
    let mut talk = Talk::live();
    let done = |number| Header::new(Kind::Done).number(number).bare();
    let subscribed = |number| {
        let body = control::Subscribed { joined_ms: 5, positions: Vec::new() };
        control::encode(&body, number).expect("valid")
    };
    for id in [1, 2] {
        talk.says(&format!(r#"{{"id":{id},"emit":{{"event":"conversation:join","payload":7}}}}"#));
        assert_eq!(talk.kinds(), [Kind::Subscribe]);
        talk.broker(&subscribed(id));
        assert_eq!(talk.hears()[0]["subscribed"]["joined_ms"], 5);
        assert_eq!(talk.kinds(), [Kind::Presence], "it enters");
        talk.broker(&done(id));
        assert!(talk.hears().is_empty(), "nobody has asked for that");
    }
    talk.says(r#"{"id":2,"unsubscribe":{}}"#);
    assert_eq!(talk.kinds(), [Kind::Unsubscribe], "it is still there by the first join");
    talk.broker(&done(2));
    assert_eq!(talk.hears(), [serde_json::json!({"id":2,"done":{}})]);
    talk.says(r#"{"id":9,"emit":{"event":"conversation:leave","payload":7}}"#);
    assert_eq!(talk.kinds(), [Kind::Unsubscribe, Kind::Presence]);
    talk.broker(&done(1));
    talk.broker(&done(1));
    assert_eq!(talk.hears(), [serde_json::json!({"id":9,"done":{}})]);
}

#[test]
fn a_room_that_is_refused_is_not_joined() {
    let mut talk = Talk::live();
    talk.says(r#"{"id":1,"emit":{"event":"order:track","payload":7}}"#);
    let refused = control::Refused { code: 201, retry_after_ms: 0, reason: "no".to_owned() };
    talk.broker(&control::encode(&refused, 1).expect("valid"));
    assert_eq!(talk.hears()[0]["error"]["code"], 201);
    talk.kinds();
    talk.says(r#"{"id":2,"emit":{"event":"order:untrack","payload":7}}"#);
    assert_eq!(talk.hears(), [serde_json::json!({"id":2,"done":{}})]);
    assert_eq!(talk.kinds(), [], "there is nothing to end");
}
