//! A server's process and folder, which outlive the test's process by a moment only.

use std::fs;
use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a server may take to come up, on a machine that does much else.
const UP: Duration = Duration::from_secs(90);

/// Waits until its input ends, which it does with the test's process, ends the server by its id, and
/// removes its folder.
const WATCH: &str = r#"cat >/dev/null
pid=$(cat "$1/pid" 2>/dev/null) && kill -s "$2" "$pid" 2>/dev/null
while [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
rm -rf "$1""#;

/// A server and its folder.
#[derive(Debug)]
pub(super) struct Guard {
    folder: PathBuf,
    server: Option<Child>,
    /// The watching process; its input stays open as long as this one lives.
    _watch: Child,
    /// User and group of the server, if this process is root's and the server refuses to be.
    owner: Option<(u32, u32)>,
}

impl Guard {
    /// An empty folder, watched from now on. `signal` is what ends the server at once.
    pub(super) fn new(name: &str, signal: &str, owner: Option<(u32, u32)>) -> Self {
        let folder = tempfile::Builder::new().prefix(&format!("sampan-{name}-")).tempdir();
        let folder = folder.expect("a temporary folder").keep();
        if let Some((user, group)) = owner {
            chown(&folder, Some(user), Some(group)).expect("the folder is this process's");
        }
        let watch = Command::new("sh")
            .args(["-c", WATCH, "watch"])
            .arg(&folder)
            .arg(signal)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A signal for the tests' group leaves it to do its work.
            .process_group(0)
            .spawn();
        Guard { folder, server: None, _watch: watch.expect("sh starts"), owner }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A command in the server's name.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder).stdin(Stdio::null());
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        command
    }

    /// Starts the server, whose output goes to `log` in the folder.
    pub(super) fn start(&mut self, mut command: Command) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder.join("log"));
        let log = log.expect("a log");
        command.stdout(log.try_clone().expect("a handle")).stderr(log);
        let server = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut pid = fs::File::create(self.folder.join("pid")).expect("a file");
        write!(pid, "{}", server.id()).expect("written");
        self.server = Some(server);
    }

    pub(super) fn id(&self) -> u32 {
        self.server.as_ref().map_or(0, std::process::Child::id)
    }

    /// Waits until `is_up`, and panics with the server's own words if that never comes.
    pub(super) fn wait(&mut self, is_up: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_up() {
            let ended = self.server.as_mut().and_then(|server| server.try_wait().ok().flatten());
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(ended.is_none(), "the server has ended: {ended:?}\n{}", log());
            assert!(begun.elapsed() < UP, "the server does not come up\n{}", log());
            sleep(Duration::from_millis(20));
        }
    }

    /// Ends the server without a warning, as a crash would.
    pub(super) fn kill(&mut self) {
        let _ = fs::remove_file(self.folder.join("pid"));
        if let Some(mut server) = self.server.take() {
            server.kill().expect("it is this process's child");
            server.wait().expect("it has ended");
        }
    }
}

/// User and group of a server that refuses to be root's; none if this process is not root's.
pub(super) fn not_root() -> Option<(u32, u32)> {
    let id = |args: &[&str]| {
        let told = Command::new("id").args(args).output().ok()?;
        String::from_utf8(told.stdout).ok()?.trim().parse::<u32>().ok()
    };
    if id(&["-u"]) != Some(0) {
        return None;
    }
    ["postgres", "nobody"].iter().find_map(|name| Some((id(&["-u", name])?, id(&["-g", name])?)))
}
