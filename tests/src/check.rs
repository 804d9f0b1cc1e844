//! The checker: holds what a store kept against the history of what clients were told.
//!
//! Seven counts must be 0; two inform. It shares no code with any store. An operation that was in
//! flight at a crash may have either outcome.

#[cfg(test)]
mod cheats;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::history::{Aftermath, Event, Found, Level, Message, Place};
use crate::payload;

/// Findings told in words at most.
const TOLD: usize = 20;

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages acknowledged at a level that survives.
    pub acked: u64,
    /// Messages kept.
    pub kept: u64,
    /// Acknowledged or shown, and not at its place.
    pub acked_lost: u64,
    /// Kept and never sent to that topic, or refused.
    pub phantom: u64,
    /// Kept with bytes that nobody sent.
    pub corrupt_payload: u64,
    /// Missing below a later message that the same producer sent to the same topic.
    pub gap: u64,
    /// Kept behind a later message of the same producer.
    pub reordered: u64,
    /// A place that held or was promised to another message.
    pub offset_reused: u64,
    /// Given to a group again after it had been settled, or never given.
    pub cursor_regressed: u64,
    /// Kept again under another offset.
    pub duplicates: u64,
    /// Never acknowledged, and kept.
    pub in_flight_kept: u64,
    /// The first findings, in words.
    pub findings: Vec<String>,
}

impl Report {
    /// How much is wrong.
    #[must_use]
    pub fn violations(&self) -> u64 {
        self.counts().iter().map(|(_, count)| count).sum()
    }

    /// The counts that must be 0, by name.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, u64); 7] {
        [
            ("acked_lost", self.acked_lost),
            ("phantom", self.phantom),
            ("corrupt_payload", self.corrupt_payload),
            ("gap", self.gap),
            ("reordered", self.reordered),
            ("offset_reused", self.offset_reused),
            ("cursor_regressed", self.cursor_regressed),
        ]
    }

    fn tell(&mut self, finding: impl FnOnce() -> String) {
        if self.findings.len() < TOLD {
            self.findings.push(finding());
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "acked={} kept={}", self.acked, self.kept)?;
        for (name, count) in self.counts() {
            write!(f, " {name}={count}")?;
        }
        write!(f, " duplicates={} in_flight_kept={}", self.duplicates, self.in_flight_kept)?;
        self.findings.iter().try_for_each(|finding| write!(f, "\n  {finding}"))
    }
}

/// What the store did wrong. `survives` is the weakest level that outlives what happened to it.
#[must_use]
pub fn check(history: &[Event], after: &Aftermath, survives: Level) -> Report {
    let mut report = Report::default();
    let told = Told::read(history, survives, &mut report);
    let found: Vec<_> = after.found.iter().map(|found| payload::decode(&found.payload)).collect();
    let kept = told.kept(after, &found, &mut report);
    told.promises(after, &kept, &mut report);
    told.order(after, &found, &mut report);
    told.groups(history, after, survives, &kept, &mut report);
    report
}

/// Producer and topic: within one the order is promised.
type Line = (u64, Arc<str>);

/// What the history says of each message and each place.
#[derive(Default)]
struct Told {
    /// Topic and size of each message.
    sent: BTreeMap<Message, (Arc<str>, usize)>,
    refused: BTreeSet<Message>,
    /// Every message of a line that was not refused, by sequence.
    lines: BTreeMap<Line, BTreeSet<u64>>,
    /// The message that each place was promised to, and whether the promise survives.
    places: BTreeMap<Place, (Message, bool)>,
    acked: BTreeSet<Message>,
}

impl Told {
    fn read(history: &[Event], survives: Level, report: &mut Report) -> Self {
        let mut told = Told::default();
        for event in history {
            match event {
                Event::Sent { message, topic, bytes } => {
                    told.sent.insert(*message, (Arc::clone(topic), *bytes));
                    let line = told.lines.entry((message.producer, Arc::clone(topic)));
                    line.or_default().insert(message.sequence);
                }
                Event::Refused(message) => {
                    told.refused.insert(*message);
                    if let Some((topic, _)) = told.sent.get(message)
                        && let Some(line) = told.lines.get_mut(&(message.producer, topic.clone()))
                    {
                        line.remove(&message.sequence);
                    }
                }
                Event::Acked { message, place, level } => {
                    told.acked.insert(*message);
                    told.promise(place, *message, *level >= survives, report);
                }
                Event::Shown(place, message) => told.promise(place, *message, true, report),
                Event::Settled { .. } | Event::Given { .. } => {}
            }
        }
        report.acked = told.places.values().filter(|(_, survives)| *survives).count() as u64;
        told
    }

