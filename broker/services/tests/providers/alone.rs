//! The doubles of Google and Apple alone, for clients that we did not write.
//!
//! The first line out is JSON that says where they are and with which keys they are asked. Each line
//! in is JSON that says what one of them does next, and is answered by a line; they end with the input.

mod doubles;

use std::io::Write;
use std::sync::atomic::Ordering;

use doubles::apple::{Apple, KEY_ID, TEAM_ID};
use doubles::google::{FCM_ERROR, google, refusal, violated};
use doubles::keys::Pair;
use doubles::{Asked, Double};
use serde::Deserialize;
use serde_json::{Value, json};

/// What one of them is to do.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Order {
    /// Apple says this to the next push.
    Apns { status: u16, said: Value },
    /// Apple ends its connections.
    Goodbye,
    /// Google refuses the next message, by a code of FCM's own.
    Fcm { status: u16, name: String, code: String },
    /// Google refuses a field of the next message.
    FcmField { field: String },
    /// Both say what they were asked.
    Tell,
}

#[tokio::main]
async fn main() {
    let (elliptic, rsa) = (Pair::elliptic(), Pair::rsa());
    let apple = Apple::start(elliptic.public).await;
    let google = Double::start(move |asked: &Asked| google(&rsa.public, asked)).await;
    let account = json!({
        "type": "service_account", "project_id": "shop-1", "private_key": rsa.pem,
        "client_email": "push@shop-1.iam.gserviceaccount.com",
    });
    let apns = json!({
        "port": apple.address.port(), "ca": apple.root,
        "key": elliptic.pem, "keyId": KEY_ID, "teamId": TEAM_ID,
    });
    say(&json!({ "apns": apns, "fcm": { "url": google.url(), "account": account } }));
    let done = tokio::task::spawn_blocking(move || {
        for order in std::io::stdin().lines().map_while(Result::ok) {
            say(&obey(&apple, &google, &order));
        }
    });
    done.await.expect("no panic");
}

fn say(what: &Value) {
    println!("{what}");
    std::io::stdout().flush().expect("somebody reads it");
}

fn obey(apple: &Apple, google: &Double, order: &str) -> Value {
    match serde_json::from_str(order).expect("an order") {
        Order::Apns { status, said } => apple.next(status, said),
        Order::Goodbye => apple.goodbye.send_modify(|rounds| *rounds += 1),
        Order::Fcm { status, name, code } => {
            let details = json!([{ "@type": FCM_ERROR, "errorCode": code }]);
            let (status, _, body) = refusal(status, &name, &details);
            google.next(status, &[], body);
        }
        Order::FcmField { field } => {
            let (status, _, body) = refusal(400, "INVALID_ARGUMENT", &violated(&field));
            google.next(status, &[], body);
        }
        Order::Tell => {
            return json!({
                "apns": apple.asked().iter().map(told).collect::<Vec<_>>(),
                "apns_connections": apple.connections.load(Ordering::Relaxed),
                "fcm": google.asked().iter().map(told).collect::<Vec<_>>(),
            });
        }
    }
    Value::Bool(true)
}

fn told(asked: &Asked) -> Value {
    let headers: serde_json::Map<String, Value> = asked
        .headers
        .keys()
        .map(|name| (name.to_string(), json!(asked.header(name.as_str()))))
        .collect();
    let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    json!({ "path": asked.path, "headers": headers, "body": body })
}
