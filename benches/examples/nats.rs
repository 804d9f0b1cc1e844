//! The fan-out of `sampan bench fanout` on NATS with TLS, for a figure from the same machine in the
//! same hour.
//!
//! `cargo run --release -p sampan-bench --example nats -- --server nats-server --connections 9500
//! --rate 1`. Window, clock, histogram and the reading of the server's CPU are the generator's own;
//! the keys printed are those of `sampan bench --json`.

#[path = "../src/clock.rs"]
mod clock;
#[allow(dead_code, reason = "the example counts less than the generator")]
#[path = "../src/tally.rs"]
mod tally;
#[allow(dead_code, reason = "the example counts less than the generator")]
#[path = "../src/usage.rs"]
mod usage;
#[path = "../src/window.rs"]
mod window;

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tally::Meter;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use usage::Usage;
use window::Window;

type Failed = Box<dyn std::error::Error + Send + Sync>;
type Stream = TlsStream<TcpStream>;

const PORT: u16 = 4299;
/// Clients that connect at the same time.
const AT_ONCE: usize = 64;
/// Messages that a fast publisher writes at once.
const TURN: u64 = 128;

struct Flags {
    server: String,
    connections: usize,
    rate: f64,
    size: usize,
    seconds: u64,
}

impl Flags {
    fn parse() -> Result<Self, Failed> {
        let mut flags = Flags {
            server: "nats-server".to_owned(),
            connections: 100,
            rate: 0.0,
            size: 128,
            seconds: 10,
        };
        let mut words = std::env::args().skip(1);
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            match name.as_str() {
                "--server" => flags.server = value,
                "--connections" => flags.connections = value.parse()?,
                "--rate" => flags.rate = value.parse()?,
                "--size" => flags.size = value.parse::<usize>()?.max(8),
                "--seconds" => flags.seconds = value.parse()?,
                _ => return Err(format!("unknown flag {name}").into()),
            }
        }
        Ok(flags)
    }
}

/// The server, ended with the run.
struct Server(Child, #[allow(dead_code, reason = "removed when dropped")] tempfile::TempDir);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    /// Starts the server with a certificate of its own; answers it and a connector that trusts it.
    async fn start(program: &str) -> Result<(Self, TlsConnector), Failed> {
        let dir = tempfile::tempdir()?;
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()])?;
        std::fs::write(dir.path().join("certificate.pem"), made.cert.pem())?;
        std::fs::write(dir.path().join("key.pem"), made.signing_key.serialize_pem())?;
        let config = format!(
            "listen: 127.0.0.1:{PORT}\nmax_connections: 100000\nwrite_deadline: \"30s\"\n\
             tls {{ cert_file: \"{0}/certificate.pem\", key_file: \"{0}/key.pem\", timeout: 60 }}\n",
            dir.path().display(),
        );
        std::fs::write(dir.path().join("nats.conf"), config)?;
        let mut command = Command::new(program);
        command.arg("-c").arg(dir.path().join("nats.conf"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let server = Server(child, dir);
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(made.cert.pem().as_bytes())?)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", PORT)).await.is_err() {
            if began.elapsed() > Duration::from_secs(10) {
                return Err("the server does not listen".into());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok((server, TlsConnector::from(Arc::new(tls))))
    }
}

/// Connects, answers when the server has taken the greeting and `also`.
async fn connect(tls: TlsConnector, also: &str) -> Result<Stream, Failed> {
    let mut tcp = TcpStream::connect(("127.0.0.1", PORT)).await?;
    tcp.set_nodelay(true)?;
    // INFO comes in the clear; one byte at a time, so that nothing of the handshake is taken.
    while tcp.read_u8().await? != b'\n' {}
    let mut stream = tls.connect(ServerName::try_from("localhost")?, tcp).await?;
    let hello = format!("CONNECT {{\"verbose\":false,\"tls_required\":true}}\r\n{also}PING\r\n");
    stream.write_all(hello.as_bytes()).await?;
    stream.flush().await?;
    let mut seen = Vec::new();
    while !seen.ends_with(b"PONG\r\n") {
        seen.push(stream.read_u8().await?);
    }
    Ok(stream)
}

