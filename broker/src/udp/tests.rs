//! Groups on real loopback sockets: steering, exclusion, and what travels with a datagram.

use std::{
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use super::*;

const SHARDS: usize = 4;
/// For tests that free a port and bind it again: no other test's port 0 falls on it.
const APART: &str = "127.0.0.77:0";

fn group(addr: &str, shards: usize) -> Vec<Socket> {
    bind_group(addr.parse().unwrap(), shards, BufferSizes::default()).unwrap()
}

fn client(addr: &str) -> UdpSocket {
    let socket = UdpSocket::bind(addr).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket
}

fn short_header(id: u8) -> Vec<u8> {
    vec![0x40, id, 1, 2, 3, 4, 5, 6, 7, 8, 9]
}

fn long_header(id: u8) -> Vec<u8> {
    vec![0xc3, 0, 0, 0, 1, 8, id, 1, 2, 3, 4, 5, 6, 7]
}

/// Receives once something has come, or gives up after ten seconds.
fn receive(socket: &mut Socket, batch: &mut RecvBatch) -> usize {
    let (mut waiter, _waker) = Waiter::new(socket).unwrap();
    let now = Instant::now();
    waiter.wait(Some(now + Duration::from_secs(10)), now, false).unwrap();
    socket.recv(batch).unwrap()
}

fn push(batch: &mut SendBatch, payload: &[u8], envelope: Envelope) {
    let mut slot = batch.slot().unwrap();
    slot.payload().extend_from_slice(payload);
    slot.commit(envelope);
}

fn to(destination: SocketAddr) -> Envelope {
    Envelope { destination, ecn: None, segment_size: None, src_ip: None }
}

/// Payloads that each shard finds, after loopback has delivered all of them.
fn drain(group: &mut [Socket]) -> Vec<Vec<Vec<u8>>> {
    let drain_one = |socket: &mut Socket| {
        let mut batch = socket.recv_batch();
        let mut payloads = Vec::new();
        while socket.recv(&mut batch).unwrap() > 0 {
            payloads.extend(batch.datagrams().map(|datagram| datagram.payload.to_vec()));
        }
        assert_eq!(socket.counters().misdirected, 0);
        payloads
    };
    group.iter_mut().map(drain_one).collect()
}

fn check_steering(addr: &str, shards: usize, header: fn(u8) -> Vec<u8>) {
    let mut group = group(addr, shards);
    let port = group[0].local_addr();
    for id in 0..200 {
        client(&addr.replace("0.0.0.0", "127.0.0.1")).send_to(&header(id), port).unwrap();
    }
    for (shard, payloads) in drain(&mut group).into_iter().enumerate() {
        let expected: Vec<_> =
            (0..200).filter(|id| usize::from(*id) % shards == shard).map(header).collect();
        assert_eq!(payloads, expected, "shard {shard} of {shards}");
    }
}

#[test]
fn datagrams_reach_the_shard_that_their_id_names_in_both_header_forms() {
    for shards in [1, 2, 3, SHARDS, 16] {
        check_steering("127.0.0.1:0", shards, short_header);
        check_steering("127.0.0.1:0", shards, long_header);
    }
    if UdpSocket::bind("[::1]:0").is_err() {
        eprintln!("SKIPPED on IPv6: this machine has no ::1");
        return;
    }
    check_steering("[::1]:0", SHARDS, short_header);
    check_steering("[::1]:0", SHARDS, long_header);
}

#[test]
fn a_client_that_moves_stays_on_its_shard() {
    let mut group = group("127.0.0.1:0", SHARDS);
    let addr = group[0].local_addr();
    for _ in 0..50 {
        client("127.0.0.1:0").send_to(&short_header(0xee), addr).unwrap();
    }
    let counts: Vec<_> = drain(&mut group).iter().map(Vec::len).collect();
    assert_eq!(counts, [0, 0, 50, 0]);
}

#[test]
fn short_and_empty_datagrams_reach_shard_zero_and_harm_nothing() {
    let mut group = group("127.0.0.1:0", SHARDS);
    let peer = client("127.0.0.1:0");
    let payloads: [&[u8]; 4] = [&[], &[0x40], &[0xc0, 3, 3, 3, 3, 3], &[0x40, 4]];
    for payload in payloads {
        peer.send_to(payload, group[0].local_addr()).unwrap();
    }
    let mut batch = group[0].recv_batch();
    assert_eq!(receive(&mut group[0], &mut batch), 3);
    assert!(batch.datagrams().map(|datagram| datagram.payload).eq(payloads[1..].iter().copied()));
    assert!(!batch.is_full());
}

#[test]
fn the_kernel_agrees_with_shard_of() {
    let mut group = group("127.0.0.1:0", 7);
    let peer = client("127.0.0.1:0");
    for first in [0x00, 0x40, 0x7f, 0x80, 0xc0, 0xff] {
        for len in 1..20_u8 {
            let payload: Vec<_> =
                (0..len).map(|n| if n == 0 { first } else { n.wrapping_mul(37) }).collect();
            peer.send_to(&payload, group[0].local_addr()).unwrap();
        }
    }
    let found: usize = drain(&mut group).iter().map(Vec::len).sum();
    assert_eq!(found, 6 * 19);
}

#[test]
fn a_second_group_on_the_port_is_refused_until_the_first_is_gone() {
    for (first, second) in [(SHARDS, SHARDS), (SHARDS, 1), (1, SHARDS), (1, 1)] {
        let group = group(APART, first);
        let addr = group[0].local_addr();
        for taken in [addr, SocketAddr::new("0.0.0.0".parse().unwrap(), addr.port())] {
            let refused = bind_group(taken, second, BufferSizes::default());
            assert!(matches!(refused, Err(Error::AddressInUse(at)) if at == taken));
        }
        drop(group);
        assert!(bind_group(addr, second, BufferSizes::default()).is_ok());
    }
}

#[test]
fn groups_that_bind_at_once_never_mix() {
    for _ in 0..50 {
        let addr = group(APART, 1)[0].local_addr();
        let bind = move || bind_group(addr, SHARDS, BufferSizes::default());
        let rival = std::thread::spawn(bind);
        let (ours, theirs) = (bind(), rival.join().unwrap());
        assert!(!(ours.is_ok() && theirs.is_ok()));
    }
}

#[test]
fn a_group_has_one_to_256_shards() {
    for shards in [0, SHARDS_MAX + 1] {
        let refused = bind_group("127.0.0.1:0".parse().unwrap(), shards, BufferSizes::default());
        assert!(matches!(refused, Err(Error::Shards(n)) if n == shards));
    }
    let group = group("127.0.0.1:0", SHARDS_MAX);
    assert!(group.iter().enumerate().all(|(n, socket)| socket.shard() == n));
}

#[test]
fn buffer_sizes_in_force_are_told() {
    let wanted = BufferSizes { recv: 100_000, send: 50_000 };
    let group = bind_group("127.0.0.1:0".parse().unwrap(), 2, wanted).unwrap();
    assert!(group.iter().all(|socket| socket.buffer_sizes() == wanted));
}

#[test]
fn segments_arrive_as_separate_datagrams() {
    let mut sender = group("127.0.0.1:0", 1).remove(0);
    let receiver = client("127.0.0.1:0");
    let payload: Vec<u8> = (0..6000_u32).map(|n| (n % 251) as u8).collect();
    let mut batch = sender.send_batch();
    let envelope = Envelope { segment_size: Some(1400), ..to(receiver.local_addr().unwrap()) };
    push(&mut batch, &payload, envelope);
    assert_eq!(sender.send(&mut batch).unwrap(), Sent::All);
    let mut buffer = [0; 2048];
    for expected in payload.chunks(1400) {
        let len = receiver.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], expected);
    }
    let counters = sender.counters();
    assert_eq!((counters.datagrams_out, counters.bytes_out), (5, 6000));
    if sender.max_gso_segments() == 1 {
        eprintln!("SKIPPED in part: this kernel does not segment");
    }
}

