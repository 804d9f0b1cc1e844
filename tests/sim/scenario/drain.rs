//! A broker that stops in order: every client is told, a few at a time, and comes back to the next.

use std::time::Duration;

use super::crowd::{publishers, readers, topics};
use super::replay::play;
use crate::app::Publishing;
use crate::broker::{Drain, Plan};
use crate::history::What;
use crate::net::Weather;

const DRAIN: Drain = Drain {
    over: Duration::from_secs(10),
    reconnect_within: Duration::from_secs(2),
    close_after: Duration::from_secs(20),
};

#[test]
fn a_drain_of_200_clients() {
    let plan = |_| Plan { shards: 3, ..Plan::new() };
    play("a_drain_of_200_clients", &[61, 62], plan, |world| {
        let weather = Weather::lossy(5_000);
        let (orders, rooms) = (topics("order", 8), topics("bench.room", 2));
        readers(world, 160, &orders, &weather);
        readers(world, 20, &rooms, &weather);
        publishers(world, 15, &Publishing::to(&orders, 60, 500), &weather);
        publishers(world, 5, &Publishing::to(&rooms, 60, 500), &weather);
        world.run(Duration::from_secs(8));
        let now = world.now();
        world.broker.process().expect("up").drain(now, DRAIN);
        let empty = world.run_until(DRAIN.over + DRAIN.close_after, |world| {
            let process = world.broker.process().expect("up");
            process.shards().iter().all(|quic| quic.shard().sessions().is_empty())
        });
        assert!(empty, "sessions are left after the drain");
        let told = world.history.count(|what| matches!(what, What::Draining { .. }));
        assert_eq!(told, 200, "everybody is told");
        // What was on its way to the disks arrives; then the process ends and another begins.
        world.run(Duration::from_secs(1));
        world.crash();
        let crashed = world.history.records.last().map(|record| record.what.clone());
        assert_eq!(crashed, Some(What::Crashed { lost: Vec::new() }), "nothing was left to lose");
        world.restart();
    });
}
