//! The course of chats: figures, promises, and news for those who are not there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sampan::auth::Role;
use sampan_client::{Client, Code, Start};
use sampan_services::Moment;
use sampan_services::store::Address;
use sampan_tests::servers::Postgres;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::asking::{ask, ask_in_time, code};
use crate::chat::{agent, open, send};
use crate::harness::{Broker, PATIENCE, pattern};
use crate::notifications::{Phones, event, register};
use crate::services::{Process, WITHOUT};

fn today() -> String {
    Moment::now().to_string().chars().take(10).collect()
}

/// Asks until an answer is as wanted.
async fn becomes(
    client: &Client,
    name: &str,
    question: &Value,
    is: impl Fn(&Value) -> bool,
) -> Value {
    let begun = Instant::now();
    loop {
        let answer = ask_in_time(client, name, question).await;
        if let Ok(answer) = &answer
            && is(answer)
        {
            return answer.clone();
        }
        assert!(begun.elapsed() < PATIENCE, "{name}: {answer:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

/// What is heard of chats is counted once, also by those who begin anew and hear it again.
async fn chats_are_counted_and_promises_are_kept_or_missed(address: &Address) {
    let broker = Broker::configured(WITHOUT);
    let phones = Arc::new(Phones::default());
    let start = || {
        let options = broker.options("services", Role::Service);
        Process::with_sender(address, phones.clone(), options)
    };
    let services = start();
    let boss = broker.client("boss", Role::Admin).await;
    let promise = json!({ "id": "default", "first_response_s": 1, "resolution_s": 3_600 });
    ask_in_time(&boss, "chat.sla_put", &promise).await.expect("promised");
    let mut board =
        boss.subscribe(pattern("admin.dashboard"), Start::Now).await.expect("subscribed");
    let ann = broker.client("ann", Role::Customer).await;
    register(&ann, "t1").await;
    let amy = agent(&broker, "amy", 5).await;
    let id = open(&ann, "c1").await;
    let of = json!({ "conversation_id": id });
    send(&ann, &id, "m1", "Where is my order?").await.expect("sent");
    let missed = event(&mut board, "sla:missed").await;
    assert_eq!(
        (&missed["conversationId"], &missed["target"]),
        (&json!(id), &json!("first_response"))
    );
    let promised =
        becomes(&boss, "chat.sla_get", &of, |it| it["applied"]["state"] == "active_with_misses");
    assert_eq!(promised.await["policy_id"], "default");
    becomes(&boss, "chat.get", &of, |chat| chat["agent_id"] == "amy").await;
    let seen = send(&amy, &id, "r1", "It is on its way.").await.expect("sent");
    ask(&ann, "chat.message_delivered", &json!({ "message_id": seen["id"] })).await.expect("told");
    // The next one reaches no page.
    send(&amy, &id, "r2", "มาถึงพรุ่งนี้ค่ะ").await.expect("sent");
    drop(services);
    let _services = start();
    let wanted = json!({ "from": today(), "to": today() });
    let figures =
        becomes(&boss, "chat.figures", &wanted, |shown| shown["total"]["reply"]["count"] == 1)
            .await;
    let total = &figures["total"];
    assert_eq!((&total["conversations"], &total["customer_messages"]), (&1.into(), &1.into()));
    assert_eq!(total["first_response"]["count"], 1);
    assert!(total["first_response_s"].as_f64().expect("a mean") >= 1.0);
    let by_agent = figures["days"].as_array().expect("days");
    assert!(by_agent.iter().any(|row| row["agent_id"] == "amy" && row["reply"]["count"] == 1));
    ask_in_time(&amy, "chat.resolve", &of).await.expect("resolved");
    let rate = json!({ "conversation_id": id, "rating": 5 });
    ask_in_time(&ann, "chat.rate", &rate).await.expect("rated");
    let figures =
        becomes(&boss, "chat.figures", &wanted, |shown| shown["total"]["resolution"]["count"] == 1)
            .await;
    assert_eq!(
        (&figures["total"]["satisfaction"], &figures["total"]["engagement"]),
        (&5.0.into(), &1.0.into())
    );
    let agents = ask_in_time(&boss, "chat.agents", &json!({})).await.expect("read");
    assert!(agents["agents"][0]["response_time_avg"].as_f64().is_some_and(|mean| mean > 0.0));
    let own = ask_in_time(&amy, "chat.figures", &wanted).await.expect("her own");
    assert_eq!(own["total"]["conversations"], 0, "those are of no agent");
    let begun = Instant::now();
    while phones.got("t1").is_empty() {
        assert!(begun.elapsed() < PATIENCE, "a push in time");
        sleep(Duration::from_millis(50)).await;
    }
    let got = phones.got("t1");
    let bodies: Vec<&str> = got.iter().map(|one| one.content.body.as_str()).collect();
    assert_eq!(bodies, ["มาถึงพรุ่งนี้ค่ะ"], "a page has shown the other");
    let other = json!({ "from": today(), "to": today(), "agent_id": "bob" });
    assert_eq!(code(ask_in_time(&amy, "chat.figures", &other).await), Some(Code::NOT_GRANTED));
    for (name, question) in [
        ("chat.figures", &wanted),
        ("chat.sla_policies", &json!({})),
        ("chat.sla_get", &of),
        ("chat.sla_put", &promise),
    ] {
        assert_eq!(
            code(ask_in_time(&ann, name, question).await),
            Some(Code::NOT_GRANTED),
            "{name}"
        );
    }
    for bad in [
        json!({ "from": "yesterday", "to": today() }),
        json!({ "from": today(), "to": "2020-01-01" }),
        json!({ "from": "2020-01-01", "to": today() }),
    ] {
        assert_eq!(
            code(ask_in_time(&boss, "chat.figures", &bad).await),
            Some(Code::BAD_FIELD),
            "{bad}"
        );
    }
    let none = json!({ "conversation_id": id, "policy_id": "none" });
    assert_eq!(code(ask_in_time(&boss, "chat.sla_apply", &none).await), Some(Code(904)));
    let search = json!({ "text": "order WHERE" });
    let found = ask_in_time(&ann, "chat.search", &search).await.expect("searched");
    assert_eq!(found["messages"].as_array().map(Vec::len), Some(1));
    let thai = json!({ "text": "พรุ่งนี้", "conversation_id": id });
    assert_eq!(
        ask_in_time(&amy, "chat.search", &thai).await.expect("searched")["messages"][0]["content"]
            ["text"],
        "มาถึงพรุ่งนี้ค่ะ"
    );
    let dog = broker.client("dog", Role::Customer).await;
    assert_eq!(
        ask_in_time(&dog, "chat.search", &search).await.expect("searched")["messages"],
        json!([])
    );
    assert_eq!(code(ask_in_time(&dog, "chat.search", &thai).await), Some(Code(904)));
    assert_eq!(
        code(ask_in_time(&dog, "chat.search", &json!({ "text": "?!" })).await),
        Some(Code::BAD_FIELD)
    );
}

#[tokio::test]
async fn chats_are_counted_and_promises_are_kept_or_missed_on_sqlite() {
    let folder = TempDir::new().expect("a folder");
    let address = Address::sqlite(&folder.path().join("services.db"));
    chats_are_counted_and_promises_are_kept_or_missed(&address).await;
}

#[tokio::test]
async fn chats_are_counted_and_promises_are_kept_or_missed_on_postgresql() {
    let server = Postgres::start();
    chats_are_counted_and_promises_are_kept_or_missed(&Address::new(&server.database())).await;
}
