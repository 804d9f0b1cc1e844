//! The log alone: a thousand messages of 128 bytes in one write and one sync, beside the same bytes
//! in a raw file that was filled before.
//!
//! `TMPDIR` names the disk.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sampan_core::class::Table;
use sampan_core::journal::{Chunk, Run};
use sampan_journal::storage::Disk;
use sampan_journal::{Log, Options, Write};
use sampan_protocol::frame::{Header, Kind};
use sampan_protocol::{Now, Topic};

const BATCH: u64 = 1000;
const PAYLOAD: [u8; 128] = [b'.'; 128];
/// Bytes of the raw file, which is written round and round.
const RAW_BYTES: u64 = 64 << 20;

fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { mono: Instant::now(), unix_ms: u64::try_from(unix.as_millis()).unwrap_or(0) }
}

/// A thousand messages from this offset on.
fn run(from: u64) -> Arc<Run> {
    let mut frames = BytesMut::new();
    for offset in from..from + BATCH {
        let header = Header { topic_id: 1, time_ms: now().unix_ms, ..Header::new(Kind::Deliver) };
        header.number(offset).write(&mut frames, &[], &PAYLOAD).expect("small");
    }
    let run = Run::of(vec![Chunk { head: frames.freeze(), body: None }]);
    Arc::new(run.expect("whole frames"))
}

fn synced(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut group = criterion.benchmark_group("batch of 1000 x 128 B, synced");
    group.throughput(Throughput::Elements(BATCH));

    let options = Options::new(Arc::new(Table::shipped()));
    let disk = Disk::open(&directory.path().join("log")).expect("free");
    let Log { mut writer, keeper, .. } = Log::open(disk, options, now()).expect("new");
    let topic = Topic::parse("order.1").expect("a topic");
    let mut from = 1;
    group.bench_function("log", |bencher| {
        let make = || {
            let next = run(from);
            from += BATCH;
            // As the keeper's thread does, off the path of a commit.
            let _ = keeper.work(now());
            next
        };
        bencher.iter_batched(
            make,
            |run| {
                let (topic, replaces) = (topic.clone(), Vec::new());
                let write = Write::Append { topic, epoch: 1, run, early: false, replaces };
                assert!(writer.write(now(), &[write])[0].is_ok());
                writer.sync().expect("synced");
            },
            BatchSize::PerIteration,
        );
    });

    let mut file = File::create(directory.path().join("raw")).expect("new");
    for _ in 0..RAW_BYTES >> 20 {
        file.write_all(&[0; 1 << 20]).expect("space");
    }
    file.sync_all().expect("synced");
    let bytes: Vec<u8> = run(1).chunks.iter().flat_map(|chunk| chunk.head.to_vec()).collect();
    let mut at = 0;
    group.bench_function("raw file", |bencher| {
        bencher.iter(|| {
            file.write_all_at(&bytes, at).expect("space");
            file.sync_data().expect("synced");
            at = (at + bytes.len() as u64) % (RAW_BYTES - bytes.len() as u64);
        });
    });
}

criterion_group!(benches, synced);
criterion_main!(benches);
