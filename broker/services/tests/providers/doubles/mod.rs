//! Doubles of the providers that speak HTTP: real sockets, and TLS where the provider has it. They check
//! who asks and what, and say what a script wants, or else what is usual.

pub(crate) mod apple;
pub(crate) mod google;
pub(crate) mod keys;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use tokio::net::TcpListener;

/// What a double was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a text"))
    }
}

/// An answer of a script: status, headers, body.
pub(crate) type Answer = (u16, Vec<(&'static str, String)>, String);

/// A double that notes what it is asked, and answers from a script or else what is usual.
#[derive(Clone)]
pub(crate) struct Double {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    script: Arc<Mutex<VecDeque<Answer>>>,
    usual: Arc<dyn Fn(&Asked) -> Answer + Send + Sync>,
}

impl Double {
    pub(crate) async fn start(usual: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Self {
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

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Says this to the next question.
    pub(crate) fn next(&self, status: u16, headers: &[(&'static str, &str)], body: impl ToString) {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.script.lock().expect("no panic").push_back((status, headers, body.to_string()));
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
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
