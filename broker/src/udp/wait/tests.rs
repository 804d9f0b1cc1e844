//! Real threads and real time, because they are the subject.

use std::{net::UdpSocket, sync::atomic::AtomicU64, thread, time::Duration};

use super::*;
use crate::udp::{BufferSizes, bind_group};

const LONG: Duration = Duration::from_secs(20);

fn bound() -> (Socket, Waiter, Waker) {
    let addr = "127.0.0.1:0".parse().unwrap();
    let socket = bind_group(addr, 1, BufferSizes::default()).unwrap().remove(0);
    let (waiter, waker) = Waiter::new(&socket).unwrap();
    (socket, waiter, waker)
}

fn wait(waiter: &mut Waiter, patience: Duration) -> Ready {
    let now = Instant::now();
    waiter.wait(Some(now + patience), now, false).unwrap()
}

fn rings(waker: &Waker) -> Option<u64> {
    let mut count = [0; 8];
    io::read(&waker.bell.event, &mut count).ok().map(|_| u64::from_ne_bytes(count))
}

#[test]
fn a_wake_from_another_thread_ends_a_wait() {
    let (_socket, mut waiter, waker) = bound();
    let started = Instant::now();
    let thread = thread::spawn(move || {
        while waker.bell.state.load(Ordering::Acquire) != ASLEEP {
            thread::yield_now();
        }
        waker.wake();
    });
    assert!(wait(&mut waiter, LONG).woken);
    assert!(started.elapsed() < LONG);
    thread.join().unwrap();
}

#[test]
fn a_wake_ahead_of_the_wait_is_kept_and_told_once() {
    let (_socket, mut waiter, waker) = bound();
    waker.wake();
    waker.clone().wake();
    assert!(wait(&mut waiter, LONG).woken);
    assert_eq!(wait(&mut waiter, Duration::from_millis(1)), Ready::default());
}

#[test]
fn wakes_coalesce_into_one_ring_per_sleep_and_none_while_awake() {
    let (_socket, _waiter, waker) = bound();
    (0..1000).for_each(|_| waker.wake());
    assert_eq!(rings(&waker), None);
    waker.bell.state.store(ASLEEP, Ordering::Release);
    (0..1000).for_each(|_| waker.wake());
    assert_eq!(rings(&waker), Some(1));
}

#[test]
fn no_wake_is_lost_between_two_threads() {
    const ROUNDS: u64 = 50_000;
    let (_socket, mut waiter, waker) = bound();
    let (asked, answered) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let thread = thread::spawn({
        let (asked, answered) = (Arc::clone(&asked), Arc::clone(&answered));
        move || {
            for round in 1..=ROUNDS {
                asked.store(round, Ordering::Relaxed);
                waker.wake();
                // Every other round runs ahead of the waiter by one, so that wakes meet it both
                // asleep and at work.
                while answered.load(Ordering::Relaxed) + (round % 2) < round {
                    thread::yield_now();
                }
            }
        }
    });
    while answered.load(Ordering::Relaxed) < ROUNDS {
        let started = Instant::now();
        wait(&mut waiter, LONG);
        assert!(started.elapsed() < LONG, "lost after {answered:?}");
        answered.store(asked.load(Ordering::Relaxed), Ordering::Relaxed);
    }
    thread.join().unwrap();
}

#[test]
fn a_deadline_ends_a_wait_and_not_before_its_time() {
    let (_socket, mut waiter, _waker) = bound();
    for patience in [0, 1, 500, 5_000, 50_000].map(Duration::from_micros) {
        let started = Instant::now();
        assert_eq!(wait(&mut waiter, patience), Ready::default());
        let elapsed = started.elapsed();
        assert!(elapsed >= patience && elapsed < patience + LONG, "{elapsed:?}, {patience:?}");
    }
    let now = Instant::now();
    let past = now.checked_sub(Duration::from_millis(5));
    assert_eq!(waiter.wait(past, now, false).unwrap(), Ready::default());
}

#[test]
fn datagrams_and_room_to_send_end_a_wait() {
    let (socket, mut waiter, _waker) = bound();
    let now = Instant::now();
    let ready = waiter.wait(None, now, true).unwrap();
    assert_eq!(ready, Ready { writable: true, ..Ready::default() });
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.send_to(b"x", socket.local_addr()).unwrap();
    let ready = waiter.wait(None, now, false).unwrap();
    assert_eq!(ready, Ready { readable: true, ..Ready::default() });
}

#[test]
fn wakes_do_not_hide_waiting_datagrams() {
    let (socket, mut waiter, waker) = bound();
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.send_to(b"x", socket.local_addr()).unwrap();
    waker.wake();
    let ready = wait(&mut waiter, LONG);
    assert!(ready.readable && ready.woken);
}
