//! `sampan bench`: loads a broker with real clients and reports what it did.

use std::io::Write;
use std::path::{Path, PathBuf};

use sampan_bench::{Access, Error, Plan, Target, Work};

use super::connection::Connection;
use super::exit::Failure;
use super::output::Output;

/// Load a broker and report latency, rates, CPU and memory
///
/// Without --url it starts a broker of its own, whose CPU and memory it reads, and ends it after.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to measure
    #[arg(value_enum)]
    work: Named,
    /// Broker to load instead of one of its own
    #[arg(long, env = "SAMPAN_URL", value_name = "quic://HOST:PORT")]
    url: Option<String>,
    /// Access token for --url
    #[arg(long, env = "SAMPAN_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Data directory of the broker at --url, for its secret and certificate
    #[arg(long, env = "SAMPAN_DATA", value_name = "DIR")]
    data: Option<PathBuf>,
    /// Subscribers, or askers [default: 10000 for connections, 100 for fanout, 1 for throughput, 10]
    #[arg(long, value_name = "N")]
    connections: Option<usize>,
    /// Rooms that they are dealt out to [default: 100 for connections, 1]
    #[arg(long, value_name = "N")]
    rooms: Option<usize>,
    /// Messages per second and room; 0 is as fast as possible [default: 1 for connections,
    /// 1000 for latency, 0]
    #[arg(long, value_name = "R")]
    rate: Option<f64>,
    /// Let all rooms publish at the same moment
    #[arg(long)]
    burst: bool,
    /// Bytes of a payload [default: 128]
    #[arg(long, value_name = "B")]
    size: Option<usize>,
    /// For how long to publish [default: 60 for connections, 10]
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The works, as the command line names them.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Named {
    /// Many clients in many rooms
    Connections,
    /// One message to many subscribers
    Fanout,
    /// One publisher to one subscriber
    Throughput,
    /// Delivery time at a moderate rate
    Latency,
    /// Requests and their replies
    Requests,
}

impl Args {
    fn plan(&self) -> Plan {
        let shipped = Plan::new(match self.work {
            Named::Connections => Work::Connections,
            Named::Fanout => Work::Fanout,
            Named::Throughput => Work::Throughput,
            Named::Latency => Work::Latency,
            Named::Requests => Work::Requests,
        });
        let connections = self.connections.unwrap_or(shipped.connections);
        Plan {
            connections,
            rooms: self.rooms.unwrap_or(shipped.rooms.min(connections)),
            rate: self.rate.unwrap_or(shipped.rate),
            burst: self.burst,
            size: self.size.unwrap_or(shipped.size),
            seconds: self.seconds.unwrap_or(shipped.seconds),
            ..shipped
        }
    }

    fn target(&self) -> Result<Target, Failure> {
        let Some(url) = &self.url else {
            let program = std::env::current_exe()?;
            let access = |data: &Path, url: &str| {
                // A token or a directory in the environment belongs to another broker.
                let connection = Connection::new(url.to_owned(), None, Some(data.to_owned()));
                access(connection, url).map_err(|failure| match failure {
                    Failure::Told(_, why) => Error::Broker(why),
                    Failure::BrokenPipe => Error::Interrupted,
                })
            };
            return Ok(Target::Own { program, access: Box::new(access) });
        };
        let connection = Connection::new(url.clone(), self.token.clone(), self.data.clone());
        Ok(Target::Running(access(connection, url)?))
    }
}

fn access(connection: Connection, url: &str) -> Result<Access, Failure> {
    let (token, trust) = connection.access()?;
    Ok(Access { url: url.to_owned(), token, trust })
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let report = sampan_bench::run(&args.plan(), args.target()?).await.map_err(failure)?;
    let mut output = Output::new()?;
    if args.json {
        output.json(&report)?;
    } else {
        writeln!(output, "{report}")?;
    }
    Ok(output.flush()?)
}

fn failure(error: Error) -> Failure {
    match error {
        Error::Client(error) => error.into(),
        Error::Invalid(why) => Failure::usage(why),
        error => Failure::failed(error),
    }
}
