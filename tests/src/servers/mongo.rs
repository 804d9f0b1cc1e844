//! MongoDB's server, from where `make setup` puts it.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;

use super::guard::Guard;

/// Where `scripts/setup.sh` puts the server, below the user's cache, and the variable that names
/// another place.
const PROGRAM: &str = "sampan/mongod-6.0.5";
const PLACE: &str = "SAMPAN_MONGOD";

/// A MongoDB server of one node that is to become the replica set `rs0`.
#[derive(Debug)]
pub struct Mongo {
    guard: Guard,
    program: PathBuf,
    port: u16,
}

impl Mongo {
    /// A new server with nothing stored. Whoever uses it first initiates its replica set.
    ///
    /// # Panics
    /// If it does not come up.
    #[must_use]
    pub fn start() -> Self {
        let program = program();
        let guard = Guard::new("mongod", "KILL", None);
        // The server takes no port 0; one that was free a moment ago is free still, as a rule.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
        let port = free.expect("a free port").port();
        std::fs::create_dir(guard.folder().join("data")).expect("a folder");
        let mut server = Mongo { guard, program, port };
        server.start_again();
        server
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
        let mut command = self.guard.command(&self.program);
        command.args(["--replSet", "rs0", "--bind_ip", "127.0.0.1", "--nounixsocket"]);
        command.args(["--dbpath", "data", "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "50"]);
        command.args(["--port", &self.port.to_string()]);
        self.guard.start(command);
        let address = self.address();
        self.guard.wait(|| TcpStream::connect(&address).is_ok());
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

fn program() -> PathBuf {
    if let Some(place) = std::env::var_os(PLACE) {
        return place.into();
    }
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let program = cache.or_else(home).expect("HOME is set").join(PROGRAM);
    assert!(program.exists(), "no {}: `make setup` fetches it", program.display());
    program
}
