//! A whole shop's stock in memory, small enough to be seen to be right: what a store is compared
//! with, step by step.

use std::collections::BTreeMap;

use super::hold::{self, Event, HOLD, Line};
use crate::inventory::model::{Hold, HoldStatus, Key, Level};
use crate::moment::Moment;
use crate::refusal::Refusal;

/// All levels and holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shop {
    /// Stock.
    pub levels: BTreeMap<Key, Level>,
    /// Holds by id.
    pub holds: BTreeMap<String, Hold>,
}

/// Why a reservation is not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreserved {
    /// The request is wrong.
    Refused(Refusal),
    /// There is not enough of this; so much is available to this customer.
    Short(Key, i64),
}

impl Shop {
    /// Adds to what is there, or takes from it.
    ///
    /// # Errors
    /// `Conflict` if less would be there than is held.
    pub fn adjust(&mut self, key: &Key, delta: i64) -> Result<Level, Refusal> {
        let before = self.levels.get(key).copied().unwrap_or_default();
        let on_hand = before.on_hand.saturating_add(delta);
        if on_hand < before.reserved {
            return Err(Refusal::Conflict("customers hold more than would be left"));
        }
        let after = Level { on_hand, version: before.version + 1, ..before };
        self.levels.insert(key.clone(), after);
        Ok(after)
    }

    /// Holds all lines or none, under ids that `name` makes. What the customer held of the same is
    /// given up for it; holds whose time is over are ended first.
    ///
    /// # Errors
    /// The first line that cannot be held; nothing has changed but holds whose time was over.
    pub fn reserve(
        &mut self,
        customer: &str,
        lines: &[Line],
        now: Moment,
        mut name: impl FnMut(&Key) -> String,
    ) -> Result<Vec<String>, Unreserved> {
        let lines = hold::lines(lines).map_err(Unreserved::Refused)?;
        self.sweep(now);
        let mut after = self.clone();
        let mut ids = Vec::new();
        for Line { key, quantity } in lines {
            let own: Vec<String> = after.own(customer, &key);
            for id in own {
                after.step(&id, &Event::Release, now).map_err(Unreserved::Refused)?;
            }
            let before = after.levels.get(&key).copied().unwrap_or_default();
            if before.available() < quantity {
                return Err(Unreserved::Short(key, before.available()));
            }
            let (reserved, version) = (before.reserved + quantity, before.version + 1);
            after.levels.insert(key.clone(), Level { reserved, version, ..before });
            let id = name(&key);
            let hold = Hold {
                id: id.clone(),
                key,
                quantity,
                customer_id: customer.to_owned(),
                expires_at: now.after(HOLD),
                created_at: now,
                ..Hold::default()
            };
            after.holds.insert(id.clone(), hold);
            ids.push(id);
        }
        *self = after;
        Ok(ids)
    }

    /// Does to a hold what happens to it, and to its level what follows.
    ///
    /// # Errors
    /// `NotFound`, or those of [`hold::step`].
    pub fn step(&mut self, id: &str, event: &Event, now: Moment) -> Result<Hold, Refusal> {
        let hold = self.holds.get(id).ok_or(Refusal::NotFound("there is no such hold"))?;
        let (after, delta) = hold::step(hold, event, now)?;
        if delta.reason.is_some() {
            let level = self.levels.entry(after.key.clone()).or_default();
            level.on_hand += delta.on_hand;
            level.reserved += delta.reserved;
            level.version += 1;
        }
        self.holds.insert(id.to_owned(), after.clone());
        Ok(after)
    }

    /// Ends all holds whose time is over; their ids.
    pub fn sweep(&mut self, now: Moment) -> Vec<String> {
        let live = self.holds.values().filter(|hold| hold.status.is_live());
        let over = live.filter(|hold| now >= hold.expires_at).map(|hold| hold.id.clone());
        let ids: Vec<String> = over.collect();
        ids.into_iter().filter(|id| self.step(id, &Event::Expire, now).is_ok()).collect()
    }

    /// Live holds of a customer that wait for no payment, of one stock.
    fn own(&self, customer: &str, key: &Key) -> Vec<String> {
        let is_own = |hold: &&Hold| {
            hold.status == HoldStatus::Held && hold.customer_id == customer && hold.key == *key
        };
        self.holds.values().filter(is_own).map(|hold| hold.id.clone()).collect()
    }

    /// What of a stock is held, counted hold by hold.
    #[must_use]
    pub fn held(&self, key: &Key) -> i64 {
        let live = self.holds.values().filter(|hold| hold.key == *key && hold.status.is_live());
        live.map(|hold| hold.quantity).sum()
    }
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
