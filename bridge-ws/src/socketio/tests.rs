//! A client and a broker face to face with the talk, in virtual time.

use sampan_protocol::attribute::{self, Tag};
use sampan_protocol::control::{self, Member, PresenceAct, Start, TopicPosition};
use sampan_protocol::frame::Header;
use sampan_protocol::{Frame, FrameReader, Kind};

use super::*;

const CONNECT: &str = r#"40{"token":"t"}"#;

struct Rig {
    talk: Talk,
    now: Instant,
    out: Output,
}

impl Rig {
    fn new(shared: &Arc<Shared>) -> Self {
        let now = Instant::now();
        Rig { talk: Talk::new(now, shared.clone()), now, out: Output::default() }
    }

    fn plain() -> Self {
        Rig::new(&Arc::new(Shared::new(None)))
    }

    fn recovered() -> Arc<Shared> {
        Arc::new(Shared::new(Some([7; 32])))
    }

    /// A client that is in, and what it was told at that.
    fn live(shared: &Arc<Shared>) -> (Self, Value) {
        let mut rig = Rig::new(shared);
        rig.says(CONNECT);
        assert_eq!(rig.kinds(), [Kind::Hello]);
        rig.welcome("ann");
        assert_eq!(rig.kinds(), [Kind::Subscribe]);
        rig.subscribed(1, "user.ann", 4);
        let told = rig.hears().concat();
        let connected = serde_json::from_str(told.strip_prefix("40").expect("CONNECT"));
        (rig, connected.expect("JSON"))
    }

    fn says(&mut self, text: &str) {
        self.talk.text(self.now, text, &mut self.out);
    }

    fn broker(&mut self, frame: Bytes) {
        self.talk.read(self.now, frame, &mut self.out);
    }

    fn welcome(&mut self, user: &str) {
        let welcome = control::Welcome {
            version: 1,
            features: 0,
            session: 1,
            boot: 5,
            user: user.to_owned(),
            role: "customer".to_owned(),
            expires_ms: 9,
            now_ms: 8,
            payload_bytes_max: 1 << 20,
            subscriptions_max: 10,
            keep_alive_ms: 1,
        };
        self.broker(control::encode(&welcome, 0).expect("valid"));
    }

    fn subscribed(&mut self, number: u64, topic: &str, offset: u64) {
        let positions = vec![TopicPosition { topic: topic.to_owned(), epoch: 3, offset }];
        let subscribed = control::Subscribed { joined_ms: 8, positions };
        self.broker(control::encode(&subscribed, number).expect("valid"));
    }

    fn refused(&mut self, number: u64, code: Code) {
        let refused =
            control::Refused { code: code.0, retry_after_ms: 5, reason: "why".to_owned() };
        self.broker(control::encode(&refused, number).expect("valid"));
    }

    /// Tells the topic and delivers an event of it.
    fn delivers(&mut self, topic: &str, offset: u64, event: &str, payload: &[u8]) {
        let header = |kind| Header { topic_id: 9, ..Header::new(kind) };
        let name = topic.to_owned();
        let named = control::TopicName { name, class: 3, epoch: 3, next: 1 };
        let mut attributes = BytesMut::new();
        attribute::put(&mut attributes, Tag::Event, event.as_bytes());
        let deliver = header(Kind::Deliver).number(offset).to_frame(&attributes, payload);
        self.broker(control::encode_with(header(Kind::Topic), &named).expect("valid"));
        self.broker(deliver.expect("small"));
    }

    /// Goes on to the next deadline.
    fn wait(&mut self) -> Duration {
        let passed = self.talk.deadline() - self.now;
        self.now += passed;
        self.talk.time(self.now, &mut self.out);
        passed
    }

    /// What the client has been told.
    fn hears(&mut self) -> Vec<String> {
        let text = |message| match message {
            Message::Text(text) => String::from_utf8(text.into()).expect("UTF-8"),
            Message::Binary(bytes) => format!("{bytes:?}"),
        };
        std::mem::take(&mut self.out.messages).into_iter().map(text).collect()
    }

