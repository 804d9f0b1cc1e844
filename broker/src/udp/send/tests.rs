//! The batch's rules against a kernel made of answers.

use std::collections::VecDeque;

use super::*;
use crate::udp::packet::SEGMENTS_MAX;

type Answer = Result<usize, Errno>;

/// A kernel that gives `answers` in turn, then takes everything, and keeps what it took.
#[derive(Default)]
struct Kernel {
    answers: VecDeque<Answer>,
    taken: Vec<(Vec<u8>, usize)>,
    segments_max: usize,
    counters: Counters,
}

impl Kernel {
    fn new(answers: impl Into<VecDeque<Answer>>) -> Self {
        Self { answers: answers.into(), segments_max: SEGMENTS_MAX, ..Self::default() }
    }

    fn flush(&mut self, batch: &mut SendBatch) -> Result<Sent, Errno> {
        let Self { answers, taken, segments_max, counters } = self;
        batch.flush(segments_max, counters, |messages| {
            let offered: Vec<_> = messages.take(BATCH_MAX).collect();
            let count = answers.pop_front().unwrap_or(Ok(BATCH_MAX))?.min(offered.len());
            taken.extend(offered[..count].iter().map(|m| (m.payload.to_vec(), m.control.len())));
            Ok(count)
        })
    }

    fn payloads(&self) -> Vec<&[u8]> {
        self.taken.iter().map(|(payload, _)| &payload[..]).collect()
    }
}

fn batch() -> SendBatch {
    SendBatch::new(Family::V4, None)
}

fn push(batch: &mut SendBatch, payload: &[u8], segment_size: Option<usize>) {
    let mut slot = batch.slot().unwrap();
    slot.payload().extend_from_slice(payload);
    let destination = "192.0.2.7:3001".parse().unwrap();
    slot.commit(Envelope { destination, ecn: None, segment_size, src_ip: None });
}

fn numbered(count: u8) -> SendBatch {
    let mut batch = batch();
    (0..count).for_each(|n| push(&mut batch, &[n], None));
    batch
}

#[test]
fn a_full_socket_keeps_the_rest_in_order() {
    let mut batch = numbered(5);
    let mut kernel = Kernel::new([Ok(2), Err(Errno::AGAIN)]);
    assert_eq!(kernel.flush(&mut batch), Ok(Sent::Blocked));
    assert_eq!((batch.len(), kernel.counters.send_blocked), (3, 1));
    push(&mut batch, &[5], None);
    assert_eq!(kernel.flush(&mut batch), Ok(Sent::All));
    assert!(batch.is_empty());
    assert_eq!(kernel.payloads(), [[0], [1], [2], [3], [4], [5]]);
    assert_eq!(kernel.counters.datagrams_out, 6);
}

#[test]
fn a_blocked_batch_fills_up_and_then_lends_no_slot() {
    let mut batch = numbered(BATCH_MAX as u8);
    assert!(batch.is_full() && batch.slot().is_none());
    let mut kernel = Kernel::new([Ok(1), Err(Errno::AGAIN)]);
    assert_eq!(kernel.flush(&mut batch), Ok(Sent::Blocked));
    push(&mut batch, &[99], None);
    assert!(batch.slot().is_none());
    assert_eq!(kernel.flush(&mut batch), Ok(Sent::All));
    assert_eq!((kernel.payloads()[1], kernel.payloads()[BATCH_MAX]), (&[1][..], &[99][..]));
}

#[test]
fn a_refused_packet_is_dropped_alone() {
    for errno in [Errno::NETUNREACH, Errno::PERM, Errno::MSGSIZE, Errno::INVAL, Errno::NOBUFS] {
        let mut batch = numbered(3);
        let mut kernel = Kernel::new([Ok(1), Err(errno)]);
        assert_eq!(kernel.flush(&mut batch), Ok(Sent::All));
        assert_eq!(kernel.payloads(), [[0], [2]], "{errno}");
        assert_eq!((kernel.counters.send_dropped, kernel.counters.datagrams_out), (1, 2));
        assert_eq!(kernel.segments_max, SEGMENTS_MAX, "{errno}");
    }
}

