//! Publish, request, history, presence and revocation over plain HTTP.

use sampan::auth::Role;
use sampan_client::{Pattern, Start};
use serde_json::json;

use crate::harness::Broker;

#[tokio::test]
async fn a_message_is_published_and_found_in_the_history() {
    let broker = Broker::start();
    let token = broker.token("till", Role::Service);
    let message = json!({
        "topic": "order.42", "event": "order:updated", "payload": {"status": "packed"},
        "idempotency_key": "k1",
    });
    let first = broker.post(&token, "/v1/publish", &message).await;
    assert_eq!(first.status, 200, "{}", first.text());
    let first = first.json();
    assert_eq!((&first["topic"], &first["offset"]), (&"order.42".into(), &1.into()));
    assert_eq!(first["duplicate"], false);
    let again = broker.post(&token, "/v1/publish", &message).await.json();
    assert_eq!((&again["offset"], &again["duplicate"]), (&1.into(), &true.into()));
    let page = broker.get(&token, "/v1/topics/order.42/history").await.json();
    assert_eq!(page["messages"].as_array().map(Vec::len), Some(1));
    let message = &page["messages"][0];
    assert_eq!(message["payload"], json!({"status": "packed"}));
    assert_eq!((&message["event"], &message["epoch"]), (&"order:updated".into(), &first["epoch"]));
    let topics = broker.get(&token, "/v1/topics").await.json();
    assert_eq!(topics["topics"][0]["topic"], "order.42");
}