    /// A place was told to hold a message.
    fn promise(&mut self, place: &Place, message: Message, survives: bool, report: &mut Report) {
        let promised = self.places.entry(place.clone()).or_insert((message, survives));
        promised.1 |= survives;
        if promised.0 != message {
            report.offset_reused += 1;
            let before = promised.0;
            report.tell(|| format!("{place:?} promised to {before:?}, then to {message:?}"));
        }
    }

    /// Looks at each kept message alone; the message at each place.
    fn kept(
        &self,
        after: &Aftermath,
        found: &[Option<Message>],
        report: &mut Report,
    ) -> BTreeMap<Place, Message> {
        let mut kept = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (Found { place, payload }, message) in after.found.iter().zip(found) {
            report.kept += 1;
            let Some(message) = *message else {
                report.corrupt_payload += 1;
                report.tell(|| format!("{place:?} holds {} bytes of nobody", payload.len()));
                continue;
            };
            match self.sent.get(&message) {
                Some((topic, bytes))
                    if *topic == place.topic && !self.refused.contains(&message) =>
                {
                    if *bytes != payload.len() {
                        report.corrupt_payload += 1;
                        report.tell(|| format!("{place:?} is cut to {} bytes", payload.len()));
                    }
                }
                _ => {
                    report.phantom += 1;
                    report.tell(|| format!("{place:?} holds {message:?}, never sent there"));
                }
            }
            report.duplicates += u64::from(!seen.insert(message));
            report.in_flight_kept += u64::from(!self.acked.contains(&message));
            let promised = self.places.get(place).map(|(message, _)| *message);
            let before = promised.or_else(|| kept.get(place).copied());
            if before.is_some_and(|before| before != message) {
                report.offset_reused += 1;
                report.tell(|| format!("{place:?} holds {message:?} instead of {before:?}"));
            }
            kept.insert(place.clone(), message);
        }
        kept
    }

    /// Every surviving promise is kept, unless limits have passed it.
    fn promises(&self, after: &Aftermath, kept: &BTreeMap<Place, Message>, report: &mut Report) {
        let floors = floors(after);
        for (place, (message, survives)) in &self.places {
            let owed = *survives && floors.get(&place.topic).is_none_or(|at| place.offset >= *at);
            if owed && kept.get(place) != Some(message) {
                report.acked_lost += 1;
                report.tell(|| format!("{place:?} does not hold {message:?}"));
            }
        }
    }

    /// Per producer and topic what was kept is a prefix of what was sent, in its order.
    fn order(&self, after: &Aftermath, found: &[Option<Message>], report: &mut Report) {
        let mut kept: BTreeMap<Line, BTreeSet<u64>> = BTreeMap::new();
        for (Found { place, .. }, message) in after.found.iter().zip(found) {
            let Some(message) = message else { continue };
            let line = kept.entry((message.producer, Arc::clone(&place.topic))).or_default();
            let later = line.last().is_some_and(|last| *last > message.sequence);
            if line.insert(message.sequence) && later {
                report.reordered += 1;
                report.tell(|| format!("{message:?} stands at {place:?}, behind a later one"));
            }
        }
        let floors = floors(after);
        for (line, kept) in &kept {
            let Some(sent) = self.lines.get(line) else { continue };
            let limited = floors.get(&line.1).is_some_and(|floor| *floor > 1);
            let first = kept.first().copied().filter(|_| limited).unwrap_or(0);
            let last = kept.last().copied().unwrap_or(0);
            for sequence in sent.range(first..=last).filter(|sequence| !kept.contains(sequence)) {
                report.gap += 1;
                report.tell(|| format!("{line:?}: {sequence} is missing below {last}"));
            }
        }
    }

    /// What was settled is not given again, and what was not settled was given.
    fn groups(
        &self,
        history: &[Event],
        after: &Aftermath,
        survives: Level,
        kept: &BTreeMap<Place, Message>,
        report: &mut Report,
    ) {
        let mut settled = BTreeSet::new();
        let mut given = BTreeSet::new();
        for event in history {
            match event {
                Event::Settled { group, place, level } if *level >= survives => {
                    settled.insert((group, place));
                    given.insert((group, place));
                }
                Event::Given { group, place } => {
                    given.insert((group, place));
                    if settled.contains(&(group, place)) {
                        report.cursor_regressed += 1;
                        report.tell(|| format!("{group} was given {place:?} after it was settled"));
                    }
                }
                _ => {}
            }
        }
        let floors = floors(after);
        for (group, topic) in &after.drained {
            let floor = floors.get(topic).copied().unwrap_or(0);
            let owed = kept.keys().filter(|place| place.topic == *topic && place.offset >= floor);
            for place in owed.filter(|place| !given.contains(&(group, place))) {
                report.cursor_regressed += 1;
                report.tell(|| format!("{group} was never given {place:?}"));
            }
        }
    }
}

fn floors(after: &Aftermath) -> BTreeMap<&Arc<str>, u64> {
    after.floors.iter().map(|(topic, floor)| (topic, *floor)).collect()
}
