//! Files, ratings and canned responses over HTTP.

use std::time::Instant;

use sampan::auth::Role;
use sampan_services::Moment;
use sampan_services::chat::model::{Agent, Conversation, Origin, Reason};
use sampan_services::chat::rules::lifecycle::{Event, step};
use sampan_services::chat::store::{Created, Outcome, Room, SqlStore, Step, Store};
use sampan_services::store::{Address, Database};
use serde_json::{Value, json};

use crate::harness::{Broker, PATIENCE, Reply};

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR and some more bytes";

async fn call(broker: &Broker, token: &str, method: &str, path: &str, body: &Value) -> Reply {
    let headers = format!("authorization: Bearer {token}\r\n");
    broker.call(method, path, &headers, body.to_string().as_bytes()).await
}

/// A broker whose services answer, with a conversation `c` of `cat` that `amy` has resolved.
async fn begun() -> Broker {
    let broker = Broker::start();
    let backend = broker.token("shop", Role::Service);
    let begun = Instant::now();
    while broker.get(&backend, "/v1/chat/canned").await.status != 200 {
        assert!(begun.elapsed() < PATIENCE, "the services answer");
    }
    let file = broker.data().join("services.db");
    let chats = SqlStore::new(&Database::open(&Address::sqlite(&file)).expect("a database"));
    let now = Moment::now();
    let mut chat = Conversation::new("c", "cat", Origin::default(), now);
    assert_eq!(chats.create(&chat, None, &[]).await, Ok(Created::New));
    let (id, email) = ("amy".to_owned(), "amy@example.com".to_owned());
    let amy = Agent { id: id.clone(), email, concurrent_limit: 1, ..Agent::default() };
    chats.put_agent(&amy).await.expect("told");
    for event in [Event::Claim { agent_id: id, reason: Reason::Auto }, Event::Resolve] {
        let change = step(&chat, event, now).expect("allowed");
        chat = change.conversation.clone();
        let wanted = Step { room: Room::Nothing, ..Step::new(change, now) };
        assert_eq!(chats.apply(&wanted).await, Ok(Outcome::Done(Vec::new())));
    }
    broker
}

#[tokio::test]
async fn a_file_goes_in_and_out_by_signed_links_and_is_never_run() {
    let broker = begun().await;
    let cat = broker.token("cat", Role::Customer);
    let csv = "ชื่อ,ราคา\nเรือ,1".as_bytes();
    for (name, mime_type, bytes, shown) in [
        ("เรือ.png", "image/png", PNG, "inline; filename*=utf-8''%e0%b9%80"),
        ("ราคา.csv", "text/csv", csv, "attachment; filename*=utf-8''%e0%b8%a3"),
    ] {
        let wanted = json!({ "conversation_id": "c", "file_name": name,
            "size_bytes": bytes.len(), "mime_type": mime_type });
        let begun = call(&broker, &cat, "POST", "/v1/chat/files", &wanted).await;
        assert_eq!(begun.status, 200, "{}", begun.text());
        let begun = begun.json();
        let path = begun["path"].as_str().expect("a path");
        let forged = path.replace("/v1/chat/files/", "/v1/chat/files/0");
        assert_eq!(broker.call("PUT", &forged, "", bytes).await.status, 403);
        assert_eq!(broker.call("PUT", path, "", &bytes[1..]).await.status, 400);
        let brought = broker.call("PUT", path, "", bytes).await;
        assert_eq!((brought.status, &brought.json()["mime_type"]), (201, &mime_type.into()));
        assert_eq!(broker.call("PUT", path, "", bytes).await.status, 409);
        let id = begun["id"].as_str().expect("an id");
        let link = broker.get(&cat, &format!("/v1/chat/files/{id}")).await.json();
        let fetched = broker.call("GET", link["path"].as_str().expect("a path"), "", b"").await;
        assert_eq!((fetched.status, &fetched.body[..]), (200, bytes));
        for line in [
            format!("content-type: {mime_type}\r\n"),
            format!("content-disposition: {shown}"),
            "x-content-type-options: nosniff\r\n".to_owned(),
            "content-security-policy: default-src 'none'; sandbox\r\n".to_owned(),
        ] {
            assert!(fetched.head.contains(&line), "{line} in {}", fetched.head);
        }
        let other = broker.token("dog", Role::Customer);
        assert_eq!(broker.get(&other, &format!("/v1/chat/files/{id}")).await.status, 404);
    }
}

