//! Reads from a log while it is written to: what is synced, and nothing else.

use std::sync::Arc;

use bytes::Bytes;
use sampan_core::journal::{Hole, Run, Start};
use sampan_protocol::Topic;

use crate::api::{Damage, Page, Stats};
use crate::error::Error;
use crate::extent::{Extent, Region};
use crate::key;
use crate::read::{Missed, Piece};
use crate::shared::Shared;
use crate::storage::Storage;

/// Times that a read looks again because what it wanted was moved, or found to be damaged.
pub(crate) const LOOKS_MAX: usize = 1024;

/// Reads from a log. Cheap to clone; calls block on the disk.
pub struct Reader<S: Storage> {
    pub(crate) shared: Arc<Shared<S>>,
}

impl<S: Storage> Clone for Reader<S> {
    fn clone(&self) -> Self {
        Reader { shared: self.shared.clone() }
    }
}

/// Messages and values wanted, and what they may take.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// Where to start.
    pub start: Start,
    /// Bytes of frames at most; the first message comes even if it is larger.
    pub max_bytes: usize,
    /// Messages at most.
    pub max_count: u32,
}

/// A page in the making.
struct Filling {
    page: Page,
    bytes: usize,
    count: u32,
    topic_id: u64,
}

impl<S: Storage> Reader<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>) -> Self {
        Reader { shared }
    }

    /// A page of a topic's messages, under this topic id.
    ///
    /// # Errors
    /// Whatever the storage reports; damage is part of the page.
    pub fn read(&self, topic: &Topic, topic_id: u64, wanted: Wanted) -> Result<Page, Error> {
        for _ in 0..LOOKS_MAX {
            match self.page(topic, topic_id, wanted) {
                Ok(page) => return Ok(page),
                Err(Missed::Failed(error)) => return Err(error),
                Err(Missed::Moved | Missed::Damaged) => {}
            }
        }
        Err(Error::Damaged)
    }

    /// Values of the owner whose keys start with `prefix` and are above `after`, by key, of so many
    /// bytes and at least one; and whether there are more.
    ///
    /// # Errors
    /// `Damaged` if one of them is, or whatever the storage reports.
    pub fn load(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        max_bytes: usize,
    ) -> Result<(Vec<(Bytes, Bytes)>, bool), Error> {
        let (mut out, mut bytes) = (Vec::new(), 0);
        let prefix = key::owner(prefix);
        let mut after = after.map(key::owner);
        let mut looks = 0;
        loop {
            let Some((key, value)) = self.shared.state().value_after(&prefix, after.as_deref())
            else {
                return Ok((out, false));
            };
            let size = usize::try_from(value.place.bytes).unwrap_or(usize::MAX);
            if !out.is_empty() && size.saturating_add(bytes) > max_bytes {
                return Ok((out, true));
            }
            match self.shared.value(&key, &value) {
                Ok(body) => {
                    bytes += size;
                    out.push((key.slice(1..), body));
                    after = Some(key);
                    looks = 0;
                }
                Err(Missed::Moved) if looks < LOOKS_MAX => looks += 1,
                Err(Missed::Failed(error)) => return Err(error),
                Err(_) => return Err(Error::Damaged),
            }
        }
    }

    /// Every topic by name.
    #[must_use]
    pub fn topics(&self) -> Vec<Topic> {
        let state = self.shared.state();
        let mut names: Vec<Topic> =
            state.topics.iter().filter_map(|(_, t)| t.name.clone()).collect();
        names.sort_unstable();
        names
    }

    /// Counts since the log was opened, and what there is.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let state = self.shared.state();
        Stats {
            segments: state.segments.len() as u64,
            values: state.values.len() as u64,
            topics: state.topics.len() as u64,
            stored_bytes: state.segments.values().map(|segment| segment.end).sum(),
            ..state.stats
        }
    }

    /// What was found damaged so far, at opening or since.
    #[must_use]
    pub fn damaged(&self) -> Vec<Damage> {
        self.shared.state().damaged.clone()
    }

    fn page(&self, topic: &Topic, topic_id: u64, wanted: Wanted) -> Result<Page, Missed> {
        let (bytes, count) = (wanted.max_bytes, wanted.max_count);
        let mut filling = Filling { page: Page::default(), bytes, count, topic_id };
        let page = &mut filling.page;
        let (number, is_latest, extents) = {
            let state = self.shared.state();
            let Some(found) = state.topics.find(topic) else {
                return Ok(Page { floor: 1, from: 1, next: 1, ..Page::default() });
            };
            (page.floor, page.next) = (found.floor, found.next());
            page.damaged.clone_from(&found.damaged);
            page.from = match wanted.start {
                Start::Offset(offset) => offset.max(found.kept_from()),
                Start::Last(_) | Start::Since(_) => found.floor,
            };
            let recent = found.recent.front().map_or(u64::MAX, |run| run.from);
            if let (Start::Offset(_), true) = (wanted.start, page.from >= recent) {
                let first = found.recent.partition_point(|run| run.to < page.from);
                let runs: Vec<_> =
                    found.recent.range(first..).take(filling.runs_max()).cloned().collect();
                drop(state);
                for run in runs {
                    if !filling.push(&run) {
                        break;
                    }
                }
                return Ok(filling.finish());
            }
            let from = page.from;
            let extents = found.extents.values();
            let extents = extents.filter(|extent| extent.total.to >= from && !extent.is_bare());
            let number = state.topics.number(topic).unwrap_or(0);
            (number, !found.newest.is_empty(), extents.cloned().collect::<Vec<_>>())
        };
        if is_latest {
            return self.newest(number, wanted, filling);
        }
        filling.page.from = self.resolve(number, &extents, wanted.start, &filling.page)?;
        let from = filling.page.from;
        'extents: for extent in extents.iter().filter(|extent| extent.total.to >= from) {
            for region in self.regions_of(number, extent)? {
                if region.to < from || covered(&filling.page.damaged, &region) {
                    continue;
                }
                for run in self.runs(number, extent, &region, topic_id)? {
                    if run.to >= from && !filling.push(&Arc::new(run)) {
                        break 'extents;
                    }
                }
            }
        }
        Ok(filling.finish())
    }

    /// The newest messages of a topic that keeps only those.
    fn newest(&self, number: u32, wanted: Wanted, mut filling: Filling) -> Result<Page, Missed> {
        let from = filling.page.from;
        let values: Vec<_> = {
            let state = self.shared.state();
            let Some(topic) = state.topics.get(number) else { return Ok(filling.finish()) };
            let skipped = match wanted.start {
                Start::Last(count) => {
                    topic.newest.len().saturating_sub(usize::try_from(count).unwrap_or(usize::MAX))
                }
                _ => 0,
            };
            let newest = topic.newest.range(from..).skip(skipped);
            let value = |key: &Bytes| Some((key.clone(), state.values.get(key)?.clone()));
            newest.filter_map(|(_, key)| value(key)).take(filling.runs_max().max(1024)).collect()
        };
        let (mut first, mut damaged) = (None, false);
        for (key, value) in &values {
            let run = match self.shared.newest(key, value, filling.topic_id) {
                Ok(run) => run,
                Err(Missed::Damaged) => {
                    damaged = true;
                    let hole = Hole { from: value.mark, to: value.mark };
                    self.shared.state().topics.entry(number).damage(hole);
                    continue;
                }
                Err(missed) => return Err(missed),
            };
            if matches!(wanted.start, Start::Since(ms) if first.is_none() && run.last_ms < ms) {
                continue;
            }
            first = first.or(Some(run.from));
            if !filling.push(&run) {
                break;
            }
        }
        if damaged {
            self.shared.state().topics.get(number).inspect(|topic| {
                filling.page.damaged.clone_from(&topic.damaged);
            });
        }
        if !matches!(wanted.start, Start::Offset(_)) {
            filling.page.from = first.unwrap_or(filling.page.next);
        }
        Ok(filling.finish())
    }

    /// The offset at which a page starts.
    fn resolve(
        &self,
        number: u32,
        extents: &[Extent],
        start: Start,
        page: &Page,
    ) -> Result<u64, Missed> {
        match start {
            Start::Offset(_) => Ok(page.from),
            Start::Since(ms) => {
                for extent in extents.iter().filter(|extent| extent.total.last_ms >= ms) {
                    for region in self.regions_of(number, extent)? {
                        if region.last_ms < ms
                            || region.to < page.from
                            || covered(&page.damaged, &region)
                        {
                            continue;
                        }
                        let runs = self.runs(number, extent, &region, 0)?;
                        let found = runs.iter().filter_map(|run| {
                            Arc::new(run.clone()).starting_at(page.from)?.first_since(ms)
                        });
                        if let Some(found) = found.min() {
                            return Ok(found);
                        }
                    }
                }
                Ok(page.next)
            }
            Start::Last(count) => {
                let mut left = u64::from(count);
                for extent in extents.iter().rev() {
                    for region in self.regions_of(number, extent)?.into_iter().rev() {
                        if covered(&page.damaged, &region) || region.to < page.from {
                            continue;
                        }
                        if region.count < left && region.from > page.from {
                            left -= region.count;
                            continue;
                        }
                        let runs = self.runs(number, extent, &region, 0)?;
                        let offsets: Vec<u64> =
                            runs.iter().flat_map(|run| run.from.max(page.from)..=run.to).collect();
                        let skip = offsets
                            .len()
                            .saturating_sub(usize::try_from(left).unwrap_or(usize::MAX));
                        match offsets.get(skip) {
                            Some(offset) if offsets.len() as u64 >= left => return Ok(*offset),
                            Some(_) => left -= offsets.len() as u64,
                            None if left == 0 => return Ok(page.next),
                            None => {}
                        }
                    }
                }
                let first =
                    extents.iter().map(|extent| extent.total.from).find(|from| *from >= page.from);
                Ok(if count == 0 { page.next } else { first.unwrap_or(page.from).min(page.next) })
            }
        }
    }

    /// The regions of an extent; all of it is damaged if they cannot be found.
    fn regions_of(&self, number: u32, extent: &Extent) -> Result<Vec<Region>, Missed> {
        let regions = self.shared.regions(extent);
        if regions.as_ref().is_err_and(|missed| *missed == Missed::Damaged) {
            let hole = Hole { from: extent.total.from, to: extent.total.to };
            self.shared.state().topics.entry(number).damage(hole);
            return Ok(Vec::new());
        }
        regions
    }

    /// The runs of a region; those of consecutive records are one. What is damaged is noted, so that
    /// another look goes past it.
    fn runs(
        &self,
        number: u32,
        extent: &Extent,
        region: &Region,
        topic_id: u64,
    ) -> Result<Vec<Run>, Missed> {
        let pieces = self.shared.pieces(number, extent.segment, region, Some(topic_id));
        if pieces.as_ref().is_err_and(|missed| *missed == Missed::Damaged) {
            let hole = Hole { from: region.from, to: region.to };
            self.shared.state().topics.entry(number).damage(hole);
        }
        Ok(joined(pieces?))
    }
}

