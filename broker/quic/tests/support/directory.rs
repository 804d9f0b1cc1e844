//! The directory of one shard, behind a lock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use sampan_core::class::Table;
use sampan_core::directory::{Directory, Entry, Full, owner};
use sampan_protocol::Topic;

pub struct Names {
    classes: Table,
    entries: Mutex<BTreeMap<Topic, Arc<Entry>>>,
}

impl Names {
    pub fn new(classes: Table) -> Self {
        Names { classes, entries: Mutex::default() }
    }
}

impl Directory for Names {
    fn resolve(&self, topic: &Topic) -> Result<Arc<Entry>, Full> {
        let mut entries = self.entries.lock().expect("not poisoned");
        let id = entries.len() as u64 + 1;
        let make = || Entry {
            id,
            topic: topic.clone(),
            owner: owner(topic, 1),
            rule: Arc::new(self.classes.rule(topic).clone()),
        };
        Ok(entries.entry(topic.clone()).or_insert_with(|| Arc::new(make())).clone())
    }

    fn find(&self, topic: &Topic) -> Option<Arc<Entry>> {
        self.entries.lock().expect("not poisoned").get(topic).cloned()
    }

    fn by_id(&self, id: u64) -> Option<Arc<Entry>> {
        let entries = self.entries.lock().expect("not poisoned");
        entries.values().find(|entry| entry.id == id).cloned()
    }
}