#[test]
fn a_run_is_split_into_its_datagrams() {
    let mut sender = group("127.0.0.1:0", 1).remove(0);
    for shards in [1, 2] {
        let mut receivers = group("127.0.0.1:0", shards);
        let receiver = &mut receivers[0];
        let envelope = Envelope { segment_size: Some(1000), ..to(receiver.local_addr()) };
        let mut out = sender.send_batch();
        push(&mut out, &[0; 4500], envelope);
        push(&mut out, &[0; 300], to(receiver.local_addr()));
        assert_eq!(sender.send(&mut out).unwrap(), Sent::All);
        let mut batch = receiver.recv_batch();
        assert_eq!(receive(receiver, &mut batch), 6);
        let lengths: Vec<_> = batch.datagrams().map(|datagram| datagram.payload.len()).collect();
        assert_eq!(lengths, [1000, 1000, 1000, 1000, 500, 300]);
        assert!(batch.datagrams().all(|datagram| datagram.remote == sender.local_addr()));
        assert_eq!((receiver.counters().datagrams_in, receiver.counters().bytes_in), (6, 4800));
        assert_eq!(receiver.counters().recv_calls, 1);
    }
}

#[test]
fn a_datagram_longer_than_its_buffer_is_dropped_and_counted() {
    let mut receivers = group("127.0.0.1:0", 2);
    let peer = client("127.0.0.1:0");
    for len in [2048, 2049, 10] {
        peer.send_to(&vec![0; len], receivers[0].local_addr()).unwrap();
    }
    let mut batch = receivers[0].recv_batch();
    assert_eq!(receive(&mut receivers[0], &mut batch), 2);
    assert!(batch.datagrams().map(|datagram| datagram.payload.len()).eq([2048, 10]));
    assert_eq!(receivers[0].counters().truncated, 1);
}

