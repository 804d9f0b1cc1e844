//! The file that says which store this is.

use std::io::{ErrorKind, IoSlice};

use bytes::BufMut;

use crate::checksum::Seed;
use crate::error::OpenError;
use crate::options::Options;
use crate::segment::VERSION;
use crate::storage::{File, Storage};

const NAME: &str = "store";
const UNFINISHED: &str = "store.tmp";
const MAGIC: &[u8; 8] = b"SAMPANST";
const BYTES: usize = 32;

fn encode(options: &Options) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.put_u32_le(VERSION);
    bytes.put_u64_le(options.store_id);
    bytes.put_u32_le(options.log);
    bytes.put_u32_le(options.logs);
    let sum = Seed::new(0, 0).over(&bytes);
    bytes.put_u32_le(sum);
    bytes
}

/// The store's id, log number and number of logs; `None` if there is no store yet.
pub(crate) fn read<S: Storage>(storage: &S) -> Result<Option<(u64, u32, u32)>, OpenError> {
    let file = match storage.open(NAME) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut bytes = [0; BYTES];
    let length = file.read_at(&mut bytes, 0)?;
    let four =
        |at: usize| bytes[at..at + 4].iter().rev().fold(0, |sum, b| sum << 8 | u32::from(*b));
    if length >= 12 && bytes[..8] == *MAGIC && four(8) > VERSION {
        return Err(OpenError::Newer { version: four(8) });
    }
    let whole = length == BYTES && bytes[..8] == *MAGIC && four(8) == VERSION;
    if !whole || Seed::new(0, 0).over(&bytes[..BYTES - 4]) != four(BYTES - 4) {
        return Err(OpenError::Unnamed);
    }
    let id = u64::from(four(16)) << 32 | u64::from(four(12));
    Ok(Some((id, four(20), four(24))))
}

/// The id of the store, which is made if there is none.
pub(crate) fn open<S: Storage>(storage: &S, options: &Options) -> Result<u64, OpenError> {
    match read(storage)? {
        Some((id, log, logs)) if (log, logs) == (options.log, options.logs) => Ok(id),
        Some((_, log, logs)) => Err(OpenError::Other { log, logs }),
        None => {
            if storage.list()?.iter().any(|name| name.ends_with(".seg")) {
                return Err(OpenError::Unnamed);
            }
            match storage.remove(UNFINISHED) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
            let file = storage.create(UNFINISHED)?;
            file.write_at(&[IoSlice::new(&encode(options))], 0)?;
            file.sync()?;
            storage.rename(UNFINISHED, NAME)?;
            storage.sync_dir()?;
            Ok(options.store_id)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use sampan_core::class::Table;

    use super::*;
    use crate::storage::Disk;

    #[test]
    fn a_store_keeps_its_identity_and_refuses_what_it_is_not() {
        let directory = tempfile::tempdir().expect("a directory");
        let disk = Disk::open(directory.path()).expect("free");
        let options = Options {
            store_id: 1 << 40 | 9,
            log: 1,
            logs: 2,
            ..Options::new(Arc::new(Table::shipped()))
        };
        assert_eq!(open(&disk, &options).expect("made"), 1 << 40 | 9);
        let again = Options { store_id: 8, ..options.clone() };
        assert_eq!(open(&disk, &again).expect("there"), 1 << 40 | 9);
        let other = Options { log: 0, ..again };
        assert!(matches!(open(&disk, &other), Err(OpenError::Other { log: 1, logs: 2 })));
        let file = disk.open(NAME).expect("there");
        file.write_at(&[IoSlice::new(&[9])], 30).expect("space");
        assert!(matches!(open(&disk, &options), Err(OpenError::Unnamed)));
        file.write_at(&[IoSlice::new(&[2])], 8).expect("space");
        assert!(matches!(open(&disk, &options), Err(OpenError::Newer { version: 2 })));
    }
}
