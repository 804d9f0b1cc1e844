//! Segment files: their names, their first page, and how one is prepared ahead.

use std::io::{IoSlice, Result};

use crate::checksum::Seed;
use crate::storage::{File, Storage};

/// Bytes ahead of the first block.
pub(crate) const HEADER_BYTES: u64 = 4096;

/// Bytes that a segment may have.
pub(crate) const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// Version of every file's layout.
pub(crate) const VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"SAMPANSG";
const SUM_AT: usize = 36;

/// Bytes that are written at once while a file is filled.
const FILL_BYTES: usize = 1 << 20;

/// What the names of a log's files end with.
pub(crate) mod ending {
    /// A segment.
    pub(crate) const SEGMENT: &str = "seg";
    /// The index of a sealed segment.
    pub(crate) const INDEX: &str = "idx";
    /// A file that is not finished.
    pub(crate) const UNFINISHED: &str = "tmp";
    /// A deleted segment, to be used again.
    pub(crate) const RECYCLED: &str = "old";
    /// A segment that `repair` has moved aside.
    pub(crate) const DAMAGED: &str = "damaged";
}

/// The file that is kept for acks when there is no space left.
pub(crate) const RESERVE: &str = "reserve";

/// The name of a numbered file.
pub(crate) fn name(number: u64, ending: &str) -> String {
    format!("{number:016x}.{ending}")
}

/// The number and the ending of a file's name.
pub(crate) fn parse_name(name: &str) -> Option<(u64, &str)> {
    let (number, ending) = name.split_once('.')?;
    let hex = number.len() == 16 && number.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    Some((u64::from_str_radix(number, 16).ok().filter(|_| hex)?, ending))
}

/// What the first page of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) store_id: u64,
    pub(crate) number: u64,
    /// Bytes that the file was prepared with.
    pub(crate) bytes: u64,
}

impl Header {
    /// What the checksums in this segment start from.
    pub(crate) fn seed(&self) -> Seed {
        Seed::new(self.store_id, self.number)
    }

    /// The page.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut page = MAGIC.to_vec();
        page.extend(VERSION.to_le_bytes());
        page.extend(self.store_id.to_le_bytes());
        page.extend(self.number.to_le_bytes());
        page.extend(self.bytes.to_le_bytes());
        page.extend(self.seed().over(&page).to_le_bytes());
        page.resize(HEADER_BYTES as usize, 0);
        page
    }

    /// Whether a page is the first one of this store's segment of this number, and how long the
    /// segment was prepared.
    pub(crate) fn read<F: File>(file: &F, store_id: u64, number: u64) -> Result<Option<Header>> {
        let mut page = [0; SUM_AT + 4];
        if file.read_at(&mut page, 0)? < page.len() {
            return Ok(None);
        }
        let bytes = page[28..SUM_AT].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let header = Header { store_id, number, bytes };
        Ok((header.encode().get(..page.len()) == Some(&page[..])).then_some(header))
    }
}

/// Makes a file as long as `bytes`, all of it really there, and synced.
pub(crate) fn fill<F: File>(file: &F, bytes: u64) -> Result<()> {
    let mut at = file.len()?;
    let left = |at: u64| usize::try_from(bytes.saturating_sub(at)).unwrap_or(usize::MAX);
    let zeros = vec![0; left(at).min(FILL_BYTES)];
    while at < bytes {
        let part = left(at).min(zeros.len());
        file.write_at(&[IoSlice::new(&zeros[..part])], at)?;
        at += part as u64;
    }
    file.sync()
}

/// Prepares a segment, from a file of an earlier one if there is any: filled, named, and all of
/// that synced. If it fails, nothing is left of it but what the file system could not undo.
pub(crate) fn prepare<S: Storage>(
    storage: &S,
    header: Header,
    recycled: Option<&str>,
) -> Result<S::File> {
    let unfinished = name(header.number, ending::UNFINISHED);
    let file = match recycled {
        Some(recycled) => {
            storage.rename(recycled, &unfinished)?;
            storage.open(&unfinished)?
        }
        None => storage.create(&unfinished)?,
    };
    let made = file
        .set_len(file.len()?.min(header.bytes))
        .and_then(|()| file.write_at(&[IoSlice::new(&header.encode())], 0))
        .and_then(|()| fill(&file, header.bytes));
    if let Err(error) = made {
        // The first error is the one to tell; the file is removed at the next opening at the latest.
        let _ = storage.remove(&unfinished);
        return Err(error);
    }
    storage.rename(&unfinished, &name(header.number, ending::SEGMENT))?;
    storage.sync_dir()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Disk;

    #[test]
    fn names_are_read_as_they_are_written_and_others_are_not_ours() {
        assert_eq!(name(255, ending::SEGMENT), "00000000000000ff.seg");
        assert_eq!(parse_name("00000000000000ff.seg"), Some((255, "seg")));
        for other in ["ff.seg", "store", "+0000000000000ff.seg", "00000000000000FF.seg"] {
            assert_eq!(parse_name(other), None, "{other}");
        }
    }

    #[test]
    fn a_prepared_segment_is_full_length_and_a_recycled_one_keeps_its_bytes() {
        let directory = tempfile::tempdir().expect("a directory");
        let disk = Disk::open(directory.path()).expect("free");
        let header = Header { store_id: 7, number: 1, bytes: 3 << 20 };
        let file = prepare(&disk, header, None).expect("space");
        assert_eq!(file.len().expect("known"), 3 << 20);
        assert_eq!(Header::read(&file, 7, 1).expect("read"), Some(header));
        assert_eq!(Header::read(&file, 7, 2).expect("read"), None);
        assert_eq!(Header::read(&file, 8, 1).expect("read"), None);
        file.write_at(&[IoSlice::new(b"stale")], HEADER_BYTES).expect("space");
        disk.rename("0000000000000001.seg", "a.old").expect("there");
        let next = Header { number: 2, ..header };
        let file = prepare(&disk, next, Some("a.old")).expect("space");
        let mut stale = [0; 5];
        file.read_at(&mut stale, HEADER_BYTES).expect("read");
        assert_eq!(&stale, b"stale");
        assert_eq!(Header::read(&file, 7, 2).expect("read"), Some(next));
        assert_eq!(disk.list().expect("listed"), ["0000000000000002.seg"]);
    }
}
