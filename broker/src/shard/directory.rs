//! The map from topic name to id, class and owner that all shards share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use dashmap::DashMap;
use sampan_core::class::Table;
use sampan_core::directory::{Directory, Entry, Full, owner};
use sampan_protocol::Topic;

/// A directory for many threads. No guard of a map outlives a statement.
///
/// Memory: about 400 bytes per topic, at most `topics_max` of them.
pub struct Names {
    classes: Table,
    shards: u8,
    topics_max: usize,
    by_name: DashMap<Topic, Arc<Entry>>,
    by_id: DashMap<u64, Arc<Entry>>,
    topics: AtomicUsize,
    last_id: AtomicU64,
}

impl Names {
    /// An empty directory.
    #[must_use]
    pub fn new(classes: Table, shards: u8, topics_max: usize) -> Self {
        Names {
            classes,
            shards,
            topics_max,
            by_name: DashMap::new(),
            by_id: DashMap::new(),
            topics: AtomicUsize::new(0),
            last_id: AtomicU64::new(0),
        }
    }

    /// Topics known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.topics.load(Ordering::Relaxed)
    }

    /// Whether no topic is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn make(&self, topic: &Topic) -> Arc<Entry> {
        Arc::new(Entry {
            id: self.last_id.fetch_add(1, Ordering::Relaxed) + 1,
            topic: topic.clone(),
            owner: owner(topic, self.shards),
            rule: Arc::new(self.classes.rule(topic).clone()),
        })
    }
}

impl Directory for Names {
    fn resolve(&self, topic: &Topic) -> Result<Arc<Entry>, Full> {
        if let Some(entry) = self.find(topic) {
            return Ok(entry);
        }
        if self.topics.fetch_add(1, Ordering::Relaxed) >= self.topics_max {
            self.topics.fetch_sub(1, Ordering::Relaxed);
            return Err(Full);
        }
        // Known by its id first, so that whoever finds it by name can look up its id too.
        let made = self.make(topic);
        self.by_id.insert(made.id, Arc::clone(&made));
        let entry = Arc::clone(&self.by_name.entry(topic.clone()).or_insert(Arc::clone(&made)));
        if !Arc::ptr_eq(&entry, &made) {
            self.by_id.remove(&made.id);
            self.topics.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(entry)
    }

    fn find(&self, topic: &Topic) -> Option<Arc<Entry>> {
        self.by_name.get(topic).map(|entry| Arc::clone(&entry))
    }

    fn by_id(&self, id: u64) -> Option<Arc<Entry>> {
        self.by_id.get(&id).map(|entry| Arc::clone(&entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(n: usize) -> Topic {
        Topic::parse(&format!("chat.room.{n}")).expect("a topic")
    }

    #[test]
    fn all_threads_get_the_same_entry() {
        let names = Names::new(Table::shipped(), 4, 1000);
        let ids = |names: &Names| -> Vec<u64> {
            (0..500).map(|n| names.resolve(&topic(n)).expect("room").id).collect()
        };
        let all: Vec<Vec<u64>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| ids(&names))).collect();
            threads.into_iter().map(|thread| thread.join().expect("done")).collect()
        });
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!(names.len(), 500);
        assert_eq!(names.by_id.len(), 500);
        for (n, id) in all[0].iter().enumerate() {
            let entry = names.by_id(*id).expect("known");
            assert_eq!(entry.topic, topic(n));
            assert_eq!(entry.owner, owner(&topic(n), 4));
        }
    }

    #[test]
    fn a_full_directory_knows_what_it_knew() {
        let names = Names::new(Table::shipped(), 1, 2);
        assert!(names.resolve(&topic(0)).is_ok());
        assert!(names.resolve(&topic(1)).is_ok());
        assert_eq!(names.resolve(&topic(2)).map(|entry| entry.id), Err(Full));
        assert!(names.resolve(&topic(1)).is_ok());
        assert!(names.find(&topic(2)).is_none());
    }
}
