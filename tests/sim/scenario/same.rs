//! One seed twice is one run: frames, timers and decisions are the same, byte for byte.

use super::mixed::{plan, scene};
use crate::world::World;

fn trace(seed: u64) -> Vec<String> {
    let mut world = World::new(seed, plan(seed));
    world.keep_trace();
    scene(&mut world);
    world.trace.into_lines()
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [101, 104, 105, 109] {
        let (one, two) = (trace(seed), trace(seed));
        assert!(one.len() > 5_000, "a trace of {} lines says little", one.len());
        let differs = one.iter().zip(&two).position(|(one, two)| one != two);
        let differs = differs.or((one.len() != two.len()).then_some(one.len().min(two.len())));
        if let Some(at) = differs {
            let show =
                |lines: &[String]| lines[at.saturating_sub(5)..lines.len().min(at + 3)].join("\n");
            panic!("seed {seed}, line {at}:\n{}\n\nand\n{}", show(&one), show(&two));
        }
    }
    assert_ne!(trace(101), trace(102), "seeds make a difference");
}
