//! A broker as a child process, tokens for it, and clients of it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sampan::auth::{self, NewToken, Role};
use sampan::data_dir::DataDir;
use sampan_client::{Client, Endpoint, Options, Token, Trust};
use sampan_protocol::control::{self, Body};
use sampan_protocol::{Code, Frame, FrameReader, VERSION};
use tempfile::TempDir;

/// How long anything that must happen may take before the test fails. Not a measure of speed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A pattern known to be valid.
pub(crate) fn pattern(text: &str) -> sampan_client::Pattern {
    text.parse().expect("a valid pattern")
}

/// A running broker. Dropping it kills the process.
pub(crate) struct Broker {
    child: Child,
    pub(crate) data: Arc<TempDir>,
    pub(crate) quic: SocketAddr,
    pub(crate) http: SocketAddr,
    log: Arc<Mutex<String>>,
}

impl Broker {
    /// A broker with no configuration on free ports.
    pub(crate) fn start() -> Self {
        Broker::configured("")
    }

    /// A broker with this configuration file on free ports.
    pub(crate) fn configured(config: &str) -> Self {
        let data = Arc::new(TempDir::new().expect("a temporary directory"));
        std::fs::write(data.path().join("config.toml"), config).expect("written");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Broker::at(data, any)
    }

    fn at(data: Arc<TempDir>, quic: SocketAddr) -> Self {
        // A write beyond the limit of `break_disk` is an error then, and not a signal that kills.
        let mut child = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_sampan")])
            .args(["serve", "--http", "127.0.0.1:0", "--quic", &quic.to_string()])
            .arg("--data")
            .arg(data.path().join("data"))
            .arg("--config")
            .arg(data.path().join("config.toml"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the broker starts");
        let stderr = child.stderr.take().expect("piped");
        let (log, (tell, told)) = (Arc::default(), std::sync::mpsc::channel());
        let kept: Arc<Mutex<String>> = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if line.starts_with("listening ") {
                    let _ = tell.send(line.clone());
                }
                let mut log = kept.lock().expect("not poisoned");
                log.push_str(&line);
                log.push('\n');
            }
        });
        let line = told.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            panic!("the broker did not start:\n{}", log.lock().expect("not poisoned"))
        });
        let address = |name: &str| -> SocketAddr {
            let value = line.split_whitespace().find_map(|word| word.strip_prefix(name));
            value.and_then(|text| text.parse().ok()).expect("an address")
        };
        Broker { child, data, quic: address("quic="), http: address("http="), log }
    }

    /// Kills the process as a crash would, and starts another in its place.
    pub(crate) fn crash_and_restart(mut self) -> Self {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
        let (data, quic) = (Arc::clone(&self.data), self.quic);
        drop(self);
        Broker::at(data, quic)
    }

    /// Lets the process stop cleanly, and starts another in its place with this configuration, once
    /// `between` was done.
    pub(crate) fn stop_and_restart(self, config: &str, between: impl FnOnce(&Path)) -> Self {
        let (data, quic) = (Arc::clone(&self.data), self.quic);
        self.terminate();
        assert!(self.wait(), "a clean end");
        std::fs::write(data.path().join("config.toml"), config).expect("written");
        between(&data.path().join("data"));
        Broker::at(data, quic)
    }

    /// Lets every write of the process to a file fail from now on.
    pub(crate) fn break_disk(&self) {
        let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
        let limit = rustix::process::Resource::Fsize;
        rustix::process::prlimit(Some(self.pid()), limit, none).expect("limited");
    }

    /// Waits for the process to end by itself, and starts another in its place; the exit code.
    pub(crate) fn end_and_restart(mut self) -> (Option<i32>, Self) {
        let code = self.exit_code();
        let (data, quic) = (Arc::clone(&self.data), self.quic);
        drop(self);
        (code, Broker::at(data, quic))
    }

    fn pid(&self) -> rustix::process::Pid {
        let id = i32::try_from(self.child.id()).expect("a process id");
        rustix::process::Pid::from_raw(id).expect("not 0")
    }

    /// What the process has cost the processor.
    pub(crate) fn cpu(&self) -> Duration {
        sampan_tests::cpu::cost(self.child.id())
    }

    /// Asks the process to stop.
    pub(crate) fn terminate(&self) {
        rustix::process::kill_process(self.pid(), rustix::process::Signal::TERM).expect("sent");
    }

    /// Waits for the process to end by itself; whether it said that all was well.
    pub(crate) fn wait(mut self) -> bool {
        self.exit_code() == Some(0)
    }

    /// Waits for the process to end by itself; what it said, unless a signal has killed it.
    fn exit_code(&mut self) -> Option<i32> {
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("waited") {
                return status.code();
            }
            assert!(std::time::Instant::now() < end, "the broker does not stop:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What the broker has written to standard error.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("not poisoned").clone()
    }

    /// Resident memory of the process, KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the process lives");
        let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("told");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }

    pub(crate) fn data_dir(&self) -> DataDir {
        DataDir::new(self.data.path().join("data"))
    }

    /// A token for this user.
    pub(crate) fn token(&self, user: &str, role: Role) -> String {
        self.token_for(user, role, Duration::from_secs(3600))
    }

    pub(crate) fn token_for(&self, user: &str, role: Role, ttl: Duration) -> String {
        let secret = self.data_dir().secret().expect("the broker has made it");
        let config = auth::Config::default();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let now = u64::try_from(since.as_millis()).expect("before the year 500 million");
        auth::mint(&secret, &NewToken::new(&config, user, role, ttl), now).expect("minted")
    }

    pub(crate) fn trust(&self) -> Trust {
        let path = self.data_dir().certificate_path();
        Trust::Pem(std::fs::read(path).expect("the certificate"))
    }

    pub(crate) fn options(&self, user: &str, role: Role) -> Options {
        let token = Token::Static(self.token(user, role));
        let mut options = Options::new(format!("quic://{}", self.quic), token);
        options.trust = self.trust();
        options.connect_timeout = PATIENCE;
        options
    }

    pub(crate) async fn client(&self, user: &str, role: Role) -> Client {
        Client::connect(self.options(user, role)).await.expect("connected")
    }

    /// Clients that share one socket.
    pub(crate) async fn clients(&self, count: usize, role: Role) -> Vec<Client> {
        let endpoint = self.endpoint();
        let mut clients = Vec::new();
        for n in 0..count {
            let options = Options {
                endpoint: Some(endpoint.clone()),
                ..self.options(&format!("u{n}"), role)
            };
            clients.push(tokio::spawn(Client::connect(options)));
            // Some at a time, as a crowd of phones would not come within a millisecond.
            if n % 64 == 63 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        let mut connected = Vec::new();
        for client in clients {
            connected.push(client.await.expect("no panic").expect("connected"));
        }
        connected
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        Endpoint::bind(SocketAddr::from(([127, 0, 0, 1], 0)), &self.trust()).expect("bound")
    }

    /// One number of `/metrics`; lines of several labels are added.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.http_get("/metrics").1;
        let of = |line: &str| {
            let rest = line.strip_prefix(name)?;
            matches!(rest.bytes().next(), Some(b' ' | b'{')).then_some(())?;
            rest.rsplit(' ').next()?.parse::<f64>().ok()
        };
        text.lines().filter_map(of).sum()
    }

    /// Waits until a number of `/metrics` is at least this: counters are gathered once a second.
    pub(crate) async fn metric_reaches(&self, name: &str, least: f64) {
        let end = std::time::Instant::now() + PATIENCE;
        while self.metric(name) < least {
            assert!(std::time::Instant::now() < end, "{name}: {}", self.http_get("/metrics").1);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Status and body of a GET.
    pub(crate) fn http_get(&self, path: &str) -> (u16, String) {
        self.http_call("GET", path, "", b"")
    }

    /// Status and body of a request with these header lines.
    pub(crate) fn http_call(
        &self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> (u16, String) {
        http_call(self.http, method, path, headers, body)
    }
}

/// Status and body of a request with these header lines to whoever listens there.
pub(crate) fn http_call(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> (u16, String) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n{headers}\
         Content-Length: {length}\r\n\r\n"
    )
    .expect("sent");
    // Who refuses a body early does not read it.
    let _ = stream.write_all(body);
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that speaks the protocol by hand, so that it can break it.
pub(crate) struct Raw {
    /// Kept, since its socket is the connection's.
    _endpoint: quinn::Endpoint,
    pub(crate) connection: quinn::Connection,
    pub(crate) control: quinn::SendStream,
    answers: quinn::RecvStream,
    reader: FrameReader,
}

/// A TLS configuration that trusts `certificate` and offers `alpn`.
pub(crate) fn tls(certificate: &Path, alpn: &[u8]) -> quinn::ClientConfig {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(certificate).expect("a certificate");
    roots.add(certificate).expect("trusted");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![alpn.to_vec()];
    let tls = quinn::crypto::rustls::QuicClientConfig::try_from(tls).expect("TLS 1.3");
    quinn::ClientConfig::new(Arc::new(tls))
}

impl Raw {
    /// Connected, and nothing said.
    pub(crate) async fn connect(broker: &Broker) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut endpoint = quinn::Endpoint::client(any).expect("bound");
        let certificate = broker.data_dir().certificate_path();
        endpoint.set_default_client_config(tls(&certificate, sampan_protocol::ALPN));
        let connecting = endpoint.connect(broker.quic, "localhost").expect("configured");
        let connection = connecting.await.expect("connected");
        let (control, answers) = connection.open_bi().await.expect("opened");
        let reader = FrameReader::new(1 << 20);
        Raw { _endpoint: endpoint, connection, control, answers, reader }
    }

    /// Connected and authenticated.
    pub(crate) async fn greeted(broker: &Broker, user: &str, role: Role) -> Self {
        let mut raw = Raw::connect(broker).await;
        raw.say(&hello(&broker.token(user, role)), 0).await;
        let welcome = raw.hear().await.expect("answered");
        assert_eq!(welcome.header.kind, sampan_protocol::Kind::Welcome);
        raw
    }

    pub(crate) async fn say<B: Body>(&mut self, body: &B, number: u64) {
        let frame = control::encode(body, number).expect("valid");
        self.send(&frame).await;
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        // A broker that has already closed is found out by what is heard.
        let _ = self.control.write_all(bytes).await;
    }

    /// The next frame on the control stream, or `None` when it ends.
    pub(crate) async fn hear(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.reader.next_frame().expect("valid") {
                return Some(frame);
            }
            let read = tokio::time::timeout(PATIENCE, self.answers.read_chunk(65_536, true));
            let chunk: Bytes = read.await.expect("in time").ok()??.bytes;
            self.reader.push(chunk);
        }
    }

    /// The code with which the broker closes the connection.
    pub(crate) async fn closed(&self) -> Code {
        let closed = tokio::time::timeout(PATIENCE, self.connection.closed()).await;
        match closed.expect("closed in time") {
            quinn::ConnectionError::ApplicationClosed(close) => {
                Code(u16::try_from(close.error_code.into_inner()).expect("a code"))
            }
            other => panic!("closed otherwise: {other}"),
        }
    }
}

pub(crate) fn hello(token: &str) -> control::Hello {
    control::Hello {
        version: VERSION,
        features: 0,
        producer: 7,
        client: "raw".into(),
        token: token.into(),
    }
}
