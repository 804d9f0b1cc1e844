//! `sampan services`: the services in a process of their own.

use std::path::PathBuf;

use sampan_client::{Client, Options};
use sampan_services::Services;

use super::connection::Connection;
use super::exit::Failure;
use super::signals::Stop;
use crate::config::{Config, Flags, Sources};
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
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let Args { connect, token, config, data } = args;
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
    services.run(session, stop.signalled()).await.map_err(Failure::failed)
}
