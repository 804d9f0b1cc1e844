//! The witness: uses a log on a real disk and says what it was told, a line at a time.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sampan_core::class::{Retention, Rule, Table};
use sampan_core::journal::{Chunk, Run, Sent, Start};
use sampan_journal::storage::{Disk, Storage};
use sampan_journal::{Log, Options, Wanted, Write};
use sampan_protocol::frame::{Frame, Header, Kind};
use sampan_protocol::{Class, Now, Pattern, Topic};
use sampan_tests::chance::Chance;
use sampan_tests::history::Message;
use sampan_tests::payload;

use crate::careless::Careless;

/// Topics that are written to.
pub(crate) const TOPICS: u64 = 4;
/// Messages that are kept of each, so that segments are cleaned.
const KEPT: u64 = 20_000;
/// Bytes of a segment, so that one crash in some meets a new one.
const SEGMENT_BYTES: u64 = 256 << 10;
/// Keys of values, each of which counts.
pub(crate) const KEYS: u64 = 4;

pub(crate) fn topic(number: u64) -> Topic {
    Topic::parse(&format!("order.{number}")).expect("a valid name")
}

fn now() -> Now {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let unix_ms = u64::try_from(since.as_millis()).expect("before the year 500 million");
    Now { mono: Instant::now(), unix_ms }
}

fn options() -> Options {
    let retention = Retention { count: Some(KEPT), ..Retention::DEFAULT };
    let rule = Rule::new(Pattern::parse("order.>").expect("valid"), Class::Durable);
    let classes = Table::new(vec![Rule { retention, ..rule }]);
    Options { segment_bytes: SEGMENT_BYTES, ..Options::new(classes.into()) }
}

/// Says a line, at once and as a whole.
pub(crate) fn say(line: &str) {
    let mut out = io::stdout().lock();
    // Nobody listens any more: the crash is over.
    let heard = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
    if heard.is_err() {
        std::process::exit(0);
    }
}

/// Opens the log and writes for ever. The seed is the producer, too.
pub(crate) fn write(directory: &str, seed: &str, careless: bool) {
    let disk = Disk::open(Path::new(directory)).expect("the directory");
    let seed = seed.parse().expect("a number");
    if careless { write_to(Careless(disk), seed) } else { write_to(disk, seed) }
}

fn write_to<S: Storage>(storage: S, seed: u64) {
    let mut chance = Chance::of(seed, "witness", 0);
    let Log { mut writer, reader, opening, .. } =
        Log::open(storage, options(), now()).expect("opens");
    opening.damaged.iter().for_each(|damage| say(&format!("damaged {damage}")));
    let mut standings: Vec<(u64, u64)> = (1..=TOPICS)
        .map(|number| reader.standing(&topic(number), now()).expect("a standing"))
        .map(|standing| (standing.epoch, standing.next))
        .collect();
    let mut versions: Vec<u64> = (0..KEYS).map(|key| version(&reader, key)).collect();
    say("ready");
    let mut sequence = 1;
    loop {
        let (mut logged, mut synced) = (Vec::new(), Vec::new());
        for _ in 0..=chance.below(4) {
            let number = 1 + chance.below(TOPICS);
            let index = usize::try_from(number - 1).expect("small");
            let (epoch, from) = standings[index];
            let (count, early) = (1 + chance.below(20), chance.below(3) == 0);
            let bytes = if chance.below(20) == 0 { 5000 } else { 33 + chance.below(200) };
            say(&format!("sent {number} {seed} {sequence} {count} {bytes}"));
            let run = run(seed, sequence, from, count, usize::try_from(bytes).expect("small"));
            let topic = topic(number);
            let append = Write::Append { topic, epoch, run, early, replaces: Vec::new() };
            let written = writer.write(now(), &[append]).remove(0).expect("written");
            let told = format!("{number} {seed} {sequence} {count} {epoch} {from}");
            logged.extend((early && written.shown).then(|| format!("logged {told}")));
            synced.push(format!("synced {told}"));
            (standings[index].1, sequence) = (from + count, sequence + count);
        }
        logged.iter().for_each(|line| say(line));
        let key = chance.below(KEYS);
        let next = versions[usize::try_from(key).expect("small")] + 1;
        say(&format!("put {key} {next}"));
        let value = Bytes::from(payload::encode(Message { producer: key, sequence: next }, 60));
        let pair = ["a", "b"].map(|side| (pair_key(side, key), Some(value.clone())));
        writer.write(now(), &[Write::Put(pair.to_vec())]).remove(0).expect("written");
        writer.sync().expect("synced");
        versions[usize::try_from(key).expect("small")] = next;
        synced.push(format!("kept {key} {next}"));
        synced.iter().for_each(|line| say(line));
        if chance.below(8) == 0 {
            writer.maintain(now()).expect("maintained");
        }
    }
}

