//! Turns what is asked of a log into records.

use std::sync::Arc;

use bytes::Bytes;
use sampan_core::journal::Run;
use sampan_protocol::Topic;

use crate::api::{Write, Written};
use crate::block::Block;
use crate::error::Error;
use crate::key::{self, Sort};
use crate::state::State;
use crate::storage::Storage;
use crate::topic::Standing;
use crate::writer::Writer;

/// Offsets that are reserved at a time for topics whose offsets are shown early.
const RESERVED_AHEAD: u64 = 65_536;

/// Bytes that the declaration and the reservation of a topic take at most beside its name.
pub(crate) const DECLARED_BYTES: usize = 256;

/// Bytes of a key of the owner; an index has 16 bits for the length.
const KEY_BYTES_MAX: usize = 60_000;

/// What a write has changed in the topics' standings, so that it can be taken back.
#[derive(Debug, Default)]
pub(crate) struct Undo(Vec<(u32, u64, u64, u64)>);

impl<S: Storage> Writer<S> {
    /// Adds the records of a write, unless it is refused.
    pub(crate) fn encode(
        &self,
        state: &mut State<S::File>,
        block: &mut Block,
        undo: &mut Undo,
        runs: &mut Vec<(u32, Arc<Run>)>,
        write: &Write,
    ) -> Result<Written, Error> {
        match write {
            Write::Append { topic, epoch, run, early, replaces } => {
                if !replaces.is_empty() && replaces.len() as u64 != run.count() {
                    return Err(Error::TooLarge);
                }
                let number = self.admit(state, topic, *epoch, run)?;
                undo.note(number, state.topics.entry(number));
                self.declare(state, block, number, topic, *epoch);
                let standing = state.topics.entry(number);
                standing.given = run.to;
                if *early && run.to > standing.promised {
                    standing.promised = run.to.saturating_add(RESERVED_AHEAD);
                    let promised = key::number(standing.promised);
                    let key = Sort::Reserved.of(number, b"");
                    let mark = self.first_segment(state, &key);
                    block.own_value(key, Some(promised), mark);
                }
                let shown = *early && run.to <= state.topics.entry(number).reserved;
                if replaces.is_empty() {
                    block.run(number, run);
                    runs.push((number, run.clone()));
                } else {
                    for (frame, name) in run.frames().zip(replaces) {
                        let key = Sort::Newest.of(number, name.as_bytes());
                        let pieces: Vec<Bytes> =
                            std::iter::once(frame.head).chain(frame.body).collect();
                        block.value(key, Some(&pieces), frame.offset);
                    }
                    block.bare(number, run);
                }
                Ok(Written { shown })
            }
            Write::Put(values) => {
                for (name, body) in values {
                    let key = key::owner(name);
                    let mark = self.first_segment(state, &key);
                    block.value(key, body.as_ref().map(std::slice::from_ref), mark);
                }
                Ok(Written { shown: false })
            }
            Write::Pin { topic, name, offset } => {
                if let Some(number) = state.topics.number(topic) {
                    let key = Sort::Pin.of(number, name.as_bytes());
                    let mark = self.first_segment(state, &key);
                    block.own_value(key, offset.map(key::number), mark);
                }
                Ok(Written { shown: false })
            }
        }
    }

    /// The topic's number, if the run may be appended.
    fn admit(
        &self,
        state: &mut State<S::File>,
        topic: &Topic,
        epoch: u64,
        run: &Run,
    ) -> Result<u32, Error> {
        if run.from == 0 || run.to < run.from || run.bytes == 0 {
            return Err(Error::TooLarge);
        }
        let Some(number) = state.topics.number(topic) else {
            let next = state.topics.next_number();
            // Behind the last number there is none.
            let full = state.topics.len() >= self.shared.options.topics_max || next == u32::MAX;
            return if full { Err(Error::TooManyTopics) } else { Ok(next) };
        };
        let standing = state.topics.entry(number);
        if standing.name.is_some() && standing.epoch != epoch {
            return Err(Error::WrongEpoch);
        }
        if run.from <= standing.given { Err(Error::OffsetReused) } else { Ok(number) }
    }

    /// Writes a topic's name and epoch, once in each segment that has messages of it: so a segment
    /// that is lost takes no name with it that others need.
    pub(crate) fn declare(
        &self,
        state: &mut State<S::File>,
        block: &mut Block,
        number: u32,
        topic: &Topic,
        epoch: u64,
    ) {
        let segment = self.active.prepared.header.number;
        if state.topics.entry(number).declared_in == segment {
            return;
        }
        state.topics.declare(number, topic, epoch);
        state.topics.entry(number).declared_in = segment;
        let key = Sort::Topic.of(number, b"");
        let mark = self.first_segment(state, &key);
        block.own_value(key, Some(declaration(topic, epoch)), mark);
    }

    /// The first segment that may have an older value of a key: the one that the state knows of, or
    /// the one that is written to.
    pub(crate) fn first_segment(&self, state: &State<S::File>, key: &Bytes) -> u64 {
        let known = state.values.get(key).map(|value| value.mark);
        known.unwrap_or(self.active.prepared.header.number)
    }
}

/// The value that declares a topic.
pub(crate) fn declaration(topic: &Topic, epoch: u64) -> Bytes {
    epoch.to_le_bytes().into_iter().chain(topic.as_str().bytes()).collect()
}

/// Bytes of records that a write takes at most.
pub(crate) fn weight(write: &Write) -> usize {
    match write {
        Write::Append { topic, run, replaces, .. } => {
            let keys: usize =
                replaces.iter().map(|key| Block::value_weight(key.len() + 5, 8)).sum();
            Block::run_weight(run) + keys + topic.as_str().len() + DECLARED_BYTES
        }
        Write::Put(values) => {
            if values.iter().any(|(key, _)| key.len() > KEY_BYTES_MAX) {
                return usize::MAX;
            }
            let size = |body: &Option<Bytes>| body.as_ref().map_or(0, Bytes::len);
            values.iter().map(|(key, body)| Block::value_weight(key.len() + 1, size(body))).sum()
        }
        Write::Pin { name, .. } => Block::value_weight(name.len() + 5, 8),
    }
}

/// The writes that fit into `room`, up to the first that may not be there; and how many they are.
pub(crate) fn fitting(writes: &[Write], mut room: usize, no_messages: bool) -> (usize, &[Write]) {
    let fits = writes.iter().take_while(|write| {
        let weight = weight(write);
        let refused = no_messages && matches!(write, Write::Append { .. });
        let fits = weight <= room && !refused;
        room = room.saturating_sub(weight);
        fits
    });
    let count = fits.count();
    (count, &writes[..count])
}

impl Undo {
    fn note(&mut self, number: u32, topic: &Standing) {
        self.0.push((number, topic.given, topic.promised, topic.declared_in));
    }

    pub(crate) fn take_back<F>(self, state: &mut State<F>) {
        for (number, given, promised, declared_in) in self.0.into_iter().rev() {
            let topic = state.topics.entry(number);
            (topic.given, topic.promised, topic.declared_in) = (given, promised, declared_in);
        }
    }
}
