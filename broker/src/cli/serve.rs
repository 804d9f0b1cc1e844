//! `sampan serve`: the broker.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::exit::Failure;
use crate::config::{Config, Flags, Sources};
use crate::serve;

/// Run the broker; without settings it serves this machine on port 3001
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Settings file; `sampan config` lists every setting
    #[arg(long, env = "SAMPAN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Directory for keys, development certificate and secret, and revocations
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// UDP address for QUIC; port 0 takes any free one
    #[arg(long, value_name = "ADDR")]
    quic: Option<SocketAddr>,
    /// TCP address for /healthz, /readyz and /metrics
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let flags = Flags { quic: args.quic, http: args.http, data: args.data.clone() };
    let config = Config::load(&Sources::of_process(args.config.clone(), flags))?;
    serve::run(config).map_err(Failure::failed)
}
