//! MongoDB's server, from where `make setup` puts it.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use super::guard::Guard;
use super::op_msg::{Value, ask};

/// Where `scripts/setup.sh` puts the server, below the user's cache, and the variable that names
/// another place.
const PROGRAM: &str = "sampan/mongod-6.0.5";
const PLACE: &str = "SAMPAN_MONGOD";

/// A MongoDB server: the only member of the replica set `rs0`.
#[derive(Debug)]
pub struct Mongo {
    guard: Guard,
    program: PathBuf,
    port: u16,
    databases: AtomicU32,
}

impl Mongo {
    /// A new server with nothing stored.
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
        let mut server = Mongo { guard, program, port, databases: AtomicU32::new(0) };
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

    /// Starts it with what it had stored, and waits until it takes writes.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start_again(&mut self) {
        let mut command = self.guard.command(&self.program);
        command.args(["--replSet", "rs0", "--bind_ip", "127.0.0.1", "--nounixsocket"]);
        command.args(["--dbpath", "data", "--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "50"]);
        command.args(["--setParameter", "enableTestCommands=1"]);
        command.args(["--port", &self.port.to_string()]);
        self.guard.start(command);
        let address = self.address();
        let member = [("_id", Value::Number(0)), ("host", Value::Text(&address))];
        let set =
            [("_id", Value::Text("rs0")), ("members", Value::List(&[Value::Fields(&member)]))];
        let initiate = [("replSetInitiate", Value::Fields(&set))];
        let hello = [("hello", Value::Number(1))];
        self.guard.wait(|| {
            // The second time it is refused, as it should be.
            ask(&address, &initiate).and_then(|_| ask(&address, &hello)).is_ok_and(|told| {
                let primary: &[u8] = b"\x08isWritablePrimary\x00\x01";
                told.windows(primary.len()).any(|part| part == primary)
            })
        });
    }

    /// Host and port.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The address of a new database.
    #[must_use]
    pub fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        format!("mongodb://{}/test_{number}?replicaSet=rs0", self.address())
    }

    /// Lets so many writes more succeed, and then none until [`Mongo::heal`].
    ///
    /// # Panics
    /// If the server does not do so.
    pub fn fail_after(&self, writes: u32) {
        let names = ["insert", "update", "findAndModify", "delete"].map(Value::Text);
        let data = [("failCommands", Value::List(&names)), ("errorCode", Value::Number(1))];
        let skip = [("skip", Value::Number(i32::try_from(writes).expect("few")))];
        self.fail_point(Value::Fields(&skip), &data);
    }

    /// Lets all writes succeed.
    ///
    /// # Panics
    /// If the server does not do so.
    pub fn heal(&self) {
        self.fail_point(Value::Text("off"), &[]);
    }

    fn fail_point(&self, mode: Value<'_>, data: &[(&str, Value<'_>)]) {
        let fail = [
            ("configureFailPoint", Value::Text("failCommand")),
            ("mode", mode),
            ("data", Value::Fields(data)),
        ];
        let told = ask(&self.address(), &fail).expect("the server answers");
        let done: &[u8] = b"\x01ok\x00\x00\x00\x00\x00\x00\x00\xf0\x3f";
        assert!(told.windows(done.len()).any(|part| part == done), "the server refuses to fail");
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