/// Reads and counts messages until the connection ends.
async fn receive(
    mut read: ReadHalf<Stream>,
    mut write: WriteHalf<Stream>,
    meter: Arc<Meter>,
    window: Arc<Window>,
) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(16 * 1024);
    let mut received = 0;
    while read.read_buf(&mut buffer).await? > 0 {
        let now = clock::nanos();
        let before = received;
        let (mut rest, mut pings) = (&buffer[..], 0);
        {
            let mut tally = meter.tally();
            while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = &rest[..end];
                if !line.starts_with(b"MSG ") {
                    pings += usize::from(line.starts_with(b"PING"));
                    rest = &rest[end + 1..];
                    continue;
                }
                let length = line.trim_ascii().rsplit(|byte| *byte == b' ').next();
                let length = length.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
                let length: usize = length.unwrap_or(0);
                let Some(payload) = rest.get(end + 1..end + 1 + length + 2) else { break };
                let sent = payload.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
                tally.delivered(sent, now);
                received += 1;
                rest = &rest[end + 1 + length + 2..];
            }
        }
        let left = rest.len();
        buffer.drain(..buffer.len() - left);
        meter.received.fetch_add(received - before, Ordering::Relaxed);
        window.received(before, received);
        for _ in 0..pings {
            write.write_all(b"PONG\r\n").await?;
            write.flush().await?;
        }
    }
    Ok(())
}

fn put(out: &mut Vec<u8>, size: usize) -> u64 {
    let now = clock::nanos();
    out.extend_from_slice(format!("PUB bench {size}\r\n").as_bytes());
    out.extend_from_slice(&now.to_le_bytes());
    out.resize(out.len() + size - 8, b'.');
    out.extend_from_slice(b"\r\n");
    now
}

async fn publish(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    flags: &Flags,
    meter: &Meter,
    window: &Window,
) -> std::io::Result<u64> {
    let (start, mut published) = (Instant::now(), 0);
    let until = start + Duration::from_secs(flags.seconds);
    let mut out = Vec::new();
    while Instant::now() < until {
        let turn = if flags.rate > 0.0 {
            let due = start + Duration::from_secs_f64(published as f64 / flags.rate);
            if due >= until {
                break;
            }
            tokio::time::sleep_until(due.into()).await;
            1
        } else {
            if tokio::time::timeout_at(until.into(), window.room(published)).await.is_err() {
                break;
            }
            (window.bound() - published).min(TURN)
        };
        out.clear();
        for message in 0..turn {
            let now = put(&mut out, flags.size);
            if published + message == 0 {
                meter.tally().published(now, now);
            }
        }
        stream.write_all(&out).await?;
        stream.flush().await?;
        published += turn;
    }
    Ok(published)
}

async fn run(flags: Flags) -> Result<(), Failed> {
    usage::raise_file_limit();
    let (server, tls) = Server::start(&flags.server).await?;
    let id = server.0.id();
    let publisher = connect(tls.clone(), "").await?;
    let before = Usage::of(id).ok_or("the server is gone")?;
    let began = Instant::now();
    let mut open = JoinSet::new();
    let mut streams = Vec::with_capacity(flags.connections);
    for number in 0..flags.connections {
        if number >= AT_ONCE
            && let Some(done) = open.join_next().await
        {
            streams.push(done??);
        }
        open.spawn(connect(tls.clone(), "SUB bench 1\r\n"));
    }
    while let Some(done) = open.join_next().await {
        streams.push(done??);
    }
    let connecting = began.elapsed();
    let (meter, window) = (Arc::new(Meter::new()), Arc::new(Window::new(flags.connections)));
    for stream in streams {
        let (read, write) = tokio::io::split(stream);
        tokio::spawn(receive(read, write, meter.clone(), window.clone()));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let idle = Usage::of(id).ok_or("the server is gone")?;
    let published = publish(publisher, &flags, &meter, &window).await?;
    let expected = published * flags.connections as u64;
    let (mut received, mut at, mut end) = (0, Instant::now(), idle);
    while at.elapsed() < Duration::from_secs(5) && received < expected {
        let sum = meter.received.load(Ordering::Relaxed);
        if sum > received {
            (received, at) = (sum, Instant::now());
            end = Usage::of(id).ok_or("the server is gone")?;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let tally = meter.tally();
    let span_s = tally.last_ns.saturating_sub(tally.first_ns).max(1) as f64 / 1e9;
    let us = |share| tally.latency.value_at_quantile(share) as f64 / 1e3;
    let grown = idle.resident_bytes as f64 - before.resident_bytes as f64;
    let report = serde_json::json!({
        "delivered_pct": 100.0 * received as f64 / expected.max(1) as f64,
        "deliveries_per_s": received as f64 / span_s,
        "p50_us": us(0.5),
        "p99_us": us(0.99),
        "p999_us": us(0.999),
        "server_us_per_delivery": (end.cpu - idle.cpu).as_secs_f64() * 1e6 / received.max(1) as f64,
        "kib_per_connection": grown / 1024.0 / flags.connections as f64,
        "connects_per_s": flags.connections as f64 / connecting.as_secs_f64(),
    });
    println!("{report}");
    Ok(())
}

fn main() -> Result<(), Failed> {
    let flags = Flags::parse()?;
    // As many threads as the generator itself has.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(threads).enable_all().build()?.block_on(run(flags))
}
