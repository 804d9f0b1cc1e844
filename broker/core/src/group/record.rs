//! What a group remembers, and its stored form. Drawn in `spec/groups.md`.
//!
//! A value that does not decode, or that is not the one encoding of its fields, is refused as a
//! whole; what refusing costs is that messages come again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sampan_protocol::control::GroupOrder;
use sampan_protocol::{Pattern, Topic};

use super::bytes::{Reader, Writer};
use super::ranges::Ranges;
use super::tried::{FAILURES_MAX, Failure, Tried};

/// Offsets that one block covers.
pub(crate) const BLOCK: u64 = 1024;
/// The form of every value.
const FORM: u64 = 1;

/// What is fixed, or rarely changes, about a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// What the group reads.
    pub pattern: Pattern,
    /// In which order.
    pub order: GroupOrder,
    /// How long a consumer may take for a job.
    pub ack_wait: Duration,
    /// How often a message is handed out at most.
    pub attempts_max: u32,
    /// Whether the group has ever had a consumer. Until then nothing is kept for it beyond what
    /// topics keep by themselves.
    pub is_used: bool,
    /// Topics without a cursor are read from the first message at or after this time, Unix
    /// milliseconds.
    pub since_ms: u64,
    /// Dead letters that are kept.
    pub letters: u64,
    /// The id that the next dead letter gets.
    pub next_letter: u64,
}

/// How far a group is in one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) epoch: u64,
    /// Everything up to here is settled.
    pub(crate) done: u64,
}

/// The part of a topic's state that belongs to `BLOCK` offsets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) settled: Vec<(u64, u64)>,
    pub(crate) tried: BTreeMap<u64, Tried>,
}

/// A message that the group has given up, or that is on its way back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The topic.
    pub topic: Topic,
    /// Epoch of the offset.
    pub epoch: u64,
    /// The message's offset.
    pub offset: u64,
    /// The message's time, Unix milliseconds.
    pub time_ms: u64,
    /// When it was given up, Unix milliseconds.
    pub moved_ms: u64,
    /// How often it was handed out.
    pub attempts: u32,
    /// Why it was given up.
    pub reason: Arc<str>,
    /// The last failed attempts, oldest first.
    pub failures: Vec<Failure>,
    /// The message's attributes, as in its DELIVER.
    pub attributes: Bytes,
    /// The message's payload.
    pub payload: Bytes,
}

impl Definition {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Writer::default();
        out.number(FORM);
        out.bytes(self.pattern.as_str().as_bytes());
        out.number(self.order.number().into());
        out.number(u64::try_from(self.ack_wait.as_millis()).unwrap_or(u64::MAX));
        out.number(self.attempts_max.into());
        out.number(self.is_used.into());
        for number in [self.since_ms, self.letters, self.next_letter] {
            out.number(number);
        }
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = form(bytes)?;
        let definition = Definition {
            pattern: Pattern::parse(rest.text()?).ok()?,
            order: GroupOrder::from_number(rest.small()?)?,
            ack_wait: Duration::from_millis(rest.small::<u32>()?.into()),
            attempts_max: rest.small()?,
            is_used: rest.number()? == 1,
            since_ms: rest.number()?,
            letters: rest.number()?,
            next_letter: rest.number()?,
        };
        (definition.encode() == bytes).then_some(definition)
    }
}

impl Place {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Writer::default();
        for number in [FORM, self.epoch, self.done] {
            out.number(number);
        }
        out.finish()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = form(bytes)?;
        let place = Place { epoch: rest.number()?, done: rest.number()? };
        (place.encode() == bytes).then_some(place)
    }
}