#[tokio::test]
async fn each_message_of_a_batch_succeeds_or_fails_for_itself() {
    let broker = Broker::start();
    let token = broker.token("till", Role::Service);
    let messages: Vec<_> = (0..200).map(|n| json!({"topic": "order.1", "payload": n})).collect();
    let mut messages = json!({ "messages": messages });
    messages["messages"][7] = json!({"topic": "order..1", "payload": 7});
    let reply = broker.post(&token, "/v1/publish/batch", &messages).await;
    let results = reply.json()["results"].as_array().cloned().expect("a list");
    assert_eq!((reply.status, results.len()), (200, 200));
    assert_eq!((&results[7]["code"], &results[7]["status"]), (&103.into(), &400.into()));
    let offsets: Vec<_> = results.iter().filter_map(|r| r["offset"].as_u64()).collect();
    assert_eq!(offsets, (1..200).collect::<Vec<_>>());
    let page = broker.get(&token, "/v1/topics/order.1/history?from=150&limit=3").await.json();
    assert_eq!(page["messages"][0]["offset"], 150);
    assert_eq!(page["messages"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn payloads_come_back_in_the_form_of_their_content_type() {
    let broker = Broker::start();
    let token = broker.token("till", Role::Service);
    for (publish, expected) in [
        (json!({"payload": [1, {"a": null}]}), json!({"payload": [1, {"a": null}]})),
        (json!({"payload": "a\nb", "content_type": "text/plain"}), json!({"payload": "a\nb"})),
        (json!({"payload_base64": "//8="}), json!({"payload_base64": "//8="})),
        (
            json!({"payload_base64": "eyI=", "content_type": "application/json"}),
            json!({"payload_base64": "eyI="}),
        ),
    ] {
        let mut message = publish.clone();
        message["topic"] = "order.1".into();
        let reply = broker.post(&token, "/v1/publish", &message).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let page = broker.get(&token, "/v1/topics/order.1/history?last=1").await.json();
        for name in ["payload", "payload_base64"] {
            assert_eq!(page["messages"][0][name], expected[name], "{publish}");
        }
    }
}

#[tokio::test]
async fn a_request_carries_bytes_both_ways_and_its_failures() {
    let broker = Broker::start();
    let token = broker.token("till", Role::Service);
    let status = broker.post(&token, "/v1/request/sys.status", &json!({})).await;
    assert_eq!(status.status, 200);
    assert!(status.json()["uptime_s"].is_u64());
    assert!(status.head.contains("x-content-type-options: nosniff"));
    let nobody = broker.post(&token, "/v1/request/shop.nobody", &json!({})).await;
    assert_eq!((nobody.status, &nobody.json()["name"]), (503, &"NO_RESPONDER".into()));
}

#[tokio::test]
async fn presence_is_read_over_http() {
    let broker = Broker::start();
    let agent = broker.token("amy", Role::Agent);
    let mut socket = broker.live(&agent).await;
    socket
        .say(&json!({"id": 1, "presence": {"topic": "chat.conversation.7", "act": "enter"}}))
        .await;
    assert!(socket.hear_of("done").await["id"] == 1);
    let present = broker.get(&agent, "/v1/topics/chat.conversation.7/presence").await.json();
    assert_eq!((&present["count"], &present["members"][0]["user"]), (&1.into(), &"amy".into()));
    let path = "/v1/topics/chat.conversation.7/presence?after=amy";
    let behind = broker.get(&agent, path).await.json();
    assert_eq!((&behind["count"], &behind["members"]), (&1.into(), &json!([])));
}

#[tokio::test]
async fn every_refusal_is_a_problem_document_with_its_code() {
    let broker = Broker::start();
    let customer = broker.token("ann", Role::Customer);
    let service = broker.token("till", Role::Service);
    let message = json!({"topic": "order.1", "payload": 1});
    let (publish, seek) = ("/v1/publish", "/v1/groups/seek");
    let huge = json!({"topic": "order.1", "payload": "x".repeat(2 << 20)});
    let deep = format!(r#"{{"topic":"a","payload":{}1{}}}"#, "[".repeat(40), "]".repeat(40));
    for (reply, status, code) in [
        (broker.call("POST", publish, "", b"{}").await, 401, 601),
        (broker.post("x.y.z", publish, &message).await, 401, 601),
        (broker.post(&"x".repeat(9000), publish, &message).await, 413, 102),
        (broker.post(&customer, publish, &message).await, 403, 200),
        (broker.get(&customer, "/v1/topics").await, 403, 200),
        (broker.post(&service, publish, &json!({"topic": "a b", "payload": 1})).await, 400, 103),
        (broker.post(&service, publish, &json!({"topic": "a"})).await, 400, 105),
        (broker.post(&service, publish, &json!({"topic": "a", "payloda": 1})).await, 400, 100),
        (
            broker
                .post(&service, publish, &json!({"topic": "a", "payload": 1, "ack": "none"}))
                .await,
            400,
            105,
        ),
        (
            broker
                .post(&service, publish, &json!({"topic": "a", "payload": 1, "ack": "replicated"}))
                .await,
            409,
            110,
        ),
        (broker.post(&service, publish, &huge).await, 413, 102),
        (broker.call("POST", publish, &bearer(&service), deep.as_bytes()).await, 400, 100),
        (broker.call("POST", publish, &bearer(&service), b"\xff").await, 400, 100),
        (broker.call("POST", seek, &bearer(&service), deep.as_bytes()).await, 400, 100),
        (broker.call("POST", seek, &bearer(&service), b"\xff").await, 400, 100),
        (broker.get(&service, "/v1/topics/order.never/history").await, 404, 106),
        (broker.get(&service, "/v1/topics/order.1/history?limit=x").await, 400, 105),
        (broker.get(&service, "/v1/topics/order.1/history?limit=1001").await, 400, 105),
        (broker.get(&service, "/v1/topics/order.1/history?from=1&last=2").await, 400, 105),
        (broker.get(&service, "/v1/groups?group=none").await, 404, 113),
        (broker.get(&service, "/v1/groups?gruop=none").await, 400, 105),
        (broker.get(&service, "/v1/dead-letters").await, 400, 105),
        (broker.get(&service, "/v1/dead-letters/letter?group=none&id=x").await, 400, 105),
        (broker.get(&customer, "/v1/groups").await, 403, 200),
        (broker.post(&service, "/v1/revoke", &json!({})).await, 400, 105),
    ] {
        assert_eq!(reply.status, status, "{reply:?}");
        assert!(reply.head.contains("content-type: application/problem+json"), "{reply:?}");
        assert_eq!(reply.json()["code"], code, "{reply:?}");
    }
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}\r\n")
}

#[tokio::test]
async fn a_revoked_user_is_refused_and_cut_off() {
    let broker = Broker::start();
    let customer = broker.token("ann", Role::Customer);
    let mut socket = broker.live(&customer).await;
    let admin = broker.token("root", Role::Admin);
    let reply = broker.post(&admin, "/v1/revoke", &json!({"user": "ann"})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(socket.hear_of("close").await["close"]["name"], "REVOKED");
    assert_eq!(socket.closed().await, 4602);
    let refused = broker.get(&customer, "/v1/topics/user.ann/history").await;
    assert_eq!((refused.status, &refused.json()["code"]), (401, &602.into()));
}

#[tokio::test]
async fn the_document_describes_every_route_that_answers() {
    let broker = Broker::start();
    let document = broker.call("GET", "/v1/openapi.json", "", b"").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let paths = document["paths"].as_object().expect("paths");
    assert!(paths.len() >= 7, "{paths:?}");
    for (path, methods) in paths {
        for method in methods.as_object().expect("methods").keys() {
            let path = path.replace("{topic}", "order.1");
            let reply = broker.call(&method.to_uppercase(), &path, "", b"").await;
            assert_eq!(reply.status, 401, "{method} {path}: there, and not without a token");
        }
    }
    let text = document.to_string();
    let named =
        text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next());
    for name in named {
        assert!(document["components"]["schemas"][name].is_object(), "{name} is described");
    }
}

#[tokio::test]
async fn pages_of_listed_origins_may_call_and_others_may_not() {
    let broker = Broker::start();
    let origin = |origin: &str| format!("origin: {origin}\r\n");
    let ours = origin("http://localhost:3000");
    let preflight = broker.call("OPTIONS", "/v1/publish", &ours, b"").await;
    assert_eq!(preflight.status, 204);
    assert!(preflight.head.contains("access-control-allow-origin: http://localhost:3000"));
    assert!(preflight.head.contains("access-control-allow-headers: authorization"));
    let refused = broker.call("POST", "/v1/publish", &ours, b"").await;
    assert!(refused.status == 401 && refused.head.contains("access-control-allow-origin"));
    for theirs in ["http://localhost:3001", "null", "https://localhost:3000"] {
        let reply = broker.call("OPTIONS", "/v1/publish", &origin(theirs), b"").await;
        assert_eq!(reply.status, 403);
        assert!(!reply.head.contains("access-control"), "{reply:?}");
    }
    assert_eq!(broker.metric("sampan_bridge_origins_refused_total").await, 3);
}

#[tokio::test]
async fn groups_and_dead_letters_are_looked_after_over_http() {
    let broker = Broker::start();
    let token = broker.token("till", Role::Service);
    for payload in ["good", "bad", "worse"] {
        let message = json!({"topic": "order.1", "payload": payload});
        assert_eq!(broker.post(&token, "/v1/publish", &message).await.status, 200);
    }
    let client = broker.client(&token).await;
    let orders = Pattern::parse("order.*").expect("valid");
    let mut consumer =
        client.consume("packers", orders).start(Start::Last(3)).await.expect("takes part");
    for _ in 0..3 {
        let job = consumer.next().await.expect("a job");
        let is_good = job.payload_bytes() == b"\"good\"";
        let settled = if is_good { job.ack() } else { job.reject("no stock") };
        settled.await.expect("stored");
    }
    let groups = broker.get(&token, "/v1/groups?group=packers").await.json();
    let group = &groups["groups"][0];
    assert_eq!((&group["dead"], &group["topics"][0]["done"]), (&2.into(), &3.into()));
    let letters = broker.get(&token, "/v1/dead-letters?group=packers&max=1").await.json();
    assert_eq!(
        (&letters["more"], &letters["letters"][0]["reason"]),
        (&true.into(), &"no stock".into())
    );
    let id = letters["letters"][0]["id"].as_u64().expect("an id");
    let of = |path: &str| format!("/v1/dead-letters/{path}?group=packers&id={id}");
    assert_eq!(broker.get(&token, &of("letter")).await.json()["topic"], "order.1");
    let payload = broker.get(&token, &of("payload")).await;
    assert_eq!((payload.status, payload.text().as_str()), (200, "\"bad\""));
    let one = json!({"group": "packers", "letters": {"ids": [id]}});
    let retried = broker.post(&token, "/v1/dead-letters/retry", &one).await;
    assert_eq!(retried.json(), json!({"count": 1}));
    let again = consumer.next().await.expect("it comes again");
    assert_eq!(again.payload_bytes(), b"\"bad\"");
    again.ack().await.expect("stored");
    let all = json!({"group": "packers", "letters": "all"});
    let discarded = broker.post(&token, "/v1/dead-letters/discard", &all).await;
    assert_eq!(discarded.json(), json!({"count": 1}));
    let seek = json!({"group": "packers", "topic": "order.1", "to": {"offset": 3}});
    assert_eq!(broker.post(&token, "/v1/groups/seek", &seek).await.status, 200);
    assert_eq!(consumer.next().await.expect("once more").payload_bytes(), b"\"worse\"");
    let ended = broker.post(&token, "/v1/groups/delete", &json!({"group": "packers"})).await;
    assert_eq!(ended.status, 200, "{}", ended.text());
    let gone = broker.get(&token, "/v1/groups?group=packers").await;
    assert_eq!((gone.status, &gone.json()["code"]), (404, &113.into()));
}
