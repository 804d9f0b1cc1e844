//! What a client must not do, and what becomes of it.

mod support;

use std::time::Duration;

use bytes::Bytes;
use quinn_proto::{Dir, VarInt};
use sampan_core::bucket::Rate;
use sampan_protocol::frame::{Header, Kind};
use sampan_protocol::{ALPN, Code, control};
use sampan_quic::Limits;

use support::World;
use support::raw::Raw;

fn hello(token: &str) -> Bytes {
    let body = control::Hello {
        version: sampan_protocol::VERSION,
        features: control::feature::ALL,
        producer: 1,
        client: String::new(),
        token: token.to_owned(),
    };
    control::encode(&body, 0).expect("small")
}

/// A bare client that has said HELLO and was let in.
fn admitted(world: &mut World) -> usize {
    let stranger = world.stranger(ALPN);
    assert!(world.run_until(Duration::from_secs(3), |world| world.raws[stranger].connected));
    let connection = &mut world.raws[stranger].connection;
    let control = connection.streams().open(Dir::Bi).expect("one control stream");
    connection.send_stream(control).write(&hello("eve/service")).expect("room");
    assert!(connection.streams().open(Dir::Uni).is_none(), "no publish stream before WELCOME");
    assert!(connection.streams().open(Dir::Bi).is_none(), "one control stream is all");
    world.run(Duration::from_millis(100));
    stranger
}

fn uni(raw: &mut Raw) -> Option<quinn_proto::StreamId> {
    raw.connection.streams().open(Dir::Uni)
}

/// A bystander that must not notice anything.
fn with_bystander(limits: Limits) -> World {
    let mut world = World::with(1, limits);
    world.join("ann/service");
    world.all_live();
    world
}

fn ends_with(world: &mut World, stranger: usize, code: Code, within: Duration) {
    world.run_until(within, |world| world.raws[stranger].lost.is_some());
    assert_eq!(world.raws[stranger].code(), Some(code), "{:?}", world.raws[stranger].lost);
    world.run(Duration::from_secs(3));
    assert_eq!(world.broker.counters().connections, 1, "the connection is forgotten");
    assert_eq!(world.broker.counters().half_open, 0);
    assert!(world.seats[0].client.session().is_live());
}

#[test]
fn another_alpn_is_refused_in_the_handshake() {
    let mut world = with_bystander(Limits::default());
    let stranger = world.stranger(b"h3");
    world.run(Duration::from_secs(2));
    assert!(!world.raws[stranger].connected);
    assert!(world.raws[stranger].lost.is_some());
    assert_eq!(world.broker.counters().handshakes_failed.values().sum::<u64>(), 1);
    world.run(Duration::from_secs(3));
    assert_eq!(world.broker.counters().half_open, 0);
    assert_eq!(world.broker.counters().connections, 1);
}

#[test]
fn a_handshake_that_is_not_finished_is_dropped() {
    let mut world = with_bystander(Limits::default());
    let stranger = world.stranger(ALPN);
    world.run(Duration::from_millis(1));
    world.raws[stranger].awake = false;
    world.run(Duration::from_secs(4));
    assert_eq!(world.broker.counters().half_open, 1);
    world.run(Duration::from_secs(2));
    assert_eq!(world.broker.counters().half_open, 0);
    assert_eq!(world.broker.counters().closed.get(&Code::SLOW_HANDSHAKE.0), Some(&1));
    world.run(Duration::from_secs(10));
    assert_eq!(world.broker.counters().connections, 1);
}

#[test]
fn an_address_that_never_answers_is_sent_three_times_what_it_sent_and_a_packet_at_most() {
    let mut world = World::new(5);
    let stranger = world.stranger(ALPN);
    world.run(Duration::from_millis(1));
    world.raws[stranger].awake = false;
    world.run(Duration::from_secs(10));
    let sent = world.network.bytes_from[&world.raws[stranger].address];
    let answered = world.broker_bytes();
    // The transport does not cut the packet with which it reaches its bound.
    assert!(answered > sent && answered < 3 * sent + 1_200, "{answered} for {sent}");
}

#[test]
fn a_client_that_says_nothing_is_closed() {
    let mut world = with_bystander(Limits::default());
    let stranger = world.stranger(ALPN);
    ends_with(&mut world, stranger, Code::SLOW_HANDSHAKE, Duration::from_secs(8));
    let took = world.raws[stranger].lost_at.expect("lost") - world.start;
    assert!(took < Duration::from_secs(7), "{took:?}");
}

