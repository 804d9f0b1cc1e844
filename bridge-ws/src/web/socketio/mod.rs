//! `/socket.io/`: Engine.IO 4 over polling and WebSocket, up to the task of each connection.

mod payload;
mod peer;
mod polling;
mod query;
mod sessions;
mod socket;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use axum::{RequestExt, Router};
use sampan_protocol::Code;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use self::peer::Peer;
use self::polling::Deed;
use self::query::{Asked, Transport};
use self::sessions::Sessions;
use super::caller::{Body, address};
use super::socket::Socket;
use crate::bridge::Bridge;
use crate::counters::count;
use crate::failure::Failure;
use crate::socketio::{Message, PAYLOAD_MAX, PING_EVERY, PING_TIMEOUT};

/// What the handlers share.
#[derive(Clone)]
struct Shared {
    bridge: Arc<Bridge>,
    sessions: Sessions,
}

/// The routes.
pub(super) fn router(bridge: Arc<Bridge>) -> Router<Arc<Bridge>> {
    let shared = Shared { bridge, sessions: Sessions::default() };
    Router::new()
        .route("/socket.io/", any(serve))
        .route("/socket.io", any(serve))
        .layer(DefaultBodyLimit::max(PAYLOAD_MAX))
        .with_state(shared)
}

/// Why a request is refused, in the words of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refused {
    UnknownTransport,
    UnknownSession,
    BadHandshakeMethod,
    BadRequest,
    UnsupportedVersion,
}

/// Why a request is not served.
enum Refusal {
    /// It breaks the rules of Engine.IO.
    Refused(Refused),
    /// It breaks the rules of the bridge, or finds no room.
    Failed(Failure),
    /// It is no upgrade to a WebSocket.
    NotWebSocket(WebSocketUpgradeRejection),
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Refusal::Refused(refused)
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Refusal::Failed(failure)
    }
}

impl From<WebSocketUpgradeRejection> for Refusal {
    fn from(rejection: WebSocketUpgradeRejection) -> Self {
        Refusal::NotWebSocket(rejection)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (code, message) = match self {
            Refusal::Failed(failure) => return failure.into_response(),
            Refusal::NotWebSocket(rejection) => return rejection.into_response(),
            Refusal::Refused(Refused::UnknownTransport) => (0, "Transport unknown"),
            Refusal::Refused(Refused::UnknownSession) => (1, "Session ID unknown"),
            Refusal::Refused(Refused::BadHandshakeMethod) => (2, "Bad handshake method"),
            Refusal::Refused(Refused::BadRequest) => (3, "Bad request"),
            Refusal::Refused(Refused::UnsupportedVersion) => (5, "Unsupported protocol version"),
        };
        let body = format!("{{\"code\":{code},\"message\":\"{message}\"}}");
        let kind = [(header::CONTENT_TYPE, "application/json")];
        (StatusCode::BAD_REQUEST, kind, body).into_response()
    }
}

/// Answers a request. The origin has been checked.
async fn serve(State(shared): State<Shared>, request: Request) -> Response {
    let asked = match Asked::parse(request.method(), request.uri().query().unwrap_or_default()) {
        Ok(asked) => asked,
        Err(refused) => return Refusal::from(refused).into_response(),
    };
    let answered = match asked {
        Asked { transport: Transport::WebSocket, sid } => shared.upgrade(request, sid).await,
        Asked { transport: Transport::Polling, sid: None } => shared.open(request),
        Asked { transport: Transport::Polling, sid: Some(sid) } => {
            if request.method() == Method::POST {
                shared.post(request, &sid).await
            } else {
                shared.poll(&sid).await
            }
        }
    };
    answered.unwrap_or_else(IntoResponse::into_response)
}

impl Shared {
    /// Begins a connection by polling.
    fn open(&self, request: Request) -> Result<Response, Refusal> {
        let (peer, room) = self.peer(request)?;
        let (sid, deeds) = self.sessions.open()?;
        let open = open_packet(&sid, "[\"websocket\"]");
        let sessions = self.sessions.clone();
        tokio::spawn(async move {
            peer::counted(peer, room, |peer| async move {
                let upgraded = peer.poll(deeds).await;
                sessions.close(&sid);
                upgraded
            })
            .await;
        });
        Ok(told(open.into()))
    }

    /// Waits for what the client is to be told.
    async fn poll(&self, sid: &str) -> Result<Response, Refusal> {
        let (answer, answered) = oneshot::channel();
        self.sessions.send(sid, Deed::Poll(answer)).await?;
        let body = answered.await.map_err(|_| Refused::BadRequest)?;
        Ok(told(body))
    }

    /// Takes what the client says.
    async fn post(&self, request: Request, sid: &str) -> Result<Response, Refusal> {
        let is_binary = is_binary(request.headers());
        let Body(body) = Body::from_request(request, &()).await?;
        let messages = if is_binary { None } else { payload::decode(&body) };
        let (answer, answered) = oneshot::channel();
        let deed = Deed::Post(messages, answer);
        self.sessions.send(sid, deed).await?;
        match answered.await {
            Ok(()) => Ok(told(Bytes::from_static(b"ok"))),
            Err(_) => Err(Refused::BadRequest.into()),
        }
    }

    /// Begins a connection on a WebSocket, or goes on with one that polls.
    async fn upgrade(
        &self,
        mut request: Request,
        sid: Option<String>,
    ) -> Result<Response, Refusal> {
        let upgrade: WebSocketUpgrade = request.extract_parts().await?;
        let upgrade = Socket::limit(upgrade, PAYLOAD_MAX);
        let Some(sid) = sid else {
            let (peer, room) = self.peer(request)?;
            let sid = sessions::new_sid()?;
            let open = open_packet(&sid, "[]");
            return Ok(upgrade.on_upgrade(move |socket| {
                peer::counted(peer, room, |mut peer| async move {
                    peer.waiting.push_back(Message::Text(open.into()));
                    Some((peer, Socket::new(socket)))
                })
            }));
        };
        let deeds = self.sessions.find(&sid)?;
        Ok(upgrade.on_upgrade(move |socket| async move {
            // If the connection has ended meanwhile, the socket is closed with it.
            let _ = deeds.send(Deed::Upgrade(Box::new(Socket::new(socket)))).await;
        }))
    }

    /// A new client, and room for it.
    fn peer(&self, request: Request) -> Result<(Peer, OwnedSemaphorePermit), Refusal> {
        let (parts, _) = request.into_parts();
        let address = address(&parts)?;
        self.bridge.admit(address.ip())?;
        let Ok(room) = self.bridge.sockets.clone().try_acquire_owned() else {
            count(&self.bridge.counters.bridge_socketio_refused);
            return Err(Failure::of(Code::OVERLOADED).into());
        };
        Ok((Peer::new(self.bridge.clone(), address), room))
    }
}

fn is_binary(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/octet-stream"))
}

/// The first packet of a connection.
fn open_packet(sid: &str, upgrades: &str) -> String {
    let (every, timeout) = (PING_EVERY.as_millis(), PING_TIMEOUT.as_millis());
    format!(
        "0{{\"sid\":\"{sid}\",\"upgrades\":{upgrades},\"pingInterval\":{every},\
         \"pingTimeout\":{timeout},\"maxPayload\":{PAYLOAD_MAX}}}"
    )
}

/// An answer of Engine.IO.
fn told(body: Bytes) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/plain; charset=UTF-8"), (header::CACHE_CONTROL, "no-store")];
    (headers, body).into_response()
}
