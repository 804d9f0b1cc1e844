//! A broker in a directory of its own, and commands run beside it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything that must happen may take before the test fails. Not a measure of speed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// `sampan` with these arguments, in this directory, with no settings from outside.
pub(crate) fn sampan(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sampan"));
    command.current_dir(directory).args(args).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let is_setting = name.to_str().is_some_and(|n| n.starts_with("SAMPAN_"));
        if is_setting || name == "JWT_SECRET" {
            command.env_remove(name);
        }
    }
    command
}

/// A running `sampan serve`. Dropping it kills the process.
pub(crate) struct Broker {
    pub(crate) directory: TempDir,
    pub(crate) quic: SocketAddr,
    pub(crate) http: SocketAddr,
    process: Process,
}

impl Broker {
    /// A broker without settings on free ports.
    pub(crate) fn start() -> Self {
        Broker::start_in(TempDir::new().expect("a temporary directory"), &[], "127.0.0.1:0")
    }

    /// A broker in a directory that may have been used before.
    pub(crate) fn start_in(directory: TempDir, args: &[&str], quic: &str) -> Self {
        let mut command = sampan(directory.path(), &["serve", "--http", "127.0.0.1:0"]);
        command.args(["--quic", quic]).args(args);
        let mut process = Process::spawn(command);
        let line = process.stderr_line(|line| line.starts_with("listening "));
        let address = |name: &str| {
            let value = line.split(' ').find_map(|word| word.strip_prefix(name));
            value.and_then(|text| text.parse().ok()).expect("an address")
        };
        let broker = Broker { quic: address("quic="), http: address("http="), directory, process };
        broker.until_ready();
        broker
    }

    /// The same broker killed as by a crash, and started again at the same address.
    pub(crate) fn killed_and_restarted(mut self) -> Self {
        self.process.kill();
        Broker::start_in(self.directory, &[], &self.quic.to_string())
    }

    /// A client command for this broker.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = sampan(self.directory.path(), args);
        command.env("SAMPAN_URL", format!("quic://{}", self.quic));
        command
    }

    /// Runs a client command to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Done {
        done(self.command(args).output().expect("it runs"))
    }

    /// Runs a client command with this token.
    pub(crate) fn run_as(&self, token: &str, args: &[&str]) -> Done {
        done(self.command(args).env("SAMPAN_TOKEN", token).output().expect("it runs"))
    }

    /// Runs a client command with this on its standard input.
    pub(crate) fn run_with(&self, input: &[u8], args: &[&str]) -> Done {
        let mut command = self.command(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut stdin = child.stdin.take().expect("piped");
        let input = input.to_vec();
        // A command that ends early leaves its input unread.
        let feed = std::thread::spawn(move || _ = stdin.write_all(&input));
        let output = child.wait_with_output().expect("it ends");
        feed.join().expect("fed");
        done(output)
    }

    /// Starts `sub` with these arguments; returns once it has subscribed.
    pub(crate) fn subscribe(&self, args: &[&str]) -> Process {
        let mut command = self.command(&["sub"]);
        command.args(args);
        Process::subscriber(command)
    }

    /// A fresh token.
    pub(crate) fn token(&self, user: &str, role: &str) -> String {
        let done = self.run(&["token", "--user", user, "--role", role]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        done.stdout.trim().to_owned()
    }

    /// Status and body of a GET.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.http).expect("HTTP is up");
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
        (status.expect("a status"), body.unwrap_or_default())
    }

    /// Sends a signal to the process.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        self.process.signal(signal);
    }

    /// Waits for the process to end by itself.
    pub(crate) fn ended(self) -> (Done, TempDir) {
        (self.process.ended(), self.directory)
    }

    fn until_ready(&self) {
        eventually("ready", || self.get("/readyz").0 == 200);
    }
}

/// A process whose output is gathered. Dropping it kills the process.
pub(crate) struct Process {
    child: Child,
    stdout: Option<std::thread::JoinHandle<Vec<u8>>>,
    lines: Receiver<String>,
    stderr: Vec<String>,
}

impl Process {
    /// Starts a process.
    pub(crate) fn spawn(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut stdout = child.stdout.take().expect("piped");
        let stdout = std::thread::spawn(move || {
            let mut all = Vec::new();
            // What came until then is what counts.
            let _ = stdout.read_to_end(&mut all);
            all
        });
        let lines = lines(child.stderr.take().expect("piped"));
        Process { child, stdout: Some(stdout), lines, stderr: Vec::new() }
    }

    /// Starts a `sub` command, and waits until it has subscribed.
    pub(crate) fn subscriber(command: Command) -> Self {
        let mut process = Process::spawn(command);
        process.stderr_line(|line| line == "ready");
        process
    }

    /// Its standard input, if that is piped.
    pub(crate) fn stdin(&mut self) -> std::process::ChildStdin {
        self.child.stdin.take().expect("piped")
    }

    /// Waits for a line on standard error.
    pub(crate) fn stderr_line(&mut self, is_it: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("it did not come; standard error was {:#?}", self.stderr);
            };
            self.stderr.push(line.clone());
            if is_it(&line) {
                return line;
            }
        }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.child.id()).expect("a process id");
        let id = rustix::process::Pid::from_raw(id).expect("not 0");
        rustix::process::kill_process(id, signal).expect("sent");
    }

    /// Waits for the process to end by itself.
    pub(crate) fn ended(mut self) -> Done {
        let mut status = None;
        eventually("ended", || {
            status = self.child.try_wait().expect("waited");
            status.is_some()
        });
        let stdout = self.stdout.take().expect("once").join().expect("read");
        self.stderr.extend(self.lines.iter());
        Done {
            code: status.and_then(|status| status.code()).unwrap_or(-1),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: self.stderr.join("\n"),
        }
    }

    fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that has ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// Standard output as one JSON object per line.
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

/// Waits for something to become true.
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "not {what} in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn done(output: Output) -> Done {
    Done {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn lines(stderr: ChildStderr) -> Receiver<String> {
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if send.send(line).is_err() {
                return;
            }
        }
    });
    receive
}
