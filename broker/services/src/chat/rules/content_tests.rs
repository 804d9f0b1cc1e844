//! What a message may and may not say.

use super::*;
use crate::chat::model::{Content, DraftContent, Receipt, SystemLine};
use crate::moment::Moment;

fn draft(change: impl FnOnce(&mut Draft)) -> Draft {
    let mut draft = Draft {
        conversation_id: "c1".to_owned(),
        client_message_id: "m1".to_owned(),
        content: DraftContent { text: Some("hello".to_owned()), ..DraftContent::default() },
        ..Draft::default()
    };
    change(&mut draft);
    draft
}

fn with(metadata: Metadata) -> impl FnOnce(&mut Draft) {
    move |draft| {
        draft.message_type = Kind::QuickReply;
        draft.content.metadata = Some(metadata);
    }
}

fn reply(id: &str, title: &str) -> QuickReply {
    QuickReply { id: id.to_owned(), title: title.to_owned(), payload: title.to_owned() }
}

fn sent(draft: &Draft) -> Message {
    Message {
        id: "1".to_owned(),
        conversation_id: draft.conversation_id.clone(),
        seq: 1,
        client_message_id: draft.client_message_id.clone(),
        sender_id: "u1".to_owned(),
        sender_type: Sender::Agent,
        content: Content {
            text: draft.content.text.clone(),
            attachments: Vec::new(),
            metadata: draft.content.metadata.clone(),
        },
        message_type: draft.message_type,
        status: Receipt::Sent,
        created_at: Moment::from_ms(1),
        updated_at: Moment::from_ms(1),
        epoch: 1,
        reply_to: draft.reply_to.clone(),
        private: draft.private,
        edited_at: None,
        deleted_at: None,
    }
}

#[test]
fn only_the_shop_itself_sends_system_messages() {
    let told = Metadata { system: Some(SystemLine::Resolved), ..Metadata::default() };
    for sender in [Sender::Customer, Sender::Agent] {
        let plain = draft(|draft| draft.message_type = Kind::System);
        assert!(matches!(check(plain, sender), Err(Refusal::NotAllowed(_))));
        let dressed = draft(|draft| draft.content.metadata = Some(told.clone()));
        assert!(matches!(check(dressed, sender), Err(Refusal::NotAllowed(_))));
    }
    let own = draft(|draft| {
        draft.message_type = Kind::System;
        draft.content = DraftContent { metadata: Some(told), ..DraftContent::default() };
    });
    assert!(check(own, Sender::System).is_ok());
}

#[test]
fn a_customer_writes_no_private_note() {
    let note = draft(|draft| draft.private = true);
    assert!(matches!(check(note.clone(), Sender::Customer), Err(Refusal::NotAllowed(_))));
    assert!(check(note.clone(), Sender::Agent).is_ok());
    assert!(!is_visible(&sent(&note), Sender::Customer));
    assert!(is_visible(&sent(&note), Sender::Agent));
}

#[test]
fn each_field_is_held_to_its_bounds() {
    let many = |n: usize| (0..n).map(|i| i.to_string()).collect::<Vec<_>>();
    let cases: [(&str, Draft); 11] = [
        ("content.text", draft(|draft| draft.content.text = None)),
        ("content.text", draft(|draft| draft.content.text = Some(" \n".to_owned()))),
        ("content.text", draft(|draft| draft.content.text = Some("x".repeat(10_001)))),
        ("client_message_id", draft(|draft| draft.client_message_id.clear())),
        ("client_message_id", draft(|draft| draft.client_message_id = "x".repeat(129))),
        ("conversation_id", draft(|draft| draft.conversation_id = "a\0".to_owned())),
        ("content.attachments", draft(|draft| draft.content.attachments = many(16))),
        (
            "content.attachments",
            draft(|draft| draft.content.attachments = vec!["a".to_owned(), "a".to_owned()]),
        ),
        ("content.attachments", draft(|draft| draft.message_type = Kind::Image)),
        ("content.metadata", draft(|draft| draft.message_type = Kind::QuickReply)),
        (
            "content.metadata",
            draft(|draft| {
                let mut other = sampan_client::chat::Extra::default();
                other.put("a", &"x".repeat(5_000)).unwrap();
                draft.content.metadata = Some(Metadata { other, ..Metadata::default() });
            }),
        ),
    ];
    for (field, draft) in cases {
        let refusal = check(draft, Sender::Agent).expect_err(field);
        assert!(
            matches!(refusal, Refusal::Field { field: named, .. } if named == field),
            "{refusal}"
        );
    }
    let full = draft(|draft| {
        draft.content.attachments = many(15);
        draft.message_type = Kind::File;
        draft.content.text = None;
    });
    assert!(check(full, Sender::Customer).is_ok());
}

