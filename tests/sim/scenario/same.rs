//! One seed twice is one run: the traces are compared byte for byte.

use crate::app::{Publisher, Publishing, Reader};
use crate::broker::Plan;
use crate::net::Weather;
use crate::world::{Join, World};
use sampan_protocol::Topic;
use sampan_protocol::control::Start;
use std::time::Duration;

fn run(seed: u64) -> Vec<String> {
    let mut world = World::new(seed, Plan::new());
    world.keep_trace();
    let topics: Vec<Topic> =
        (0..5).map(|n| Topic::parse(&format!("order.{n}")).expect("a topic")).collect();
    for n in 0..20 {
        world.join(Join {
            weather: Weather::storm(),
            ..Join::service(vec![Reader::task(topics[n % 5].as_str(), Start::Now)])
        });
    }
    for _ in 0..5 {
        world.join(Join {
            weather: Weather::storm(),
            ..Join::service(vec![Publisher::task(Publishing::to(&topics, 50, 100))])
        });
    }
    world.run(Duration::from_secs(8));
    world.crash();
    world.run(Duration::from_secs(2));
    world.restart();
    world.net.rebind(3);
    world.net.cut(7, true);
    world.run(Duration::from_secs(40));
    world.net.cut(7, false);
    world.quiesce(Duration::from_secs(200));
    world.check();
    world.trace.into_lines()
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let [one, two] = [run(5), run(5)];
    println!("{} lines, {} bytes", one.len(), one.iter().map(String::len).sum::<usize>());
    let differs = one.iter().zip(&two).position(|(a, b)| a != b);
    if let Some(at) = differs {
        let from = at.saturating_sub(8);
        panic!(
            "line {at}:\n{}\n---\n{}",
            one[from..(at + 3).min(one.len())].join("\n"),
            two[from..(at + 3).min(two.len())].join("\n")
        );
    }
    assert_eq!(one.len(), two.len());
}
