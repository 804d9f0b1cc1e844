//! Requests and presence while clients and responders come and go.

use std::collections::BTreeSet;
use std::time::Duration;

use sampan_protocol::Topic;

use super::crowd::join;
use super::replay::play;
use crate::app::{Asker, Asking, Member, Responder, Watcher};
use crate::broker::Plan;
use crate::history::{Outcome, What};
use crate::net::Weather;
use crate::world::{Join, World};

fn topic(name: &str) -> Topic {
    Topic::parse(name).expect("a topic")
}

fn ms(from: u64, to: u64) -> std::ops::RangeInclusive<Duration> {
    Duration::from_millis(from)..=Duration::from_millis(to)
}

#[test]
fn requests_end_once_whatever_happens_to_those_who_answer() {
    let name = "requests_end_once_whatever_happens_to_those_who_answer";
    let plan = |_| Plan { shards: 3, ..Plan::new() };
    play(name, &[71, 72], plan, |world| {
        let weather = Weather::storm();
        let responders: Vec<u32> = (0..4)
            .map(|_| join(world, &weather, vec![Responder::task("chat.*", ms(10, 400))]))
            .collect();
        let asking = Asking {
            topic: topic("chat.send_message"),
            count: 60,
            every: ms(100, 700),
            timeout: Duration::from_secs(8),
            after: Duration::from_secs(3),
        };
        for _ in 0..30 {
            join(world, &weather, vec![Asker::task(asking.clone())]);
        }
        world.run(Duration::from_secs(8));
        world.net.cut(responders[0], true);
        world.run(Duration::from_secs(4));
        world.crash();
        world.run(Duration::from_secs(1));
        world.restart();
        world.run(Duration::from_secs(6));
        world.leave(responders[1]);
        world.run(Duration::from_secs(40));
        world.net.cut(responders[0], false);
        world.quiesce(Duration::from_secs(120));
        let answered = world
            .history
            .count(|what| matches!(what, What::Answered { outcome: Outcome::Answer(_), .. }));
        assert!(answered > 30 * 60 / 2, "only {answered} of 1800 requests were answered");
    });
}

/// Who is there, as the last thing that each watcher was told says.
fn present(world: &World, watchers: &[u32]) -> Vec<BTreeSet<String>> {
    let last = |watcher: &u32| {
        world.history.records.iter().rev().find_map(|record| match &record.what {
            What::Present { seat, users, .. } if seat == watcher => {
                Some(users.iter().cloned().collect())
            }
            _ => None,
        })
    };
    watchers.iter().map(|watcher| last(watcher).expect("a snapshot")).collect()
}

#[test]
fn watchers_end_up_knowing_who_is_there() {
    let name = "watchers_end_up_knowing_who_is_there";
    let plan = |_| Plan { shards: 2, ..Plan::new() };
    play(name, &[73, 74], plan, |world| {
        let weather = Weather::storm();
        let room = topic("chat.conversation.7");
        let watchers: Vec<u32> =
            (0..6).map(|_| join(world, &weather, vec![Watcher::task(&room)])).collect();
        let mut staying = BTreeSet::new();
        let mut members = Vec::new();
        for number in 0..24_u64 {
            let user = format!("member{number}");
            let stays = (number % 3 == 0).then(|| Duration::from_secs(5 + number));
            if stays.is_none() {
                staying.insert(user.clone());
            }
            let join = Join { user, weather: weather.clone(), ..Join::service(Vec::new()) };
            members.push(world.join(Join { tasks: vec![Member::task(&room, stays)], ..join }));
        }
        world.run(Duration::from_secs(10));
        // One that vanishes without a word, for longer than the idle time and the grace together.
        world.net.cut(members[1], true);
        world.net.cut(watchers[0], true);
        // One whose path is cut for less than the grace, seen by all as if it had stayed.
        world.net.cut(members[2], true);
        world.run(Duration::from_secs(20));
        world.net.cut(members[2], false);
        world.run(Duration::from_secs(80));
        staying.remove("member1");
        for seen in present(world, &watchers[1..]) {
            assert_eq!(seen, staying, "as the others see it");
        }
        world.crash();
        world.run(Duration::from_secs(2));
        world.restart();
        world.net.cut(members[1], false);
        world.net.cut(watchers[0], false);
        world.leave(members[4]);
        world.quiesce(Duration::from_secs(200));
        world.run(Duration::from_secs(70));
        staying.insert("member1".to_owned());
        staying.remove("member4");
        for seen in present(world, &watchers) {
            assert_eq!(seen, staying, "after the crash");
        }
    });
}
