//! What reaches a shard through its inbox: commands, and news of in-process sessions.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use sampan_core::grant::Identity;
use sampan_core::shard::{Manage, TopicStatus};
use sampan_protocol::Code;
use sampan_protocol::link::Sink;
use sampan_quic::Tls;

use super::drain::Drain;
use super::link::Mailbox;
use super::manage::Answer;

/// Picks sessions by who they belong to.
pub(super) type Matches = Arc<dyn Fn(&Identity) -> bool + Send + Sync>;

/// One entry of a shard's inbox.
pub(super) enum Note {
    /// A session in the same process begins.
    Attach { link: u64, address: String, mailbox: Arc<Mailbox>, sink: Box<dyn Sink> },
    /// The session's mailbox holds something.
    Mail { link: u64 },
    /// The session's sink has room again.
    Room { link: u64 },
    /// The session's owner is done with it.
    Detach { link: u64 },
    /// Show another certificate.
    Certificate(Tls),
    /// End every session that matches; answer how many.
    CloseWhere { code: Code, matches: Matches, answer: Sender<usize> },
    /// Answer with the topics that the shard owns.
    Topics { max: usize, answer: Sender<Vec<TopicStatus>> },
    /// Answer what is asked of the shard's groups.
    Manage { manage: Manage, answer: Answer },
    /// Send the clients away.
    Drain(Drain, Matches),
    /// Close what is left and end the thread.
    Stop,
}
