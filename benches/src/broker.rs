//! The run's own broker: a child process that is ended with the run, whatever ends it.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::oneshot;

use crate::Error;

/// How long a broker may take until it listens.
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// How long it may take to end after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Last lines of its log that an error shows.
const LOG_LINES: usize = 10;

/// A running broker with a temporary data directory. Dropping it ends both.
#[derive(Debug)]
pub(crate) struct Broker {
    child: Child,
    log: Arc<Mutex<VecDeque<String>>>,
    data: tempfile::TempDir,
    /// Where its QUIC sockets listen.
    pub(crate) url: String,
    /// Where its HTTP is.
    pub(crate) http: String,
}

impl Broker {
    /// Starts `program serve` on loopback with free ports, and waits until it listens.
    pub(crate) async fn start(program: &Path) -> Result<Self, Error> {
        let data = directory()?;
        let mut command = Command::new(program);
        command.arg("serve").arg("--data").arg(data.path());
        command.args(["--quic", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
        // The broker alone is measured.
        command.env("SAMPAN_SERVICES_ENABLED", "false");
        Broker::spawn(command, data).await
    }

    /// Starts another server, and waits until it listens.
    pub(crate) async fn start_peer(command: &[String]) -> Result<Self, Error> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(Error::Invalid("the peer's command is empty".to_owned()));
        };
        let mut command = Command::new(program);
        command.args(arguments);
        Broker::spawn(command, directory()?).await
    }

    async fn spawn(mut command: Command, data: tempfile::TempDir) -> Result<Self, Error> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| failed(&format!("{name}: {error}")))?;
        let log = Arc::<Mutex<VecDeque<String>>>::default();
        let (ready, listening) = oneshot::channel();
        if let Some(stderr) = child.stderr.take() {
            let log = log.clone();
            // The pipe is read to its end, so that a broker with much to say is not held up.
            std::thread::spawn(move || follow(stderr, &log, ready));
        }
        // From here on the child is ended when this function fails.
        let mut broker = Broker { child, log, data, url: String::new(), http: String::new() };
        match tokio::time::timeout(START_TIMEOUT, listening).await {
            Ok(Ok((quic, http))) => (broker.url, broker.http) = (format!("quic://{quic}"), http),
            Ok(Err(_)) => return Err(failed(&format!("it ended at once{}", broker.log()))),
            Err(_) => return Err(failed(&format!("it does not listen{}", broker.log()))),
        }
        Ok(broker)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// What the broker counts, at this moment.
    pub(crate) fn metrics(&self) -> Result<Metrics, Error> {
        let failed =
            |error: std::io::Error| Error::Broker(format!("no metrics from the broker: {error}"));
        let mut stream = TcpStream::connect(&self.http).map_err(failed)?;
        let request = b"GET /metrics HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n";
        stream.write_all(request).map_err(failed)?;
        let mut text = String::new();
        stream.read_to_string(&mut text).map_err(failed)?;
        Ok(Metrics(text))
    }

    /// An error if the broker has ended.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        match self.child.try_wait() {
            Ok(Some(status)) => {
                let log = self.log();
                Err(Error::Broker(format!("the broker ended under load: {status}{log}")))
            }
            _ => Ok(()),
        }
    }

    fn log(&self) -> String {
        let lines = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().fold(String::new(), |log, line| log + "\n  " + line)
    }
}

/// The broker's metrics as text.
#[derive(Debug)]
pub(crate) struct Metrics(pub(crate) String);

impl Metrics {
    /// The value of a metric without labels; 0 if it is not there.
    pub(crate) fn value(&self, name: &str) -> f64 {
        let lines = self.0.lines().filter_map(|line| line.split_once(' '));
        let mut values = lines.filter(|(found, _)| *found == name).map(|(_, value)| value);
        values.next().and_then(|value| value.trim().parse().ok()).unwrap_or_default()
    }
}

fn directory() -> Result<tempfile::TempDir, Error> {
    let made = tempfile::Builder::new().prefix("sampan-bench-").tempdir();
    made.map_err(|error| failed(&error.to_string()))
}

fn failed(why: &str) -> Error {
    Error::Broker(format!("cannot start a server: {why}"))
}

impl Drop for Broker {
    fn drop(&mut self) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let until = Instant::now() + STOP_TIMEOUT;
        if let (Some(id), Ok(None)) = (id, self.child.try_wait()) {
            let _ = kill_process(id, Signal::TERM);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        // Neither fails for a child that has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn follow(
    stderr: ChildStderr,
    log: &Mutex<VecDeque<String>>,
    ready: oneshot::Sender<(String, String)>,
) {
    let mut ready = Some(ready);
    for line in BufReader::new(stderr).lines() {
        let Ok(line) = line else { break };
        // A peer has no QUIC.
        if let Some(http) = address(&line, "http=")
            && let Some(ready) = ready.take()
        {
            let quic = address(&line, "quic=").unwrap_or_default();
            let _ = ready.send((quic.to_owned(), http.to_owned()));
        }
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == LOG_LINES {
            log.pop_front();
        }
        log.push_back(line);
    }
}

/// The address of this name in the line `listening quic=ADDRESS http=ADDRESS`.
fn address<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once("listening ")?;
    rest.split(' ').find_map(|field| field.strip_prefix(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_its_line() {
        let line = "listening quic=127.0.0.1:4433 http=127.0.0.1:80";
        assert_eq!(address(line, "quic="), Some("127.0.0.1:4433"));
        assert_eq!(address(line, "http="), Some("127.0.0.1:80"));
        assert_eq!(address("no address in listening", "quic="), None);
    }

    async fn serve(script: &str) -> Result<Broker, Error> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Broker::spawn(command, directory()?).await
    }

    #[tokio::test]
    async fn dropping_it_ends_the_child_and_removes_its_data() {
        let script = "echo 'listening quic=127.0.0.1:9 http=127.0.0.1:9' >&2; exec sleep 60";
        let broker = serve(script).await.expect("it says where it listens");
        let (id, data) = (broker.id(), broker.data().to_owned());
        assert_eq!(broker.url, "quic://127.0.0.1:9");
        assert!(data.exists());
        drop(broker);
        assert!(!data.exists() && !Path::new(&format!("/proc/{id}")).exists());
    }

    #[tokio::test]
    async fn a_broker_that_ends_is_reported_with_its_log() {
        let error = serve("echo 'no such option' >&2").await.expect_err("it ends");
        assert!(error.to_string().contains("no such option"), "{error}");
    }
}