#[test]
fn a_client_that_says_one_byte_a_second_is_closed_in_the_same_time() {
    let mut world = with_bystander(Limits::default());
    let stranger = world.stranger(ALPN);
    world.run(Duration::from_millis(100));
    let connection = &mut world.raws[stranger].connection;
    let control = connection.streams().open(Dir::Bi).expect("control");
    let hello = hello("eve/service");
    for byte in hello.chunks(1).take(20) {
        if world.raws[stranger].lost.is_none() {
            let written = world.raws[stranger].connection.send_stream(control).write(byte);
            assert_eq!(written, Ok(1));
        }
        world.run(Duration::from_secs(1));
    }
    ends_with(&mut world, stranger, Code::SLOW_HANDSHAKE, Duration::from_secs(1));
    let took = world.raws[stranger].lost_at.expect("lost") - world.start;
    assert!(took < Duration::from_secs(7), "{took:?}");
}

#[test]
fn a_client_whose_token_is_not_judged_is_closed() {
    let mut world = with_bystander(Limits::default());
    let stranger = world.stranger(ALPN);
    world.run(Duration::from_millis(100));
    let connection = &mut world.raws[stranger].connection;
    let control = connection.streams().open(Dir::Bi).expect("control");
    connection.send_stream(control).write(&hello("silence")).expect("room");
    ends_with(&mut world, stranger, Code::SLOW_HANDSHAKE, Duration::from_secs(8));
}

