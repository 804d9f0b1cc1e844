//! PostgreSQL, as Debian installs it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::guard::{Guard, not_root};

/// Where Debian puts the server's programs, and the variable that names another place.
const PROGRAMS: &str = "/usr/lib/postgresql";
const PLACE: &str = "SAMPAN_POSTGRES_BIN";

/// A PostgreSQL server on a socket in its own folder.
#[derive(Debug)]
pub struct Postgres {
    guard: Guard,
    programs: PathBuf,
    databases: AtomicU32,
}

impl Postgres {
    /// A new server with no database but its own.
    ///
    /// # Panics
    /// If it does not come up.
    #[must_use]
    pub fn start() -> Self {
        let programs = programs();
        let guard = Guard::new("postgres", "QUIT", not_root());
        let mut server = Postgres { guard, programs, databases: AtomicU32::new(0) };
        let mut make = server.guard.command(&server.programs.join("initdb"));
        make.args(["--pgdata=data", "--username=sampan", "--auth=trust", "--encoding=UTF8"]);
        make.args(["--locale=C.UTF-8", "--no-instructions", "--no-sync"]);
        told(&mut make);
        server.start_again();
        server
    }

    /// The id of its process, 0 while it is not there.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.guard.id()
    }

    /// Ends it without a warning.
    pub fn kill(&mut self) {
        self.guard.kill();
    }

    /// Starts it with what it had stored.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start_again(&mut self) {
        // A lock that a killed server has left would hold its socket from the next.
        let _ = std::fs::remove_file(self.guard.folder().join(".s.PGSQL.5432.lock"));
        let mut command = self.guard.command(&self.programs.join("postgres"));
        command.arg("-D").arg(self.guard.folder().join("data"));
        command.arg("-k").arg(self.guard.folder()).args(["-h", ""]);
        self.guard.start(command);
        let (folder, psql) = (self.guard.folder().to_owned(), self.programs.join("psql"));
        self.guard.wait(|| {
            let asked = query(&psql, &folder, "SELECT 1").output();
            asked.is_ok_and(|asked| asked.status.success())
        });
    }

    /// The address of a new database.
    ///
    /// # Panics
    /// If the server does not make it.
    #[must_use]
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let make = format!("CREATE DATABASE {name}");
        told(&mut query(&self.programs.join("psql"), self.guard.folder(), &make));
        let folder = self.guard.folder().display().to_string().replace('/', "%2F");
        format!("postgres://sampan@{folder}/{name}")
    }
}

fn query(psql: &Path, folder: &Path, text: &str) -> Command {
    let mut command = Command::new(psql);
    command.arg("-h").arg(folder).args(["-U", "sampan", "-d", "postgres", "-qAtX", "-c", text]);
    command
}

fn told(command: &mut Command) {
    let told = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let why = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success(), "{command:?}: {why}");
}

/// The folder of the newest server's programs.
fn programs() -> PathBuf {
    if let Some(place) = std::env::var_os(PLACE) {
        return place.into();
    }
    let versions = std::fs::read_dir(PROGRAMS).into_iter().flatten().flatten();
    let folders = versions.map(|version| version.path().join("bin"));
    let newest = folders.filter(|folder| folder.join("initdb").exists()).max();
    newest.unwrap_or_else(|| panic!("no PostgreSQL below {PROGRAMS}: `make setup` installs it"))
}
