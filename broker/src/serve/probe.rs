//! The broker's own probe: once a second, a message to each shard and back through a session like
//! any client's. Readiness rests on it, and so do two latency histograms.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sampan_client::{Client, Delivery, Message, Pattern, Start, Subscription, Topic};
use sampan_core::directory::owner;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::http::{Health, Latencies};

/// Time between rounds.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long one probe may take.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Topics of the probes.
const PATTERN: &str = "sys.probe.*";

/// Sends probes until the client's session is closed for good; answers why.
pub(super) async fn run(
    client: Client,
    shards: u8,
    health: Arc<Health>,
    latencies: Latencies,
) -> String {
    let topics = topics(shards);
    let subscribed = match Pattern::parse(PATTERN) {
        Ok(pattern) => client.subscribe(pattern, Start::Now).await.map_err(|e| e.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let mut arrivals = match subscribed {
        Ok(subscription) => subscription,
        Err(why) => return why,
    };
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for round in 0_u64.. {
        ticks.tick().await;
        let mut passed = Ok(());
        for topic in &topics {
            let probe = probe(&client, &mut arrivals, topic, round, &latencies);
            passed = match timeout(TIMEOUT, probe).await {
                Ok(passed) => passed,
                Err(_) => Err(format!("a probe was lost on its way through {topic:?}")),
            };
            if passed.is_err() {
                break;
            }
        }
        match passed {
            Ok(()) => health.delivered(Instant::now()),
            Err(why) => {
                health.failed(&why);
                if let Some(error) = arrivals.error() {
                    return error.to_string();
                }
            }
        }
    }
    String::new()
}

/// One message there and back.
async fn probe(
    client: &Client,
    arrivals: &mut Subscription,
    topic: &Topic,
    round: u64,
    latencies: &Latencies,
) -> Result<(), String> {
    let begun = Instant::now();
    let payload = round.to_le_bytes().to_vec();
    let publish = async {
        let acked = client.publish(Message::new(topic.clone(), payload)).await;
        latencies.ack_seconds.observe(begun.elapsed().as_secs_f64());
        acked.map(|_| ()).map_err(|error| error.to_string())
    };
    let arrive = async {
        while let Some(delivery) = arrivals.next().await {
            let Delivery::Message(message) = delivery else { continue };
            // A late one of an earlier round may come first.
            if message.topic() == topic && message.payload_bytes() == round.to_le_bytes() {
                latencies.delivery_seconds.observe(begun.elapsed().as_secs_f64());
                return Ok(());
            }
        }
        Err("the probe's subscription has ended".to_owned())
    };
    tokio::try_join!(publish, arrive).map(|_| ())
}

/// One topic for each shard to own, so that a round goes through all of them.
fn topics(shards: u8) -> Vec<Topic> {
    let named = |n: u32| Topic::parse(&format!("sys.probe.{n}")).ok();
    let mut found = vec![None; usize::from(shards)];
    for topic in (0..100_000).filter_map(named) {
        let slot = found.get_mut(usize::from(owner(&topic, shards)));
        slot.into_iter().for_each(|slot| _ = slot.get_or_insert_with(|| topic.clone()));
        if found.iter().all(Option::is_some) {
            break;
        }
    }
    found.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_owns_a_probe() {
        for shards in [1, 2, 3, 64] {
            let mut owners: Vec<_> = topics(shards).iter().map(|t| owner(t, shards)).collect();
            owners.sort_unstable();
            assert_eq!(owners, (0..shards).collect::<Vec<_>>());
        }
    }
}
