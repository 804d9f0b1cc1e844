//! What a witness has said, as history and aftermath.

use std::collections::BTreeMap;
use std::sync::Arc;

use sampan_tests::check::{Report, check};
use sampan_tests::history::{Aftermath, Event, Found, Level, Message, Place};

use crate::client::GROUP;

/// Everything that was said by all witnesses of one store, in order.
#[derive(Debug, Default)]
pub(crate) struct Said {
    events: Vec<Event>,
    after: Aftermath,
    /// Per key the versions that were to be kept, and that are: last sent, last synced, found.
    versions: BTreeMap<u64, (u64, u64, Option<u64>)>,
    /// What was ever said to be damaged, or makes no sense.
    wrong: Vec<String>,
    pub(crate) drained: bool,
}

fn name(topic: u64) -> Arc<str> {
    format!("order.{topic}").into()
}

impl Said {
    /// Takes a whole line. Lines of others, such as a booting kernel, are left out.
    pub(crate) fn hear(&mut self, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let numbers: Option<Vec<u64>> = rest.split(' ').map(|part| part.parse().ok()).collect();
        match (word, numbers.as_deref()) {
            ("sent", Some([topic, producer, first, count, bytes])) => {
                for sequence in *first..first + count {
                    let message = Message { producer: *producer, sequence };
                    let bytes = usize::try_from(*bytes).unwrap_or(usize::MAX);
                    self.events.push(Event::Sent { message, topic: name(*topic), bytes });
                }
            }
            ("logged" | "synced", Some([topic, producer, first, count, epoch, from])) => {
                let level = if word == "synced" { Level::Synced } else { Level::Logged };
                for n in 0..*count {
                    let message = Message { producer: *producer, sequence: first + n };
                    let place = Place { topic: name(*topic), epoch: *epoch, offset: from + n };
                    self.events.push(Event::Acked { message, place, level });
                }
            }
            ("put", Some([key, version])) => self.versions.entry(*key).or_default().0 = *version,
            ("kept", Some([key, version])) => self.versions.entry(*key).or_default().1 = *version,
            ("value", Some([key, version])) => {
                self.versions.entry(*key).or_default().2 = Some(*version);
            }
            ("given" | "settled", Some([topic, epoch, offset])) => {
                let place = Place { topic: name(*topic), epoch: *epoch, offset: *offset };
                let group = GROUP.into();
                self.events.push(match word {
                    "given" => Event::Given { group, place },
                    _ => Event::Settled { group, place, level: Level::Synced },
                });
            }
            ("consumed", Some([topic])) => self.after.drained.push((GROUP.into(), name(*topic))),
            ("floor", Some([topic, floor])) => self.after.floors.push((name(*topic), *floor)),
            ("found", _) => self.find(rest),
            ("drained", _) => self.drained = true,
            ("damaged", _) => self.wrong.push(line.to_owned()),
            _ => {}
        }
    }

    fn find(&mut self, rest: &str) {
        let mut parts = rest.splitn(4, ' ');
        let mut number = || parts.next().and_then(|part| part.parse::<u64>().ok());
        let (Some(topic), Some(epoch), Some(offset)) = (number(), number(), number()) else {
            return self.wrong.push(format!("unreadable: {rest}"));
        };
        let payload = parts.next().unwrap_or("").as_bytes().to_vec();
        let place = Place { topic: name(topic), epoch, offset };
        self.after.found.push(Found { place, payload });
    }

    /// Forgets what was found, for another look; what was wrong stays wrong.
    pub(crate) fn look_again(&mut self) {
        self.after = Aftermath::default();
        self.drained = false;
    }

    /// How often a group was given something, and was told that it is done with it.
    pub(crate) fn group(&self) -> (usize, usize) {
        let count = |is: fn(&Event) -> bool| self.events.iter().filter(|event| is(event)).count();
        let given = count(|event| matches!(event, Event::Given { .. }));
        (given, count(|event| matches!(event, Event::Settled { .. })))
    }

    /// What the store did wrong, if this level survives. A store that was not read to its end is
    /// not judged.
    pub(crate) fn check(&self, survives: Level) -> Result<Report, String> {
        if !self.drained {
            return Err("the store could not be read to its end".to_owned());
        }
        let mut report = check(&self.events, &self.after, survives);
        for (key, (sent, synced, found)) in &self.versions {
            if !found.is_some_and(|found| (*synced..=*sent).contains(&found)) {
                report.cursor_regressed += 1;
                report.findings.push(format!("key {key}: {found:?}, kept {synced}, sent {sent}"));
            }
        }
        report.corrupt_payload += self.wrong.len() as u64;
        report.findings.extend(self.wrong.iter().take(5).cloned());
        Ok(report)
    }
}
