//! Clients and broker over QUIC: connecting, delivering, moving, leaving.

mod support;

use std::time::Duration;

use bytes::Bytes;
use sampan_protocol::control::Start;
use sampan_protocol::session::client::{Event, Publish, State};
use sampan_protocol::{Code, Pattern, Topic};
use sampan_quic::client::Tuning;

use support::{Weather, World, certificate};

const TOPIC: &str = "bench.room";

fn publish(world: &mut World, seat: usize, payload: &str) {
    publish_to(world, seat, TOPIC, payload);
}

fn publish_to(world: &mut World, seat: usize, topic: &str, payload: &str) {
    let topic = Topic::parse(topic).expect("a topic");
    let payload = Bytes::copy_from_slice(payload.as_bytes());
    let publish = Publish { topic, attributes: Bytes::new(), payload, level: None };
    world.seats[seat].client.session().publish(publish).expect("taken");
}

fn subscribe(world: &mut World, seat: usize) {
    subscribe_to(world, seat, TOPIC);
}

fn subscribe_to(world: &mut World, seat: usize, pattern: &str) {
    let pattern = Pattern::parse(pattern).expect("a pattern");
    world.seats[seat].client.session().subscribe(pattern, Start::Now).expect("taken");
    let ready = world.run_until(Duration::from_secs(10), |world| {
        world.seats[seat].heard.iter().any(|event| matches!(event, Event::Ready { .. }))
    });
    assert!(ready, "not subscribed: {:?}", world.seats[seat].heard);
}

fn payloads(world: &World, seat: usize) -> Vec<String> {
    let messages = world.messages(seat).into_iter();
    messages.map(|message| String::from_utf8_lossy(message.frame.body_bytes()).into()).collect()
}

/// A publisher (seat 0) and a subscriber (seat 1), both live.
fn pair(seed: u64) -> World {
    let mut world = World::new(seed);
    world.join("shop/service");
    world.join("ann/service");
    world.all_live();
    subscribe(&mut world, 1);
    world
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|n| n.to_string()).collect()
}

#[test]
fn a_publish_reaches_the_subscriber_in_order() {
    let mut world = pair(1);
    for n in numbers(500) {
        publish(&mut world, 0, &n);
    }
    world.run(Duration::from_secs(2));
    assert_eq!(payloads(&world, 1), numbers(500));
    let acked: u64 = world.seats[0]
        .heard
        .iter()
        .map(|event| if let Event::Published(run) = event { run.count } else { 0 })
        .sum();
    assert_eq!(acked, 500);
    assert_eq!(world.broker.counters().half_open, 0);
    assert_eq!(world.broker.counters().connections, 2);
}

#[test]
fn large_payloads_cross_in_pieces() {
    let mut world = pair(2);
    let large = "x".repeat(700_000);
    publish(&mut world, 0, &large);
    publish(&mut world, 0, "after");
    world.run(Duration::from_secs(5));
    assert_eq!(payloads(&world, 1), [large, "after".to_owned()]);
}

#[test]
fn nothing_is_lost_in_bad_weather() {
    for seed in 10..16 {
        let mut world = World::new(seed);
        world.network.weather = Weather {
            delay: Duration::from_millis(5)..=Duration::from_millis(60),
            loss_ppm: 100_000,
            duplicate_ppm: 50_000,
        };
        world.join("shop/service");
        world.join("ann/service");
        world.all_live();
        subscribe(&mut world, 1);
        for n in numbers(400) {
            publish(&mut world, 0, &n);
            world.run(Duration::from_millis(2));
        }
        world.run(Duration::from_secs(20));
        assert_eq!(payloads(&world, 1), numbers(400), "seed {seed}");
    }
}

#[test]
fn a_client_that_moves_keeps_its_connection_and_its_messages() {
    let mut world = pair(3);
    for (turn, n) in numbers(300).into_iter().enumerate() {
        publish(&mut world, 0, &n);
        world.run(Duration::from_millis(10));
        if turn % 100 == 50 {
            let seat = &mut world.seats[1];
            seat.address.set_port(seat.address.port() + 1);
        }
    }
    world.run(Duration::from_secs(5));
    assert_eq!(payloads(&world, 1), numbers(300));
    assert_eq!(world.broker.counters().handshakes_started, 2);
}

#[test]
fn keys_change_while_messages_flow() {
    let mut world = pair(23);
    for (turn, n) in numbers(200).into_iter().enumerate() {
        publish(&mut world, 0, &n);
        world.run(Duration::from_millis(20));
        if turn % 50 == 25 {
            for seat in &mut world.seats {
                seat.client.transport().expect("connected").force_key_update();
            }
        }
    }
    world.run(Duration::from_secs(2));
    assert_eq!(payloads(&world, 1), numbers(200));
    assert_eq!(world.broker.counters().lost, Default::default());
}

#[test]
fn typing_signs_travel_as_datagrams() {
    let mut world = World::new(24);
    world.join("shop/service");
    world.join("ann/service");
    world.all_live();
    subscribe_to(&mut world, 1, "chat.typing.*");
    for n in numbers(20) {
        publish_to(&mut world, 0, "chat.typing.room7", &n);
        world.run(Duration::from_millis(50));
    }
    world.run(Duration::from_secs(1));
    assert_eq!(payloads(&world, 1), numbers(20));
    assert!(world.broker.counters().datagrams_out >= 19, "{:?}", world.broker.counters());
}

