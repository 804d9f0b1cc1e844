//! A broker as a child process, HTTP calls and WebSockets to it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sampan::auth::{self, NewToken, Role};
use sampan::data_dir::DataDir;
use sampan_client::{Client, Options, Token, Trust};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

/// How long anything that must happen may take before the test fails. Not a measure of speed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A running broker. Dropping it kills the process.
pub(crate) struct Broker {
    child: Child,
    directory: TempDir,
    quic: SocketAddr,
    pub(crate) http: SocketAddr,
}

impl Broker {
    /// A broker on free ports.
    pub(crate) fn start() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (child, quic, http) = spawn(&directory, any);
        Broker { child, directory, quic, http }
    }

    /// Kills the process as a crash would, and starts another at the same address.
    pub(crate) fn crash_and_restart(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
        (self.child, self.quic, self.http) = spawn(&self.directory, self.http);
    }

    /// Asks the process to stop.
    pub(crate) fn terminate(&self) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        let pid = rustix::process::Pid::from_raw(id).expect("not 0");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("sent");
    }

    /// The data directory.
    pub(crate) fn data(&self) -> &std::path::Path {
        self.directory.path()
    }

    /// A token for this user.
    pub(crate) fn token(&self, user: &str, role: Role) -> String {
        self.token_for(user, role, Duration::from_secs(3600))
    }

    /// A token that lives for a while.
    pub(crate) fn token_for(&self, user: &str, role: Role, ttl: Duration) -> String {
        let secret = DataDir::new(self.directory.path()).secret().expect("the broker has made it");
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let now_ms = u64::try_from(since.as_millis()).expect("before the year 584 million");
        let config = auth::Config::default();
        let new = NewToken::new(&config, user, role, ttl);
        auth::mint(&secret, &new, now_ms).expect("minted")
    }

    /// A client over QUIC.
    pub(crate) async fn client(&self, token: &str) -> Client {
        self.try_client(token).await.expect("connected")
    }

    /// Tries to connect over QUIC.
    pub(crate) async fn try_client(&self, token: &str) -> Result<Client, sampan_client::Error> {
        let certificate = DataDir::new(self.directory.path()).certificate_path();
        let trust = Trust::Pem(std::fs::read(certificate).expect("the certificate"));
        let token = Token::Static(token.to_owned());
        let url = format!("quic://{}", self.quic);
        let options = Options { trust, connect_timeout: PATIENCE, ..Options::new(url, token) };
        Client::connect(options).await
    }

    /// Resident memory of the process, KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the process lives");
        let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("told");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }

    /// A call with a token and a JSON body.
    pub(crate) async fn post(&self, token: &str, path: &str, body: &Value) -> Reply {
        let headers =
            format!("authorization: Bearer {token}\r\ncontent-type: application/json\r\n");
        self.call("POST", path, &headers, body.to_string().as_bytes()).await
    }

    /// A call with a token.
    pub(crate) async fn get(&self, token: &str, path: &str) -> Reply {
        self.call("GET", path, &format!("authorization: Bearer {token}\r\n"), b"").await
    }

    /// One request on a connection of its own.
    pub(crate) async fn call(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Reply {
        let mut stream = TcpStream::connect(self.http).await.expect("HTTP is up");
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{headers}\
             content-length: {length}\r\n\r\n",
            self.http
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        // Who refuses a body early does not read it.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("answered");
        Reply::parse(&answer)
    }

    /// A WebSocket that has said nothing yet.
    pub(crate) async fn socket(&self) -> Socket {
        self.upgrade(&[]).await.expect("upgraded")
    }

    /// Tries the upgrade with these headers.
    pub(crate) async fn upgrade(&self, headers: &[(&'static str, &str)]) -> Result<Socket, Error> {
        self.upgrade_at("/v1/ws", headers).await
    }

    /// Tries the upgrade of this path.
    pub(crate) async fn upgrade_at(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
    ) -> Result<Socket, Error> {
        let mut request = format!("ws://{}{path}", self.http).into_client_request()?;
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a header"));
        }
        let stream = TcpStream::connect(self.http).await.map_err(Error::Io)?;
        let (stream, _) = tokio_tungstenite::client_async(request, stream).await?;
        Ok(Socket { stream, waiting: Vec::new() })
    }

    /// A WebSocket whose session is live.
    pub(crate) async fn live(&self, token: &str) -> Socket {
        let mut socket = self.socket().await;
        socket.say(&json!({ "connect": { "token": token } })).await;
        assert!(socket.hear().await["welcome"].is_object());
        socket
    }

    /// The value of a metric.
    pub(crate) async fn metric(&self, name: &str) -> u64 {
        let text = self.get("", "/metrics").await.text();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} in\n{text}"))
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(directory: &TempDir, http: SocketAddr) -> (Child, SocketAddr, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_sampan"))
        .args(["serve", "--quic", "127.0.0.1:0", "--http", &http.to_string(), "--data"])
        .arg(directory.path())
        .env_remove("ALLOWED_ORIGINS")
        .env_remove("JWT_SECRET")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the broker starts");
    let stderr = child.stderr.take().expect("piped");
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let address = |name: &str| -> Option<SocketAddr> {
                line.split_whitespace().find_map(|word| word.strip_prefix(name))?.parse().ok()
            };
            if let Some(addresses) = address("quic=").zip(address("http=")) {
                let _ = tell.send(addresses);
            }
        }
    });
    let (quic, http) = told.recv_timeout(PATIENCE).expect("it says where it listens");
    (child, quic, http)
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Reply { status, head, body: bytes[end + 4..].to_vec() }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("JSON: {self:?}"))
    }
}

/// A WebSocket and what it has been told.
pub(crate) struct Socket {
    pub(crate) stream: WebSocketStream<TcpStream>,
    waiting: Vec<Value>,
}

impl Socket {
    /// Sends a request.
    pub(crate) async fn say(&mut self, request: &Value) {
        self.send(Message::text(request.to_string())).await;
    }

    /// Sends anything.
    pub(crate) async fn send(&mut self, message: Message) {
        use futures_util::SinkExt;
        timeout(PATIENCE, self.stream.send(message)).await.expect("taken").expect("sent");
    }

    /// The next object.
    pub(crate) async fn hear(&mut self) -> Value {
        match self.next().await {
            Ok(value) => value,
            Err(closed) => panic!("closed with {closed:?}"),
        }
    }

    /// The next object that has this member.
    pub(crate) async fn hear_of(&mut self, name: &str) -> Value {
        loop {
            let heard = self.hear().await;
            if !heard[name].is_null() {
                return heard;
            }
        }
    }

    /// The close code, after whatever comes first; 0 for a connection that was cut.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            if let Err(code) = self.next().await {
                return code.unwrap_or(0);
            }
        }
    }

    async fn next(&mut self) -> Result<Value, Option<u16>> {
        use futures_util::StreamExt;
        while self.waiting.is_empty() {
            match timeout(PATIENCE, self.stream.next()).await.expect("something comes") {
                Some(Ok(Message::Text(text))) => match serde_json::from_str(&text).expect("JSON") {
                    Value::Array(list) => self.waiting = list,
                    one => self.waiting.push(one),
                },
                Some(Ok(Message::Close(frame))) => return Err(frame.map(|f| f.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
        Ok(self.waiting.remove(0))
    }
}
