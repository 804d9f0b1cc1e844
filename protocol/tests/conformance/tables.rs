//! The tables of the specification against the constants of the code.

use sampan_protocol::attribute::{Attributes, Tag};
use sampan_protocol::control::{Action, GapReason, GroupOrder, PresenceAct, Settlement};
use sampan_protocol::session::{client, server};
use sampan_protocol::{AckLevel, Class, Code, Kind, limits};

use crate::fields::{body_name, kind_name};
use crate::markdown::{Table, table, tables};
use crate::vectors::spec;

#[test]
fn codes_md_lists_every_code_with_its_name_meaning_and_reaction() {
    let text = spec("codes.md");
    let listed = table(&text, "Codes").rows;
    assert_eq!(listed.len(), Code::ALL.len());
    for (row, (code, name, meaning)) in listed.iter().zip(Code::ALL) {
        assert_eq!(row[0], code.0.to_string());
        assert_eq!(row[1], *name);
        assert_eq!(row[4], *meaning);
    }
    let reactions = table(&text, "The hundred tells the reaction").rows;
    for row in &reactions {
        let hundred: u16 = row[0].trim_end_matches("xx").parse().expect("hundred");
        assert_eq!(row[1], format!("{:?}", Code(hundred * 100 + 99).reaction()));
    }
    assert!(Code::ALL.iter().all(|(code, _, _)| {
        reactions.iter().any(|row| row[0] == format!("{}xx", code.0 / 100))
    }));
}

#[test]
fn wire_md_lists_every_kind_with_its_number_and_body() {
    let rows = table(&spec("wire.md"), "Kinds").rows;
    assert_eq!(rows.len(), Kind::ALL.len());
    for (row, kind) in rows.iter().zip(Kind::ALL) {
        assert_eq!((&row[0], &row[1]), (&(*kind as u8).to_string(), &kind_name(*kind)));
        let body = body_name(*kind).unwrap_or_else(|| match kind.body_bytes_max(7) {
            0 => "none",
            7 => "payload",
            limits::PAGE_BYTES_MAX => "frames",
            other => panic!("{kind:?} may have {other} bytes"),
        });
        assert_eq!(row[5], body, "{kind:?}");
        let control = kind.body_bytes_max(7) == limits::CONTROL_BYTES_MAX;
        assert_eq!(control, body_name(*kind).is_some(), "{kind:?}");
    }
}

/// Bytes of an attribute with this tag and value.
fn attribute(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("short").to_le_bytes();
    [&[tag, length[0], length[1]], value].concat()
}

#[test]
fn wire_md_lists_every_attribute_with_its_type_and_limit() {
    let rows = table(&spec("wire.md"), "Attributes").rows;
    assert_eq!(rows.len(), Tag::Delay as usize);
    for (row, tag) in rows.iter().zip(1u8..) {
        assert_eq!(row[0], tag.to_string());
        let accepted = |value: &[u8]| Attributes::parse(&attribute(tag, value)).is_ok();
        let number = |n: u64| accepted(&n.to_le_bytes());
        let limit = |unit: &str| -> usize {
            row[3].strip_suffix(unit).and_then(|n| n.parse().ok()).expect("a limit")
        };
        match row[2].as_str() {
            "text" => {
                let max = limit(" bytes");
                assert!(accepted(&vec![b'a'; max]) && !accepted(&vec![b'a'; max + 1]), "{row:?}");
                assert!(!accepted(b"a\x07"), "{row:?}");
            }
            "number" => {
                assert!(row[3].starts_with("2^53 - 1"), "{row:?}");
                assert!(number(limits::NUMBER_MAX) && !number(limits::NUMBER_MAX + 1), "{row:?}");
            }
            "u64" => assert!(number(u64::MAX) && !accepted(&[0; 7]), "{row:?}"),
            "header" => {
                let many = |n| Attributes::parse(&attribute(tag, b"\x01n").repeat(n)).is_ok();
                let max = limit(" per frame");
                assert!(many(max) && !many(max + 1), "{row:?}");
            }
            other => panic!("type {other}"),
        }
    }
    assert!(Attributes::parse(&attribute(rows.len() as u8 + 1, b"x")).is_ok(), "unknown: skipped");
}

