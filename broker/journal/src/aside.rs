//! Moves a damaged segment aside, once what is valid of it is copied and the rest is known as lost.

use std::io::ErrorKind;

use sampan_core::journal::Hole;
use sampan_protocol::Now;

use crate::clean::Copying;
use crate::damage::apart;
use crate::dedupe::Entries;
use crate::error::Error;
use crate::key::{self, Sort};
use crate::record::{COPIED, Record};
use crate::scan::{self, scan};
use crate::segment::{Header, ending, name};
use crate::state::{Change, Value};
use crate::storage::{File, Storage};
use crate::writer::Writer;

impl<S: Storage> Writer<S> {
    /// Copies what is valid of a segment, notes what is lost with it, and renames it to `.damaged`;
    /// whether there was such a segment.
    ///
    /// # Errors
    /// `Full` if there is no space for the copies, or whatever the storage reports.
    pub(crate) fn move_aside(&mut self, now: Now, segment: u64) -> Result<bool, Error> {
        self.sync()?;
        let Some(file) = self.shared.file(segment)? else { return Ok(false) };
        let whole = crate::recover::read(&*file, file.len()?)?;
        let header = Header { store_id: self.shared.store_id, number: segment, bytes: 0 };
        let found = scan(&whole, segment, header.seed(), 0);
        let mut copying = Copying::new(self.shared.clock.at(now));
        let source = u16::try_from(segment & u64::from(u16::MAX)).unwrap_or(0);
        for change in &found.changes {
            let (at, bytes) = match change {
                Change::Run { region, .. } => (region.at, region.length),
                Change::Value { value, .. } => (value.place.at, value.place.bytes),
            };
            let record = Record::read(&whole, 0, at, header.seed()).ok_or(Error::Damaged)?;
            let (ahead, body) = record.split().ok_or(Error::Damaged)?;
            let weight = usize::try_from(bytes).unwrap_or(usize::MAX).saturating_add(64);
            match change {
                Change::Run { topic, region, .. } => {
                    if !self.is_kept(*topic, segment, region.from) {
                        continue;
                    }
                    let copied = record.head.flags & COPIED != 0;
                    let entries = Entries::read(ahead, region.from, copied);
                    let entries = entries.ok_or(Error::Damaged)?;
                    let run = scan::run(&whole, &record, &entries).ok_or(Error::Damaged)?;
                    let entries = Entries { time_ms: Some(region.time_ms), ..entries };
                    self.copy_to(&mut copying, weight)?.part(*topic, Some(source), &run, &entries);
                }
                Change::Value { key, value } => {
                    if self.current(key).is_some_and(|current| current.place == value.place) {
                        let body = (!value.absent).then(|| whole.slice_ref(body));
                        let body = body.as_ref().map(std::slice::from_ref);
                        let block = self.copy_to(&mut copying, weight)?;
                        block.value(key.clone(), body, value.mark);
                    }
                }
            }
        }
        self.end_block(&mut copying)?;
        self.sync()?;
        let lost = self.lost_with(segment, &copying.changes);
        self.put_own(now, &lost)?;
        self.sync()?;
        let storage = &self.shared.storage;
        storage.rename(&name(segment, ending::SEGMENT), &name(segment, ending::DAMAGED))?;
        match storage.remove(&name(segment, ending::INDEX)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => storage.sync_dir()?,
        }
        let mut gone = self.shared.state().gone.clone();
        key::join(&mut gone, Hole { from: segment, to: segment });
        self.put_own(now, &[(Sort::Gone.alone(), Some(key::ranges(&gone)))])?;
        self.sync()?;
        let topics = self.shared.state().topics.iter().map(|(number, _)| number).collect();
        self.replace(segment, &topics, copying.changes);
        Ok(true)
    }

    /// Whether the messages from this offset on are read from this segment.
    fn is_kept(&self, topic: u32, segment: u64, from: u64) -> bool {
        let state = self.shared.state();
        let Some(standing) = state.topics.get(topic) else { return false };
        let extent = standing.extents.range(..=from).next_back();
        extent.is_some_and(|(_, extent)| extent.segment == segment && extent.total.to >= from)
    }

    fn current(&self, key: &[u8]) -> Option<Value> {
        self.shared.state().values.get(key).cloned()
    }

    /// The values that say what is lost with a segment, except for these copies: offsets of topics,
    /// and values that can only be removed.
    fn lost_with(
        &self,
        segment: u64,
        copies: &[Change],
    ) -> Vec<(bytes::Bytes, Option<bytes::Bytes>)> {
        let mut out = Vec::new();
        let mut state = self.shared.state();
        for (number, topic) in state.topics.iter_mut() {
            let mut there = Vec::new();
            for change in copies {
                if let Change::Run { topic, region, .. } = change
                    && *topic == number
                {
                    key::join(&mut there, Hole { from: region.from, to: region.to });
                }
            }
            let here = topic.extents.values();
            let here = here.filter(|extent| extent.segment == segment && !extent.is_bare());
            let here = here.map(|extent| Hole { from: extent.total.from, to: extent.total.to });
            let lost = here.flat_map(|range| apart(range, &there));
            let lost: Vec<Hole> = lost.chain(std::mem::take(&mut topic.damaged)).collect();
            if !lost.is_empty() {
                lost.into_iter().for_each(|hole| topic.lose(hole));
                out.push((Sort::Lost.of(number, b""), Some(key::ranges(&topic.lost))));
            }
        }
        let broken = state.values.iter().filter(|(_, value)| value.place.segment == segment);
        out.extend(broken.map(|(key, value)| (key.clone(), value.body.clone())));
        out
    }
}