/// Whether all of a region is in one of these ranges.
fn covered(holes: &[Hole], region: &Region) -> bool {
    holes.iter().any(|hole| hole.from <= region.from && region.to <= hole.to)
}

/// The runs of pieces; those that follow each other are one.
fn joined(pieces: Vec<Piece>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::with_capacity(1);
    for Piece { run, .. } in pieces {
        match runs.last_mut() {
            Some(last) if last.to + 1 == run.from => {
                (last.to, last.last_ms) = (run.to, run.last_ms);
                last.bytes += run.bytes;
                last.chunks.extend(run.chunks);
            }
            _ => runs.push(run),
        }
    }
    runs
}

impl Filling {
    /// Runs that can be wanted at most, since each has a message.
    fn runs_max(&self) -> usize {
        usize::try_from(self.count).unwrap_or(usize::MAX)
    }

    /// Adds what fits of a run, from the page's start on; whether there may be more.
    fn push(&mut self, run: &Arc<Run>) -> bool {
        let Some(part) = run.part(self.page.from, self.count, self.bytes) else { return false };
        if part.bytes > self.bytes && !self.page.runs.is_empty() {
            return false;
        }
        let whole = part.to == run.to;
        self.bytes = self.bytes.saturating_sub(part.bytes);
        let count = u32::try_from(part.count()).unwrap_or(u32::MAX);
        self.count = self.count.saturating_sub(count);
        self.page.runs.push(part.named(self.topic_id));
        whole && self.count > 0
    }

    /// The page, with the damage that it spans.
    fn finish(mut self) -> Page {
        let page = &mut self.page;
        let end = page.runs.last().map_or(page.next.saturating_sub(1), |run| run.to);
        page.damaged.retain(|hole| hole.to >= page.from && hole.from <= end);
        for hole in &mut page.damaged {
            *hole = Hole { from: hole.from.max(page.from), to: hole.to.min(end) };
        }
        self.page
    }
}
