//! How much each owner does at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts what each owner does at once; an owner who does nothing takes no memory.
#[derive(Clone, Debug)]
pub(super) struct Busy {
    max: usize,
    owners: Arc<Mutex<BTreeMap<String, usize>>>,
}

/// One thing that an owner does, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    busy: Busy,
    owner: String,
}

impl Busy {
    /// Each owner does so many things at once at most.
    pub(super) fn new(max: usize) -> Self {
        Busy { max, owners: Arc::default() }
    }

    /// One thing more of this owner, if there is room.
    pub(super) fn enter(&self, owner: &str) -> Option<Place> {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let count = owners.get(owner).copied().unwrap_or(0);
        if count >= self.max {
            return None;
        }
        owners.insert(owner.to_owned(), count + 1);
        Some(Place { busy: self.clone(), owner: owner.to_owned() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut owners = self.busy.owners.lock().unwrap_or_else(PoisonError::into_inner);
        match owners.get_mut(&self.owner) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(owners.remove(&self.owner)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_owner_leaves_room_for_others_and_nothing_behind() {
        let busy = Busy::new(2);
        let first = busy.enter("a").expect("room");
        let second = busy.enter("a").expect("room");
        assert!(busy.enter("a").is_none());
        let other = busy.enter("b").expect("another's room");
        drop(first);
        let third = busy.enter("a").expect("room again");
        drop((second, third, other));
        assert!(busy.owners.lock().expect("whole").is_empty());
    }
}
