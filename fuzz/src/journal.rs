//! A log of which one file holds bytes that anybody could have written.
//!
//! The first byte says which file, and whether its checksums are made right: without that no change
//! gets further than the first of them.

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use bytes::Bytes;
use sampan_core::class::Table;
use sampan_core::journal::{Chunk, Run, Sent, Start};
use sampan_journal::storage::Storage;
use sampan_journal::storage::faulty::Faulty;
use sampan_journal::{Error, Log, Options, Wanted, Write, inspect, verify};
use sampan_protocol::frame::{Header, Kind};
use sampan_protocol::limits::NUMBER_MAX;
use sampan_protocol::{Now, Topic};

const STORE_ID: u64 = 0x0123_4567_89ab_cdef;
const SEGMENT_BYTES: usize = 16 << 10;
/// Bytes ahead of the first block.
const HEADER_BYTES: usize = 4096;
/// Bytes ahead of the extents of an index, and of an extent.
const FRONT_BYTES: usize = 80;
const EXTENT_BYTES: usize = 88;
const REGION_BYTES: usize = 64;
/// Pages of a topic that are read at most.
const PAGES_MAX: usize = 1000;

/// Bits of the first byte; the lowest two choose the segment.
const RAW: u8 = 4;
const WHOLE_LENGTH: u8 = 8;
const WITHOUT_INDEX: u8 = 16;

static BASE: LazyLock<(Faulty, Vec<u64>)> = LazyLock::new(base);

/// Whatever the blocks of a segment are, the log opens, serves what it can, and keeps what it is
/// given then.
pub fn journal_segment(data: &[u8]) {
    let Some((how, blocks)) = data.split_first() else { return };
    let (base, numbers) = &*BASE;
    let number = numbers[usize::from(how & 3) % numbers.len()];
    let storage = base.kill();
    storage.rot(&format!("{number:016x}.seg"), |file| {
        file.truncate(HEADER_BYTES);
        file.extend(blocks.iter().take(SEGMENT_BYTES - HEADER_BYTES));
        if how & RAW == 0 {
            seal_records(file, number);
        }
        if how & WHOLE_LENGTH != 0 {
            file.resize(SEGMENT_BYTES, 0);
        }
    });
    if how & WITHOUT_INDEX != 0 {
        // The last segment has none.
        let _ = storage.remove(&format!("{number:016x}.idx"));
    }
    goes_on(&storage);
}

/// Whatever an index is, the log opens, serves what it can, and keeps what it is given then.
pub fn journal_index(data: &[u8]) {
    let Some((how, bytes)) = data.split_first() else { return };
    let (base, numbers) = &*BASE;
    let number = numbers[usize::from(how & 3) % numbers.len()];
    let storage = base.kill();
    let name = format!("{number:016x}.idx");
    if storage.bytes(&name).is_none() {
        storage.create(&name).expect("space");
    }
    storage.rot(&name, |file| {
        file.clear();
        file.extend(bytes);
        if how & RAW == 0 {
            seal_index(file, number);
        }
    });
    goes_on(&storage);
}

fn options() -> Options {
    let segment_bytes = SEGMENT_BYTES as u64;
    Options { store_id: STORE_ID, segment_bytes, ..Options::new(Arc::new(Table::shipped())) }
}

fn now() -> Now {
    Now { mono: Instant::now(), unix_ms: 1_000_000 }
}

/// One message.
fn run(offset: u64, body: &[u8]) -> Arc<Run> {
    let header = Header { topic_id: 7, time_ms: 1_000_000, ..Header::new(Kind::Deliver) };
    let head = header.number(offset).to_frame(&[], body).expect("small");
    let run = Run::of(vec![Chunk { head, body: None }]).expect("a frame");
    let sent = vec![Sent { producer: 5, sequence: 100 + offset, offset, count: 1 }];
    Arc::new(Run { sent, keys: vec![(offset, "once".into())], ..run })
}

fn append(name: &str, epoch: u64, offset: u64, early: bool, replaces: &[&str]) -> Write {
    let replaces: Vec<Arc<str>> = replaces.iter().map(|key| (*key).into()).collect();
    let topic = name.parse().expect("valid");
    Write::Append { topic, epoch, run: run(offset, b"a body"), early, replaces }
}

/// A log of three segments with something of everything, and their numbers. The last one is not
/// sealed.
fn base() -> (Faulty, Vec<u64>) {
    let storage = Faulty::default();
    let value = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
    let key = Bytes::from_static(b"key");
    for life in 0..3 {
        let Log { mut writer, .. } = Log::open(storage.clone(), options(), now()).expect("opens");
        let pin = Write::Pin {
            topic: "order.1".parse().expect("valid"),
            name: "g".into(),
            offset: Some(1),
        };
        let writes = [
            append("order.1", 1, 2 * life + 1, false, &[]),
            append("order.1", 1, 2 * life + 2, true, &[]),
            append("order.2", 1, 100_000 * life + 1, true, &[]),
            append("inventory.product.1", 1, life + 1, false, &["red"]),
            Write::Put(vec![(key.clone(), if life == 1 { None } else { value("value") })]),
            pin,
        ];
        for writes in writes.chunks(3) {
            let written = writer.write(now(), writes);
            assert!(written.iter().all(Result::is_ok), "{written:?}");
            writer.sync().expect("synced");
        }
        if life < 2 {
            writer.close(now()).expect("closed");
        }
    }
    let report = inspect(&storage).expect("there");
    let numbers = report.segments.iter().filter(|segment| segment.records > 0);
    let numbers: Vec<u64> = numbers.map(|segment| segment.number).collect();
    assert_eq!(numbers.len(), 3);
    (storage.kill(), numbers)
}

