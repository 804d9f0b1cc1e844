//! Crowds of clients that most scenarios share.

use std::time::Duration;

use sampan_protocol::Topic;
use sampan_protocol::control::Start;

use crate::app::{Publisher, Publishing, Reader, Task};
use crate::net::Weather;
use crate::world::{Join, World};

/// Over how long a crowd arrives.
const ARRIVAL: Duration = Duration::from_secs(1);

/// `prefix.0`, `prefix.1`, and so on.
pub(super) fn topics(prefix: &str, count: usize) -> Vec<Topic> {
    let name = |number| format!("{prefix}.{number}");
    (0..count).map(|number| Topic::parse(&name(number)).expect("a topic")).collect()
}

/// A client in this weather that arrives within the first second.
pub(super) fn join(world: &mut World, weather: &Weather, tasks: Vec<Box<dyn Task>>) -> u32 {
    let after = world.chance.within(&(Duration::ZERO..=ARRIVAL));
    world.join(Join { weather: weather.clone(), after, ..Join::service(tasks) })
}

/// Readers of these topics in turn; every tenth takes all of them by a pattern.
pub(super) fn readers(
    world: &mut World,
    count: usize,
    topics: &[Topic],
    weather: &Weather,
) -> Vec<u32> {
    let all = pattern(topics);
    let name = |number: usize| {
        let topic = topics[number % topics.len()].as_str();
        if number % 10 == 9 { all.as_str() } else { topic }
    };
    (0..count)
        .map(|number| join(world, weather, vec![Reader::task(name(number), Start::Now)]))
        .collect()
}

/// Publishers of `each` messages to these topics, about `every_ms` apart.
pub(super) fn publishers(
    world: &mut World,
    count: usize,
    plan: &Publishing,
    weather: &Weather,
) -> Vec<u32> {
    (0..count).map(|_| join(world, weather, vec![Publisher::task(plan.clone())])).collect()
}

/// The pattern of the topics' common first tokens.
pub(super) fn pattern(topics: &[Topic]) -> String {
    let first = topics[0].as_str();
    let (prefix, _) = first.rsplit_once('.').expect("more than one token");
    format!("{prefix}.*")
}
