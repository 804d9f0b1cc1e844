//! The directory from topic name to id, class and owner, behind a lock that one thread takes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use sampan_core::config::Config;
use sampan_core::directory::{Directory, Entry, Full, owner};
use sampan_protocol::Topic;

#[derive(Debug, Default)]
struct Entries {
    by_name: BTreeMap<Topic, Arc<Entry>>,
    by_id: Vec<Arc<Entry>>,
}

pub(crate) struct Names {
    config: Arc<Config>,
    shards: u8,
    entries: Mutex<Entries>,
}

impl Names {
    pub(crate) fn new(config: Arc<Config>, shards: u8) -> Self {
        Names { config, shards, entries: Mutex::default() }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().expect("not poisoned")
    }
}

impl Directory for Names {
    fn resolve(&self, topic: &Topic) -> Result<Arc<Entry>, Full> {
        let mut entries = self.entries();
        if let Some(entry) = entries.by_name.get(topic) {
            return Ok(entry.clone());
        }
        if entries.by_id.len() >= self.config.limits.topics_max {
            return Err(Full);
        }
        let entry = Arc::new(Entry {
            id: entries.by_id.len() as u64 + 1,
            topic: topic.clone(),
            owner: owner(topic, self.shards),
            rule: Arc::new(self.config.classes.rule(topic).clone()),
        });
        entries.by_id.push(entry.clone());
        entries.by_name.insert(topic.clone(), entry.clone());
        Ok(entry)
    }

    fn find(&self, topic: &Topic) -> Option<Arc<Entry>> {
        self.entries().by_name.get(topic).cloned()
    }

    fn by_id(&self, id: u64) -> Option<Arc<Entry>> {
        let index = usize::try_from(id.checked_sub(1)?).ok()?;
        self.entries().by_id.get(index).cloned()
    }
}
