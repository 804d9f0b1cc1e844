//! Messages, gaps, positions and resume.

use super::rig::{Rig, at, deliver, pattern, topic};
use crate::Class;
use crate::control::{self, Gap, GapReason, Start, Subscribe, Subscribed, TopicPosition};
use crate::frame::{Header, Kind};
use crate::limits::NUMBER_MAX;
use crate::session::client::{Channel, Event, State};

impl Rig {
    fn subscribe(&mut self, to: &str, start: Start) -> u64 {
        let number = self.client.subscribe(pattern(to), start).expect("room");
        self.drain();
        number
    }

    fn confirm(&mut self, number: u64, joined_ms: u64, positions: Vec<TopicPosition>) {
        let body = Subscribed { joined_ms, positions };
        self.control(control::encode(&body, number).expect("small"));
    }

    fn gap(&mut self, id: u64, epoch: u64, (from, to): (u64, u64), reason: GapReason) {
        let body = Gap { epoch, from, to, reason: reason.number() };
        let header = Header { topic_id: id, ..Header::new(Kind::Gap) };
        self.lane(control::encode_with(header, &body).expect("small"));
    }

    fn gaps(&self, of: u64) -> Vec<(u64, u64, GapReason)> {
        let gaps = self.events.iter().filter_map(|event| match event {
            Event::Gap { subscription, from, to, reason, .. } if *subscription == of => {
                Some((*from, *to, *reason))
            }
            _ => None,
        });
        gaps.collect()
    }

    /// The starts of the SUBSCRIBE frames sent since the last `forget`.
    fn starts(&self) -> Vec<(u64, Start)> {
        let frames = self.sent(Kind::Subscribe).into_iter();
        let starts = frames.map(|frame| {
            let body: Subscribe = control::decode(frame).expect("valid");
            (frame.header.number, body.start)
        });
        starts.collect()
    }
}

fn resume(joined_ms: u64, positions: Vec<TopicPosition>) -> Start {
    Start::Resume { joined_ms, positions }
}

#[test]
fn a_message_goes_once_to_every_subscription_that_matches() {
    let mut rig = Rig::live();
    let subscriptions = ["a.b", "a.*", ">", "b.>"].map(|to| rig.subscribe(to, Start::Now));
    rig.name(5, "a.b", Class::Durable, 1, 10);
    rig.deliver(5, 10);
    let got = subscriptions.map(|number| rig.offsets(number).len());
    assert_eq!(got, [1, 1, 1, 0]);
}

#[test]
fn a_subscription_is_told_nothing_from_before_its_own_join() {
    let mut rig = Rig::live();
    let old = rig.subscribe("a", Start::Now);
    rig.confirm(old, 1, vec![at("a", 1, 14)]);
    rig.name(5, "a", Class::Durable, 1, 15);
    rig.reconnect(2);
    let new = rig.subscribe("a", Start::Now);
    rig.confirm(old, 2, vec![at("a", 2, 4)]);
    rig.confirm(new, 2, vec![at("a", 2, 4)]);
    // The older one lost its epoch, and reads the new one from its start.
    rig.name(6, "a", Class::Durable, 2, 1);
    rig.gap(6, 1, (15, NUMBER_MAX), GapReason::UnsyncedLost);
    (1..=5).for_each(|offset| rig.deliver(6, offset));
    assert_eq!(rig.gaps(old), [(15, NUMBER_MAX, GapReason::UnsyncedLost)]);
    assert_eq!(rig.offsets(old), [1, 2, 3, 4, 5]);
    assert_eq!(rig.gaps(new), []);
    assert_eq!(rig.offsets(new), [5]);
}

#[test]
fn what_was_under_way_to_a_subscription_that_has_ended_is_not_for_the_next() {
    let mut rig = Rig::live();
    let old = rig.subscribe("a.*", Start::Now);
    rig.name(5, "a.b", Class::Durable, 1, 79);
    rig.client.unsubscribe(old);
    let new = rig.subscribe("a.>", Start::Last(2));
    rig.deliver(5, 79);
    rig.gap(5, 1, (80, 81), GapReason::NeverUsed);
    rig.name(5, "a.b", Class::Durable, 1, 96);
    rig.deliver(5, 96);
    assert_eq!((rig.offsets(new), rig.gaps(new)), (vec![96], vec![]));
}

