//! The index file of a sealed segment: what opening needs at its front, the regions behind it.

use std::collections::BTreeMap;
use std::io::{IoSlice, Result};

use bytes::{BufMut, Bytes};
use sampan_protocol::limits::NUMBER_MAX;

use crate::checksum::Seed;
use crate::extent::{Extent, Region, Regions};
use crate::segment::{VERSION, ending, name};
use crate::state::{Place, Value};
use crate::storage::{File, Storage};

const MAGIC: &[u8; 8] = b"SAMPANIX";

/// Bytes ahead of the extents.
const HEAD_BYTES: usize = 80;
/// Bytes of a region.
const REGION_BYTES: usize = 64;
/// Bytes that the front of an index may have; a segment of the largest size needs less.
const FRONT_BYTES_MAX: u64 = 2 << 30;

/// What is known of a sealed segment without reading it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) segment: u64,
    /// Where the last block ends; the segment's length.
    pub(crate) end: u64,
    /// First and last commit.
    pub(crate) commits: (u64, u64),
    /// Latest time of a block.
    pub(crate) time_ms: u64,
    /// Records in all blocks.
    pub(crate) records: u64,
    /// Each topic's extents.
    pub(crate) extents: Vec<(u32, Extent)>,
    /// The last value of each key.
    pub(crate) values: BTreeMap<Bytes, Value>,
}

/// What the checksums of an index start from: another place than any of the segment.
fn seed(store_id: u64, segment: u64) -> Seed {
    Seed::new(store_id, segment).with(u64::MAX)
}

impl Index {
    /// Writes the file, so that it is there as a whole or not at all. The extents come back as those
    /// that say where their regions are in it.
    pub(crate) fn write<S: Storage>(&mut self, storage: &S, store_id: u64) -> Result<()> {
        let (front, regions) = self.encode(seed(store_id, self.segment));
        let unfinished = format!("index-{}", name(self.segment, ending::UNFINISHED));
        match storage.remove(&unfinished) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = storage.create(&unfinished)?;
        let written = file
            .write_at(&[IoSlice::new(&front), IoSlice::new(&regions)], 0)
            .and_then(|()| file.sync());
        if let Err(error) = written {
            // The first error is the one to tell.
            let _ = storage.remove(&unfinished);
            return Err(error);
        }
        storage.rename(&unfinished, &name(self.segment, ending::INDEX))?;
        storage.sync_dir()
    }

    /// The front and the regions; extents with held regions say where they are filed from then on.
    fn encode(&mut self, seed: Seed) -> (Vec<u8>, Vec<u8>) {
        let values: usize = self.values.iter().map(|(key, value)| value_bytes(key, value)).sum();
        let front_bytes = HEAD_BYTES + self.extents.len() * (8 + REGION_BYTES + 16) + values + 4;
        let (mut front, mut regions) = (MAGIC.to_vec(), Vec::new());
        front.put_u32_le(VERSION);
        front.put_u32_le(u32::try_from(self.extents.len()).unwrap_or(u32::MAX));
        front.put_u64_le(self.values.len() as u64);
        front.put_u64_le(front_bytes as u64);
        for number in [self.segment, self.end, self.commits.0, self.commits.1] {
            front.put_u64_le(number);
        }
        front.put_u64_le(self.time_ms);
        front.put_u64_le(self.records);
        for (topic, extent) in &mut self.extents {
            if let Regions::Held(held) = &extent.regions {
                let start = regions.len();
                held.iter().for_each(|region| put_region(&mut regions, region));
                let at = (front_bytes + start) as u64;
                let count = u32::try_from(held.len()).unwrap_or(u32::MAX);
                let sum = seed.with(at).over(&regions[start..]);
                extent.regions = Regions::Filed { at, count, sum };
            }
            let Regions::Filed { at, count, sum } = extent.regions else { continue };
            front.put_u32_le(*topic);
            front.put_u32_le(extent.source.map_or(0, |source| u32::from(source) + 1));
            put_region(&mut front, &extent.total);
            front.put_u64_le(at);
            front.put_u32_le(count);
            front.put_u32_le(sum);
        }
        for (key, value) in &self.values {
            let body = value.body.as_deref();
            front.put_u16_le(u16::try_from(key.len()).unwrap_or(u16::MAX));
            front.put_u8(u8::from(value.absent) | u8::from(body.is_some()) << 1);
            front.put_u8(0);
            front.put_u32_le(u32::try_from(body.map_or(0, <[u8]>::len)).unwrap_or(u32::MAX));
            front.put_u64_le(value.place.at);
            front.put_u64_le(value.place.bytes);
            front.put_u64_le(value.mark);
            front.extend_from_slice(key);
            front.extend_from_slice(body.unwrap_or_default());
        }
        let sum = seed.over(&front);
        front.put_u32_le(sum);
        (front, regions)
    }