fn number(bytes: &[u8], at: usize, length: usize) -> Option<usize> {
    let part = bytes.get(at..at.checked_add(length)?)?;
    usize::try_from(part.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))).ok()
}

fn seed(number: u64) -> u32 {
    let seed = crc32c::crc32c_append(0, &STORE_ID.to_le_bytes());
    crc32c::crc32c_append(seed, &number.to_le_bytes())
}

/// Makes the checksums of records right, wherever their lengths lead.
fn seal_records(file: &mut [u8], segment: u64) {
    let mut at = HEADER_BYTES;
    while let (Some(kind), Some(length)) = (file.get(at + 4).copied(), number(file, at + 8, 4)) {
        let length = if kind == 0xB1 { 0 } else { length };
        let end = at + 32 + length;
        if end > file.len() {
            return;
        }
        let seed = crc32c::crc32c_append(seed(segment), &(at as u64).to_le_bytes());
        let sum = crc32c::crc32c_append(seed, &file[at + 4..end]);
        file[at..at + 4].copy_from_slice(&sum.to_le_bytes());
        at = end.next_multiple_of(8);
    }
}

/// Makes the checksums of regions right, and then that of the front.
fn seal_index(file: &mut [u8], segment: u64) -> Option<()> {
    let seed = crc32c::crc32c_append(seed(segment), &u64::MAX.to_le_bytes());
    let (extents, front) = (number(file, 12, 4)?, number(file, 24, 8)?);
    for extent in 0..extents.min(file.len() / EXTENT_BYTES) {
        let behind = FRONT_BYTES + extent * EXTENT_BYTES + 8 + REGION_BYTES;
        let (at, count) = (number(file, behind, 8)?, number(file, behind + 8, 4)?);
        let end = at.checked_add(count * REGION_BYTES)?;
        if let Some(regions) = file.get(at..end) {
            let seed = crc32c::crc32c_append(seed, &(at as u64).to_le_bytes());
            let sum = crc32c::crc32c_append(seed, regions);
            file.get_mut(behind + 12..behind + 16)?.copy_from_slice(&sum.to_le_bytes());
        }
    }
    let sum = crc32c::crc32c_append(seed, file.get(..front.checked_sub(4)?)?);
    file.get_mut(front - 4..front)?.copy_from_slice(&sum.to_le_bytes());
    Some(())
}

/// Looks at a log in every way, reads all of it, and writes to it; what it took is there again.
fn goes_on(storage: &Faulty) {
    let report = verify(storage).expect("damage is no error");
    let open = |storage: &Faulty| Log::open(storage.kill(), options(), now());
    let Log { mut writer, reader, .. } =
        Log::open(storage.clone(), options(), now()).expect("opens");
    for topic in &report.topics {
        read(&reader, &topic.topic);
    }
    reader.load(b"", None, 1 << 20).ok();
    let topic: Topic = "order.new".parse().expect("valid");
    let standing = reader.standing(&topic, now()).expect("a standing");
    let offset = standing.next;
    if offset > NUMBER_MAX {
        return;
    }
    let write = append("order.new", standing.epoch, offset, false, &[]);
    let written = writer.write(now(), &[write]);
    if written == [Err(Error::TooManyTopics)] {
        return;
    }
    assert!(written.iter().all(Result::is_ok), "{written:?}");
    writer.sync().expect("synced");
    writer.maintain(now()).ok();
    drop(writer);
    let again = open(storage).expect("opens again");
    let wanted = Wanted { start: Start::Offset(offset), max_bytes: 1 << 20, max_count: 10 };
    let page = again.reader.read(&topic, 9, wanted).expect("a page");
    assert!(page.runs.iter().any(|run| run.from == offset), "{offset}: {page:?}");
}

/// Every message of a topic: their offsets only rise.
fn read(reader: &sampan_journal::Reader<Faulty>, topic: &Topic) {
    let mut at = 1;
    for _ in 0..PAGES_MAX {
        let wanted = Wanted { start: Start::Offset(at), max_bytes: 1 << 16, max_count: 100 };
        let Ok(page) = reader.read(topic, 9, wanted) else { return };
        for frame in page.runs.iter().flat_map(|run| run.frames()) {
            assert!(frame.offset >= at, "{} below {at}", frame.offset);
            at = frame.offset + 1;
        }
        if page.runs.is_empty() {
            return;
        }
    }
}
