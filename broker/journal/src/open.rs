//! Opens a log: finds what is there, repairs what a crash left, and says what is damaged.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use sampan_core::journal::Hole;
use sampan_protocol::Now;

use crate::api::Opening;
use crate::damage::find_damage;
use crate::depot::{Depot, Prepared, RECYCLED_MAX};
use crate::encode::declaration;
use crate::error::{Error, OpenError};
use crate::identity;
use crate::keeper::Keeper;
use crate::key::{self, Sort};
use crate::mark::Checkpoint;
use crate::options::Options;
use crate::reader::Reader;
use crate::recover::{Found, recover};
use crate::segment::{Header, RESERVE, ending, name, parse_name};
use crate::shared::{Clock, Shared};
use crate::state::State;
use crate::storage::{File, Storage};
use crate::writer::Writer;

/// Numbers that topics skip when damage may have taken declarations: more than one segment's worth.
const NUMBERS_SKIPPED: u32 = 1 << 16;

/// An open log.
pub struct Log<S: Storage> {
    /// Writes to it; for one thread.
    pub writer: Writer<S>,
    /// Reads from it; for any thread, and as many as are wanted.
    pub reader: Reader<S>,
    /// Keeps it going; for one thread, which may be another than the writer's.
    pub keeper: Keeper<S>,
    /// What was found.
    pub opening: Opening,
}

impl<S: Storage> Log<S> {
    /// Opens the log in this directory, or makes one.
    ///
    /// # Errors
    /// If the storage fails, or the store is not one that these options can open. Damage is no error.
    pub fn open(storage: S, options: Options, now: Now) -> Result<Self, OpenError> {
        Log::open_from(storage, options, now, &Checkpoint::default())
    }

    /// Opens the log with values that somebody has kept; [`Opening::known`] says whether they were
    /// of use. A default checkpoint says nothing, and one that does not fit is left aside.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_from(
        storage: S,
        options: Options,
        now: Now,
        known: &Checkpoint,
    ) -> Result<Self, OpenError> {
        options.check()?;
        let store_id = identity::open(&storage, &options)?;
        let new_state = || State::new(options.classes.clone(), options.tail_bytes);
        tidy(&storage)?;
        let mut segments = numbers(&storage)?;
        let is_new = segments.is_empty();
        let (mut state, mut is_known) = (new_state(), known.through > 0);
        let mut found = recover(&storage, store_id, &segments, known, &mut state)?;
        let is_tidy = !finish_deleting(&storage, &mut segments, &state.gone)?;
        if !is_tidy || is_known && !found.fits(&state, known) {
            // From the beginning, without what is gone or does not fit.
            (state, is_known) = (new_state(), false);
            let nothing = Checkpoint::default();
            found = recover(&storage, store_id, &segments, &nothing, &mut state)?;
        }
        let depot = stock(&storage, store_id, &options, &mut found)?;
        let base_ms = if is_new { now.unix_ms } else { found.time_ms };
        let is_closed = |value: &crate::state::Value| !value.absent;
        let closed = state.values.get(&Sort::Closed.alone()).is_some_and(is_closed);
        let mut opening = Opening {
            clean: is_new || closed,
            torn_bytes: found.torn_bytes,
            known: is_known,
            store_id,
            ..Opening::default()
        };
        let mut values = settle(&mut state, &mut opening, &found);
        opening.damaged = state.damaged.clone();
        let clock = Clock::new(base_ms, now);
        let shared = Arc::new(Shared::new(storage, options, store_id, clock, state, depot));
        for number in found.cut {
            match shared.seal(number) {
                // There is time for the index later; nothing is written to this segment.
                Ok(()) | Err(Error::Full) => {}
                Err(error) => return Err(storage_error(error)),
            }
        }
        let (prepared, reserve) = {
            let mut depot = shared.depot();
            let taken = depot.take(&shared.storage, true, base_ms).map_err(storage_error)?;
            match depot.reserve(&shared.storage) {
                Ok(()) | Err(Error::Full) => taken,
                Err(error) => return Err(storage_error(error)),
            }
        };
        values.extend(skip(&mut shared.state(), prepared.header.number));
        let mut writer = Writer::new(shared.clone(), prepared, reserve, found.seen);
        writer.put_own(now, &values).map_err(storage_error)?;
        writer.sync().map_err(storage_error)?;
        let keeper = Keeper { shared: shared.clone() };
        Ok(Log { writer, reader: Reader::new(shared), keeper, opening })
    }
}

/// Numbers of segments that were prepared and never used are gone; the value that says so.
fn skip<F>(state: &mut State<F>, next: u64) -> Option<(Bytes, Option<Bytes>)> {
    let from = state.segments.last_key_value().map_or(1, |(number, _)| number + 1);
    let last = state.gone.last().map_or(0, |gone| gone.to);
    if from >= next || last + 1 >= next {
        return None;
    }
    key::join(&mut state.gone, Hole { from, to: next - 1 });
    Some((Sort::Gone.alone(), Some(key::ranges(&state.gone))))
}