    /// Reads the front of a segment's index; `None` if there is none or it is not whole and valid.
    pub(crate) fn read<S: Storage>(
        storage: &S,
        store_id: u64,
        segment: u64,
    ) -> Result<Option<Self>> {
        let file = match storage.open(&name(segment, ending::INDEX)) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut head = [0; HEAD_BYTES];
        if file.read_at(&mut head, 0)? < HEAD_BYTES {
            return Ok(None);
        }
        let bytes = Input(&head).skip(24).and_then(Input::u64).map_or(0, |(bytes, _)| bytes);
        if bytes < HEAD_BYTES as u64 + 4 || bytes > file.len()?.min(FRONT_BYTES_MAX) {
            return Ok(None);
        }
        let mut front = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
        if file.read_at(&mut front, 0)? < front.len() {
            return Ok(None);
        }
        Ok(Index::decode(&front, seed(store_id, segment)).filter(|index| index.segment == segment))
    }

    fn decode(front: &[u8], seed: Seed) -> Option<Self> {
        let (front, sum) = front.split_last_chunk::<4>()?;
        if seed.over(front) != u32::from_le_bytes(*sum) || front.get(..8)? != MAGIC {
            return None;
        }
        let (version, input) = Input(front).skip(8)?.u32()?;
        let (extents, input) = input.u32()?;
        let (values, input) = input.u64()?;
        let (_, input) = input.u64()?;
        let (segment, input) = input.u64()?;
        let (end, input) = input.u64()?;
        let (first, input) = input.u64()?;
        let (last, input) = input.u64()?;
        let (time_ms, input) = input.u64()?;
        let (records, mut input) = input.u64()?;
        let mut index =
            Index { segment, end, commits: (first, last), time_ms, records, ..Index::default() };
        if version != VERSION || last.max(time_ms) > NUMBER_MAX {
            return None;
        }
        for _ in 0..extents {
            let (topic, rest) = input.u32()?;
            let (source, rest) = rest.u32()?;
            let (total, rest) = rest.region()?;
            let (at, rest) = rest.u64()?;
            let (count, rest) = rest.u32()?;
            let (sum, rest) = rest.u32()?;
            let source = source.checked_sub(1).and_then(|source| u16::try_from(source).ok());
            let regions = Regions::Filed { at, count, sum };
            index.extents.push((topic, Extent { segment, source, total, regions }));
            input = rest;
        }
        for _ in 0..values {
            let (key_bytes, rest) = input.take::<2>()?;
            let ([flags, _], rest) = rest.take::<2>()?;
            let (body_bytes, rest) = rest.u32()?;
            let (at, rest) = rest.u64()?;
            let (bytes, rest) = rest.u64()?;
            let (mark, rest) = rest.u64()?;
            let (key, rest) = rest.bytes(u16::from_le_bytes(key_bytes).into())?;
            let (body, rest) = rest.bytes(usize::try_from(body_bytes).ok()?)?;
            let body = (flags & 2 != 0).then(|| Bytes::copy_from_slice(body));
            let place = Place { segment, at, bytes };
            let value = Value { place, absent: flags & 1 != 0, mark, body };
            index.values.insert(Bytes::copy_from_slice(key), value);
            input = rest;
        }
        let possible = index.extents.iter().all(|(_, extent)| extent.total.is_possible())
            && index.values.values().all(|value| value.is_possible());
        (input.0.is_empty() && possible).then_some(index)
    }
}

/// Reads the regions of an extent from its segment's index; `None` if they are not as filed.
pub(crate) fn regions<S: Storage>(
    storage: &S,
    store_id: u64,
    extent: &Extent,
) -> Result<Option<Vec<Region>>> {
    let (at, count, sum) = match &extent.regions {
        Regions::Held(held) | Regions::Parted(held) => return Ok(Some(held.to_vec())),
        Regions::Filed { at, count, sum } => (*at, *count, *sum),
    };
    let file = storage.open(&name(extent.segment, ending::INDEX))?;
    let bytes = u64::from(count) * REGION_BYTES as u64;
    if at.checked_add(bytes).is_none_or(|end| end > FRONT_BYTES_MAX * 2) || file.len()? < at + bytes
    {
        return Ok(None);
    }
    let mut raw = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
    if file.read_at(&mut raw, at)? < raw.len()
        || seed(store_id, extent.segment).with(at).over(&raw) != sum
    {
        return Ok(None);
    }
    let region = |raw| Some(Input(raw).region()?.0).filter(Region::is_possible);
    let regions: Option<Vec<Region>> = raw.chunks_exact(REGION_BYTES).map(region).collect();
    Ok(regions.filter(|regions| extent.has(regions)))
}

