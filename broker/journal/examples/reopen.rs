//! Fills a log and opens it again: how long that takes, and what a closed and a killed one differ by.
//!
//! `cargo run --release -p sampan-journal --example reopen -- DIR [RECORDS] [BYTES]`, by default ten
//! million messages of 480 bytes. The directory is to be empty, and is left as it is.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::BytesMut;
use sampan_core::class::{Retention, Rule, Table};
use sampan_core::journal::{Chunk, Run};
use sampan_journal::{Options, Stored, Write};
use sampan_protocol::frame::{Header, Kind};
use sampan_protocol::{Class, Now, Pattern, Topic};

const TOPICS: u64 = 1000;
const BATCH: u64 = 1000;

fn now() -> Now {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { mono: Instant::now(), unix_ms: u64::try_from(unix.as_millis()).unwrap_or(0) }
}

fn run(from: u64, payload: &[u8]) -> Arc<Run> {
    let mut frames = BytesMut::new();
    for offset in from..from + BATCH {
        let header = Header { topic_id: 1, time_ms: now().unix_ms, ..Header::new(Kind::Deliver) };
        header.number(offset).write(&mut frames, &[], payload).expect("small");
    }
    Arc::new(Run::of(vec![Chunk { head: frames.freeze(), body: None }]).expect("whole frames"))
}

fn main() {
    let mut args = std::env::args().skip(1);
    let path = PathBuf::from(args.next().expect("a directory"));
    let mut number = |default| args.next().map_or(default, |text| text.parse().expect("a number"));
    let (records, bytes) = (number(10_000_000), number(480));
    let payload = vec![b'.'; usize::try_from(bytes).expect("a size")];
    let retention = Retention { bytes: u64::MAX, ..Retention::DEFAULT };
    let pattern = Pattern::parse(">").expect("a pattern");
    let rule = Rule { retention, ..Rule::new(pattern, Class::Durable) };
    let options = Options::new(Arc::new(Table::new(vec![rule])));
    let open = |how: &str| {
        let began = Instant::now();
        let stored = Stored::open(&path, options.clone(), now()).expect("opens");
        let stats = stored.log.reader.stats();
        println!(
            "opened in {:.3} s {how}: {} segments, {} topics, {} bytes",
            began.elapsed().as_secs_f64(),
            stats.segments,
            stats.topics,
            stats.stored_bytes
        );
        stored
    };
    let mut log = open("empty").log;
    let began = Instant::now();
    for batch in 0..records / BATCH {
        let (topic, round) = (batch % TOPICS, batch / TOPICS);
        let topic = Topic::parse(&format!("order.{topic}")).expect("a topic");
        let run = run(round * BATCH + 1, &payload);
        let write = Write::Append { topic, epoch: 1, run, early: false, replaces: Vec::new() };
        assert!(log.writer.write(now(), &[write])[0].is_ok());
        if batch % 16 == 15 {
            log.writer.sync().expect("synced");
        }
        if batch % 128 == 127 {
            let _ = log.keeper.work(now());
        }
    }
    log.writer.sync().expect("synced");
    println!("filled with {records} records in {:.1} s", began.elapsed().as_secs_f64());
    drop(log);
    let log = open("after it was left as a killed process leaves it").log;
    log.writer.close(now()).expect("closed");
    drop((log.reader, log.keeper));
    drop(open("after it was closed"));
}
