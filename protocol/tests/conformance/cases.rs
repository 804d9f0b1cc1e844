//! The frames that the vectors show: every kind with usual and edge values.

use bytes::{Bytes, BytesMut};
use sampan_protocol::attribute::{self, Tag};
use sampan_protocol::control::{
    Answer, Ask, Body, Close, Consume, Expiring, From, Gap, GoAway, Hello, History, Member,
    Members, MembersChanged, Presence, PublishRefused, Refresh, Refreshed, Refused, Serve, Start,
    Subscribe, Subscribed, TopicName, TopicPosition, Welcome, encode_with,
};
use sampan_protocol::limits::NUMBER_MAX;
use sampan_protocol::{Header, Kind};

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) frame: Bytes,
}

/// A value of an attribute.
enum Is<'a> {
    Text(&'a str),
    Number(u64),
    Header(&'a str, &'a [u8]),
}
use Is::{Number as N, Text as T};

fn attributes(list: &[(Tag, Is<'_>)]) -> BytesMut {
    let mut out = BytesMut::new();
    for (tag, value) in list {
        match value {
            Is::Text(text) => attribute::put(&mut out, *tag, text.as_bytes()),
            Is::Number(number) => attribute::put_number(&mut out, *tag, *number),
            Is::Header(name, value) => {
                attribute::put_header(&mut out, name, value).expect("a header");
            }
        }
    }
    out
}

fn plain(name: &'static str, header: Header, list: &[(Tag, Is<'_>)], body: &[u8]) -> Case {
    Case { name, frame: header.to_frame(&attributes(list), body).expect(name) }
}

fn control<B: Body>(name: &'static str, number: u64, body: &B) -> Case {
    about(name, 0, number, body)
}

fn about<B: Body>(name: &'static str, topic_id: u64, number: u64, body: &B) -> Case {
    let header = Header { topic_id, ..Header::new(B::KIND).number(number) };
    Case { name, frame: encode_with(header, body).expect(name) }
}

fn position(topic: &str, epoch: u64, offset: u64) -> TopicPosition {
    TopicPosition { topic: topic.into(), epoch, offset }
}

fn member(user: &str, role: &str, sessions: u32, since_ms: u64) -> Member {
    Member { user: user.into(), role: role.into(), sessions, since_ms }
}

const NOON: u64 = 1_767_182_400_000;

pub(crate) fn all() -> Vec<Case> {
    let cases = [session(), reading(), publishing(), asking(), presence(), consuming()];
    cases.into_iter().flatten().collect()
}

fn session() -> Vec<Case> {
    let hello = |version, features, producer, client: &str, token: &str| Hello {
        version,
        features,
        producer,
        client: client.into(),
        token: token.into(),
    };
    let welcome = Welcome {
        version: 1,
        features: 1,
        session: 77,
        boot: u64::MAX,
        user: "user-1001".into(),
        role: "customer".into(),
        expires_ms: NOON + 86_400_000,
        now_ms: NOON,
        payload_bytes_max: 1 << 20,
        subscriptions_max: 1024,
        keep_alive_ms: 15_000,
    };
    let long = "x".repeat(8192);
    vec![
        control("hello", 0, &hello(1, 1, 0x0123_4567_89ab_cdef, "sampan-rust/0.1.0", "a.b.c")),
        control("hello_least", 0, &hello(0, 0, 1, "", "")),
        control("hello_most", 0, &hello(u16::MAX, u64::MAX, u64::MAX, &long[..128], &long)),
        control("hello_texts_of_8_and_9_bytes", 0, &hello(1, 0, 1, "12345678", "123456789")),
        control("hello_texts_of_63_and_64_bytes", 0, &hello(1, 0, 1, &long[..63], &long[..64])),
        control("hello_thai", 0, &hello(1, 0, 1, "สำปั้น", "สวัสดี")),
        control("welcome", 0, &welcome),
        control(
            "welcome_most",
            0,
            &Welcome {
                version: u16::MAX,
                features: u64::MAX,
                session: u64::MAX,
                user: "u".repeat(128),
                role: String::new(),
                expires_ms: NUMBER_MAX,
                now_ms: NUMBER_MAX,
                payload_bytes_max: u32::MAX,
                subscriptions_max: u32::MAX,
                keep_alive_ms: u32::MAX,
                ..welcome.clone()
            },
        ),
        control("refresh", 3, &Refresh { token: "d.e.f".into() }),
        control("refreshed", 3, &Refreshed { expires_ms: NOON }),
        control("expiring", 0, &Expiring { expires_ms: NOON }),
        plain("done", Header::new(Kind::Done).number(9), &[], b""),
        plain("done_most", Header::new(Kind::Done).number(NUMBER_MAX), &[], b""),
        control(
            "refused",
            9,
            &Refused { code: 300, retry_after_ms: 1500, reason: "too many publishes".into() },
        ),
        control(
            "refused_without_reason",
            9,
            &Refused { code: u16::MAX, retry_after_ms: 0, reason: String::new() },
        ),
        control(
            "goaway",
            0,
            &GoAway {
                code: 400,
                reconnect_within_ms: 10_000,
                close_after_ms: 30_000,
                reason: "drain".into(),
            },
        ),
        control("close", 0, &Close { code: 503, retry_after_ms: 5000, reason: "r".repeat(256) }),
    ]
}

