//! The shell: HTTP routes, and what reaches the broker through them.

mod call;
mod caller;
mod forward;
mod history;
mod openapi;
mod origin;
mod presence;
mod problem;
mod proxy;
mod publish;
mod request;
mod route;
mod socket;
mod socketio;
mod sse;
mod websocket;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use sampan_protocol::limits::PAYLOAD_BYTES_MAX;
use tokio::sync::Semaphore;

use self::route::Route;
pub use self::socket::{Heard, Socket, Unwritten};
use crate::bridge::{Bridge, Settings};
use crate::counters::Counters;
use crate::json::Cache;
use crate::socketio::Shared;
use crate::tickets::Tickets;

/// Bytes of a request's body: the largest payload as base64, and what stands around it.
const BODY_BYTES_MAX: usize = PAYLOAD_BYTES_MAX / 3 * 4 + 64 * 1024;

/// The bridge, ready to be served.
#[derive(Debug)]
pub struct Web {
    /// The routes. Requests must carry the peer's address as `ConnectInfo<SocketAddr>`.
    pub router: Router,
    /// What the bridge counts.
    pub counters: Arc<Counters>,
}

/// Puts the bridge together.
#[must_use]
pub fn web(settings: Settings) -> Web {
    let counters = Arc::new(Counters::default());
    let bridge = Arc::new(Bridge {
        broker: settings.broker,
        origins: settings.origins,
        cache: Cache::default(),
        socketio: Arc::new(Shared::new(settings.recovery_key)),
        tickets: Tickets::default(),
        throttle: Arc::default(),
        sockets: Arc::new(Semaphore::new(settings.sockets_max.min(Semaphore::MAX_PERMITS))),
        counters: counters.clone(),
    });
    let mut routes = routes();
    routes.extend(settings.forwards.iter().map(forward::route));
    let document = openapi::document(&routes);
    let mut router = Router::new();
    for Route { path, handler, .. } in routes {
        router = router.route(path, handler);
    }
    let router = router
        .route("/v1/ws", get(websocket::upgrade))
        .route("/v1/openapi.json", openapi::handler(document))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .merge(socketio::router(bridge.clone()))
        .layer(from_fn_with_state(bridge.clone(), origin::cors))
        .with_state(bridge);
    let router = if settings.behind_proxy { router.layer(from_fn(proxy::peer)) } else { router };
    Web { router, counters }
}

/// The bridge's own routes.
fn routes() -> Vec<Route> {
    vec![
        publish::one(),
        publish::batch(),
        request::route(),
        history::route(),
        presence::route(),
        sse::stream(),
        sse::ticket(),
    ]
}