pub(crate) fn storage_error(error: Error) -> OpenError {
    OpenError::Storage(match error {
        Error::Storage(reported) => reported.into(),
        Error::Full => std::io::ErrorKind::StorageFull.into(),
        _ => std::io::ErrorKind::Other.into(),
    })
}

/// The numbers of the segments, ascending.
pub(crate) fn numbers<S: Storage>(storage: &S) -> Result<Vec<u64>, OpenError> {
    let list = storage.list()?;
    let segments = list.iter().filter_map(|file| parse_name(file));
    let segments = segments.filter(|(_, ending)| *ending == ending::SEGMENT);
    let mut numbers: Vec<u64> = segments.map(|(number, _)| number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Removes what was not finished.
fn tidy<S: Storage>(storage: &S) -> Result<(), OpenError> {
    let mut list = storage.list()?;
    list.retain(|file| file.rsplit('.').next() == Some(ending::UNFINISHED));
    for file in &list {
        storage.remove(file)?;
    }
    if list.is_empty() { Ok(()) } else { Ok(storage.sync_dir()?) }
}

/// Removes segments that the log says are gone, which a crash has prevented; whether there were any.
fn finish_deleting<S: Storage>(
    storage: &S,
    segments: &mut Vec<u64>,
    gone: &[Hole],
) -> Result<bool, OpenError> {
    let before = segments.len();
    let is_gone = |number: u64| gone.iter().any(|gone| (gone.from..=gone.to).contains(&number));
    for number in segments.extract_if(.., |number| is_gone(*number)) {
        storage.remove(&name(number, ending::SEGMENT))?;
    }
    if segments.len() == before {
        return Ok(false);
    }
    storage.sync_dir()?;
    Ok(true)
}

/// The prepared segments that are there.
fn stock<S: Storage>(
    storage: &S,
    store_id: u64,
    options: &Options,
    found: &mut Found<S::File>,
) -> Result<Depot<S::File>, OpenError> {
    let mut depot = Depot {
        store_id,
        segment_bytes: options.segment_bytes,
        next_number: found.last_number + 1,
        next: None,
        has_reserve: false,
        full_ms: None,
        dead: VecDeque::new(),
        recycled: Vec::new(),
    };
    let list = storage.list()?;
    for file in &list {
        match parse_name(file) {
            _ if file == RESERVE => {
                depot.has_reserve = storage.open(RESERVE)?.len()? >= options.segment_bytes;
            }
            Some((number, ending::RECYCLED)) => {
                depot.next_number = depot.next_number.max(number + 1);
                if depot.recycled.len() < RECYCLED_MAX {
                    depot.recycled.push(file.clone());
                } else {
                    storage.remove(file)?;
                }
            }
            Some((number, ending::DAMAGED)) => {
                depot.next_number = depot.next_number.max(number + 1);
            }
            Some((number, ending::INDEX)) if !list.contains(&name(number, ending::SEGMENT)) => {
                storage.remove(file)?;
            }
            _ => {}
        }
    }
    if list.iter().any(|file| file == RESERVE) && !depot.has_reserve {
        storage.remove(RESERVE)?;
    }
    for (number, file) in std::mem::take(&mut found.unused) {
        let header = Header { store_id, number, bytes: options.segment_bytes };
        let fits = file.len()? == options.segment_bytes
            && Header::read(&file, store_id, number)? == Some(header);
        if fits && depot.next.is_none() && number + 1 == depot.next_number {
            depot.next = Some(Prepared { header, file: Arc::new(file) });
        } else {
            depot.recycle(storage, number).map_err(storage_error)?;
        }
    }
    Ok(depot)
}

/// Settles what is not certain: offsets that may have been shown, histories that damage has cut. The
/// values to write before anything else.
fn settle<F>(
    state: &mut State<F>,
    opening: &mut Opening,
    found: &Found<F>,
) -> Vec<(Bytes, Option<Bytes>)> {
    let mut values = vec![(Sort::Closed.alone(), None)];
    let cut = find_damage(state, found);
    if !cut.is_empty() || found.is_cut() {
        // Commit numbers only rise, so this is an epoch that no topic has had.
        state.epoch = state.epoch.max(found.seen) + 1;
        values.push((Sort::Epoch.alone(), Some(key::number(state.epoch))));
        let skipped = state.topics.next_number().saturating_add(NUMBERS_SKIPPED);
        state.topics.skip_to(skipped);
    }
    let epoch = state.epoch;
    for (number, topic) in state.topics.iter_mut() {
        if let (Some(name), true) = (&topic.name, cut.contains(&number)) {
            topic.epoch = epoch;
            values.push((Sort::Topic.of(number, b""), Some(declaration(name, epoch))));
        }
        let hole = Hole { from: topic.next(), to: topic.reserved };
        if !opening.clean && hole.from <= hole.to {
            topic.lose(hole);
            opening.lost.extend(topic.name.clone().map(|name| (name, hole)));
            values.push((Sort::Lost.of(number, b""), Some(key::ranges(&topic.lost))));
        }
        if topic.reserved > 0 {
            values.push((Sort::Reserved.of(number, b""), None));
        }
        (topic.reserved, topic.promised) = (0, 0);
        topic.given = topic.next() - 1;
    }
    values
}
