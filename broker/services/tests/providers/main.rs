//! Senders against doubles of the providers: real sockets, and TLS where the provider has it. Each
//! double checks signatures and ciphertext, and fails in the ways that the provider documents.
//!
//! Nothing here has reached a provider: what passes was accepted by the double on this machine.

mod apns;
mod fcm;
mod keys;
mod sms;
mod smtp;
mod webpush;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use sampan_services::Moment;
use sampan_services::notifications::model::{Kind, Priority};
use sampan_services::notifications::send::{Content, Endpoint, Outgoing, Sender, Settings};
use sampan_services::store::{Address, Database, migrate};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// What a double was asked.
#[derive(Clone, Debug)]
struct Asked {
    path: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a text"))
    }
}

/// An answer of a script: status, headers, body.
type Answer = (u16, Vec<(&'static str, String)>, String);

/// A double that notes what it is asked, and answers from a script or else what is usual.
#[derive(Clone)]
struct Double {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    script: Arc<Mutex<VecDeque<Answer>>>,
    usual: Arc<dyn Fn(&Asked) -> Answer + Send + Sync>,
}

impl Double {
    async fn start(usual: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let double = Double {
            address: listener.local_addr().expect("bound"),
            asked: Arc::default(),
            script: Arc::default(),
            usual: Arc::new(usual),
        };
        let router = Router::new().fallback(answer).with_state(double.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        double
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Says this to the next question.
    fn next(&self, status: u16, headers: &[(&'static str, &str)], body: impl ToString) {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.script.lock().expect("no panic").push_back((status, headers, body.to_string()));
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }

    fn last(&self) -> Asked {
        self.asked().pop().expect("a question")
    }
}

async fn answer(
    State(double): State<Double>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<String> {
    assert_eq!(method, Method::POST);
    let asked = Asked { path: uri.to_string(), headers, body };
    let scripted = double.script.lock().expect("no panic").pop_front();
    let (status, headers, body) = scripted.unwrap_or_else(|| (double.usual)(&asked));
    double.asked.lock().expect("no panic").push(asked);
    let answer = Response::builder().status(StatusCode::from_u16(status).expect("a status"));
    let answer =
        headers.into_iter().fold(answer, |answer, (name, value)| answer.header(name, value));
    answer.body(body).expect("an answer")
}

/// A database for a test.
struct Place {
    database: Database,
    folder: TempDir,
}

impl Place {
    async fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let address = Address::sqlite(&folder.path().join("services.db"));
        let database = Database::open(&address).expect("a valid address");
        migrate(&database, sampan_services::SCHEMAS).await.expect("migrated");
        Place { database, folder }
    }

    fn open(&self, settings: &Settings) -> Arc<dyn Sender> {
        settings.open(&self.database).expect("valid")
    }

    /// A file with this text.
    fn file(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("written");
        path
    }
}

const NOW: Moment = Moment::from_ms(1_795_400_909_000);

fn outgoing(endpoint: Endpoint) -> Outgoing {
    Outgoing {
        delivery_id: "0199c3a2-7d51-7000-8000-0123456789ab".to_owned(),
        endpoint,
        content: Content {
            kind: Kind::OrderStatusUpdate,
            title: "คำสั่งซื้อ o1".to_owned(),
            body: "คำสั่งซื้อ o1: จัดส่งแล้ว 🛶".to_owned(),
            action_url: Some("https://shop.example/o1".to_owned()),
            icon_url: None,
            sound: Some("ping".to_owned()),
            badge: Some(3),
            data: json!({ "order_id": "o1" }),
            locale: "th".to_owned(),
        },
        priority: Priority::High,
        expires_at: NOW.after(Duration::from_secs(600)),
        collapse: Some("0123456789abcdef0123456789abcdef".to_owned()),
    }
}
