//! Histories that cheat, each of which must be caught; and honest ones, which must not.

use sampan_core::class::Table;
use sampan_protocol::control::{GapReason, Start};
use sampan_protocol::limits::NUMBER_MAX;
use sampan_protocol::{AckLevel, Code, Pattern, Topic};

use super::{Rules, check};
use crate::history::{History, Id, Outcome, Reader, What};

const ORDER: u32 = 0;
const BENCH: u32 = 1;
const STOCK: u32 = 2;
const TYPING: u32 = 3;

fn id(ordinal: u64) -> Id {
    Id { seat: 9, ordinal }
}

/// A history with one confirmed reader, number 0, of everything, and these events.
fn history(events: &[What]) -> History {
    let mut history = History::default();
    for name in ["order.1", "bench.1", "inventory.product.1", "chat.typing.1"] {
        history.topic(&Topic::parse(name).expect("a topic"));
    }
    let pattern = Pattern::parse(">").expect("a pattern");
    history.reader(Reader { seat: 0, pattern, start: Start::Now });
    history.note(What::Joined { reader: 0, position: None });
    events.iter().for_each(|event| history.note(event.clone()));
    history
}

fn findings(events: &[What], best: AckLevel) -> Vec<String> {
    check(&history(events), &Rules { classes: Table::shipped(), best })
}

#[track_caller]
fn honest(events: &[What]) {
    let found = findings(events, AckLevel::Synced);
    assert!(found.is_empty(), "{found:#?}");
}

/// The history is caught, and for this.
#[track_caller]
fn caught(events: &[What], why: &str) {
    let found = findings(events, AckLevel::Synced);
    assert!(found.iter().any(|finding| finding.contains(why)), "{why}? {found:#?}");
}

fn called(ordinal: u64, topic: u32) -> What {
    What::Called { id: id(ordinal), topic, key: 0, level: None, wants_ack: true }
}

fn acked(ordinal: u64, offset: u64) -> What {
    let level = AckLevel::Synced;
    What::Acked { id: id(ordinal), epoch: 1, offset, level, duplicate: false, stale: false }
}

fn routed(ordinal: u64, epoch: u64, offset: u64) -> What {
    let level = AckLevel::Routed;
    What::Acked { id: id(ordinal), epoch, offset, level, duplicate: false, stale: false }
}

fn message(ordinal: u64, topic: u32, offset: u64) -> What {
    What::Message { reader: 0, topic, epoch: 1, offset, id: Some(id(ordinal)) }
}

fn gap(topic: u32, from: u64, to: u64, reason: GapReason) -> What {
    What::Gap { reader: 0, topic, epoch: 1, from, to, reason }
}

/// Three durable messages, published and acknowledged.
fn three() -> Vec<What> {
    (1..=3).flat_map(|n| [called(n, ORDER), acked(n, n)]).collect()
}

fn with(mut events: Vec<What>, more: &[What]) -> Vec<What> {
    events.extend_from_slice(more);
    events
}

#[test]
fn an_honest_history_passes() {
    honest(&with(three(), &[1, 2, 3].map(|n| message(n, ORDER, n))));
}

#[test]
fn a_lost_message_is_caught() {
    let told = [message(1, ORDER, 1), message(2, ORDER, 2)];
    caught(&with(three(), &told), "lacks Id { seat: 9, ordinal: 3 }");
    caught(&three(), "without a word");
}

#[test]
fn a_loss_is_not_excused_by_a_gap_that_has_no_reason_to_be() {
    for reason in [GapReason::NeverUsed, GapReason::UnsyncedLost, GapReason::Retention] {
        let told = [message(1, ORDER, 1), gap(ORDER, 2, 2, reason), message(3, ORDER, 3)];
        caught(&with(three(), &told), "lacks Id { seat: 9, ordinal: 2 }");
    }
}

#[test]
fn a_crash_excuses_what_was_only_routed_and_nothing_else() {
    let told = [
        message(1, ORDER, 1),
        What::Crashed { lost: vec![(ORDER, 2, 2)] },
        gap(ORDER, 2, 2, GapReason::UnsyncedLost),
        message(3, ORDER, 3),
    ];
    caught(&with(three(), &told), "lacks Id { seat: 9, ordinal: 2 }");
    let weak = [called(1, ORDER), acked(1, 1), called(2, ORDER), routed(2, 1, 2)];
    let weak = with(weak.to_vec(), &told[..3]);
    honest(&with(weak, &[called(3, ORDER), acked(3, 3), message(3, ORDER, 3)]));
}

