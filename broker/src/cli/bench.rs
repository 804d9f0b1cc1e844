//! `sampan bench`: loads a broker with real clients and reports what it did.

use std::fmt::Display;
use std::io::Write;
use std::path::{Path, PathBuf};

use sampan_bench::{
    Access, Durable, Error, GroupPlan, Plan, ResumePlan, Target, Transport, Work, run_groups,
    run_resume,
};
use sampan_client::AckLevel;
use serde::Serialize;

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
    /// What the subscribers of connections, fanout, throughput and latency speak: QUIC with TLS, or
    /// without TLS the bridge's WebSocket, Socket.IO on a WebSocket, or server-sent events
    #[arg(long, value_enum, default_value = "quic")]
    transport: Spoken,
    /// Load another server of Socket.IO instead, started by this command, by the same clients; it
    /// works as benches/peers/socketio does
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["url", "token", "data"])]
    peer: Option<String>,
    /// HTTP address of the broker at --url, for the bridge [default: that of --url]
    #[arg(long, value_name = "HOST:PORT", requires = "url")]
    http: Option<String>,
    /// Subscribers, or askers [default: 10000 for connections and resume, 100 for fanout, 1 for
    /// throughput, 10]
    #[arg(long, value_name = "N")]
    connections: Option<usize>,
    /// Rooms that they are dealt out to [default: 100 for connections and resume, 1]
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
    /// Workers, for groups [default: 4]
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Messages that a worker holds, or a publisher has without ack, at most, for groups and durable
    /// [default: 1000 for groups, 64]
    #[arg(long, value_name = "W")]
    window: Option<u32>,
    /// For how long to publish [default: 60 for connections, 10]
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,
    /// Publishers, for durable [default: 8]
    #[arg(long, value_name = "N")]
    publishers: Option<usize>,
    /// Ack that is asked for, for durable [default: synced]
    #[arg(long, value_name = "LEVEL", value_parser = ["routed", "logged", "synced"])]
    ack: Option<String>,
    /// Messages of each room that its readers miss, for resume [default: 100]
    #[arg(long, value_name = "M")]
    missed: Option<u64>,
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
    /// Workers of a group on a durable topic; takes --workers, --window, --size and --seconds
    Groups,
    /// Publishes to durable topics, and what a disk makes of them; takes --publishers, --window,
    /// --ack, --size and --seconds
    Durable,
    /// Readers of durable topics that are cut off, miss messages and all come back at once; takes
    /// --connections, --rooms, --missed and --size
    Resume,
}

/// The transports, as the command line names them.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Spoken {
    Quic,
    Ws,
    Socketio,
    Sse,
}

impl From<Spoken> for Transport {
    fn from(spoken: Spoken) -> Self {
        match spoken {
            Spoken::Quic => Transport::Quic,
            Spoken::Ws => Transport::WebSocket,
            Spoken::Socketio => Transport::SocketIo,
            Spoken::Sse => Transport::ServerSentEvents,
        }
    }
}

impl Args {
    /// The plan of this work with the numbers that are given.
    fn plan(&self, work: Work) -> Plan {
        let shipped = Plan::new(work);
        let connections = self.connections.unwrap_or(shipped.connections);
        Plan {
            transport: self.transport.into(),
            connections,
            rooms: self.rooms.unwrap_or(shipped.rooms.min(connections)),
            rate: self.rate.unwrap_or(shipped.rate),
            burst: self.burst,
            size: self.size.unwrap_or(shipped.size),
            seconds: self.seconds.unwrap_or(shipped.seconds),
            ..shipped
        }
    }

    fn durable(&self) -> Durable {
        let shipped = Durable::default();
        let level = |name: &String| AckLevel::ALL.into_iter().find(|level| level.name() == name);
        Durable {
            publishers: self.publishers.unwrap_or(shipped.publishers),
            window: self.window.map_or(shipped.window, |window| window as usize),
            size: self.size.unwrap_or(shipped.size),
            seconds: self.seconds.unwrap_or(shipped.seconds),
            ack: self.ack.as_ref().and_then(level).unwrap_or(shipped.ack),
        }
    }

    fn group_plan(&self) -> GroupPlan {
        let shipped = GroupPlan::default();
        GroupPlan {
            workers: self.workers.unwrap_or(shipped.workers),
            window: self.window.unwrap_or(shipped.window),
            size: self.size.unwrap_or(shipped.size),
            seconds: self.seconds.unwrap_or(shipped.seconds),
        }
    }

    fn resume_plan(&self) -> ResumePlan {
        let shipped = ResumePlan::default();
        let connections = self.connections.unwrap_or(shipped.connections);
        ResumePlan {
            connections,
            rooms: self.rooms.unwrap_or(shipped.rooms.min(connections)),
            missed: self.missed.unwrap_or(shipped.missed),
            size: self.size.unwrap_or(shipped.size),
        }
    }

    fn target(&self) -> Result<Target, Failure> {
        if let Some(peer) = &self.peer {
            let command = peer.split_whitespace().map(str::to_owned).collect();
            return Ok(Target::Peer { command });
        }
        let Some(url) = &self.url else {
            let program = std::env::current_exe()?;
            let access = |data: &Path, url: &str, http: &str| {
                // A token or a directory in the environment belongs to another broker.
                let connection = Connection::new(url.to_owned(), None, Some(data.to_owned()));
                access(connection, url, http).map_err(|failure| match failure {
                    Failure::Told(_, why) => Error::Broker(why),
                    Failure::BrokenPipe => Error::Interrupted,
                })
            };
            return Ok(Target::Own { program, access: Box::new(access) });
        };
        let connection = Connection::new(url.clone(), self.token.clone(), self.data.clone());
        let http = self.http.as_deref().unwrap_or_else(|| host(url));
        Ok(Target::Running(access(connection, url, http)?))
    }
}

fn access(connection: Connection, url: &str, http: &str) -> Result<Access, Failure> {
    let (token, trust) = connection.access()?;
    Ok(Access { url: url.to_owned(), http: http.to_owned(), token, trust })
}

/// Host and port of a broker's address.
fn host(url: &str) -> &str {
    url.strip_prefix("quic://").unwrap_or(url).trim_end_matches('/')
}

pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let work = match args.work {
        Named::Connections => Work::Connections,
        Named::Fanout => Work::Fanout,
        Named::Throughput => Work::Throughput,
        Named::Latency => Work::Latency,
        Named::Requests => Work::Requests,
        Named::Durable => {
            let report = sampan_bench::durable(&args.durable(), args.target()?).await;
            return show(&report.map_err(failure)?, args.json);
        }
        Named::Groups => {
            let report = run_groups(&args.group_plan(), args.target()?).await.map_err(failure)?;
            return show(&report, args.json);
        }
        Named::Resume => {
            let report = run_resume(&args.resume_plan(), args.target()?).await.map_err(failure)?;
            return show(&report, args.json);
        }
    };
    let report = sampan_bench::run(&args.plan(work), args.target()?).await.map_err(failure)?;
    show(&report, args.json)
}

fn show(report: &(impl Serialize + Display), json: bool) -> Result<(), Failure> {
    let mut output = Output::new()?;
    if json {
        output.json(report)?;
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