#[test]
fn a_question_is_answered_once_with_one_of_its_answers() {
    let offer = Metadata {
        quick_replies: vec![reply("y", "ใช่"), reply("n", "ไม่")],
        ..Metadata::default()
    };
    let asked = check(draft(with(offer.clone())), Sender::Agent).unwrap();
    let asked = sent(&asked);
    let answer = |id: &str| {
        let metadata = Metadata { quick_reply_id: Some(id.to_owned()), ..Metadata::default() };
        let mut answer = draft(with(metadata));
        answer.reply_to = Some("1".to_owned());
        check(answer, Sender::Customer).unwrap()
    };
    assert_eq!(choose(&answer("n"), &asked, false).unwrap().payload, "ไม่");
    assert!(matches!(choose(&answer("n"), &asked, true), Err(Refusal::Conflict(_))));
    assert!(matches!(choose(&answer("x"), &asked, false), Err(Refusal::Field { .. })));
    assert!(matches!(check(draft(with(offer)), Sender::Customer), Err(Refusal::NotAllowed(_))));
    let twice =
        Metadata { quick_replies: vec![reply("y", "a"), reply("y", "b")], ..Metadata::default() };
    assert!(check(draft(with(twice)), Sender::Agent).is_err());
}

#[test]
fn the_same_key_is_the_same_message_only_with_the_same_words() {
    let first = check(draft(|_| ()), Sender::Customer).unwrap();
    let stored = sent(&first);
    assert!(is_same(&first, &stored, &stored.content));
    let altered = draft(|draft| draft.content.text = Some("other".to_owned()));
    assert!(!is_same(&altered, &stored, &stored.content));
    let replying = draft(|draft| draft.reply_to = Some("9".to_owned()));
    assert!(!is_same(&replying, &stored, &stored.content));
}

#[test]
fn fields_that_only_the_shop_knows_are_passed_over() {
    let json = r#"{"id":"evil","conversation_id":"c","client_message_id":"m","seq":9,
        "sender_id":"someone else","sender_type":"system","status":"read",
        "content":{"text":"hi"},"created_at":"2020-01-01T00:00:00.000Z"}"#;
    let draft: Draft = serde_json::from_str(json).unwrap();
    assert_eq!(draft.content.text.as_deref(), Some("hi"));
    assert_eq!(draft.message_type, Kind::Text);
}

#[test]
fn a_message_has_the_names_of_the_requirements() {
    let json = serde_json::to_value(sent(&draft(|_| ()))).unwrap();
    for name in [
        "id",
        "conversation_id",
        "sender_id",
        "sender_type",
        "content",
        "message_type",
        "status",
        "created_at",
        "updated_at",
    ] {
        assert!(json.get(name).is_some(), "{name}");
    }
    assert_eq!(json["sender_type"], "agent");
    assert_eq!(json["message_type"], "text");
    assert_eq!(json["status"], "sent");
    assert_eq!(serde_json::to_value(Kind::QuickReply).unwrap(), "quick_reply");
}