#[test]
fn a_message_that_was_shown_and_then_lost_is_caught() {
    let events = [
        called(1, ORDER),
        routed(1, 1, 1),
        message(1, ORDER, 1),
        What::Crashed { lost: vec![(ORDER, 1, 1)] },
    ];
    caught(&events, "then lost");
}

#[test]
fn a_doubled_message_is_caught() {
    let told = [1, 2, 2, 3].map(|n| message(n, ORDER, n));
    caught(&with(three(), &told), "out of order, or twice");
    let again = [(1, 1), (2, 2), (3, 3), (2, 4)].map(|(n, at)| message(n, ORDER, at));
    caught(&with(three(), &again), "was stored 2 times");
}

#[test]
fn a_crash_doubles_nothing_that_it_does_not_take_unless_the_broker_has_no_disk() {
    let twice = |lost| {
        let crash = What::Crashed { lost };
        [called(1, STOCK), message(1, STOCK, 1), crash, message(1, STOCK, 2), routed(1, 1, 2)]
    };
    caught(&twice(Vec::new()), "was stored 2 times");
    honest(&twice(vec![(STOCK, 1, 1)]));
    let found = findings(&twice(Vec::new()), AckLevel::Routed);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn reordered_messages_are_caught() {
    let told = [(1, 1), (3, 3), (2, 2)].map(|(n, at)| message(n, ORDER, at));
    caught(&with(three(), &told), "out of order, or twice");
    let events = [called(1, ORDER), called(2, ORDER), acked(2, 1), acked(1, 2)];
    caught(&events, "follows");
}

#[test]
fn a_phantom_is_caught() {
    let told = [(1, 1), (2, 2), (3, 3), (77, 4)].map(|(n, at)| message(n, ORDER, at));
    caught(&with(three(), &told), "was never published");
}

#[test]
fn a_message_of_another_topic_is_caught() {
    caught(&with(three(), &[message(1, BENCH, 1)]), "published to another topic");
}

#[test]
fn a_damaged_message_is_caught() {
    let damaged = What::Message { reader: 0, topic: ORDER, epoch: 1, offset: 1, id: None };
    caught(&with(three(), &[damaged]), "a damaged message");
}

#[test]
fn a_jump_without_a_gap_is_caught() {
    let told = [message(1, ORDER, 1), message(3, ORDER, 3)];
    caught(&with(three(), &told), "a jump without a gap");
    let told = [message(1, ORDER, 1), gap(ORDER, 3, 3, GapReason::NeverUsed)];
    caught(&with(three(), &told), "a jump ahead of a gap");
}

#[test]
fn a_gap_over_what_was_given_is_caught() {
    let told = [message(1, ORDER, 1), gap(ORDER, 1, 2, GapReason::NeverUsed)];
    caught(&with(three(), &told), "a gap of what was given before");
}

#[test]
fn a_used_offset_that_is_used_again_is_caught() {
    let told = [1, 2, 3].map(|n| message(n, ORDER, n));
    let events = with(with(three(), &told), &[called(4, ORDER), acked(4, 3)]);
    caught(&events, "is both");
}

#[test]
fn a_new_epoch_needs_a_gap() {
    let later = What::Message { reader: 0, topic: ORDER, epoch: 2, offset: 1, id: Some(id(4)) };
    let told = [1, 2, 3].map(|n| message(n, ORDER, n));
    let events = with(with(three(), &told), &[called(4, ORDER), routed(4, 2, 1), later.clone()]);
    caught(&events, "a new epoch without a gap");
    let told = with(with(three(), &told), &[called(4, ORDER), routed(4, 2, 1)]);
    honest(&with(told, &[gap(ORDER, 4, NUMBER_MAX, GapReason::UnsyncedLost), later]));
    let back = [message(1, ORDER, 1)];
    let first = What::Message { reader: 0, topic: ORDER, epoch: 2, offset: 1, id: Some(id(4)) };
    caught(&with(vec![called(4, ORDER), first], &back), "an earlier epoch");
}

#[test]
fn an_unsettled_publish_is_caught() {
    caught(&[called(1, ORDER)], "neither acknowledged nor refused");
}

#[test]
fn a_refused_message_that_arrives_is_caught() {
    let refused =
        |may_have_happened| What::Refused { id: id(1), code: Code::STORAGE, may_have_happened };
    let events = |may| [called(1, ORDER), refused(may), message(1, ORDER, 1)];
    caught(&events(false), "was refused for sure");
    honest(&events(true));
}

#[test]
fn an_ack_that_claims_too_much_is_caught() {
    let found = findings(&[called(1, ORDER), acked(1, 1), message(1, ORDER, 1)], AckLevel::Routed);
    assert!(found.iter().any(|finding| finding.contains("was told Synced")), "{found:?}");
    let asked = |level| What::Called { id: id(1), topic: ORDER, key: 0, level, wants_ack: true };
    let events = [asked(Some(AckLevel::Synced)), routed(1, 1, 1), message(1, ORDER, 1)];
    caught(&events, "and was told Routed");
}

#[test]
fn every_missing_ephemeral_message_must_be_in_a_gap() {
    let sent: Vec<What> = (1..=3).flat_map(|n| [called(n, BENCH), routed(n, 1, n)]).collect();
    let (one, three) = (message(1, BENCH, 1), message(3, BENCH, 3));
    let slow = gap(BENCH, 2, 2, GapReason::SlowReader);
    honest(&with(sent.clone(), &[one.clone(), slow, three.clone()]));
    caught(&with(sent.clone(), &[one.clone(), three]), "a jump without a gap");
    caught(&with(sent, &[one]), "lacks Id { seat: 9, ordinal: 2 }");
}

#[test]
fn a_datagram_may_be_lost_without_a_word_but_not_come_late() {
    let sent: Vec<What> = (1..=3).flat_map(|n| [called(n, TYPING), routed(n, 1, n)]).collect();
    honest(&with(sent.clone(), &[message(1, TYPING, 1), message(3, TYPING, 3)]));
    let late = [message(3, TYPING, 3), message(1, TYPING, 1)];
    caught(&with(sent, &late), "out of order, or twice");
}

#[test]
fn a_durable_reader_is_never_too_slow() {
    let told = [message(1, ORDER, 1), gap(ORDER, 2, 2, GapReason::SlowReader)];
    caught(&with(three(), &told), "a reason that the class does not have");
}

#[test]
fn the_newest_value_of_every_key_must_arrive_and_older_ones_need_not() {
    let keyed =
        |n: u64, key| What::Called { id: id(n), topic: STOCK, key, level: None, wants_ack: true };
    let sent: Vec<What> = [(1, 1), (2, 2), (3, 1)]
        .iter()
        .flat_map(|(n, key)| [keyed(*n, *key), routed(*n, 1, *n)])
        .collect();
    let conflated = gap(STOCK, 1, 3, GapReason::Conflated);
    let (two, three) = (message(2, STOCK, 2), message(3, STOCK, 3));
    honest(&with(sent.clone(), &[conflated.clone(), two.clone(), three.clone()]));
    caught(&with(sent.clone(), &[conflated, three.clone()]), "lacks Id { seat: 9, ordinal: 2 }");
    caught(&with(sent, &[message(1, STOCK, 1), three]), "a jump without a gap");
}

#[test]
fn a_reader_that_left_is_told_nothing() {
    let left = What::Left { reader: 0 };
    caught(&with(three(), &[left.clone(), message(1, ORDER, 1)]), "told after it had left");
    honest(&with(three(), &[message(1, ORDER, 1), left]));
}

#[test]
fn requests_end_once_and_truthfully() {
    let (asked, served) = (What::Asked { id: id(1) }, What::Served { id: id(1) });
    let answered = |outcome| What::Answered { id: id(1), outcome };
    let failed = |may_have_happened| Outcome::Failed { code: Code::DEADLINE, may_have_happened };
    let own = answered(Outcome::Answer(id(1)));
    honest(&[asked.clone(), served.clone(), own.clone()]);
    honest(&[asked.clone(), served.clone(), answered(failed(true))]);
    honest(&[asked.clone(), answered(failed(false))]);
    caught(std::slice::from_ref(&asked), "has no end");
    caught(&[asked.clone(), served.clone(), served.clone(), own.clone()], "more than once");
    caught(&[asked.clone(), served.clone(), own.clone(), own], "more than one end");
    caught(&[asked.clone(), served.clone(), answered(failed(false))], "said not to have");
    let foreign = answered(Outcome::Answer(id(2)));
    caught(&[asked, served, foreign], "not its own");
}
