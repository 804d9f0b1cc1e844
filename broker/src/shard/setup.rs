//! What a broker is started with.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use sampan_core::config::Config;
use sampan_core::grant::Identity;
use sampan_core::journal::{self, Journal, Memory};
use sampan_protocol::{Code, Topic};
use sampan_quic::{Certificate, Limits, SECRET_BYTES};

use crate::udp::BufferSizes;

/// Judges a token at a time (Unix milliseconds): who it names, or the code to refuse it with.
///
/// Called on shard threads, which serve nobody meanwhile: it must not block.
pub type Authenticate = Arc<dyn Fn(&str, u64) -> Result<Identity, Code> + Send + Sync>;

/// One shard's journal, and the topics of the shard that it holds from before.
pub struct Store {
    /// The journal.
    pub journal: Box<dyn Journal + Send>,
    /// Its topics.
    pub topics: Vec<Topic>,
}

/// Makes a shard poll its journal; may be called from any thread.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Makes the journal of a shard, by its number.
pub type OpenStore = Box<dyn FnMut(u8, Wake) -> io::Result<Store>>;

/// Everything that [`Broker::start`](super::Broker::start) needs.
pub struct Setup {
    /// Where to listen; port 0 lets the system choose.
    pub addr: SocketAddr,
    /// Shard threads, 1 to 64.
    pub shards: u8,
    /// Kernel buffers of each shard's socket.
    pub buffers: BufferSizes,
    /// Limits, classes, roles.
    pub config: Arc<Config>,
    /// Bounds of the transport, per shard.
    pub limits: Limits,
    /// What the broker proves itself with.
    pub certificate: Certificate,
    /// The transport secret, kept in the data directory so that it outlives the process.
    pub secret: [u8; SECRET_BYTES],
    /// Judges tokens.
    pub authenticate: Authenticate,
    /// Makes the journals.
    pub store: OpenStore,
}

impl Setup {
    /// A store in memory: `capacity_bytes` for all shards together, gone with the process.
    ///
    /// Its epoch is the time of the start, so that clients learn from a position of an earlier
    /// process that its history is lost.
    #[must_use]
    pub fn memory(config: &Config, shards: u8, capacity_bytes: usize) -> OpenStore {
        let classes = Arc::new(config.classes.clone());
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let epoch = u64::try_from(since.as_millis()).unwrap_or(1).max(1);
        let capacity_bytes = capacity_bytes / usize::from(shards.max(1));
        Box::new(move |shard, _| {
            let config = journal::Config {
                epoch,
                capacity_bytes,
                seed: u64::from(shard),
                ..journal::Config::default()
            };
            let journal = Box::new(Memory::new(config, classes.clone()));
            Ok(Store { journal, topics: Vec::new() })
        })
    }
}