fn reading() -> Vec<Case> {
    let subscribe = |pattern: &str, start| Subscribe { pattern: pattern.into(), start };
    let resume = |joined_ms, positions| Start::Resume { joined_ms, positions };
    let positions = || {
        vec![
            position("chat.conversation.7", 2, 1),
            position("order.7", NUMBER_MAX, NUMBER_MAX),
            position("order.1001", 7, 0),
        ]
    };
    let history = |topic: &str, from, limit| History { topic: topic.into(), from, limit };
    let topic =
        |name: &str, class, epoch, next| TopicName { name: name.into(), class, epoch, next };
    let gap = |epoch, from, to, reason| Gap { epoch, from, to, reason };
    let deliver = Header { time_ms: NOON, topic_id: 42, ..Header::new(Kind::Deliver).number(41) };
    let page = Header { topic_id: 42, ..Header::new(Kind::Page).number(12) };
    let message =
        deliver.to_frame(&attributes(&[(Tag::Event, T("created"))]), b"{}").expect("small");
    let later = deliver.number(43).to_frame(&[], b"[]").expect("small");
    let extent = || [(Tag::Epoch, N(7)), (Tag::Floor, N(41)), (Tag::Next, N(44))];
    vec![
        control("subscribe_now", 5, &subscribe("order.1001", Start::Now)),
        control("subscribe_last", 5, &subscribe("chat.>", Start::Last(50))),
        control("subscribe_last_most", 5, &subscribe(">", Start::Last(1_000_000))),
        control("subscribe_since", 5, &subscribe("chat.*.7", Start::Since(NOON))),
        control(
            "subscribe_drawn",
            5,
            &subscribe("order.>", resume(1, vec![position("order.1001", 7, 41)])),
        ),
        control(
            "subscribe_resume",
            5,
            &subscribe("chat.conversation.*", resume(NOON, positions())),
        ),
        control(
            "subscribe_resume_nothing",
            5,
            &subscribe("a.very.long.pattern.>", resume(0, vec![])),
        ),
        control(
            "subscribed",
            5,
            &Subscribed { joined_ms: NOON, positions: vec![position("order.1001", 7, 41)] },
        ),
        control("subscribed_pattern", 5, &Subscribed { joined_ms: NOON, positions: vec![] }),
        plain("unsubscribe", Header::new(Kind::Unsubscribe).number(5), &[], b""),
        control("history_offset", 12, &history("order.1001", From::Offset(1), 100)),
        control("history_last", 12, &history("order.1", From::Last(u32::MAX), u32::MAX)),
        control("history_since", 12, &history("order.1", From::Since(NOON), 1)),
        plain("page", page, &extent(), &[&message[..], &later].concat()),
        plain("page_empty", page, &extent(), b""),
        about("topic", 42, 0, &topic("order.1001", 3, 7, 42)),
        about("topic_most", u64::MAX, 0, &topic(&"t".repeat(255), 1, NUMBER_MAX, NUMBER_MAX)),
        plain(
            "deliver",
            deliver,
            &[(Tag::Event, T("created")), (Tag::ContentType, T("application/json"))],
            br#"{"id":"1001"}"#,
        ),
        plain("deliver_bare", Header { time_ms: 0, ..deliver }, &[], b""),
        plain(
            "deliver_everything",
            Header {
                flags: 0,
                topic_id: u64::MAX,
                number: NUMBER_MAX,
                time_ms: NUMBER_MAX,
                ..deliver
            },
            &[
                (Tag::Event, T("stock:changed")),
                (Tag::Key, T("sku-1")),
                (Tag::ContentType, T("application/json")),
                (Tag::ContentEncoding, T("gzip")),
                (Tag::Version, N(NUMBER_MAX)),
                (Tag::Header, Is::Header("trace", b"\x00\x01\xff")),
                (Tag::Header, Is::Header("empty", b"")),
                (Tag::Header, Is::Header("trace", b"again")),
            ],
            b"\x00\xff",
        ),
        about("gap", 42, 1, &gap(7, 1, 40, 1)),
        about("gap_of_a_lost_epoch", 42, 1, &gap(NUMBER_MAX, 1, NUMBER_MAX, 3)),
        about("gap_conflated", 42, 9, &gap(1, 9, 9, 5)),
        about("gap_damaged", 42, 9, &gap(1, 9, 12, 6)),
    ]
}

