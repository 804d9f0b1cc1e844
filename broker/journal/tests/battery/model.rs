//! Random commands, crashes and reopenings against a small model of what must hold.

use std::collections::BTreeMap;
use std::env;
use std::time::Duration;

use sampan_journal::storage::faulty::Faulty;
use sampan_journal::{Error, Write};
use sampan_protocol::Topic;
use sampan_tests::chance::Chance;
use sampan_tests::history::Level;
use sampan_tests::proof::Proof;

use crate::rig::{KEPT, Rig, Told, limited, topic};
use crate::scaled;

/// Steps of one log.
const STEPS: u64 = 250;

/// What has to hold beyond what the history says.
#[derive(Debug, Default)]
struct Model {
    /// Per topic the highest offset that is taken, and the highest floor seen.
    highest: BTreeMap<Topic, u64>,
    floors: BTreeMap<Topic, u64>,
    /// Per topic what is pinned: synced pins, and those that may or may not have survived.
    pins: BTreeMap<Topic, Option<u64>>,
}

struct Play {
    rig: Rig,
    model: Model,
    topics: Vec<Topic>,
    chance: Chance,
    what: String,
}

impl Play {
    fn new(seed: u64) -> Self {
        let chance = Chance::of(seed, "model", 0);
        let topics = (1..=4).map(topic).collect();
        let rig = Rig::open(&Faulty::default(), Told::new(), limited()).expect("a new log");
        Play { rig, model: Model::default(), topics, chance, what: format!("MODEL_SEED={seed}") }
    }

    fn topic(&mut self) -> Topic {
        self.chance.pick(&self.topics).clone()
    }

    fn step(&mut self, number: u64) {
        self.what = format!("{}, step {number}", self.what.split(',').next().unwrap_or(""));
        match self.chance.below(100) {
            0..45 => self.send(),
            45..55 => drop(self.rig.put(self.chance.below(4), 40).expect("written")),
            55..75 => self.rig.sync().expect("synced"),
            75..85 => self.rig.maintain().expect("maintained"),
            85..88 => self.pin(),
            88..90 => self.rig.pass(Duration::from_secs(self.chance.below(100))),
            90..94 => self.look(),
            94..97 => self.close(),
            _ => self.crash(),
        }
    }

    fn send(&mut self) {
        let topic = self.topic();
        let count = 1 + self.chance.below(6);
        let bytes = match self.chance.below(20) {
            0 => 6000,
            1..5 => 1000,
            _ => 33 + self.chance.below(100),
        };
        let count = if bytes > 5000 { 1 } else { count };
        let bytes = usize::try_from(bytes).expect("small");
        let early = self.chance.below(4) == 0;
        self.rig.send(&topic, count, bytes, early).expect("written");
        let next = self.rig.standing(&topic).1;
        self.model.highest.insert(topic, next - 1);
    }

    /// Pins a topic or releases it; synced at once, so that it is known whether it holds.
    fn pin(&mut self) {
        let topic = self.topic();
        let highest = self.model.highest.get(&topic).copied().unwrap_or(0);
        let floor = self.model.floors.get(&topic).copied().unwrap_or(1);
        let pinned = self.chance.below(2) == 0 && highest >= floor;
        let offset = pinned.then(|| floor + self.chance.below(highest + 1 - floor));
        let pin = Write::Pin { topic: topic.clone(), name: "g".into(), offset };
        self.rig.write(&[pin]).remove(0).expect("written");
        self.rig.sync().expect("synced");
        // A pin keeps what is there; what was passed before it is gone.
        self.model.pins.remove(&topic);
        self.look();
        let first = self.rig.read(std::slice::from_ref(&topic), 1 << 16).after.found;
        let first = first.first().map(|found| found.place.offset);
        let holds = offset.map(|offset| offset.max(first.unwrap_or(offset)));
        self.model.pins.insert(topic, holds);
    }

    fn look(&mut self) {
        let page_bytes = *self.chance.pick(&[200, 1000, 1 << 16]);
        let mut holdings = self.rig.read(&self.topics, page_bytes);
        for topic in &self.topics {
            let standing = self.rig.reader.standing(topic, self.rig.told.now).expect("a standing");
            let floor = self.model.floors.entry(topic.clone()).or_insert(1);
            assert!(standing.floor >= *floor, "{}: {topic}: {standing:?}, {floor}", self.what);
            *floor = standing.floor;
            let highest = self.model.highest.get(topic).copied().unwrap_or(0);
            let justified = (highest + 1).saturating_sub(KEPT).max(1);
            assert!(standing.floor <= justified, "{}: {topic}: {standing:?}", self.what);
        }
        for (name, floor) in &mut holdings.after.floors {
            let topic = Topic::parse(name).expect("valid");
            if let Some(Some(pin)) = self.model.pins.get(&topic) {
                *floor = (*floor).min(*pin);
            }
        }
        let report = self.rig.judge(&self.rig.told.events, &holdings, Level::Synced);
        let (what, model) = (&self.what, &self.model);
        let lost = &holdings.lost;
        assert_eq!(report.violations(), 0, "{what}: {report}\n{model:?}\ntold as lost: {lost:?}");
    }

    /// Opens what is left, and goes on with it.
    fn reopen(&mut self, storage: &Faulty, clean: bool) {
        let told = self.rig.told.clone();
        let opened = Rig::open(storage, told, limited());
        self.rig = opened.unwrap_or_else(|error| panic!("{}: {error}", self.what));
        let opening = &self.rig.opening;
        assert!(opening.damaged.is_empty(), "{}: {opening:?}", self.what);
        if clean {
            assert!(opening.clean && opening.lost.is_empty(), "{}: {opening:?}", self.what);
        }
        for topic in self.topics.clone() {
            let next = self.rig.standing(&topic).1;
            let highest = self.model.highest.entry(topic.clone()).or_insert(0);
            if clean {
                assert_eq!(next, *highest + 1, "{}: {topic} after a clean close", self.what);
            }
            *highest = next - 1;
        }
        self.look();
    }

    fn close(&mut self) {
        self.rig.sync().expect("synced");
        let storage = self.rig.storage.clone();
        self.rig.close().unwrap_or_else(|error: Error| panic!("{}: {error}", self.what));
        let power = self.chance.below(2) == 0;
        let storage = if power { self.cut(&storage) } else { storage.kill() };
        self.reopen(&storage, true);
    }

    fn cut(&mut self, storage: &Faulty) -> Faulty {
        storage.crash(&mut |bound| self.chance.below(bound))
    }

    fn crash(&mut self) {
        let storage = self.rig.storage.clone();
        let power = self.chance.below(3) > 0;
        let storage = if power { self.cut(&storage) } else { storage.kill() };
        self.reopen(&storage, false);
    }
}

#[test]
fn random_commands_and_crashes_agree_with_the_model() {
    let one = env::var("MODEL_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    // 100 is one in which a floor that had been told went back.
    let last = scaled(100_000, 8_000) / STEPS;
    let seeds: Vec<u64> = one.map_or((1..=last).chain([100]).collect(), |seed| vec![seed]);
    let mut proof = Proof::of("steps of the model");
    proof.note(format!("{} logs", seeds.len()));
    proof.each(seeds.len() as u64, |seed| {
        let mut play = Play::new(seeds[usize::try_from(seed).expect("small")]);
        (0..STEPS).for_each(|number| play.step(number));
        play.look();
        STEPS
    });
}
