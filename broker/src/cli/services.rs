//! `sampan services`: the services in a process of their own.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use sampan_client::{Client, Options};
use sampan_services::Services;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::connection::Connection;
use super::exit::Failure;
use super::signals::Stop;
use crate::config::{Config, Flags, Sources};
use crate::http::{self, Latencies, Limits, Metrics, Reading, Refusals};
use crate::scaling::Watch;
use crate::serve;

/// Run chat, orders, inventory and notifications in a process of their own
///
/// The broker they connect to is set up with `[services] enabled = false`. Several such processes
/// share the work if they share a PostgreSQL database.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The broker
    #[arg(
        long,
        env = "SAMPAN_URL",
        value_name = "quic://HOST:PORT",
        default_value = "quic://127.0.0.1:3001"
    )]
    connect: String,
    /// Token of role service; without one, it is made with the data directory's secret
    #[arg(long, env = "SAMPAN_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Settings file, for what it says of services
    #[arg(long, env = "SAMPAN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory, for the SQLite database, and for a broker on this machine its secret and
    /// certificate
    #[arg(long, env = "SAMPAN_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address of an HTTP listener for files and rating links, `/healthz`, `/readyz` and `/metrics`;
    /// a proxy adds TLS and sends `/v1/chat/files/`, `/v1/chat/ratings/` and `/v1/webhooks/` there
    #[arg(long, env = "SAMPAN_SERVICES_HTTP", value_name = "IP:PORT")]
    http: Option<SocketAddr>,
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let Args { connect, token, config, data, http } = args;
    let flags = Flags { data: data.clone(), ..Flags::default() };
    let config = Config::load(&Sources::of_process(config, flags))?;
    serve::log(&config.log);
    let services = Services::open(&config.services.settings()?).map_err(Failure::failed)?;
    let (token, trust) = Connection::new(connect.clone(), token, data).access()?;
    let session = move || {
        let client = concat!("sampan-services/", env!("CARGO_PKG_VERSION")).to_owned();
        let (token, trust) = (token.clone(), trust.clone());
        Client::connect(Options { trust, client, ..Options::new(&connect, token) })
    };
    let mut stop = Stop::listen()?;
    let (stop_http, http_stopped) = oneshot::channel::<()>();
    let http_side = match http {
        Some(address) => {
            let listener = TcpListener::bind(address).await?;
            tracing::info!(http = %listener.local_addr()?, "services serve HTTP");
            let refusals = Arc::new(Refusals::default());
            let (routes, limits) = (routes(&services, &refusals), Limits::default());
            Some(tokio::spawn(http::serve(listener, routes, limits, refusals, async {
                // Dropping the other end means the same.
                let _ = http_stopped.await;
            })))
        }
        None => None,
    };
    let ended = services.run(session, stop.signalled()).await.map_err(Failure::failed);
    drop(stop_http);
    if let Some(side) = http_side {
        // It has its own time limit, and nothing is lost with it.
        let _ = side.await;
    }
    ended
}

/// Routes for operators, and the services' own.
fn routes(services: &Services, refusals: &Arc<Refusals>) -> sampan_services::http::Routes {
    let (checked, counted) = (services.clone(), services.clone());
    let (refusals, scaling) = (refusals.clone(), Watch::default());
    let watched = scaling.clone();
    let metrics = Metrics::new(&Latencies::default(), move || Reading {
        beside: counted.counters().all().into_iter().chain(refusals.all()).collect(),
        services_up: Some(u64::from(counted.check().is_ok())),
        scaling: watched.standing(),
        ..Reading::default()
    });
    let ready = move || checked.check().map(|()| "ready".to_owned());
    // For as long as the process lives. Nobody connects to it.
    tokio::spawn(scaling.clone().run(|| 0));
    http::router(ready, Arc::new(metrics), scaling).merge(services.routes())
}