    fn frames(&mut self) -> Vec<Frame> {
        let mut reader = FrameReader::new(1 << 20);
        reader.push(std::mem::take(&mut self.out.frames).freeze());
        std::iter::from_fn(|| reader.next_frame().expect("whole frames")).collect()
    }

    fn kinds(&mut self) -> Vec<Kind> {
        self.frames().iter().map(|frame| frame.header.kind).collect()
    }

    fn closed(&mut self) -> Option<Cause> {
        self.out.close.take()
    }
}

#[test]
fn a_client_is_in_once_its_rooms_are_joined() {
    let (mut rig, connected) = Rig::live(&Arc::new(Shared::new(None)));
    let members: Vec<_> = connected.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["sid"], "a pid is for those who are recovered");
    assert_eq!(connected["sid"].as_str().map(str::len), Some(22), "128 bits");
    rig.delivers("user.ann", 5, "note", "\"\u{e9}\"".as_bytes());
    assert_eq!(rig.hears(), ["42[\"note\",\"\\\"\u{e9}\\\"\"]"]);
    rig.delivers("user.ann", 5, "note", b"x");
    assert!(rig.hears().is_empty(), "it has seen this one");
    rig.delivers("user.ann", 6, "disconnect", b"\xff");
    let packet = r#"451-["message",{"_placeholder":true,"num":0}]"#;
    assert_eq!(rig.hears(), [packet, r#"b"\xff""#]);
}

#[test]
fn what_comes_before_the_client_is_in_is_told_after_that() {
    let mut rig = Rig::plain();
    rig.says(CONNECT);
    rig.welcome("ann");
    rig.delivers("user.ann", 5, "a", b"x");
    assert!(rig.hears().is_empty());
    rig.subscribed(1, "user.ann", 4);
    let heard = rig.hears();
    assert!(heard[0].starts_with("40") && heard[1] == r#"42["a","x"]"#, "{heard:?}");
}

fn act(frame: &Frame) -> PresenceAct {
    let body: control::Presence = control::decode(frame).expect("valid");
    *PresenceAct::ALL.iter().find(|act| act.number() == body.act).expect("an act")
}

#[test]
fn who_is_in_a_conversation_hears_who_comes_and_who_is_gone() {
    let (mut rig, _) = Rig::live(&Arc::new(Shared::new(None)));
    rig.kinds();
    rig.says(r#"42["conversation:join","c1"]"#);
    let number = rig.frames()[0].header.number;
    rig.subscribed(number, "chat.conversation.c1", 0);
    let frames = rig.frames();
    let is_watch =
        |frame: &&Frame| frame.header.kind == Kind::Presence && act(frame) == PresenceAct::Watch;
    let watch = frames.iter().find(is_watch).expect("it watches").header.number;
    let member = |user: &str, sessions, since_ms| Member {
        user: user.to_owned(),
        role: "agent".to_owned(),
        sessions,
        since_ms,
    };
    let topic = || "chat.conversation.c1".to_owned();
    let members = vec![member("amy", 1, 5), member("bob", 0, 6)];
    let there = control::Members { topic: topic(), sequence: 1, count: 2, members };
    rig.broker(control::encode(&there, watch).expect("valid"));
    let told = |name: &str, user: &str, at: u64| {
        let there = json!({ "userId": user, "timestamp": at, "topic": topic() });
        format!("42[\"{name}\",{there}]")
    };
    assert_eq!(rig.hears(), [told("user:online", "amy", 5)], "bob has no connection");
    rig.now += Duration::from_secs(60);
    let (joined, left) = (vec![member("eve", 2, 7)], vec!["bob".to_owned()]);
    let changed = control::MembersChanged { topic: topic(), sequence: 2, count: 2, joined, left };
    rig.broker(control::encode(&changed, 0).expect("valid"));
    assert_eq!(rig.hears(), [told("user:online", "eve", 7), told("user:offline", "bob", 60_008)]);
    rig.says(r#"42["conversation:leave","c1"]"#);
    let acts: Vec<_> =
        rig.frames().iter().filter(|f| f.header.kind == Kind::Presence).map(act).collect();
    assert_eq!(acts, [PresenceAct::Unwatch, PresenceAct::Leave]);
}

#[test]
fn rooms_are_joined_and_left_and_the_acks_say_so() {
    let (mut rig, _) = Rig::live(&Arc::new(Shared::new(None)));
    rig.kinds();
    rig.says(r#"420["chat:join_conversation","c1"]"#);
    rig.says(r#"421["conversation:join",{"conversationId":"c1"}]"#);
    let frames = rig.frames();
    assert_eq!(frames.len(), 1, "one subscription for both");
    rig.subscribed(frames[0].header.number, "chat.conversation.c1", 0);
    let frames = rig.frames();
    let asked = |frame: &Frame, topic: &str| {
        assert_eq!(frame.attributes().expect("valid").topic, Some(topic));
        assert_eq!(frame.body_bytes(), br#"{"conversation_id":"c1"}"#);
        frame.header.number
    };
    let (first, second) = (&frames[0], &frames[1]);
    let first = asked(first, "chat.join_conversation");
    let second = asked(second, "chat.join_conversation");
    let acts: Vec<_> = frames[2..4].iter().map(act).collect();
    assert_eq!(acts, [PresenceAct::Enter, PresenceAct::Watch], "who joins is present");
    let beside = frames[4..].iter().map(|frame| {
        let body: control::Subscribe = control::decode(frame).expect("valid");
        (frame.header.number, body.pattern)
    });
    let beside: Vec<_> = beside.collect();
    let topics: Vec<_> = beside.iter().map(|(_, topic)| topic.as_str()).collect();
    assert_eq!(topics, ["chat.typing.c1", "chat.position.c1", "chat.note.c1"]);
    rig.subscribed(beside[0].0, "chat.typing.c1", 0);
    rig.subscribed(beside[1].0, "chat.position.c1", 0);
    rig.refused(beside[2].0, Code::NOT_GRANTED);
    assert!(rig.hears().is_empty(), "who may not see notes is told nothing of them");
    let mut attributes = BytesMut::new();
    attribute::put(&mut attributes, Tag::ContentType, b"application/json");
    let header = Header::new(Kind::Reply).number(first);
    rig.broker(header.to_frame(&attributes, br#"{"last_seq":3}"#).expect("small"));
    let told = r#"430[{"ok":true,"topic":"chat.conversation.c1","last_seq":3}]"#;
    assert_eq!(rig.hears(), [told]);
    rig.refused(second, Code::NO_RESPONDER);
    let answer = r#"[{"ok":true,"topic":"chat.conversation.c1"}]"#;
    assert_eq!(rig.hears(), [format!("431{answer}")], "the room is there without its service");
    rig.says(r#"422["conversation:leave","c1"]"#);
    let frames = rig.frames();
    let kinds: Vec<_> = frames.iter().map(|frame| frame.header.kind).collect();
    let (gone, left) = (Kind::Unsubscribe, Kind::Request);
    assert_eq!(kinds, [gone, Kind::Presence, Kind::Presence, gone, gone, left]);
    rig.refused(asked(&frames[5], "chat.leave_conversation"), Code::NO_RESPONDER);
    assert_eq!(rig.hears(), [format!("432{answer}")]);
    rig.says(r#"423["order:track",">"]"#);
    let frames = rig.frames();
    let body: control::Subscribe = control::decode(&frames[0]).expect("valid");
    assert_eq!(body.pattern, "order.%3E", "an id is never a pattern");
    rig.refused(frames[0].header.number, Code::NOT_AUTHORIZED);
    let heard = rig.hears();
    let [answer] = &heard[..] else { panic!("one answer: {heard:?}") };
    let answer: serde_json::Value =
        serde_json::from_str(answer.strip_prefix("433").expect("an ack")).expect("JSON");
    let error = serde_json::json!({
        "code": 201, "name": "NOT_AUTHORIZED", "message": "why", "retryable": false, "retry_after_ms": 5,
    });
    assert_eq!(answer, serde_json::json!([{ "error": error }]));
    rig.delivers("order.%3E", 1, "a", b"x");
    assert!(rig.hears().is_empty());
}

#[test]
fn who_may_be_in_a_room_no_longer_is_out_of_it_and_told_so() {
    let (mut rig, _) = Rig::live(&Rig::recovered());
    rig.says(r#"420["chat:join_conversation","c1"]"#);
    let number = rig.frames()[0].header.number;
    rig.subscribed(number, "chat.conversation.c1", 0);
    let beside = rig.frames().into_iter().filter(|frame| frame.header.kind == Kind::Subscribe);
    rig.subscribed(
        beside.map(|frame| frame.header.number).min().expect("one"),
        "chat.typing.c1",
        0,
    );
    rig.delivers("chat.conversation.c1", 1, "a", b"1");
    rig.hears();
    rig.refused(number, Code::NOT_AUTHORIZED);
    let gone = Kind::Unsubscribe;
    let kinds = [gone, Kind::Presence, Kind::Presence, gone, gone, gone];
    assert_eq!(rig.kinds(), kinds, "nor is it in what goes with the room");
    let heard = rig.hears();
    let [rooms, refused] = &heard[..] else { panic!("{heard:?}") };
    assert!(rooms.starts_with("42[\"sampan:rooms\"") && !rooms.contains("c1"), "{rooms}");
    assert!(
        refused.starts_with(r#"42["sampan:refused",{"#) && refused.contains("201"),
        "{refused}"
    );
    rig.delivers("chat.conversation.c1", 2, "a", b"2");
    rig.refused(number, Code::UNKNOWN_REQUEST);
    assert!(rig.hears().is_empty());
}

#[test]
fn who_joins_a_conversation_too_often_at_once_is_refused_and_stays() {
    let (mut rig, _) = Rig::live(&Arc::new(Shared::new(None)));
    for ack in 1..=1_030 {
        rig.says(&format!(r#"42{ack}["conversation:join","7"]"#));
    }
    assert_eq!(rig.kinds(), [Kind::Subscribe]);
    rig.subscribed(2, "chat.conversation.7", 4);
    let asked = rig.kinds().into_iter().filter(|kind| *kind == Kind::Request).count();
    assert_eq!(asked, 1_024);
    let refused = rig.hears();
    assert_eq!(refused.len(), 6);
    assert!(refused.iter().all(|told| told.contains("TOO_MANY")), "{refused:?}");
    assert_eq!(rig.closed(), None);
    rig.says(r#"429999["conversation:leave","8"]"#);
    assert_eq!(rig.hears(), [r#"439999[{"ok":true,"topic":"chat.conversation.8"}]"#]);
}

#[test]
fn a_request_is_answered_with_what_the_responder_says() {
    let (mut rig, _) = Rig::live(&Arc::new(Shared::new(None)));
    rig.kinds();
    let mut ask = |kind: Option<&str>, body: &[u8]| {
        rig.says(r#"427["message:send",{"text": "x"}]"#);
        let frames = rig.frames();
        let attributes = frames[0].attributes().expect("valid");
        assert_eq!(attributes.topic, Some("chat.send_message"));
        assert_eq!(attributes.event, Some("message:send"));
        assert_eq!(frames[0].body_bytes(), br#"{"text": "x"}"#);
        let mut attributes = BytesMut::new();
        if let Some(kind) = kind {
            attribute::put(&mut attributes, Tag::ContentType, kind.as_bytes());
        }
        let header = Header::new(Kind::Reply).number(frames[0].header.number);
        rig.broker(header.to_frame(&attributes, body).expect("small"));
        rig.hears().concat()
    };
    let json = Some("application/json");
    assert_eq!(ask(json, b"{\"seq\": 1}"), r#"437[{"ok":true,"seq": 1}]"#);
    assert_eq!(ask(json, b"{}"), r#"437[{"ok":true}]"#);
    let list = r#"437[{"ok":true,"content_type":"application/json","payload":[1]}]"#;
    assert_eq!(ask(json, b"[1]"), list);
    assert_eq!(ask(None, b"x"), r#"437[{"ok":true,"payload":"x"}]"#);
    assert_eq!(ask(None, b"\xff"), r#"437[{"ok":true,"payload_base64":"/w=="}]"#);
}

#[test]
fn an_event_that_nobody_knows_is_refused_and_harms_nothing() {
    let (mut rig, _) = Rig::live(&Arc::new(Shared::new(None)));
    for name in ["constructor", "__proto__", "error", "a"] {
        rig.says(&format!("421[\"{name}\"]"));
        let heard = rig.hears().concat();
        assert!(heard.contains(r#""name":"UNKNOWN_KIND""#), "{heard}");
    }
    rig.says(r#"42["a"]"#);
    assert!(rig.hears().is_empty() && rig.closed().is_none());
}

#[test]
fn a_client_that_comes_back_goes_on_where_it_was() {
    let shared = Rig::recovered();
    let (mut rig, connected) = Rig::live(&shared);
    let pid = connected["pid"].as_str().expect("a pid");
    rig.delivers("user.ann", 5, "a", b"x");
    assert_eq!(rig.hears(), [r#"42["a","x","user.ann=3:5"]"#]);
    rig.kinds();
    rig.says(r#"42["order:track",7]"#);
    let number = rig.frames()[0].header.number;
    rig.subscribed(number, "order.7", 2);
    let rooms = "order.7=3:2;user.ann=3:5";
    assert_eq!(rig.hears(), [format!("42[\"sampan:rooms\",\"{rooms}\"]")]);
    // The broker may be another process, with the same key.
    let later = Rig::recovered();
    for (offset, expected) in [
        (None, vec![("user.ann", 4)]),
        (Some(rooms), vec![("order.7", 2), ("user.ann", 5)]),
        (Some(rooms), vec![("order.7", 2), ("user.ann", 5)]),
    ] {
        let mut rig = Rig::new(&later);
        let credentials = json!({ "token": "t", "pid": pid, "offset": offset });
        rig.says(&format!("40{credentials}"));
        rig.kinds();
        rig.welcome("ann");
        assert_eq!(rig.hears(), [format!("40{connected}")], "the same again");
        let resumed: Vec<_> = rig
            .frames()
            .iter()
            .map(|frame| control::decode::<control::Subscribe>(frame).expect("valid").start)
            .collect();
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(topic, offset)| Start::Resume {
                joined_ms: 8,
                positions: vec![TopicPosition { topic: topic.to_owned(), epoch: 3, offset }],
            })
            .collect();
        assert_eq!(resumed, expected);
    }
}

#[test]
fn whose_past_cannot_be_read_or_is_not_theirs_begins_anew() {
    let shared = Rig::recovered();
    let (_, connected) = Rig::live(&shared);
    let pid = connected["pid"].as_str().expect("a pid");
    for (user, pid, offset) in [
        ("bob", pid, "user.ann=3:1"),
        ("ann", "nonsense of mine", "user.ann=3:1"),
        ("ann", pid, "-"),
    ] {
        let mut rig = Rig::new(&shared);
        rig.says(&format!("40{}", json!({ "token": "t", "pid": pid, "offset": offset })));
        rig.kinds();
        rig.welcome(user);
        assert!(rig.hears().is_empty());
        let frames = rig.frames();
        let body: control::Subscribe = control::decode(&frames[0]).expect("valid");
        assert_eq!((body.pattern, body.start), (format!("user.{user}"), Start::Now));
        rig.subscribed(1, &format!("user.{user}"), 0);
        assert!(!rig.hears().concat().contains(pid));
    }
}

#[test]
fn a_refused_token_is_told_in_the_agreed_words_and_not_for_ever() {
    let mut rig = Rig::plain();
    let refused = r#"44{"message":"Authentication failed"}"#;
    rig.says(CONNECT);
    let close =
        control::Close { code: Code::BAD_TOKEN.0, retry_after_ms: 0, reason: String::new() };
    rig.broker(control::encode(&close, 0).expect("valid"));
    assert_eq!(rig.hears(), [refused]);
    assert!(std::mem::take(&mut rig.out.detach) && rig.closed().is_none());
    rig.says("40");
    assert_eq!(rig.hears(), [refused]);
    rig.says(r#"40{"token":7}"#);
    assert_eq!(rig.hears(), [refused]);
    assert_eq!(rig.closed(), Some(Cause::Unconnected));
}

#[test]
fn only_one_namespace_is_there() {
    let (mut rig, _) = Rig::live(&Arc::new(Shared::new(None)));
    rig.says("40/random,");
    assert_eq!(rig.hears(), [r#"44/random,{"message":"Invalid namespace"}"#]);
    assert!(rig.closed().is_none());
    rig.says(r#"42/random,["a"]"#);
    assert_eq!(rig.closed(), Some(Cause::Malformed));
}

#[test]
fn whoever_leaves_the_namespace_is_still_pinged_and_may_come_back() {
    let (mut rig, _) = Rig::live(&Arc::new(Shared::new(None)));
    rig.says("41");
    assert!(std::mem::take(&mut rig.out.detach) && rig.closed().is_none());
    rig.wait();
    assert_eq!(rig.hears(), ["2"]);
    rig.says(CONNECT);
    assert_eq!(rig.kinds(), [Kind::Hello]);
    rig.says("41");
    rig.says("3");
    while rig.closed().is_none() {
        rig.wait();
        rig.says("3");
    }
}

#[test]
fn what_does_not_come_in_time_ends_the_connection() {
    let mut rig = Rig::plain();
    assert_eq!(rig.wait(), PING_EVERY);
    assert_eq!(rig.hears(), ["2"]);
    rig.says("3");
    assert_eq!(rig.wait(), CONNECT_TIMEOUT - PING_EVERY);
    assert_eq!(rig.closed(), Some(Cause::Unconnected));

    let (mut rig, _) = Rig::live(&Arc::new(Shared::new(None)));
    rig.wait();
    assert_eq!(rig.wait(), PING_TIMEOUT);
    assert_eq!(rig.closed(), Some(Cause::Silent));

    let (mut rig, _) = Rig::live(&Arc::new(Shared::new(None)));
    rig.says(r#"452-["a",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#);
    rig.now += PARTS_TIMEOUT / 2;
    rig.talk.binary(rig.now, Bytes::from_static(b"x"), &mut rig.out);
    assert_eq!(rig.wait(), PARTS_TIMEOUT / 2);
    assert_eq!(rig.closed(), Some(Cause::Incomplete));
}

#[test]
fn what_breaks_the_protocol_ends_the_connection() {
    for bad in [
        "",
        "5",
        "2",
        "2probe",
        "abc",
        "4",
        "4abc",
        "42{}",
        "42[]",
        "42[\"connect\"]",
        "42abc[\"a\"]",
        CONNECT,
        "4511-[\"a\"]",
        "40{",
    ] {
        let (mut rig, _) = Rig::live(&Arc::new(Shared::new(None)));
        rig.says(bad);
        assert_eq!(rig.closed(), Some(Cause::Malformed), "{bad}");
        rig.says(bad);
        assert!(rig.closed().is_none() && rig.hears().is_empty(), "nothing follows");
    }
    for early in ["42[\"a\"]", "41", "40[]", "40{"] {
        let mut rig = Rig::plain();
        rig.says(early);
        assert_eq!(rig.closed(), Some(Cause::Malformed), "{early}");
    }
}

#[test]
fn a_flood_ends_the_connection() {
    let (mut rig, _) = Rig::live(&Arc::new(Shared::new(None)));
    let count = (0..).find(|_| {
        rig.says("3");
        rig.closed() == Some(Cause::Flood)
    });
    assert_eq!(count, Some(PACKETS.burst as usize - 1), "and CONNECT before");
}

#[test]
fn the_end_of_a_session_says_whether_to_come_back() {
    for (code, sent_away) in [(Code::REVOKED, true), (Code::RESTARTED, false)] {
        let (mut rig, _) = Rig::live(&Arc::new(Shared::new(None)));
        let close = control::Close { code: code.0, retry_after_ms: 0, reason: String::new() };
        rig.broker(control::encode(&close, 0).expect("valid"));
        let heard = rig.hears();
        assert!(heard[0].starts_with("42[\"sampan:close\","), "{heard:?}");
        assert_eq!(heard.get(1).map(String::as_str), sent_away.then_some("41"));
        assert_eq!(rig.closed(), Some(Cause::Ended));
    }
}
