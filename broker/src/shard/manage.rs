//! Asking the groups of the shards, each of which lives in the shard of its name.

use std::collections::HashMap;
use std::time::Duration;

use sampan_core::directory::owner;
use sampan_core::shard::{Manage, Managed};
use sampan_protocol::{Code, Topic};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::broker::Broker;
use super::command::Note;

/// How long an answer may take. Many dead letters take a while to be put back.
const ANSWER: Duration = Duration::from_secs(60);

/// Where a shard's answer goes.
pub(super) type Answer = oneshot::Sender<Result<Managed, Code>>;

/// Who waits for what this shard was asked.
#[derive(Debug, Default)]
pub(super) struct Asked {
    last: u64,
    waiting: HashMap<u64, Answer>,
}

impl Asked {
    /// A number for a question whose answer goes there.
    pub(super) fn note(&mut self, answer: Answer) -> u64 {
        self.last += 1;
        self.waiting.insert(self.last, answer);
        self.last
    }

    /// Hands an answer on.
    pub(super) fn answer(&mut self, id: u64, result: Result<Managed, Code>) {
        if let Some(answer) = self.waiting.remove(&id) {
            // Whoever asked may have stopped waiting.
            let _ = answer.send(result);
        }
    }
}

impl Broker {
    /// Asks something of a group, or how all groups stand, in name order.
    ///
    /// # Errors
    /// The code of the group's refusal; BUSY if a shard does not answer in time.
    pub async fn manage(&self, manage: Manage) -> Result<Managed, Code> {
        let until = Instant::now() + ANSWER;
        let count = self.shards_len();
        let asked: Vec<u8> = match group(&manage) {
            Some(group) => vec![owner(group, count)],
            None => (0..count).collect(),
        };
        let answers: Vec<_> = asked
            .into_iter()
            .map(|shard| {
                let (answer, answered) = oneshot::channel();
                self.tell(shard, Note::Manage { manage: manage.clone(), answer });
                answered
            })
            .collect();
        let mut groups = Vec::new();
        for answered in answers {
            match timeout_at(until, answered).await {
                Ok(Ok(Ok(Managed::Groups(of_shard)))) => groups.extend(of_shard),
                Ok(Ok(other)) => return other,
                Ok(Err(_)) => return Err(Code::GOING_AWAY),
                Err(_) => return Err(Code::BUSY),
            }
        }
        groups.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Managed::Groups(groups))
    }
}

/// The group that is meant, if it is one.
fn group(manage: &Manage) -> Option<&Topic> {
    match manage {
        Manage::Groups(group) => group.as_ref(),
        Manage::Delete(group)
        | Manage::Seek { group, .. }
        | Manage::Letters { group, .. }
        | Manage::Retry { group, .. }
        | Manage::Discard { group, .. } => Some(group),
    }
}