#[test]
fn segments_of_another_shard_are_dropped_and_counted() {
    let mut receivers = group("127.0.0.1:0", 2);
    let mut sender = group("127.0.0.1:0", 1).remove(0);
    let mut out = sender.send_batch();
    let mixed = [short_header(0), short_header(1), short_header(2)].concat();
    let envelope = Envelope { segment_size: Some(11), ..to(receivers[0].local_addr()) };
    push(&mut out, &mixed, envelope);
    assert_eq!(sender.send(&mut out).unwrap(), Sent::All);
    let mut batch = receivers[0].recv_batch();
    if sender.max_gso_segments() > 1 {
        assert_eq!(receive(&mut receivers[0], &mut batch), 2);
        assert_eq!(receivers[0].counters().misdirected, 1);
    }
}

#[test]
fn more_than_a_batch_takes_several_calls_and_keeps_its_order() {
    let mut receivers = group("127.0.0.1:0", 2);
    let mut sender = group("127.0.0.1:0", 1).remove(0);
    let mut out = sender.send_batch();
    let mut sent = 0;
    for n in 0..200_u8 {
        if out.is_full() {
            assert_eq!(sender.send(&mut out).unwrap(), Sent::All);
        }
        push(&mut out, &[0x40, 0, n], to(receivers[0].local_addr()));
        sent += 1;
    }
    assert_eq!(sender.send(&mut out).unwrap(), Sent::All);
    assert_eq!((sender.counters().send_calls, sent), (4, 200));
    let payloads = drain(&mut receivers).remove(0);
    assert!(payloads.iter().map(|payload| payload[2]).eq(0..200));
    assert_eq!(receivers[0].counters().recv_calls, 5);
}

#[test]
fn a_packet_that_cannot_leave_does_not_hold_up_the_others() {
    let mut sender = group("127.0.0.1:0", 1).remove(0);
    let receiver = client("127.0.0.1:0");
    let there = to(receiver.local_addr().unwrap());
    let mut out = sender.send_batch();
    push(&mut out, b"one", there);
    push(&mut out, b"to port zero", to("127.0.0.1:0".parse().unwrap()));
    push(&mut out, &[0; 65_508], there);
    push(
        &mut out,
        &[0; 3000],
        Envelope { segment_size: Some(1000), ..to("127.0.0.1:0".parse().unwrap()) },
    );
    push(&mut out, b"two", there);
    assert_eq!(sender.send(&mut out).unwrap(), Sent::All);
    let mut buffer = [0; 64];
    for expected in [b"one", b"two"] {
        assert_eq!(receiver.recv(&mut buffer).unwrap(), 3);
        assert_eq!(&buffer[..3], expected);
    }
    assert_eq!(sender.counters().send_dropped, 5);
}

/// Sends there and back, between a wildcard group and a peer bound to `peer`.
fn check_exchange(wildcard: &str, peer: &str, local_ip: &str) {
    let mut server = group(wildcard, 1).remove(0);
    let mut client = group(peer, 1).remove(0);
    let destination = SocketAddr::new(local_ip.parse().unwrap(), server.local_addr().port());
    let mut out = client.send_batch();
    push(&mut out, b"there", Envelope { ecn: Some(0b10), ..to(destination) });
    assert_eq!(client.send(&mut out).unwrap(), Sent::All);

    let mut batch = server.recv_batch();
    assert_eq!(receive(&mut server, &mut batch), 1, "{wildcard} {peer}");
    let there = batch.datagrams().next().unwrap();
    let (remote, local_ip) = (client.local_addr(), Some(destination.ip()));
    let expected = Datagram { remote, local_ip, ecn: Some(0b10), payload: b"there" };
    assert_eq!(there, expected);

    let mut out = server.send_batch();
    let back = Envelope { ecn: Some(0b01), segment_size: None, src_ip: local_ip, ..to(remote) };
    push(&mut out, b"back", back);
    assert_eq!(server.send(&mut out).unwrap(), Sent::All);
    let mut batch = client.recv_batch();
    assert_eq!(receive(&mut client, &mut batch), 1, "{wildcard} {peer}");
    let back = batch.datagrams().next().unwrap();
    let expected = Datagram {
        remote: destination,
        local_ip: Some(client.local_addr().ip()),
        ecn: Some(0b01),
        payload: b"back",
    };
    assert_eq!(back, expected);
}

#[test]
fn addresses_and_ecn_travel_both_ways() {
    check_exchange("0.0.0.0:0", "127.0.0.1:0", "127.0.0.1");
    check_exchange("0.0.0.0:0", "127.0.0.1:0", "127.0.0.2");
    if UdpSocket::bind("[::1]:0").is_err() {
        eprintln!("SKIPPED on IPv6: this machine has no ::1");
        return;
    }
    check_exchange("[::]:0", "[::1]:0", "::1");
    check_exchange("[::]:0", "127.0.0.1:0", "127.0.0.2");
}