fn publishing() -> Vec<Case> {
    let publish = Header::new(Kind::Publish).number(8);
    let published = Header { topic_id: 42, ..Header::new(Kind::Published).number(41) };
    let most = Header { flags: 0x24, topic_id: u64::MAX, number: NUMBER_MAX, ..publish };
    let answer = |sequence, epoch| [(Tag::Sequence, N(sequence)), (Tag::Epoch, N(epoch))];
    vec![
        plain("publish", publish, &[(Tag::Topic, T("order.1001"))], br#"{"id":"1001"}"#),
        plain("publish_by_id", Header { topic_id: 42, flags: 3, ..publish }, &[], b"x"),
        plain(
            "publish_everything",
            most,
            &[
                (Tag::Event, T(&"e".repeat(128))),
                (Tag::Key, T(&"k".repeat(255))),
                (Tag::ContentType, T(&"c".repeat(128))),
                (Tag::ContentEncoding, T("gzip")),
                (Tag::IdempotencyKey, T(&"i".repeat(128))),
                (Tag::Producer, N(u64::MAX)),
                (Tag::Version, N(0)),
                (Tag::Header, Is::Header(&"n".repeat(255), &[0xff; 64])),
            ],
            &[0; 64],
        ),
        plain("published", Header { flags: 2, ..published }, &answer(8, 7), b""),
        plain("published_duplicate", Header { flags: 0x0a, ..published }, &answer(8, 7), b""),
        plain("published_stale", Header { flags: 0x11, ..published }, &answer(8, 7), b""),
        plain(
            "published_run",
            Header { flags: 1, ..published },
            &[(Tag::Sequence, N(108)), (Tag::Epoch, N(7)), (Tag::Count, N(41))],
            b"",
        ),
        about(
            "publish_refused",
            42,
            8,
            &PublishRefused {
                code: 110,
                retry_after_ms: 0,
                reason: "this topic gives routed".into(),
            },
        ),
    ]
}

fn asking() -> Vec<Case> {
    let request = Header::new(Kind::Request).number(6);
    let reply = Header::new(Kind::Reply).number(6);
    let serve = |pattern: &str, role| Serve { pattern: pattern.into(), role };
    vec![
        plain(
            "request",
            request,
            &[
                (Tag::Topic, T("inventory.check")),
                (Tag::ContentType, T("application/json")),
                (Tag::Deadline, N(5000)),
            ],
            br#"{"sku":"1"}"#,
        ),
        plain(
            "request_to_a_responder",
            Header { time_ms: NOON, ..request.number(900) },
            &[
                (Tag::Topic, T("inventory.check")),
                (Tag::Deadline, N(4990)),
                (Tag::User, T("user-1001")),
                (Tag::Role, T("customer")),
            ],
            br#"{"sku":"1"}"#,
        ),
        plain("reply", reply, &[(Tag::ContentType, T("application/json"))], br#"{"stock":3}"#),
        plain(
            "reply_failed",
            reply,
            &[(Tag::Code, N(942)), (Tag::Reason, T("no such article"))],
            b"",
        ),
        control("serve_requests", 2, &serve("inventory.>", 1)),
        control("serve_authorizer", 2, &serve("chat.*", 2)),
        control(
            "ask",
            31,
            &Ask {
                user: "user-1001".into(),
                role: "customer".into(),
                action: 2,
                topic: "chat.conversation.7".into(),
            },
        ),
        control("answer_yes", 31, &Answer { allow: true, ttl_ms: 60_000 }),
        control("answer_no", 31, &Answer { allow: false, ttl_ms: u32::MAX }),
        plain("withdraw", Header::new(Kind::Withdraw).number(2), &[], b""),
    ]
}

fn presence() -> Vec<Case> {
    let topic = || "presence.shop".to_owned();
    let act = |act| Presence { topic: topic(), act, after: String::new() };
    vec![
        control("presence_enter", 4, &act(1)),
        control("presence_read", 4, &act(5)),
        control("presence_read_on", 4, &Presence { after: "agent-256".into(), ..act(5) }),
        control(
            "members",
            4,
            &Members {
                topic: topic(),
                sequence: 3,
                count: 2,
                members: vec![
                    member("user-1001", "customer", 2, NOON),
                    member("agent-7", "agent", 0, NOON + 1),
                ],
            },
        ),
        control(
            "members_too_many_to_name",
            4,
            &Members { topic: topic(), sequence: NUMBER_MAX, count: u32::MAX, members: vec![] },
        ),
        control(
            "members_changed",
            0,
            &MembersChanged {
                topic: topic(),
                sequence: 4,
                count: 1,
                joined: vec![member("user-1002", "customer", 1, NOON + 2)],
                left: vec!["agent-7".into(), "user-1001".into(), "user-1000000".into()],
            },
        ),
        control(
            "members_changed_only_left",
            0,
            &MembersChanged {
                topic: "p".into(),
                sequence: 5,
                count: 0,
                joined: vec![],
                left: vec!["user-1002".into()],
            },
        ),
    ]
}

fn consuming() -> Vec<Case> {
    let consume = Consume {
        group: "chat".into(),
        pattern: "chat.conversation.*".into(),
        start: Start::Since(0),
        window: 100,
        order: 0,
        ack_wait_ms: 0,
        attempts_max: 0,
    };
    let most = Consume {
        group: "g".repeat(255),
        pattern: ">".into(),
        start: Start::Resume { joined_ms: NOON, positions: vec![position("order.1001", 7, 41)] },
        window: 10_000,
        order: 2,
        ack_wait_ms: 86_400_000,
        attempts_max: u32::MAX,
    };
    let job = Header { time_ms: NOON, topic_id: 42, ..Header::new(Kind::Job).number(41) };
    let settled = Header::new(Kind::Settled).number(9);
    let settle = |name, flags, more: &[(Tag, Is<'_>)]| {
        let header = Header { topic_id: 42, flags, ..Header::new(Kind::Settle).number(41) };
        let held = [
            (Tag::Consumer, N(5)),
            (Tag::Epoch, N(7)),
            (Tag::Sequence, N(9)),
            (Tag::Attempt, N(2)),
        ];
        let list = [attributes(&held), attributes(more)].concat();
        Case { name, frame: header.to_frame(&list, b"").expect(name) }
    };
    vec![
        control("consume", 5, &consume),
        control("consume_pulling", 5, &Consume { window: 0, order: 1, ..consume.clone() }),
        control("consume_most", 5, &most),
        plain("pull", Header::new(Kind::Pull).number(5), &[(Tag::Count, N(100))], b""),
        plain(
            "job",
            job,
            &[
                (Tag::Event, T("created")),
                (Tag::Key, T("1001")),
                (Tag::Consumer, N(5)),
                (Tag::Attempt, N(2)),
                (Tag::Epoch, N(7)),
            ],
            br#"{"id":"1001"}"#,
        ),
        settle("settle_ack", 1, &[]),
        settle("settle_ack_of_a_run", 1, &[(Tag::Count, N(41))]),
        settle("settle_ack_cumulative", 0x09, &[]),
        settle("settle_nak", 2, &[(Tag::Delay, N(5000)), (Tag::Reason, T("no stock yet"))]),
        settle("settle_release", 3, &[]),
        settle("settle_reject", 4, &[(Tag::Reason, T("no such order"))]),
        settle("settle_extend", 5, &[(Tag::Delay, N(86_400_000))]),
        plain("settled", settled, &[], b""),
        plain("settled_late", Header { flags: 0x08, ..settled }, &[], b""),
        plain("settled_run", settled, &[(Tag::Count, N(9))], b""),
        plain("leave", Header::new(Kind::Leave).number(5), &[], b""),
    ]
}