#[tokio::test]
async fn a_message_has_its_senders_files_and_each_file_one_message() {
    let broker = begun().await;
    let cat = broker.token("cat", Role::Customer);
    let wanted = json!({ "conversation_id": "c", "file_name": "a.png",
        "size_bytes": PNG.len(), "mime_type": "image/png" });
    let begun = call(&broker, &cat, "POST", "/v1/chat/files", &wanted).await.json();
    let draft = |client_id: &str, id: &Value| {
        json!({ "conversation_id": "c", "client_message_id": client_id,
            "message_type": "image", "content": { "attachments": [id] } })
    };
    let send = async |draft: Value| call(&broker, &cat, "POST", "/v1/chat/messages", &draft).await;
    let early = send(draft("m1", &begun["id"])).await;
    assert_eq!((early.status, &early.json()["code"]), (400, &105.into()), "it has no bytes yet");
    broker.call("PUT", begun["path"].as_str().expect("a path"), "", PNG).await;
    let sent = send(draft("m1", &begun["id"])).await;
    assert_eq!(sent.status, 200, "{}", sent.text());
    let file = sent.json()["content"]["attachments"][0].clone();
    assert_eq!((&file["id"], &file["file_name"]), (&begun["id"], &"a.png".into()));
    let url = file["url"].as_str().expect("a url");
    assert_eq!(broker.call("GET", url, "", b"").await.body, PNG);
    assert_eq!(send(draft("m1", &begun["id"])).await.json(), sent.json(), "the same again");
    for (client_id, id) in [("m2", begun["id"].clone()), ("m3", "nothing".into())] {
        let refused = send(draft(client_id, &id)).await;
        assert_eq!((refused.status, &refused.json()["code"]), (400, &105.into()), "{client_id}");
    }
    // Who has written again waits; what an agent may not yet say keeps no file from being said later.
    let amy = broker.token("amy", Role::Agent);
    let begun = call(&broker, &amy, "POST", "/v1/chat/files", &wanted).await.json();
    broker.call("PUT", begun["path"].as_str().expect("a path"), "", PNG).await;
    let reply = async |id: &str| {
        call(&broker, &amy, "POST", "/v1/chat/messages", &draft(id, &begun["id"])).await
    };
    assert_eq!(reply("r1").await.status, 409, "she does not have the chat");
    let pick = json!({ "conversation_id": "c" });
    assert_eq!(call(&broker, &amy, "POST", "/v1/chat/assign", &pick).await.status, 200);
    let replied = reply("r2").await;
    assert_eq!(replied.status, 200, "{}", replied.text());
}

#[tokio::test]
async fn a_customer_rates_by_link_and_with_a_login() {
    let broker = begun().await;
    let (cat, amy) = (broker.token("cat", Role::Customer), broker.token("amy", Role::Agent));
    let about = json!({ "conversation_id": "c" });
    assert_eq!(call(&broker, &amy, "POST", "/v1/chat/rating-link", &about).await.status, 403);
    let boss = broker.token("boss", Role::Admin);
    let link = call(&broker, &boss, "POST", "/v1/chat/rating-link", &about).await.json();
    let path = link["path"].as_str().expect("a path");
    let bad = broker.call("POST", path, "", b"{\"rating\":6}").await;
    assert_eq!((bad.status, &bad.json()["code"]), (400, &105.into()));
    let rated = broker.call("POST", path, "", "{\"rating\":4,\"comment\":\"ดี\"}".as_bytes()).await;
    assert_eq!((rated.status, &rated.json()["comment"]), (200, &"ดี".into()));
    let again = json!({ "conversation_id": "c", "rating": 1 });
    assert_eq!(call(&broker, &cat, "POST", "/v1/chat/rate", &again).await.status, 409);
    assert_eq!(call(&broker, &cat, "PUT", "/v1/chat/rate", &again).await.json()["rating"], 1);
    let list = broker.get(&amy, "/v1/chat/ratings?agent_id=amy").await.json();
    assert_eq!((&list["ratings"][0]["rating"], &list["satisfaction"]), (&1.into(), &Value::Null));
    assert_eq!(call(&broker, &cat, "POST", "/v1/chat/rating-link", &about).await.status, 403);
}

#[tokio::test]
async fn agents_keep_canned_responses_over_http() {
    let broker = begun().await;
    let amy = broker.token("amy", Role::Agent);
    let kept = json!({ "scope": "personal", "shortcut": "hi", "text": "สวัสดี {{name}}" });
    let kept = call(&broker, &amy, "PUT", "/v1/chat/canned", &kept).await.json();
    let wanted = json!({ "shortcut": "hi", "variables": { "name": "แมว" } });
    let filled = call(&broker, &amy, "POST", "/v1/chat/canned/use", &wanted).await.json();
    assert_eq!(filled["text"], "สวัสดี แมว");
    let list = broker.get(&amy, "/v1/chat/canned?limit=5").await.json();
    assert_eq!(list["responses"], json!([kept]));
    let gone = json!({ "id": kept["id"] });
    let gone = call(&broker, &amy, "POST", "/v1/chat/canned/delete", &gone).await.json();
    assert_eq!(gone["deleted"], true);
    let cat = broker.token("cat", Role::Customer);
    assert_eq!(broker.get(&cat, "/v1/chat/canned").await.status, 403);
}