#[test]
fn a_pattern_gets_a_topic_that_another_subscription_has_joined_before_it_was_named() {
    let mut rig = Rig::live();
    let all = rig.subscribe(">", Start::Now);
    let one = rig.subscribe("a", Start::Now);
    rig.confirm(one, 1, vec![at("a", 1, 6)]);
    rig.name(5, "a", Class::Durable, 1, 7);
    rig.deliver(5, 7);
    assert_eq!((rig.offsets(all), rig.offsets(one)), (vec![7], vec![7]));
}

#[test]
fn who_was_given_messages_before_the_confirmation_could_arrive_resumes_behind_them() {
    let mut rig = Rig::live();
    let welcomed_ms = rig.now.unix_ms;
    let number = rig.subscribe("a.*", Start::Last(2));
    let unheard = rig.subscribe("b", Start::Last(2));
    rig.name(5, "a.b", Class::Durable, 1, 18);
    rig.deliver(5, 18);
    rig.reconnect(1);
    let resumed = resume(welcomed_ms, vec![at("a.b", 1, 18)]);
    assert_eq!(rig.starts(), [(number, resumed), (unheard, Start::Last(2))]);
}

#[test]
fn an_epoch_that_ends_is_told_to_each_subscription_from_where_it_began() {
    let mut rig = Rig::live();
    let (old, new) = (rig.subscribe("a", Start::Now), rig.subscribe("a", Start::Now));
    rig.confirm(old, 1, vec![at("a", 1, 80)]);
    rig.confirm(new, 1, vec![at("a", 1, 90)]);
    rig.reconnect(2);
    rig.name(6, "a", Class::Durable, 2, 1);
    rig.gap(6, 1, (81, NUMBER_MAX), GapReason::UnsyncedLost);
    assert_eq!(rig.gaps(old), [(81, NUMBER_MAX, GapReason::UnsyncedLost)]);
    assert_eq!(rig.gaps(new), [(91, NUMBER_MAX, GapReason::UnsyncedLost)]);
}

#[test]
fn a_named_topic_is_resumed_where_it_was_named_even_if_nothing_came() {
    for (class, resumes) in
        [(Class::Durable, true), (Class::Ephemeral, true), (Class::Latest, false)]
    {
        let mut rig = Rig::live();
        let number = rig.subscribe("a.*", Start::Now);
        rig.confirm(number, 500, vec![]);
        rig.name(5, "a.b", class, 2, 7);
        rig.reconnect(1);
        let positions = if resumes { vec![at("a.b", 2, 6)] } else { vec![] };
        assert_eq!(rig.starts(), [(number, resume(500, positions))], "{class:?}");
    }
}

#[test]
fn a_doubled_message_is_dropped_and_counted() {
    let mut rig = Rig::live();
    let number = rig.subscribe("a", Start::Now);
    rig.name(5, "a", Class::Durable, 1, 1);
    for offset in [1, 2, 2, 1, 3] {
        rig.deliver(5, offset);
    }
    assert_eq!(rig.offsets(number), [1, 2, 3]);
    assert_eq!(rig.client.counters().duplicates, 2);
}

#[test]
fn an_unknown_topic_id_is_fatal_on_a_lane_and_dropped_as_datagram() {
    let mut rig = Rig::live();
    rig.frame(Channel::Datagram, deliver(9, 1));
    assert_eq!(rig.client.counters().datagrams_dropped, 1);
    assert_eq!(rig.client.state(), State::Live);
    rig.lane(deliver(9, 1));
    assert_eq!(rig.client.state(), State::Waiting);
}

#[test]
fn resume_starts_after_the_last_message_of_each_topic() {
    let mut rig = Rig::live();
    let number = rig.subscribe("a.*", Start::Now);
    rig.confirm(number, 500, vec![]);
    rig.name(1, "a.x", Class::Durable, 7, 10);
    rig.name(2, "a.y", Class::Durable, 8, 20);
    rig.deliver(1, 10);
    rig.deliver(1, 11);
    rig.deliver(2, 20);
    rig.reconnect(2);
    let positions = vec![at("a.y", 8, 20), at("a.x", 7, 11)];
    assert_eq!(rig.starts(), [(number, resume(500, positions))]);
    rig.confirm(number, 900, vec![]);
    rig.name(31, "a.x", Class::Durable, 7, 12);
    rig.deliver(31, 11);
    rig.deliver(31, 12);
    assert_eq!(rig.offsets(number), [12]);
    rig.reconnect(2);
    let positions = vec![at("a.x", 7, 12), at("a.y", 8, 20)];
    assert_eq!(rig.starts(), [(number, resume(500, positions))], "the first join is kept");
}

