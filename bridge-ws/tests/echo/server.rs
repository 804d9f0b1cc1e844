//! Says back what it hears, on the bridge's own sockets.

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::get;
use sampan_bridge_ws::{Heard, Socket};

/// The server; messages may have so many bytes.
pub(crate) fn router(message_bytes_max: usize) -> Router {
    let upgrade = move |upgrade: WebSocketUpgrade| async move {
        Socket::limit(upgrade, message_bytes_max).on_upgrade(echo)
    };
    Router::new().route("/", get(upgrade))
}

async fn echo(socket: WebSocket) {
    let mut socket = Socket::new(socket);
    loop {
        let answer = match socket.hear().await {
            Heard::Text(text) => Message::Text(text),
            Heard::Binary(bytes) => Message::Binary(bytes),
            Heard::Alive => continue,
            Heard::Broken(status, reason) => {
                // Who breaks the rules may be gone already.
                let _ = socket.close(status, &reason).await;
                return;
            }
            Heard::Gone => return socket.part().await,
        };
        if socket.write([answer]).await.is_err() {
            return;
        }
    }
}