impl Block {
    /// The part of a topic's state that block `number` holds.
    pub(crate) fn of(number: u64, settled: &Ranges, tried: &BTreeMap<u64, Tried>) -> Self {
        let (from, to) = (number * BLOCK, number * BLOCK + BLOCK - 1);
        let tried = tried.range(from..=to).map(|(offset, tried)| (*offset, tried.clone()));
        Block { settled: settled.within(from, to), tried: tried.collect() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.settled.is_empty() && self.tried.is_empty()
    }

    /// This without failures, which makes it small.
    pub(crate) fn lean(mut self) -> Self {
        self.tried.values_mut().for_each(|tried| tried.failures.clear());
        self
    }

    pub(crate) fn encode(&self, number: u64) -> Bytes {
        let mut out = Writer::default();
        out.number(FORM);
        let mut at = number * BLOCK;
        out.number(self.settled.len() as u64);
        for (from, to) in &self.settled {
            out.number(from - at);
            out.number(to - from);
            at = to + 1;
        }
        let mut at = number * BLOCK;
        let mut tried = self.tried.iter().peekable();
        let mut runs = Vec::new();
        while let Some((&from, first)) = tried.next() {
            let mut to = from;
            let plain = first.failures.is_empty();
            while plain
                && tried.next_if(|(next, other)| **next == to + 1 && *other == first).is_some()
            {
                to += 1;
            }
            runs.push((from, to, first));
        }
        out.number(runs.len() as u64);
        for (from, to, tried) in runs {
            out.number(from - at);
            out.number(to - from);
            out.number(tried.attempts.into());
            out.number(tried.condemned.into());
            out.number(tried.due_ms);
            failures(&mut out, &tried.failures);
            at = to + 1;
        }
        out.finish()
    }

    pub(crate) fn decode(number: u64, bytes: &[u8]) -> Option<Self> {
        let mut rest = form(bytes)?;
        let start = number.checked_mul(BLOCK)?;
        let end = start.checked_add(BLOCK)?;
        let mut block = Block::default();
        let mut at = start;
        for _ in 0..rest.number()? {
            let from = at.checked_add(rest.number()?)?;
            let to = from.checked_add(rest.number()?).filter(|to| *to < end)?;
            block.settled.push((from, to));
            at = to + 1;
        }
        let mut at = start;
        for _ in 0..rest.number()? {
            let from = at.checked_add(rest.number()?)?;
            let to = from.checked_add(rest.number()?).filter(|to| *to < end)?;
            let tried = Tried {
                attempts: rest.small()?,
                condemned: rest.number()? == 1,
                due_ms: rest.number()?,
                failures: read_failures(&mut rest)?,
            };
            block.tried.extend((from..=to).map(|offset| (offset, tried.clone())));
            at = to + 1;
        }
        (block.encode(number) == bytes).then_some(block)
    }
}

impl Letter {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Writer::default();
        out.number(FORM);
        out.bytes(self.topic.as_str().as_bytes());
        for number in [self.epoch, self.offset, self.time_ms, self.moved_ms] {
            out.number(number);
        }
        out.number(self.attempts.into());
        out.bytes(self.reason.as_bytes());
        failures(&mut out, &self.failures);
        out.bytes(&self.attributes);
        out.bytes(&self.payload);
        out.finish()
    }

    pub(crate) fn decode(bytes: &Bytes) -> Option<Self> {
        let mut rest = form(bytes)?;
        let letter = Letter {
            topic: Topic::parse(rest.text()?).ok()?,
            epoch: rest.number()?,
            offset: rest.number()?,
            time_ms: rest.number()?,
            moved_ms: rest.number()?,
            attempts: rest.small()?,
            reason: Arc::from(rest.text()?),
            failures: read_failures(&mut rest)?,
            attributes: bytes.slice_ref(rest.bytes()?),
            payload: bytes.slice_ref(rest.bytes()?),
        };
        (letter.encode() == *bytes).then_some(letter)
    }
}

/// What follows the form, if it is the known one.
fn form(bytes: &[u8]) -> Option<Reader<'_>> {
    let mut rest = Reader(bytes);
    (rest.number()? == FORM).then_some(rest)
}

fn failures(out: &mut Writer, failures: &[Failure]) {
    out.number(failures.len() as u64);
    for failure in failures {
        out.number(failure.at_ms);
        out.bytes(failure.user.as_bytes());
        out.bytes(failure.reason.as_bytes());
    }
}

