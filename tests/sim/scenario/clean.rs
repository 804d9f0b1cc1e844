//! Nothing goes wrong.

use crate::app::{Publisher, Publishing, Reader};
use crate::broker::Plan;
use crate::history::What;
use crate::world::{Join, World};
use sampan_protocol::Topic;
use sampan_protocol::control::Start;
use std::time::Duration;

#[test]
fn clean() {
    let began = std::time::Instant::now();
    let mut world = World::new(1, Plan::new());
    let topics: Vec<Topic> =
        (0..5).map(|n| Topic::parse(&format!("order.{n}")).expect("a topic")).collect();
    for n in 0..100 {
        world.join(Join::service(vec![Reader::task(topics[n % 5].as_str(), Start::Now)]));
    }
    for _ in 0..5 {
        world.join(Join::service(vec![Publisher::task(Publishing::to(&topics, 100, 100))]));
    }
    world.quiesce(Duration::from_secs(60));
    world.check();
    let got = world.history.count(|w| matches!(w, What::Message { .. }));
    println!(
        "{got} messages in {:?} virtual, {:?} real, {:?}",
        world.elapsed(),
        began.elapsed(),
        world.net.counters
    );
}
