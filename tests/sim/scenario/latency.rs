//! How long messages took, from the call to the reader, in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::history::{History, Id, What};

/// The time under which 99 in 100 messages to these seats stayed.
pub(super) fn p99(history: &History, seats: &[u32]) -> Duration {
    let mut called: BTreeMap<Id, Duration> = BTreeMap::new();
    let mut took = Vec::new();
    for record in &history.records {
        match &record.what {
            What::Called { id, .. } => {
                called.insert(*id, record.at);
            }
            What::Message { reader, id: Some(id), .. } => {
                let seat = history.readers[*reader as usize].seat;
                if seats.contains(&seat) {
                    took.extend(called.get(id).map(|at| record.at - *at));
                }
            }
            _ => {}
        }
    }
    took.sort_unstable();
    took[took.len() * 99 / 100]
}