#[test]
fn a_frame_that_promises_too_much_ends_the_session() {
    let mut world = with_bystander(Limits::default());
    let stranger = admitted(&mut world);
    let raw = &mut world.raws[stranger];
    let stream = uni(raw).expect("a publish stream");
    let mut head = Header::new(Kind::Publish).bare().to_vec();
    head[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    raw.connection.send_stream(stream).write(&head).expect("room");
    ends_with(&mut world, stranger, Code::PROTOCOL, Duration::from_secs(3));
    assert_eq!(world.broker.shard().counters().malformed, 1);
}

#[test]
fn a_stream_that_ends_within_a_frame_ends_the_session() {
    let mut world = with_bystander(Limits::default());
    let stranger = admitted(&mut world);
    let raw = &mut world.raws[stranger];
    let stream = uni(raw).expect("a publish stream");
    let frame = Header::new(Kind::Publish).to_frame(&[], b"cut short").expect("small");
    raw.connection.send_stream(stream).write(&frame[..36]).expect("room");
    raw.connection.send_stream(stream).finish().expect("open");
    ends_with(&mut world, stranger, Code::PROTOCOL, Duration::from_secs(3));
}

#[test]
fn half_a_frame_does_not_wait_for_ever() {
    let mut world = with_bystander(Limits::default());
    let stranger = admitted(&mut world);
    let raw = &mut world.raws[stranger];
    let stream = uni(raw).expect("a publish stream");
    let frame = Header::new(Kind::Publish).to_frame(&[], &[b'x'; 300]).expect("small");
    // One byte a second is progress, and not enough of it.
    for second in 0..40 {
        let raw = &mut world.raws[stranger];
        if raw.lost.is_some() {
            break;
        }
        raw.connection.send_stream(stream).write(&frame[second..=second]).expect("room");
        world.run(Duration::from_secs(1));
    }
    ends_with(&mut world, stranger, Code::IDLE, Duration::from_secs(1));
    let took = world.raws[stranger].lost_at.expect("lost") - world.start;
    assert!(took > Duration::from_secs(29) && took < Duration::from_secs(33), "{took:?}");
}

#[test]
fn frames_that_are_begun_and_not_finished_cost_those_who_have_most_of_them() {
    let limits = Limits { partial_bytes_max: 300_000, ..Limits::default() };
    let mut world = with_bystander(limits);
    let frame = Header::new(Kind::Publish).to_frame(&[], &[b'x'; 250_000]).expect("small");
    // The second has begun more than any other when there is no more room.
    let begun = [90_000, 120_000, 80_000, 60_000];
    for bytes in begun {
        let stranger = admitted(&mut world);
        let raw = &mut world.raws[stranger];
        let stream = uni(raw).expect("a publish stream");
        assert_eq!(raw.connection.send_stream(stream).write(&frame[..bytes]), Ok(bytes));
        world.run(Duration::from_secs(1));
    }
    let codes: Vec<_> = world.raws.iter().map(Raw::code).collect();
    assert_eq!(codes, [None, Some(Code::OVERLOADED), None, None]);
    assert_eq!(world.broker.counters().closed.get(&Code::OVERLOADED.0), Some(&1));
    assert_eq!(world.broker.counters().partial_bytes, 90_000 + 80_000 + 60_000);
    assert!(world.seats[0].client.session().is_live());
    world.run(Duration::from_secs(120));
    assert_eq!(world.broker.counters().partial_bytes, 0, "none of them waits for ever");
}

#[test]
fn a_quiet_stream_between_frames_may_wait() {
    let mut world = with_bystander(Limits::default());
    let stranger = admitted(&mut world);
    let raw = &mut world.raws[stranger];
    let stream = uni(raw).expect("a publish stream");
    raw.connection.send_stream(stream).write(b"").expect("room");
    for _ in 0..6 {
        world.raws[stranger].connection.ping();
        world.run(Duration::from_secs(20));
    }
    assert_eq!(world.raws[stranger].lost, None);
}

#[test]
fn streams_opened_in_a_loop_end_the_connection() {
    let mut world = with_bystander(Limits::default());
    let stranger = admitted(&mut world);
    for _ in 0..200 {
        let raw = &mut world.raws[stranger];
        while let Some(stream) = uni(raw) {
            let _ = raw.connection.send_stream(stream).finish();
        }
        world.run(Duration::from_millis(20));
    }
    ends_with(&mut world, stranger, Code::ABUSE, Duration::from_secs(1));
    assert!(world.broker.counters().streams < 150);
}

#[test]
fn a_storm_of_resets_ends_the_connection() {
    let mut world = with_bystander(Limits::default());
    let stranger = admitted(&mut world);
    for _ in 0..200 {
        let raw = &mut world.raws[stranger];
        while let Some(stream) = uni(raw) {
            let _ = raw.connection.send_stream(stream).write(b"x");
            let _ = raw.connection.send_stream(stream).reset(VarInt::from_u32(1));
        }
        world.run(Duration::from_millis(20));
    }
    ends_with(&mut world, stranger, Code::ABUSE, Duration::from_secs(1));
    assert!(world.broker.counters().streams_reset > 50);
}

#[test]
fn a_flood_of_pings_ends_the_connection() {
    let mut world = with_bystander(Limits::default());
    let stranger = admitted(&mut world);
    for _ in 0..20_000 {
        let raw = &mut world.raws[stranger];
        if raw.lost.is_some() {
            break;
        }
        raw.connection.ping();
        world.run(Duration::from_millis(1));
    }
    ends_with(&mut world, stranger, Code::ABUSE, Duration::from_secs(1));
}

#[test]
fn the_control_stream_must_stay_open() {
    let mut world = with_bystander(Limits::default());
    let stranger = world.stranger(ALPN);
    world.run(Duration::from_millis(100));
    let connection = &mut world.raws[stranger].connection;
    let control = connection.streams().open(Dir::Bi).expect("control");
    connection.send_stream(control).write(&hello("eve/service")).expect("room");
    connection.send_stream(control).finish().expect("open");
    ends_with(&mut world, stranger, Code::CLOSED, Duration::from_secs(3));
}

#[test]
fn a_datagram_must_be_a_publish() {
    let mut world = with_bystander(Limits::default());
    let stranger = admitted(&mut world);
    let raw = &mut world.raws[stranger];
    raw.connection.datagrams().send(Bytes::from_static(b"noise"), true).expect("sent");
    ends_with(&mut world, stranger, Code::PROTOCOL, Duration::from_secs(3));
}

#[test]
fn a_crowd_of_handshakes_is_asked_for_proof() {
    let limits = Limits { half_open_retry: 0, ..Limits::default() };
    let mut world = World::with(2, limits);
    world.join("ann/service");
    world.all_live();
    assert_eq!(world.broker.counters().retries, 1);
    assert_eq!(world.broker.counters().handshakes_started, 1);
}

#[test]
fn handshakes_above_the_hard_cap_are_ignored() {
    let limits = Limits { half_open_max: 3, ..Limits::default() };
    let mut world = World::with(3, limits);
    for _ in 0..6 {
        let stranger = world.stranger(ALPN);
        world.run(Duration::from_millis(1));
        world.raws[stranger].awake = false;
        world.run(Duration::from_millis(10));
    }
    assert_eq!(world.broker.counters().half_open, 3);
    assert_eq!(world.broker.counters().turned_away.get("half_open"), Some(&3));
    world.run(Duration::from_secs(6));
    world.join("ann/service");
    world.all_live();
}

#[test]
fn one_address_cannot_take_all_handshakes() {
    let none = Rate { per_s: 1, burst: 1 };
    let limits = Limits { address_rate: none, proven_rate: none, ..Limits::default() };
    let mut world = World::with(4, limits);
    let address = "203.0.113.9:1000".parse().expect("an address");
    for _ in 0..4 {
        let stranger = world.stranger(ALPN);
        let mut own: std::net::SocketAddr = address;
        own.set_port(1000 + u16::try_from(stranger).expect("small"));
        world.raws[stranger].address = own;
    }
    world.run(Duration::from_millis(500));
    let connected = world.raws.iter().filter(|raw| raw.connected).count();
    assert_eq!(connected, 2, "one at once, one that proved its address");
    assert_eq!(world.broker.counters().turned_away.get("address_rate"), Some(&2));
    world.join("ann/service");
    world.all_live();
}