#[test]
fn an_interrupted_send_is_tried_again() {
    let mut kernel = Kernel::new([Err(Errno::INTR)]);
    assert_eq!(kernel.flush(&mut numbered(1)), Ok(Sent::All));
    assert_eq!(kernel.payloads(), [[0]]);
}

#[test]
fn an_unusable_socket_is_an_error_that_loses_nothing() {
    let mut batch = numbered(2);
    assert_eq!(Kernel::new([Err(Errno::BADF)]).flush(&mut batch), Err(Errno::BADF));
    assert_eq!(batch.len(), 2);
}

#[test]
fn only_a_packet_of_several_datagrams_asks_for_segmentation() {
    let mut batch = batch();
    push(&mut batch, b"aabbc", Some(2));
    push(&mut batch, b"aa", Some(2));
    let mut kernel = Kernel::new([]);
    assert_eq!(kernel.flush(&mut batch), Ok(Sent::All));
    assert_eq!(kernel.payloads(), [&b"aabbc"[..], b"aa"]);
    assert!(kernel.taken[0].1 > 0 && kernel.taken[1].1 == 0);
    assert_eq!((kernel.counters.datagrams_out, kernel.counters.bytes_out), (4, 7));
}

#[test]
fn segmentation_that_fails_is_given_up_and_nothing_is_lost() {
    for errno in [Errno::IO, Errno::INVAL] {
        let mut batch = batch();
        push(&mut batch, b"aabbc", Some(2));
        push(&mut batch, b"ddee", Some(2));
        let mut kernel = Kernel::new([Err(errno), Ok(1)]);
        assert_eq!(kernel.flush(&mut batch), Ok(Sent::All));
        assert_eq!(kernel.payloads(), [&b"aa"[..], b"bb", b"c", b"dd", b"ee"]);
        assert!(kernel.taken.iter().all(|(_, control)| *control == 0));
        assert_eq!((kernel.segments_max, kernel.counters.datagrams_out), (1, 5));
    }
}

#[test]
fn a_bad_destination_does_not_cost_the_socket_its_segmentation() {
    let mut batch = batch();
    push(&mut batch, b"aabbc", Some(2));
    push(&mut batch, b"ddee", Some(2));
    let mut kernel = Kernel::new([Err(Errno::INVAL), Err(Errno::INVAL)]);
    assert_eq!(kernel.flush(&mut batch), Ok(Sent::All));
    assert_eq!(kernel.payloads(), [b"ddee"]);
    assert_eq!((kernel.segments_max, kernel.counters.send_dropped), (SEGMENTS_MAX, 3));
}

#[test]
fn a_packet_blocked_between_its_segments_goes_on_where_it_stopped() {
    let mut batch = batch();
    push(&mut batch, b"aabbc", Some(2));
    let mut kernel = Kernel::new([Ok(1), Err(Errno::AGAIN)]);
    kernel.segments_max = 1;
    assert_eq!(kernel.flush(&mut batch), Ok(Sent::Blocked));
    assert_eq!(kernel.flush(&mut batch), Ok(Sent::All));
    assert_eq!(kernel.payloads(), [&b"aa"[..], b"bb", b"c"]);
}

#[test]
fn a_packet_beyond_the_limits_of_one_message_becomes_several() {
    let mut batch = batch();
    push(&mut batch, &[7; 1452 * 100], Some(1452));
    push(&mut batch, &[8; 9000 * 10], Some(9000));
    let mut kernel = Kernel::new([]);
    assert_eq!(kernel.flush(&mut batch), Ok(Sent::All));
    let lengths: Vec<_> = kernel.taken.iter().map(|(payload, _)| payload.len()).collect();
    assert_eq!(lengths, [1452 * 32, 1452 * 32, 1452 * 32, 1452 * 4, 9000 * 7, 9000 * 3]);
    assert_eq!(kernel.counters.datagrams_out, 110);
}

#[test]
fn an_empty_or_abandoned_slot_is_not_queued() {
    let mut batch = batch();
    push(&mut batch, &[], None);
    batch.slot().unwrap().payload().push(1);
    assert!(batch.is_empty());
    push(&mut batch, &[2], None);
    let mut kernel = Kernel::new([]);
    assert_eq!(kernel.flush(&mut batch), Ok(Sent::All));
    assert_eq!(kernel.payloads(), [[2]]);
}
