//! Random writes with crashes in between: what opens again is a prefix of what was written, and all
//! of what was synced.

use std::collections::BTreeMap;

use super::*;

/// What a log holds, as far as its owner can see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    messages: BTreeMap<String, Vec<(u64, usize)>>,
    values: BTreeMap<String, String>,
}

impl Model {
    fn apply(&mut self, write: &Write) {
        match write {
            Write::Append { topic, run, .. } => {
                let messages = self.messages.entry(topic.as_str().to_owned()).or_default();
                messages.extend(run.frames().map(|frame| (frame.offset, frame.head.len())));
            }
            Write::Put(values) => {
                for (key, value) in values {
                    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).expect("text");
                    match value {
                        Some(value) => self.values.insert(text(key), text(value)),
                        None => self.values.remove(&text(key)),
                    };
                }
            }
            Write::Pin { .. } => {}
        }
    }

    /// This without what retention has taken of the log.
    fn above_floors(&self, log: &Log<Faulty>, now: Now) -> Self {
        let mut kept = self.clone();
        for (name, messages) in &mut kept.messages {
            let floor = log.reader.standing(&topic(name), now).expect("known").floor;
            let below = messages.iter().filter(|(offset, _)| *offset < floor).count();
            assert!(below == 0 || messages.len() - below >= KEPT, "retention took too much");
            messages.drain(..below);
        }
        kept
    }

    fn of(log: &Log<Faulty>) -> Self {
        let mut model = Model { values: load(log, "").into_iter().collect(), ..Model::default() };
        for topic in log.reader.topics() {
            let mut start = 0;
            let messages = model.messages.entry(topic.as_str().to_owned()).or_default();
            loop {
                let wanted = Wanted { start: Start::Offset(start), max_bytes: 9000, max_count: 50 };
                let page = log.reader.read(&topic, 33, wanted).expect("read");
                assert_eq!(page.damaged, []);
                let Some(last) = page.runs.last() else { break };
                start = last.to + 1;
                let frames = page.runs.iter().flat_map(|run| run.frames());
                messages.extend(frames.map(|frame| {
                    let body = frame.body.as_ref().unwrap_or(&frame.head);
                    let same = u8::try_from(frame.offset % 251).expect("a byte");
                    let skipped = if frame.body.is_some() { 0 } else { 32 };
                    assert!(body[skipped..].iter().all(|byte| *byte == same));
                    (frame.offset, frame.head.len() + frame.body.map_or(0, |body| body.len()))
                }));
            }
        }
        model.messages.retain(|_, messages| !messages.is_empty());
        model
    }
}

/// Messages of a topic that are kept at least, where retention takes any.
const KEPT: usize = 20;

fn below(state: &mut u64, bound: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % bound
}

fn writes(seed: &mut u64, next: &mut [u64; 3]) -> Vec<Write> {
    let one = |_| {
        let at = usize::try_from(below(seed, 3)).expect("small");
        if below(seed, 3) == 0 {
            let key = format!("k{}", below(seed, 30));
            let value = "v".repeat(usize::try_from(below(seed, 3000)).expect("small"));
            return put(&key, (below(seed, 4) > 0).then_some(&value));
        }
        let sizes: Vec<usize> = (0..=below(seed, 4))
            .map(|_| usize::try_from(below(seed, 2000)).expect("small"))
            .collect();
        let from = next[at] + u64::from(below(seed, 20) == 0);
        next[at] = from + sizes.len() as u64;
        append(["a", "b", "c"][at], from, &sizes)
    };
    (0..=3).map(one).collect()
}

fn play(seed: u64) {
    let mut seed = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let count = (below(&mut seed, 2) == 0).then_some(KEPT as u64);
    let mut place = Place::keeping(Retention { count, ..Retention::DEFAULT });
    place.options.tail_bytes = usize::try_from(below(&mut seed, 100_000)).expect("small");
    let mut log = place.open();
    let (mut synced, mut unsynced) = (Model::default(), Vec::<Write>::new());
    let mut next = [1; 3];
    for _ in 0..150 {
        place.pass(Duration::from_millis(10));
        match below(&mut seed, 100) {
            0..60 => {
                let writes = writes(&mut seed, &mut next);
                let answers = log.writer.write(place.now, &writes);
                answers.into_iter().for_each(|answer| assert!(answer.is_ok(), "{answer:?}"));
                unsynced.extend(writes);
                continue;
            }
            60..80 => {
                log.writer.sync().expect("synced");
                unsynced.drain(..).for_each(|write| synced.apply(&write));
                continue;
            }
            80..88 => {
                // It may sync what was written, and then a crash keeps it.
                log.writer.sync().expect("synced");
                unsynced.drain(..).for_each(|write| synced.apply(&write));
                log.writer.maintain(place.now).expect("space");
                continue;
            }
            88..96 => {
                let crashed = place.disk.crash(&mut |count| below(&mut seed, count));
                drop(log);
                place.disk = crashed;
            }
            96..98 => {
                let killed = place.disk.kill();
                drop(log);
                place.disk = killed;
            }
            _ => {
                place.close(log);
                unsynced.drain(..).for_each(|write| synced.apply(&write));
            }
        }
        log = place.open();
        assert_eq!(log.opening.damaged, []);
        assert_eq!(log.opening.lost, []);
        let found = Model::of(&log);
        let mut prefix = synced.clone();
        let mut rest = unsynced.drain(..);
        while prefix.above_floors(&log, place.now) != found {
            let write = rest.next();
            prefix.apply(&write.expect("what is found is a prefix of what was written"));
        }
        drop(rest);
        synced = prefix;
        for (name, next) in ["a", "b", "c"].into_iter().zip(&mut next) {
            *next = log.reader.standing(&topic(name), place.now).expect("known").next;
        }
    }
}

#[test]
fn what_opens_after_a_crash_is_a_prefix_with_all_that_was_synced() {
    for seed in 0..12 {
        println!("seed {seed}");
        play(seed);
    }
}
