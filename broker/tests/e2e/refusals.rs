//! What chat refuses, by name, and that nothing has changed after it.

use sampan::auth::Role;
use sampan_client::{Client, Code};
use serde_json::{Value, json};

use crate::asking::{ask, ask_in_time, code, topic};
use crate::chat::{agent, open, send};
use crate::harness::{Broker, PATIENCE};
use crate::houses::{House, on_each_store};

use Role::{Admin, Agent, Customer, Service};

on_each_store! {
    what_makes_no_sense_in_a_chat_is_refused_and_changes_nothing: refuse;
}

const ALL: &[Role] = &[Customer, Agent, Admin, Service];
const SERVING: &[Role] = &[Agent, Admin];
const STAFF: &[Role] = &[Agent, Admin, Service];
const OPERATORS: &[Role] = &[Admin, Service];

/// Every request of chat, and who may ask it.
const REQUESTS: [(&str, &[Role]); 34] = [
    ("chat.open", ALL),
    ("chat.send_message", ALL),
    ("chat.edit_message", ALL),
    ("chat.delete_message", ALL),
    ("chat.message_delivered", ALL),
    ("chat.message_read", ALL),
    ("chat.user_typing", ALL),
    ("chat.join_conversation", ALL),
    ("chat.leave_conversation", ALL),
    ("chat.get", ALL),
    ("chat.history", ALL),
    ("chat.search", ALL),
    ("chat.list", ALL),
    ("chat.assign", SERVING),
    ("chat.requeue", SERVING),
    ("chat.resolve", STAFF),
    ("chat.archive", STAFF),
    ("chat.snooze", STAFF),
    ("chat.agent_transfer", SERVING),
    ("chat.transfer_answer", SERVING),
    ("chat.agent_available", STAFF),
    ("chat.agent_put", OPERATORS),
    ("chat.agents", STAFF),
    ("chat.figures", STAFF),
    ("chat.sla_put", OPERATORS),
    ("chat.sla_policies", STAFF),
    ("chat.sla_apply", STAFF),
    ("chat.sla_get", STAFF),
    ("chat.file_begin", ALL),
    ("chat.file_link", ALL),
    ("chat.rate", &[Customer]),
    ("chat.rating_edit", &[Customer]),
    ("chat.rating_ask", OPERATORS),
    ("chat.ratings", ALL),
];

#[tokio::test]
async fn every_request_of_chat_is_refused_to_every_role_that_may_not_ask_it() {
    let broker = Broker::start();
    let boss = broker.client("boss", Admin).await;
    ask_in_time(&boss, "chat.agents", &json!({})).await.expect("the services are there");
    for role in ALL {
        let client = broker.client(&format!("a {role}"), *role).await;
        for (name, may) in REQUESTS {
            let refused = code(ask(&client, name, &json!({ "nonsense": true })).await);
            let is_refused = refused == Some(Code::NOT_GRANTED);
            assert_eq!(is_refused, !may.contains(role), "{role} asks {name}: {refused:?}");
        }
    }
}

/// All that may be seen of a conversation and of the agents.
async fn state(boss: &Client, id: &str) -> Value {
    let of = json!({ "conversation_id": id });
    let mut state = Vec::new();
    for (name, question) in [
        ("chat.get", &of),
        ("chat.history", &of),
        ("chat.ratings", &of),
        ("chat.agents", &json!({})),
    ] {
        state.push(ask(boss, name, question).await.expect("read"));
    }
    // It is noted again and again that agents are there.
    let agents = state.last_mut().and_then(|all| all["agents"].as_array_mut()).expect("a list");
    agents.iter_mut().for_each(|one| {
        one["last_seen_at"] = Value::Null;
        one["offline_since"] = Value::Null;
    });
    json!(state)
}