fn value_bytes(key: &Bytes, value: &Value) -> usize {
    32 + key.len() + value.body.as_ref().map_or(0, Bytes::len)
}

fn put_region(out: &mut Vec<u8>, region: &Region) {
    let Region { from, to, at, length, count, bytes, last_ms, time_ms } = *region;
    for number in [from, to, at, length, count, bytes, last_ms, time_ms] {
        out.put_u64_le(number);
    }
}

/// Bytes that are read from the front.
#[derive(Clone, Copy)]
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn skip(self, count: usize) -> Option<Self> {
        self.0.get(count..).map(Input)
    }

    fn bytes(self, count: usize) -> Option<(&'a [u8], Self)> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        Some((bytes, Input(rest)))
    }

    fn take<const N: usize>(self) -> Option<([u8; N], Self)> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        Some((*bytes, Input(rest)))
    }

    fn u32(self) -> Option<(u32, Self)> {
        self.take().map(|(bytes, rest)| (u32::from_le_bytes(bytes), rest))
    }

    fn u64(self) -> Option<(u64, Self)> {
        self.take().map(|(bytes, rest)| (u64::from_le_bytes(bytes), rest))
    }

    fn region(self) -> Option<(Region, Self)> {
        let (raw, rest) = self.bytes(REGION_BYTES)?;
        let mut numbers = raw.as_chunks::<8>().0.iter().map(|raw| u64::from_le_bytes(*raw));
        let mut next = || numbers.next();
        let region = Region {
            from: next()?,
            to: next()?,
            at: next()?,
            length: next()?,
            count: next()?,
            bytes: next()?,
            last_ms: next()?,
            time_ms: next()?,
        };
        Some((region, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Disk;

    fn index() -> Index {
        let region =
            |from, at| Region { from, to: from, at, length: 9, count: 1, ..Region::default() };
        let mut extent = Extent::new(5, None, region(1, 4096));
        extent.extend(5, None, &region(2, 90_000));
        let place = Place { segment: 5, at: 7, bytes: 8 };
        let value = Value { place, absent: false, mark: 1, body: Some(Bytes::from_static(b"v")) };
        let removed = Value { absent: true, body: None, ..value.clone() };
        Index {
            segment: 5,
            end: 100_000,
            commits: (3, 9),
            time_ms: 77,
            records: 2,
            extents: vec![(1, extent.clone()), (2, Extent { source: Some(65_535), ..extent })],
            values: [(Bytes::from_static(b"a"), value), (Bytes::from_static(b"b"), removed)].into(),
        }
    }

    #[test]
    fn an_index_comes_back_and_its_regions_are_read_on_demand() {
        let directory = tempfile::tempdir().expect("a directory");
        let disk = Disk::open(directory.path()).expect("free");
        let (before, mut index) = (index(), index());
        index.write(&disk, 1).expect("space");
        assert_eq!(Index::read(&disk, 1, 5).expect("read").as_ref(), Some(&index));
        assert_eq!(Index::read(&disk, 2, 5).expect("read"), None);
        assert_eq!(Index::read(&disk, 1, 6).expect("read"), None);
        for ((_, filed), (_, held)) in index.extents.iter().zip(&before.extents) {
            let Regions::Held(held) = &held.regions else { panic!("held") };
            assert_eq!(regions(&disk, 1, filed).expect("read").as_ref(), Some(&**held));
        }
        assert_eq!(disk.list().expect("listed"), ["0000000000000005.idx"]);
    }

    #[test]
    fn an_index_with_any_byte_changed_or_missing_is_none() {
        let (front, _) = index().encode(seed(1, 5));
        assert!(Index::decode(&front, seed(1, 5)).is_some());
        for at in 0..front.len() {
            let mut changed = front.clone();
            changed[at] ^= 0x40;
            assert_eq!(Index::decode(&changed, seed(1, 5)), None);
            assert_eq!(Index::decode(&front[..at], seed(1, 5)), None);
        }
    }
}