#[test]
fn wire_md_lists_every_limit_with_its_value() {
    let rows = table(&spec("wire.md"), "Limits").rows;
    let source = include_str!("../../src/limits.rs");
    let names: Vec<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub const ")?.split(':').next())
        .collect();
    assert_eq!(rows.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), names);
    macro_rules! values {
        ($($name:ident)*) => { [$((stringify!($name), limits::$name as u64)),*] };
    }
    let values = values! {
        HEADER_BYTES ATTRIBUTES_BYTES_MAX PAYLOAD_BYTES_MAX CONTROL_BYTES_MAX PAGE_BYTES_MAX
        TOPIC_BYTES_MAX TOPIC_TOKENS_MAX TOKEN_BYTES_MAX USER_BYTES_MAX CLIENT_BYTES_MAX
        EVENT_BYTES_MAX KEY_BYTES_MAX CONTENT_TYPE_BYTES_MAX IDEMPOTENCY_KEY_BYTES_MAX
        REASON_BYTES_MAX POSITIONS_MAX MEMBERS_MAX SUBSCRIPTIONS_MAX LAST_MAX WINDOW_MAX
        DELAY_MS_MAX NUMBER_MAX LANES DATAGRAM_BYTES_MAX
    };
    assert_eq!(rows.len(), values.len());
    for (row, (name, value)) in rows.iter().zip(values) {
        assert_eq!((row[0].as_str(), row[1].replace(',', "")), (name, value.to_string()));
    }
}

#[test]
fn wire_md_lists_every_small_enumeration() {
    let text = spec("wire.md");
    let range = |heading: &str, field: &str| -> String {
        let matching = |t: &Table| t.heading.split(" (").next() == Some(heading);
        let table = tables(&text).into_iter().find(matching).expect("layout");
        table.rows.into_iter().find(|row| row[1] == field).expect("field")[3].clone()
    };
    let list = |numbered: Vec<(u8, &str)>| {
        let entries: Vec<String> = numbered.iter().map(|(n, name)| format!("{n} {name}")).collect();
        entries.join(", ")
    };
    let classes = [Class::Ephemeral, Class::Latest, Class::Durable];
    let classes = list(classes.iter().map(|c| (c.number(), c.name())).collect());
    assert_eq!(range("TopicName", "class"), classes);
    let reasons = list(GapReason::ALL.iter().map(|r| (r.number(), r.name())).collect());
    assert_eq!(range("Gap", "reason"), reasons);
    let actions = list(Action::ALL.iter().map(|a| (a.number(), a.name())).collect());
    assert_eq!(range("Ask", "action"), actions);
    let acts = list(PresenceAct::ALL.iter().map(|a| (a.number(), a.name())).collect());
    assert_eq!(range("Presence", "act"), acts);
    let orders = list(GroupOrder::ALL.iter().map(|o| (o.number(), o.name())).collect());
    assert_eq!(range("Consume", "order"), format!("0 what it is, {orders}"));
    let settlements = list(Settlement::ALL.iter().map(|s| (s.number(), s.name())).collect());
    assert!(table(&text, "Flags").rows[4][3].contains(&settlements), "{settlements}");
    let levels = list(AckLevel::ALL.iter().map(|l| (l.number(), l.name())).collect());
    assert!(table(&text, "Flags").rows[0][3].contains(&levels), "{levels}");
}

#[test]
fn session_md_lists_the_times_and_bounds_of_both_ends() {
    let ms = |time: std::time::Duration| time.as_millis();
    let values = [
        ("GREETING_TIMEOUT", ms(server::GREETING_TIMEOUT)),
        ("EXPIRY_WARNING", ms(server::EXPIRY_WARNING)),
        ("CONNECT_TIMEOUT", ms(client::CONNECT_TIMEOUT)),
        ("STABLE_AFTER", ms(client::STABLE_AFTER)),
        ("BACKOFF_MIN", ms(client::BACKOFF_MIN)),
        ("BACKOFF_MAX", ms(client::BACKOFF_MAX)),
        ("STANDING_MAX", client::STANDING_MAX as u128),
        ("OPEN_MAX", client::OPEN_MAX as u128),
        ("SETTLEMENTS_MAX", client::SETTLEMENTS_MAX as u128),
        ("TOPICS_MAX", client::TOPICS_MAX as u128),
    ];
    let rows = table(&spec("session.md"), "Times and bounds").rows;
    assert_eq!(rows.len(), values.len());
    for (row, (name, value)) in rows.iter().zip(values) {
        assert_eq!((row[0].as_str(), row[1].replace(',', "")), (name, value.to_string()));
    }
}

#[test]
fn delivery_md_lists_every_level_and_every_reason_for_a_gap() {
    let text = spec("delivery.md");
    let gaps = table(&text, "Gaps").rows;
    assert_eq!(gaps.len(), GapReason::ALL.len());
    for (row, reason) in gaps.iter().zip(GapReason::ALL) {
        assert_eq!((row[0].as_str(), row[2] == "yes"), (reason.name(), reason.is_loss()));
    }
    let acks = tables(&text).into_iter().find(|t| t.heading == "Acks").expect("a table").rows;
    let levels: Vec<&str> = AckLevel::ALL.iter().map(|level| level.name()).collect();
    assert_eq!(acks.iter().map(|row| row[0].as_str()).collect::<Vec<_>>(), levels);
}