fn read_failures(rest: &mut Reader<'_>) -> Option<Vec<Failure>> {
    let count = rest.small().filter(|count: &usize| *count <= FAILURES_MAX)?;
    let mut failures = Vec::with_capacity(count);
    for _ in 0..count {
        let at_ms = rest.number()?;
        let (user, reason) = (Arc::from(rest.text()?), Arc::from(rest.text()?));
        failures.push(Failure { at_ms, user, reason });
    }
    Some(failures)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::key;
    use super::*;

    fn failure() -> impl Strategy<Value = Failure> {
        (any::<u64>(), "[a-z]{0,4}", "[a-zก ]{0,8}").prop_map(|(at_ms, user, reason)| Failure {
            at_ms,
            user: user.into(),
            reason: reason.into(),
        })
    }

    fn tried() -> impl Strategy<Value = Tried> {
        let failures = prop::collection::vec(failure(), 0..FAILURES_MAX);
        prop_oneof![
            3 => (1u32..4).prop_map(|attempts| Tried { attempts, ..Tried::default() }),
            1 => (any::<u32>(), any::<bool>(), any::<u64>(), failures).prop_map(
                |(attempts, condemned, due_ms, failures)| Tried { attempts, condemned, due_ms, failures }
            ),
        ]
    }

    proptest! {
        #[test]
        fn a_block_is_read_as_it_was_written(
            number in 0u64..3,
            ranges in prop::collection::vec((0u64..1024, 0u64..50), 0..20),
            list in prop::collection::btree_map(0u64..1024, tried(), 0..30),
        ) {
            let mut settled = Ranges::default();
            for (from, more) in ranges {
                settled.insert(number * BLOCK + from, number * BLOCK + from + more);
            }
            let tried = list.into_iter().map(|(at, tried)| (number * BLOCK + at, tried)).collect();
            let block = Block::of(number, &settled, &tried);
            prop_assert_eq!(Block::decode(number, &block.encode(number)), Some(block));
        }

        #[test]
        fn a_letter_is_read_as_it_was_written(
            numbers: (u64, u64, u64, u64, u32), reason in ".{0,20}", failures in prop::collection::vec(failure(), 0..5),
            attributes: Vec<u8>, payload: Vec<u8>,
        ) {
            let (epoch, offset, time_ms, moved_ms, attempts) = numbers;
            let topic = Topic::parse("order.7").expect("valid");
            let (attributes, payload) = (attributes.into(), payload.into());
            let reason = reason.into();
            let letter = Letter {
                topic, epoch, offset, time_ms, moved_ms, attempts, reason, failures, attributes, payload,
            };
            prop_assert_eq!(Letter::decode(&letter.encode()), Some(letter));
        }

        #[test]
        fn noise_and_damage_are_refused_without_a_panic(
            noise in prop::collection::vec(any::<u8>(), 0..200), at in 0usize..200, bit in 0u8..8,
        ) {
            let mut noise = noise;
            for start in [&[][..], &[1]] {
                let bytes = Bytes::from([start, &noise].concat());
                if let Some(block) = Block::decode(3, &bytes) {
                    prop_assert_eq!(block.encode(3), &bytes);
                }
                if let Some(letter) = Letter::decode(&bytes) {
                    prop_assert_eq!(letter.encode(), &bytes);
                }
                if let Some(definition) = Definition::decode(&bytes) {
                    prop_assert_eq!(definition.encode(), &bytes);
                }
                if let Some(place) = Place::decode(&bytes) {
                    prop_assert_eq!(place.encode(), &bytes);
                }
            }
            let list = [(1, Tried { attempts: 3, ..Tried::default() })].into();
            let block = Block { settled: vec![(5, 9)], tried: list };
            noise = block.encode(0).to_vec();
            let at = at % noise.len();
            noise[at] ^= 1 << bit;
            prop_assert_ne!(Block::decode(0, &noise), Some(block));
        }
    }

    #[test]
    fn a_definition_and_a_place_are_read_as_they_were_written() {
        let definition = Definition {
            pattern: Pattern::parse("chat.conversation.*").expect("valid"),
            order: GroupOrder::Key,
            ack_wait: Duration::from_secs(30),
            attempts_max: 10,
            is_used: true,
            since_ms: 0,
            letters: 3,
            next_letter: 300,
        };
        assert_eq!(Definition::decode(&definition.encode()), Some(definition));
        let place = Place { epoch: 1_700_000_000_000, done: 127 };
        assert_eq!(Place::decode(&place.encode()), Some(place));
    }

    #[test]
    fn a_key_names_its_group_topic_and_number() {
        let (group, topic) =
            (Topic::parse("a.b").expect("valid"), Topic::parse("c").expect("valid"));
        let block = key::block(&group, &topic, 255);
        assert_eq!(block, "block/a.b/c/00000000000000ff");
        assert_eq!(key::parts(&block), Some((group.clone(), Some("c"), Some(255))));
        let letter = key::letter(&group, 16);
        assert!(letter.starts_with(&key::letters(&group)));
        assert_eq!(key::parts(&letter).map(|parts| parts.2), Some(Some(16)));
        assert_eq!(key::parts(b"group/"), None);
    }
}
