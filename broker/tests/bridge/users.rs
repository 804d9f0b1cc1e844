//! Users over HTTP.

use sampan::auth::Role;
use serde_json::{Value, json};

use crate::harness::{Broker, PATIENCE, Reply};

async fn put(broker: &Broker, token: &str, path: &str, body: &Value) -> Reply {
    let headers = format!("authorization: Bearer {token}\r\n");
    broker.call("PUT", path, &headers, body.to_string().as_bytes()).await
}

#[tokio::test]
async fn a_backend_puts_and_gets_users_and_nobody_else_does() {
    let broker = Broker::start();
    let backend = broker.token("shop", Role::Service);
    let told = json!({ "role": "customer", "name": "สมชาย", "vip": true });
    let path = "/v1/users/a%2Fb%3E";
    let begun = std::time::Instant::now();
    let stored = loop {
        let reply = put(&broker, &backend, path, &told).await;
        // The services begin a moment after the broker.
        if reply.status == 200 || begun.elapsed() > PATIENCE {
            break reply;
        }
    };
    assert_eq!(stored.status, 200, "{}", stored.text());
    assert_eq!(stored.json()["id"], "a/b>");
    assert_eq!(stored.json()["name"], "สมชาย");
    assert_eq!(broker.get(&backend, path).await.json(), stored.json());
    assert_eq!(broker.get(&backend, "/v1/users/nobody").await.status, 404);
    let twice = json!({ "id": "other", "role": "customer" });
    let refused = [
        (put(&broker, &backend, path, &twice).await, 400, 105),
        (put(&broker, &backend, path, &json!({ "role": "king" })).await, 400, 105),
        (put(&broker, &backend, path, &json!([1])).await, 400, 100),
        (broker.get(&backend, "/v1/users/u1?id=u2").await, 400, 105),
        (put(&broker, &broker.token("u1", Role::Customer), path, &told).await, 403, 200),
        (broker.get(&broker.token("amy", Role::Agent), path).await, 403, 200),
        (broker.get("", path).await, 401, 601),
    ];
    for (reply, status, code) in refused {
        assert_eq!((reply.status, &reply.json()["code"]), (status, &code.into()));
    }
}

#[tokio::test]
async fn the_document_of_a_put_leaves_out_what_the_path_has() {
    let broker = Broker::start();
    let document = broker.get("", "/v1/openapi.json").await.json();
    let put = &document["paths"]["/v1/users/{id}"]["put"];
    let body = &put["requestBody"]["content"]["application/json"]["schema"];
    assert!(body["properties"]["vip"].is_object(), "{body}");
    assert!(body["properties"]["id"].is_null() && body["required"] == json!(["role"]), "{body}");
    assert_eq!(
        (&put["parameters"][0]["name"], &put["parameters"][0]["in"]),
        (&"id".into(), &"path".into())
    );
}
