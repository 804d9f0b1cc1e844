//! The TCP listener: bounded in connections, headers, bodies and time.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, DefaultBodyLimit};
use axum::http::StatusCode;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

/// Bounds of the listener.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time, WebSockets aside; more wait in the system's queue. Default 512.
    pub connections: usize,
    /// How long a request's head may take, and how long a connection may be idle. Default 10 s.
    pub header_timeout: Duration,
    /// Bytes of a request's head. Default 16 KiB.
    pub header_bytes: usize,
    /// Lines of a request's head. Default 64.
    pub headers: usize,
    /// Bytes of a request's body, where a route does not say otherwise. Default 64 KiB.
    pub body_bytes: usize,
    /// How long one connection may last. Default 1 h.
    pub connection_timeout: Duration,
    /// How long open connections have to finish at the end. Default 2 s.
    pub shutdown_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 512,
            header_timeout: Duration::from_secs(10),
            header_bytes: 16 * 1024,
            headers: 64,
            body_bytes: 64 * 1024,
            connection_timeout: Duration::from_secs(3600),
            shutdown_timeout: Duration::from_secs(2),
        }
    }
}

/// How many requests a listener has refused for their size or their pace.
#[derive(Debug, Default)]
pub struct Refusals {
    heads_too_large: AtomicU64,
    heads_late: AtomicU64,
    bodies_too_large: AtomicU64,
    bodies_late: AtomicU64,
}

impl Refusals {
    /// Every count: its name in metrics, what it counts, how many there are.
    #[must_use]
    pub fn all(&self) -> [(&'static str, &'static str, u64); 4] {
        let of = |counter: &AtomicU64| counter.load(Relaxed);
        [
            (
                "http_heads_too_large",
                "HTTP requests answered with 431, head too large",
                of(&self.heads_too_large),
            ),
            (
                "http_heads_late",
                "HTTP connections that sent no whole head in time",
                of(&self.heads_late),
            ),
            (
                "http_bodies_too_large",
                "HTTP requests answered with 413, content too large",
                of(&self.bodies_too_large),
            ),
            (
                "http_bodies_late",
                "HTTP requests answered with 408, body not in time",
                of(&self.bodies_late),
            ),
        ]
    }

    fn answered(&self, status: StatusCode) {
        match status {
            StatusCode::PAYLOAD_TOO_LARGE => _ = self.bodies_too_large.fetch_add(1, Relaxed),
            StatusCode::REQUEST_TIMEOUT => _ = self.bodies_late.fetch_add(1, Relaxed),
            _ => {}
        }
    }

    fn failed(&self, error: &hyper::Error) {
        if error.is_parse_too_large() {
            self.heads_too_large.fetch_add(1, Relaxed);
        } else if error.is_timeout() {
            self.heads_late.fetch_add(1, Relaxed);
        }
    }
}

/// Serves HTTP/1.1 on the listener until `shutdown`, then lets requests under way finish.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    refusals: Arc<Refusals>,
    shutdown: impl Future<Output = ()>,
) {
    let router = router.layer(DefaultBodyLimit::max(limits.body_bytes));
    let room = Arc::new(Semaphore::new(limits.connections));
    let (stop, stopping) = watch::channel(());
    let accepting = async {
        loop {
            let Ok(permit) = room.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok(accepted) => {
                    let (router, refusals) = (router.clone(), refusals.clone());
                    let connection =
                        connection(accepted, router, limits, refusals, stopping.clone());
                    tokio::spawn(hold(permit, limits.connection_timeout, connection));
                }
                Err(error) => {
                    // Out of file descriptors, mostly: it passes, and a loop would not help.
                    warn!(%error, "HTTP connection not accepted");
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown => {}
    }
    stop.send_replace(());
    drop(stopping);
    if timeout(limits.shutdown_timeout, stop.closed()).await.is_err() {
        debug!("HTTP connections were still open at the end");
    }
}

async fn connection(
    (stream, peer): (TcpStream, SocketAddr),
    router: Router,
    limits: Limits,
    refusals: Arc<Refusals>,
    mut stopping: watch::Receiver<()>,
) {
    // Answers are small and must not wait for more of them.
    let _ = stream.set_nodelay(true);
    let counted = refusals.clone();
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        let (answer, counted) =
            (TowerToHyperService::new(router.clone()).call(request), counted.clone());
        async move {
            let answer = answer.await;
            answer.iter().for_each(|answer| counted.answered(answer.status()));
            answer
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(limits.headers)
        .max_buf_size(limits.header_bytes)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut served = pin!(served);
    let served = tokio::select! {
        served = served.as_mut() => served,
        _ = stopping.changed() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = served {
        refusals.failed(&error);
        debug!(%error, "HTTP connection ended");
    }
}

async fn hold(_: OwnedSemaphorePermit, limit: Duration, connection: impl Future<Output = ()>) {
    if timeout(limit, connection).await.is_err() {
        debug!("HTTP connection open for too long");
    }
}
