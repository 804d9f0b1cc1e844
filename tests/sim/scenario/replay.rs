//! Running a scenario under its seeds, and telling how to run it again when it fails.
//!
//! `SIM_SEED` names the one seed to run; `SIM_HISTORY` and `SIM_TRACE` are files to write the history
//! and the trace of the last run to.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use crate::broker::Plan;
use crate::world::World;

/// How long a world may take to come to rest once nothing is wrong any more. The longest waits are
/// a lost connection's idle time and then a backoff at its ceiling, each more than once.
const REST: Duration = Duration::from_secs(300);

/// One run under one seed. Dropped in a panic, it tells how to have the same run again.
struct Run {
    name: &'static str,
    seed: u64,
}

impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Run { name, seed } = self;
            eprintln!("scenario {name} failed with seed {seed}; to replay it:");
            eprintln!("    SIM_SEED={seed} cargo test -p sampan-tests --test sim {name}");
        }
    }
}

/// Plays a scenario under each of these seeds, or under the one in `SIM_SEED`.
pub(super) fn play(
    name: &'static str,
    seeds: &[u64],
    plan: impl Fn(u64) -> Plan,
    scene: impl Fn(&mut World),
) {
    let wanted = std::env::var("SIM_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let wanted: Vec<u64> = wanted.into_iter().collect();
    for &seed in if wanted.is_empty() { seeds } else { &wanted } {
        let _run = Run { name, seed };
        let began = Instant::now();
        let mut world = World::new(seed, plan(seed));
        let [history, trace] = ["SIM_HISTORY", "SIM_TRACE"].map(|name| std::env::var(name).ok());
        if trace.is_some() {
            world.keep_trace();
        }
        let played = catch_unwind(AssertUnwindSafe(|| {
            scene(&mut world);
            finish(&mut world);
        }));
        let write = |path: String, text: String| std::fs::write(path, text).expect("a file");
        if let Some(path) = history {
            write(path, world.history.to_string());
        }
        if let Some(path) = trace {
            write(path, world.trace.lines().join("\n"));
        }
        if let Err(cause) = played {
            resume_unwind(cause);
        }
        report(name, &world, began.elapsed());
    }
}

/// Comes to rest, checks everything, and sends everybody home.
fn finish(world: &mut World) {
    world.quiesce(REST);
    world.check();
    world.empty();
}

fn report(name: &str, world: &World, took: Duration) {
    let (history, net) = (&world.history, &world.net.counters);
    println!(
        "sim {name} seed {}: {} clients, {} records, {} packets ({} dropped), \
         {:.0} s in {:.1} s, outboxes up to {} KiB",
        world.seed,
        world.seats.len(),
        history.records.len(),
        net.packets,
        net.dropped,
        world.elapsed().as_secs_f64(),
        took.as_secs_f64(),
        world.outbox_bytes_max / 1024,
    );
}
