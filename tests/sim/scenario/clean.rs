//! Hundreds of clients, every class of topic, and nothing that goes wrong.

use sampan_protocol::control::Start;

use super::crowd::{join, publishers, readers, topics};
use super::replay::play;
use crate::app::{Publishing, Reader};
use crate::broker::Plan;
use crate::history::What;
use crate::net::Weather;

#[test]
fn hundreds_of_clients_in_clean_weather() {
    let plan = |_| Plan { shards: 3, ..Plan::new() };
    play("hundreds_of_clients_in_clean_weather", &[1], plan, |world| {
        let weather = Weather::clean();
        let orders = topics("order", 8);
        let rooms = topics("bench.room", 4);
        let typing = topics("chat.typing", 3);
        let stock = topics("inventory.product", 3);
        readers(world, 200, &orders, &weather);
        readers(world, 60, &rooms, &weather);
        readers(world, 20, &typing, &weather);
        readers(world, 20, &stock, &weather);
        join(world, &weather, vec![Reader::task(">", Start::Now)]);
        publishers(world, 6, &Publishing::to(&orders, 60, 150), &weather);
        publishers(world, 3, &Publishing::to(&rooms, 60, 150), &weather);
        publishers(world, 3, &Publishing::to(&typing, 40, 200), &weather);
        let keyed = Publishing { keys: 5, ..Publishing::to(&stock, 60, 150) };
        publishers(world, 3, &keyed, &weather);
        let rest = std::time::Duration::from_secs(120);
        world.quiesce(rest);
        let lost = world.history.count(|what| {
            matches!(what, What::Away { .. } | What::Closed { .. } | What::Refused { .. })
        });
        assert_eq!(lost, 0, "somebody lost a session, or was refused, in clean weather");
        let gaps = |what: &What| matches!(what, What::Gap { reason, .. } if reason.is_loss());
        assert_eq!(world.history.count(gaps), 0, "gaps in clean weather");
    });
}