#[test]
fn a_drained_client_connects_again() {
    let mut world = pair(4);
    let now = world.now;
    for key in world.broker.shard().sessions() {
        let (soon, later) = (Duration::from_secs(1), Duration::from_secs(5));
        world.broker.shard_mut().drain(now, key, soon, later);
    }
    world.run(Duration::from_secs(10));
    world.all_live();
    assert_eq!(world.broker.counters().handshakes_completed, 4);
    publish(&mut world, 0, "after the drain");
    world.run(Duration::from_secs(1));
    assert_eq!(payloads(&world, 1), ["after the drain"]);
    assert_eq!(world.broker.counters().connections, 2);
}

#[test]
fn a_client_that_leaves_is_forgotten() {
    let mut world = pair(5);
    world.seats[1].client.session().close();
    world.run(Duration::from_secs(3));
    assert_eq!(world.broker.counters().connections, 1);
    assert_eq!(world.broker.shard().sessions().len(), 1);
    assert_eq!(world.broker.counters().lost.get("peer_closed"), Some(&1));
}

#[test]
fn a_client_that_vanishes_is_forgotten_after_the_idle_time() {
    let mut world = pair(6);
    world.seats.pop();
    world.run(Duration::from_secs(29));
    assert_eq!(world.broker.counters().connections, 2);
    world.run(Duration::from_secs(12));
    assert_eq!(world.broker.counters().connections, 1);
    assert_eq!(world.broker.counters().lost.get("idle"), Some(&1));
}

#[test]
fn a_refused_token_closes_with_its_code() {
    let mut world = World::new(7);
    world.join("nobody");
    world.run(Duration::from_secs(2));
    let failure = world.seats[0].client.session().closed().cloned().expect("closed");
    assert_eq!(failure.code, Code::BAD_TOKEN);
    world.run(Duration::from_secs(2));
    assert_eq!(world.broker.counters().connections, 0);
    assert_eq!(world.broker.counters().half_open, 0);
}

#[test]
fn a_revoked_session_is_told_at_once() {
    let mut world = pair(8);
    let now = world.now;
    let hit = world
        .broker
        .shard_mut()
        .close_where(now, Code::REVOKED, &mut |identity| &*identity.user == "ann");
    assert_eq!(hit, 1);
    world.run(Duration::from_millis(200));
    assert_eq!(world.seats[1].client.session().closed().map(|why| why.code), Some(Code::REVOKED));
    assert!(world.seats[0].client.session().is_live());
}

#[test]
fn a_restarted_broker_resets_old_connections_and_they_come_back() {
    let mut world = pair(9);
    world.restart();
    publish(&mut world, 0, "into the void");
    world.run(Duration::from_secs(1));
    // The publisher has sent something and was told; the subscriber finds out at its keep-alive.
    assert!(world.broker.counters().responses >= 1);
    assert_ne!(world.seats[0].client.session().state(), State::Closed);
    world.run(Duration::from_secs(15));
    world.all_live();
    assert_eq!(world.broker.counters().handshakes_completed, 2);
    assert_eq!(world.broker.counters().lost, Default::default());
}

#[test]
fn a_ticket_makes_the_next_handshake_cheaper() {
    let mut world = World::new(20);
    world.join("ann/service");
    world.all_live();
    world.run(Duration::from_millis(100));
    let first = world.broker_bytes();
    world.seats[0].client.session().close();
    world.run(Duration::from_secs(1));
    let before = world.broker_bytes();
    let again = world.join("ann/service");
    world.run_until(Duration::from_secs(5), |world| world.seats[again].client.session().is_live());
    world.run(Duration::from_millis(100));
    let second = world.broker_bytes() - before;
    assert!(second + 300 < first, "{first} bytes, then {second}");
}

#[test]
fn a_new_certificate_is_shown_to_new_connections_only() {
    let mut world = pair(21);
    let (certificate, root) = certificate();
    let tls = world.tls.with_certificate(certificate).expect("a certificate");
    world.broker.set_tls(&tls);
    let trust = sampan_quic::client::Tls::new(&[root], sampan_protocol::ALPN, world.clock.clone());
    let newcomer = world.join_with("bob/service", trust.expect("a root"), Tuning::default());
    world.all_live();
    subscribe(&mut world, newcomer);
    publish(&mut world, 0, "to both");
    world.run(Duration::from_secs(1));
    assert_eq!(payloads(&world, 1), ["to both"]);
    assert_eq!(payloads(&world, newcomer), ["to both"]);
    assert_eq!(world.broker.counters().handshakes_completed, 3);
}

#[test]
fn a_reader_that_stops_holds_up_nobody() {
    let mut world = World::new(22);
    world.join("shop/service");
    world.join("ann/service");
    let tiny = Tuning { stream_window: 2000, receive_window: 2000, ..Tuning::default() };
    let slow = world.join_with("bob/service", world.client_tls.clone(), tiny);
    world.all_live();
    subscribe(&mut world, 1);
    subscribe(&mut world, slow);
    world.seats[slow].awake = false;
    let text = "y".repeat(1000);
    for _ in 0..3000 {
        publish(&mut world, 0, &text);
        world.run(Duration::from_millis(1));
    }
    world.run(Duration::from_secs(1));
    assert_eq!(payloads(&world, 1).len(), 3000);
    assert!(world.broker.shard().counters().outbox_bytes < 4 * 1024 * 1024);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let trace = |seed| {
        let mut world = World::new(seed);
        world.network.weather = Weather {
            delay: Duration::from_millis(1)..=Duration::from_millis(30),
            loss_ppm: 50_000,
            duplicate_ppm: 10_000,
        };
        world.join("shop/service");
        world.join("ann/service");
        world.all_live();
        subscribe(&mut world, 1);
        for n in numbers(100) {
            publish(&mut world, 0, &n);
            world.run(Duration::from_millis(3));
        }
        world.run(Duration::from_secs(5));
        (payloads(&world, 1), world.broker.counters().clone(), world.broker_bytes())
    };
    assert_eq!(trace(77), trace(77));
}