async fn refuse(house: House) {
    let broker = house.broker("");
    // Only a SQL database has texts that it cannot keep.
    let no_text = if house.name() == "MongoDB" { Code(904) } else { Code::BAD_FIELD };
    let boss = broker.client("boss", Admin).await;
    let ann = broker.client("ann", Customer).await;
    let amy = agent(&broker, "amy", 2).await;
    let id = open(&ann, "c1").await;
    let of = json!({ "conversation_id": id });
    while ask(&boss, "chat.get", &of).await.expect("there")["agent_id"] != "amy" {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let message = send(&ann, &id, "m1", "hello").await.expect("sent");
    send(&amy, &id, "r1", "hello").await.expect("sent");
    let gone = agent(&broker, "kim", 1).await;
    ask(&gone, "chat.agent_available", &json!({ "status": "offline" })).await.expect("told");
    let full = agent(&broker, "max", 0).await;
    drop((gone, full));
    let draft = |text: &str, key: &str| json!({ "conversation_id": id, "client_message_id": key, "content": { "text": text } });
    let over = |to: &str| json!({ "conversationId": id, "fromAgent": "amy", "toAgent": to });
    let unknown = json!({ "conversation_id": "nobody's" });
    let of_message = json!({ "message_id": "nobody's" });
    let edit = json!({ "message_id": "nobody's", "text": "x" });
    let pages = json!({ "conversation_id": id, "before": 3, "after": 1 });
    let cases = [
        (&ann, "chat.send_message", draft("other words", "m1"), Code(910)),
        (&ann, "chat.send_message", draft(&"x".repeat(1_000_000), "m2"), Code::BAD_FIELD),
        (&ann, "chat.send_message", draft("", "m2"), Code::BAD_FIELD),
        (&ann, "chat.send_message", draft("\u{200b}\u{7}", "m2"), Code::BAD_FIELD),
        (&ann, "chat.send_message", draft("x", &"k".repeat(300)), Code::BAD_FIELD),
        (&ann, "chat.edit_message", edit, Code(904)),
        (&ann, "chat.get", json!({ "conversation_id": "a\0b" }), no_text),
        (&ann, "chat.message_read", json!({ "message_id": "a\0b" }), no_text),
        (
            &ann,
            "chat.open",
            json!({ "client_conversation_id": "c2", "metadata": { "user_agent": "a\0b" } }),
            Code::BAD_FIELD,
        ),
        (
            &amy,
            "chat.agent_transfer",
            json!({ "conversation_id": id, "to_skill": "" }),
            Code::BAD_FIELD,
        ),
        (
            &amy,
            "chat.agent_transfer",
            json!({ "conversation_id": id, "to_agent": "kim", "asks": true }),
            Code::BAD_FIELD,
        ),
        (
            &amy,
            "chat.agent_transfer",
            json!({ "conversation_id": id, "to_agent": "kim", "force": true }),
            Code::NOT_GRANTED,
        ),
        (&ann, "chat.delete_message", of_message.clone(), Code(904)),
        (
            &amy,
            "chat.edit_message",
            json!({ "message_id": message["id"], "text": "x" }),
            Code::NOT_GRANTED,
        ),
        (&amy, "chat.delete_message", json!({ "message_id": message["id"] }), Code::NOT_GRANTED),
        (&ann, "chat.message_read", of_message, Code(904)),
        (&ann, "chat.history", pages, Code::BAD_FIELD),
        (&amy, "chat.agent_transfer", over("kim"), Code(909)),
        (&amy, "chat.agent_transfer", over("max"), Code(912)),
        (&amy, "chat.agent_transfer", over("amy"), Code::BAD_FIELD),
        (&amy, "chat.agent_transfer", over("nobody"), Code(904)),
        (&amy, "chat.transfer_answer", json!({ "conversation_id": id, "accept": true }), Code(909)),
        (
            &amy,
            "chat.snooze",
            json!({ "conversation_id": id, "until": "2001-01-01T00:00:00Z" }),
            Code::BAD_FIELD,
        ),
        (
            &amy,
            "chat.agent_available",
            json!({ "agentId": "amy", "status": "asleep" }),
            Code::BAD_FIELD,
        ),
        (
            &amy,
            "chat.agent_available",
            json!({ "agentId": "kim", "status": "online" }),
            Code::NOT_GRANTED,
        ),
        (&amy, "chat.assign", of.clone(), Code(909)),
        (&ann, "chat.rate", json!({ "conversation_id": id, "rating": 5 }), Code(909)),
        (&ann, "chat.search", json!({ "text": "hello", "conversation_id": "nobody's" }), Code(904)),
        (&ann, "chat.join_conversation", unknown.clone(), Code(904)),
        (&ann, "chat.leave_conversation", unknown.clone(), Code(904)),
        (
            &ann,
            "chat.send_message",
            json!({ "conversation_id": "nobody's", "client_message_id": "m", "content": { "text": "x" } }),
            Code(904),
        ),
        (&amy, "chat.resolve", unknown.clone(), Code(904)),
        (&amy, "chat.requeue", unknown.clone(), Code(904)),
        (
            &boss,
            "chat.agent_put",
            json!({ "id": "ก".repeat(60), "name": "x", "email": "x", "concurrent_limit": 1 }),
            Code::BAD_FIELD,
        ),
        (
            &boss,
            "chat.agent_put",
            json!({ "id": "eve", "name": "eve", "email": "amy@example.com", "concurrent_limit": 1 }),
            Code(909),
        ),
        (
            &boss,
            "chat.agent_put",
            json!({ "id": "eve", "name": "eve", "email": "eve@example.com", "concurrent_limit": 101 }),
            Code::BAD_FIELD,
        ),
    ];
    let before = state(&boss, &id).await;
    for (client, name, question, expected) in cases {
        let shown = question.to_string();
        let shown = shown.get(..200).unwrap_or(&shown);
        assert_eq!(code(ask(client, name, &question).await), Some(expected), "{name} {shown}");
    }
    let mut broken = draft("here", "m3").to_string().into_bytes();
    let at = broken.windows(4).position(|part| part == b"here").expect("there");
    broken[at] = 0xff;
    let refused = ann.request(topic("chat.send_message"), broken, PATIENCE).await;
    assert_eq!(refused.expect_err("no UTF-8").code(), Some(Code::BAD_FIELD));
    assert_eq!(state(&boss, &id).await, before, "nothing has changed");
    ask(&amy, "chat.resolve", &of).await.expect("resolved");
    let rate = |rating: u8| json!({ "conversation_id": id, "rating": rating });
    assert_eq!(code(ask(&ann, "chat.rate", &rate(6)).await), Some(Code::BAD_FIELD));
    let rated = ask(&ann, "chat.rate", &rate(5)).await.expect("rated");
    assert_eq!(ask(&ann, "chat.rate", &rate(5)).await.expect("the same"), rated);
    assert_eq!(code(ask(&ann, "chat.rate", &rate(1)).await), Some(Code(909)), "rated twice");
    let ratings = ask(&boss, "chat.ratings", &of).await.expect("read");
    assert_eq!(ratings["ratings"], json!([rated]));
}