fn run(producer: u64, first: u64, from: u64, count: u64, bytes: usize) -> Arc<Run> {
    let frame = |n: u64| {
        let body = payload::encode(Message { producer, sequence: first + n }, bytes);
        let header = Header { time_ms: now().unix_ms, ..Header::new(Kind::Deliver) };
        let head = header.number(from + n).to_frame(&[], &body).expect("small");
        Chunk { head, body: None }
    };
    let sent = vec![Sent { producer, sequence: first, offset: from, count }];
    let run = Run::of((0..count).map(frame).collect()).expect("whole frames");
    Arc::new(Run { sent, ..run })
}

fn pair_key(side: &str, key: u64) -> Bytes {
    format!("{side}/{key}").into()
}

/// The version of a pair of values; both sides must have the same.
fn version<S: Storage>(reader: &sampan_journal::Reader<S>, key: u64) -> u64 {
    let found = ["a", "b"].map(|side| {
        let name = pair_key(side, key);
        let (values, _) = reader.load(&name, None, 1 << 20).expect("loaded");
        let value = values.into_iter().find(|(found, _)| *found == name);
        value.map_or(0, |(_, value)| {
            let message = payload::decode(&value).filter(|message| message.producer == key);
            message.map_or(u64::MAX, |message| message.sequence)
        })
    });
    if found[0] == found[1] { found[0] } else { u64::MAX }
}

/// Opens the log and says everything that it holds.
pub(crate) fn drain(directory: &str) {
    let disk = Disk::open(Path::new(directory)).expect("the directory");
    let Log { reader, opening, .. } = Log::open(disk, options(), now()).expect("opens");
    opening.damaged.iter().for_each(|damage| say(&format!("damaged {damage}")));
    for number in 1..=TOPICS {
        let topic = topic(number);
        let standing = reader.standing(&topic, now()).expect("a standing");
        say(&format!("floor {number} {}", standing.floor));
        let mut at = 1;
        loop {
            let start = Start::Offset(at);
            let wanted = Wanted { start, max_bytes: 1 << 16, max_count: 1000 };
            let page = reader.read(&topic, 1, wanted).expect("a page");
            page.damaged.iter().for_each(|hole| say(&format!("damaged {number} {hole:?}")));
            let Some(last) = page.runs.last() else { break };
            at = last.to + 1;
            for frame in page.runs.iter().flat_map(|run| run.frames()) {
                let parts = [Some(frame.head), frame.body].into_iter().flatten();
                let whole: Vec<u8> = parts.flat_map(|part| part.to_vec()).collect();
                let decoded = Frame::decode(whole.into(), 1 << 20).expect("a frame");
                let text = String::from_utf8_lossy(decoded.body_bytes()).into_owned();
                say(&format!("found {number} {} {} {text}", standing.epoch, frame.offset));
            }
        }
    }
    for key in 0..KEYS {
        say(&format!("value {key} {}", version(&reader, key)));
    }
    say("drained");
}
