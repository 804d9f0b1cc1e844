//! A client and a broker face to face with the conversation, in virtual time.

use sampan_protocol::attribute::{self, Tag};
use sampan_protocol::frame::Header;
use sampan_protocol::{Frame, Kind, control};
use serde_json::Value;

use super::*;

mod named;
mod told;

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
