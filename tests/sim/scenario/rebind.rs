//! Clients whose address changes under load: Wi-Fi to mobile and back.

use std::time::Duration;

use super::crowd::{publishers, readers, topics};
use super::replay::play;
use crate::app::Publishing;
use crate::broker::Plan;
use crate::history::What;
use crate::net::Weather;

#[test]
fn everybody_moves_three_times() {
    let plan = |_| Plan { shards: 3, ..Plan::new() };
    play("everybody_moves_three_times", &[11, 12], plan, |world| {
        let weather = Weather::lossy(5_000);
        let orders = topics("order", 5);
        let rooms = topics("bench.room", 2);
        let mut seats = readers(world, 40, &orders, &weather);
        seats.extend(readers(world, 10, &rooms, &weather));
        seats.extend(publishers(world, 5, &Publishing::to(&orders, 250, 100), &weather));
        seats.extend(publishers(world, 2, &Publishing::to(&rooms, 250, 100), &weather));
        world.run(Duration::from_secs(4));
        for _ in 0..3 {
            for seat in &seats {
                // Spread over some seconds, as people walk out of doors.
                let pause = world.chance.within(&(Duration::ZERO..=Duration::from_millis(160)));
                world.run(pause);
                world.net.rebind(*seat);
            }
        }
        world.quiesce(Duration::from_secs(120));
        let away = world.history.count(|what| matches!(what, What::Away { .. }));
        assert_eq!(away, 0, "a connection did not survive a new address");
    });
}