#[test]
fn a_subscription_without_messages_resumes_at_its_join() {
    let cases = [
        (Start::Now, vec![at("a", 3, 100)]),
        (Start::Last(10), vec![at("a", 3, 90)]),
        (Start::Last(1000), vec![at("a", 3, 0)]),
        (resume(0, vec![at("a", 3, 40)]), vec![at("a", 3, 40)]),
        (Start::Since(400), vec![]),
    ];
    for (start, expected) in cases {
        let mut rig = Rig::live();
        let number = rig.subscribe("a", start.clone());
        rig.confirm(number, 500, vec![at("a", 3, 100)]);
        rig.reconnect(2);
        let joined_ms = if matches!(start, Start::Since(_)) { 400 } else { 500 };
        assert_eq!(rig.starts(), [(number, resume(joined_ms, expected))], "{start:?}");
    }
}

#[test]
fn a_named_topic_without_messages_resumes_where_delivery_was_to_start() {
    let mut rig = Rig::live();
    let number = rig.subscribe("a.*", Start::Now);
    rig.confirm(number, 500, vec![]);
    rig.name(1, "a.x", Class::Durable, 7, 10);
    rig.name(2, "a.y", Class::Latest, 7, 10);
    rig.reconnect(2);
    assert_eq!(rig.starts(), [(number, resume(500, vec![at("a.x", 7, 9)]))]);
}

#[test]
fn a_subscription_that_was_not_confirmed_is_asked_for_as_at_first() {
    let mut rig = Rig::live();
    let number = rig.subscribe("a.*", Start::Last(5));
    rig.reconnect(2);
    assert_eq!(rig.starts(), [(number, Start::Last(5))]);
}

#[test]
fn a_gap_moves_the_position_and_is_told() {
    let mut rig = Rig::live();
    let number = rig.subscribe("a", Start::Now);
    rig.confirm(number, 500, vec![]);
    rig.name(1, "a", Class::Durable, 1, 1);
    rig.deliver(1, 1);
    rig.gap(1, 1, (2, 9), GapReason::Retention);
    rig.deliver(1, 9);
    rig.deliver(1, 10);
    assert_eq!(rig.offsets(number), [1, 10]);
    assert_eq!(rig.gaps(number), [(2, 9, GapReason::Retention)]);
    rig.gap(1, 1, (5, 12), GapReason::NeverUsed);
    assert_eq!(rig.gaps(number)[1], (11, 12, GapReason::NeverUsed), "only what is new");
    rig.reconnect(1);
    assert_eq!(rig.starts(), [(number, resume(500, vec![at("a", 1, 12)]))]);
}

#[test]
fn a_conflated_gap_lets_the_newest_of_each_key_through() {
    let mut rig = Rig::live();
    let number = rig.subscribe("a", Start::Now);
    rig.name(1, "a", Class::Latest, 1, 1);
    rig.deliver(1, 1);
    rig.gap(1, 1, (2, 9), GapReason::Conflated);
    rig.deliver(1, 4);
    rig.deliver(1, 9);
    assert_eq!(rig.offsets(number), [1, 4, 9]);
    assert_eq!(rig.gaps(number), [(2, 9, GapReason::Conflated)]);
}

#[test]
fn kept_values_below_the_join_are_delivered() {
    let mut rig = Rig::live();
    let number = rig.subscribe("a", Start::Now);
    rig.confirm(number, 500, vec![at("a", 1, 100)]);
    rig.name(1, "a", Class::Latest, 1, 101);
    rig.deliver(1, 42);
    rig.deliver(1, 99);
    assert_eq!(rig.offsets(number), [42, 99]);
}

#[test]
fn a_new_epoch_voids_the_position() {
    let mut rig = Rig::live();
    let number = rig.subscribe("a", Start::Now);
    rig.confirm(number, 500, vec![]);
    rig.name(1, "a", Class::Durable, 1, 50);
    rig.deliver(1, 50);
    rig.name(1, "a", Class::Durable, 2, 1);
    rig.gap(1, 1, (51, NUMBER_MAX), GapReason::UnsyncedLost);
    rig.deliver(1, 1);
    assert_eq!(rig.offsets(number), [50, 1]);
    assert_eq!(rig.gaps(number), [(51, NUMBER_MAX, GapReason::UnsyncedLost)]);
    rig.reconnect(1);
    assert_eq!(rig.starts(), [(number, resume(500, vec![at("a", 2, 1)]))]);
}

#[test]
fn a_later_subscription_gets_its_replay_although_the_first_has_seen_it() {
    let mut rig = Rig::live();
    let first = rig.subscribe("a.*", Start::Now);
    rig.name(1, "a.x", Class::Durable, 1, 10);
    rig.deliver(1, 10);
    let second = rig.subscribe("a.x", Start::Last(5));
    rig.deliver(1, 9);
    rig.deliver(1, 10);
    rig.deliver(1, 11);
    assert_eq!(rig.offsets(first), [10, 11]);
    assert_eq!(rig.offsets(second), [9, 10, 11]);
}

#[test]
fn messages_for_a_subscription_that_has_ended_are_nobodys() {
    let mut rig = Rig::live();
    let number = rig.subscribe("a", Start::Now);
    rig.name(1, "a", Class::Durable, 1, 1);
    rig.client.unsubscribe(number);
    rig.drain();
    assert_eq!(rig.sent(Kind::Unsubscribe)[0].header.number, number);
    rig.deliver(1, 1);
    assert!(rig.offsets(number).is_empty());
    assert_eq!(rig.client.state(), State::Live);
    rig.reconnect(1);
    assert!(rig.starts().is_empty());
}

#[test]
fn more_positions_than_fit_are_cut_to_the_newest() {
    let mut rig = Rig::live();
    let number = rig.subscribe(">", Start::Now);
    rig.confirm(number, 500, vec![]);
    for id in 1..=5000 {
        rig.name(id, &format!("a.{id}"), Class::Durable, 1, 1);
        rig.deliver(id, 1);
    }
    rig.reconnect(1);
    let starts = rig.starts();
    let Start::Resume { positions, .. } = &starts[0].1 else { panic!("no resume") };
    assert_eq!(positions.len(), crate::limits::POSITIONS_MAX);
    assert_eq!(positions[0].topic, "a.5000");
}

#[test]
fn long_names_are_cut_so_that_the_frame_fits() {
    let mut rig = Rig::live();
    let number = rig.subscribe(">", Start::Now);
    rig.confirm(number, 500, vec![]);
    for id in 1..=2000 {
        let name = format!("a.{id}.{}", "x".repeat(200));
        rig.name(id, &name, Class::Durable, 1, 1);
        rig.deliver(id, 1);
    }
    rig.reconnect(1);
    assert_eq!(rig.starts().len(), 1);
    assert!(rig.client.state() == State::Live);
}

#[test]
fn a_resume_given_by_the_application_is_kept_for_topics_not_seen_yet() {
    let mut rig = Rig::live();
    let held = vec![at("a.x", 1, 5), at("a.y", 1, 6)];
    let number = rig.subscribe("a.*", resume(300, held.clone()));
    assert_eq!(rig.starts(), [(number, resume(300, held))]);
    rig.confirm(number, 500, vec![]);
    rig.name(1, "a.x", Class::Durable, 1, 6);
    rig.deliver(1, 6);
    rig.reconnect(1);
    let positions = vec![at("a.x", 1, 6), at("a.y", 1, 6)];
    assert_eq!(rig.starts(), [(number, resume(300, positions))]);
}

#[test]
fn a_message_carries_the_topics_name_and_epoch() {
    let mut rig = Rig::live();
    rig.subscribe("a", Start::Now);
    rig.name(1, "a", Class::Durable, 7, 1);
    rig.deliver(1, 1);
    let Some(Event::Message { message, .. }) = rig.events.last() else { panic!("no message") };
    assert_eq!((&message.topic, message.epoch), (&topic("a"), 7));
    assert_eq!(message.frame.body_bytes(), b"x");
}
