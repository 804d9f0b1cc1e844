//! Groups across shards: workers, acks, retries, dead letters, restarts.

mod letters;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sampan_protocol::attribute::{self, Tag};
use sampan_protocol::control::{self, Consume, Start};
use sampan_protocol::frame::{Header, Kind, flag};
use sampan_protocol::{AckLevel, Class, Code, Frame};

use super::{Client, World, of_kind, refusal};
use crate::class::{Retention, Rule, Table};
use crate::config::Config;
use crate::directory::owner;
use crate::grant::Role;
use crate::group::{Letter, Seek, Status};
use crate::journal;
use crate::shard::{LetterPage, Manage, Managed, Outcome, Which};

const ACK: u8 = 1;
const NAK: u8 = 2;
const RELEASE: u8 = 3;
const REJECT: u8 = 4;
const EXTEND: u8 = 5;

/// One job as a worker sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Job {
    topic_id: u64,
    epoch: u64,
    offset: u64,
    consumer: u64,
    attempt: u64,
    text: String,
}

fn jobs(frames: &[Frame]) -> Vec<Job> {
    let job = |frame: &&Frame| {
        let attributes = frame.attributes().expect("valid");
        Job {
            topic_id: frame.header.topic_id,
            epoch: attributes.epoch.expect("an epoch"),
            offset: frame.header.number,
            consumer: attributes.consumer.expect("a consumer"),
            attempt: attributes.attempt.expect("an attempt"),
            text: String::from_utf8(frame.body().to_vec()).expect("text"),
        }
    };
    of_kind(frames, Kind::Job).iter().map(job).collect()
}

fn texts(jobs: &[Job]) -> Vec<&str> {
    jobs.iter().map(|job| job.text.as_str()).collect()
}

/// Requests that SETTLED answers, with whether it says that they were late.
fn settled(frames: &[Frame]) -> Vec<(u64, bool)> {
    let runs = of_kind(frames, Kind::Settled).into_iter().flat_map(|frame| {
        let count = frame.attributes().expect("valid").count.unwrap_or(1);
        let (last, late) = (frame.header.number, frame.header.flags & flag::LATE != 0);
        (last + 1 - count..=last).map(move |number| (number, late))
    });
    runs.collect()
}

impl World {
    fn consume(&mut self, client: &mut Client, group: &str, pattern: &str, window: u32) -> u64 {
        let body = consume(group, pattern, window);
        self.ask(client, |number| control::encode(&body, number).expect("valid"))
    }

    fn settle(&mut self, client: &mut Client, job: &Job, flags: u8, more: &[(Tag, u64)]) -> u64 {
        self.ask(client, |number| settle(job, flags, more, number))
    }

    fn ack(&mut self, client: &mut Client, jobs: &[Job]) {
        for job in jobs {
            self.settle(client, job, ACK, &[]);
        }
    }

    fn pull(&mut self, client: &mut Client, consumer: u64, count: u64) {
        let mut attributes = BytesMut::new();
        attribute::put_number(&mut attributes, Tag::Count, count);
        let header = Header::new(Kind::Pull).number(consumer);
        self.send(client, header.to_frame(&attributes, &[]).expect("small"));
    }

    fn quit(&mut self, client: &mut Client, consumer: u64) {
        self.send(client, Header::new(Kind::Leave).number(consumer).bare());
    }

    /// The jobs that wait for the client.
    fn jobs(&mut self, client: &mut Client) -> Vec<Job> {
        jobs(&self.receive(client))
    }

    /// What the group's shard says to an operator.
    fn manage(&mut self, group: &str, manage: Manage) -> Result<Managed, Code> {
        let group = group.parse().expect("a name");
        let host = owner(&group, u8::try_from(self.shards.len()).expect("few"));
        let id = self.managed.len() as u64 + 1;
        self.shards[usize::from(host)].manage(self.now, id, manage);
        self.sleep(Duration::from_millis(50));
        self.managed.remove(&id).expect("an answer")
    }

    fn status(&mut self, group: &str) -> Status {
        let name = group.parse().expect("a name");
        match self.manage(group, Manage::Groups(Some(name))) {
            Ok(Managed::Groups(mut list)) => list.remove(0),
            other => panic!("{other:?}"),
        }
    }

    fn letters(&mut self, group: &str) -> Vec<(u64, Letter)> {
        let name = group.parse().expect("a name");
        let list = Manage::Letters { group: name, after: None, max: 100 };
        match self.manage(group, list) {
            Ok(Managed::Letters(LetterPage { letters, more: false, .. })) => letters,
            other => panic!("{other:?}"),
        }
    }
}

/// What is answered when something was done for so many letters, and not for these.
fn each(count: u64, failed: &[(u64, Code)]) -> Result<Managed, Code> {
    Ok(Managed::Each(Outcome { count, failed: failed.to_vec(), more_failed: 0 }))
}

fn consume(group: &str, pattern: &str, window: u32) -> Consume {
    Consume {
        group: group.into(),
        pattern: pattern.into(),
        start: Start::Since(0),
        window,
        order: 0,
        ack_wait_ms: 0,
        attempts_max: 0,
    }
}

fn settle(job: &Job, flags: u8, more: &[(Tag, u64)], number: u64) -> Bytes {
    let mut attributes = BytesMut::new();
    let own = [(Tag::Consumer, job.consumer), (Tag::Epoch, job.epoch), (Tag::Sequence, number)];
    for (tag, value) in own.iter().chain(&[(Tag::Attempt, job.attempt)]).chain(more) {
        attribute::put_number(&mut attributes, *tag, *value);
    }
    let header = Header { flags, topic_id: job.topic_id, ..Header::new(Kind::Settle) };
    header.number(job.offset).to_frame(&attributes, &[]).expect("small")
}

/// Two shards whose journals take a while.
fn world() -> World {
    let delay = Duration::from_millis(1)..=Duration::from_millis(5);
    let faults = journal::Faults { delay, ..journal::Faults::default() };
    let (best, epoch) = (AckLevel::Synced, 1);
    let journal = journal::Config { best, epoch, faults, ..journal::Config::default() };
    World::with(2, Config::shipped(), journal)
}

const SECOND: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(5);

#[test]
fn workers_share_the_messages_of_many_topics_and_each_is_handed_out_once() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let mut workers = [world.client(0, "w0", Role::Service), world.client(1, "w1", Role::Service)];
    for round in 0..10 {
        for topic in 0..5 {
            let (topic, text) = (format!("order.{topic}"), format!("{topic}/{round}"));
            world.publish(&mut publisher, &topic, &text);
        }
        if round == 4 {
            world.sleep(SECOND);
            for worker in &mut workers {
                world.consume(worker, "billing", "order.*", 7);
            }
        }
    }
    world.sleep(SECOND);
    let mut seen = Vec::new();
    for _ in 0..20 {
        for worker in &mut workers {
            let jobs = world.jobs(worker);
            assert!(jobs.len() <= 7, "the window");
            assert!(jobs.iter().all(|job| job.attempt == 1));
            seen.extend(jobs.iter().map(|job| job.text.clone()));
            world.ack(worker, &jobs);
            world.sleep(Duration::from_millis(20));
        }
    }
    seen.sort();
    let mut all: Vec<String> =
        (0..5).flat_map(|t| (0..10).map(move |r| format!("{t}/{r}"))).collect();
    all.sort();
    assert_eq!(seen, all);
    let status = world.status("billing");
    assert_eq!((status.lag, status.in_flight, status.members), (0, 0, 2));
    assert!(status.topics.iter().all(|topic| topic.done == 10));
}

#[test]
fn an_ack_is_answered_when_it_is_stored_and_survives_a_crash() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let mut worker = world.client(1, "w", Role::Service);
    for n in 0..6 {
        world.publish(&mut publisher, "order.1", &n.to_string());
    }
    world.consume(&mut worker, "billing", "order.*", 10);
    world.sleep(SECOND);
    let got = world.jobs(&mut worker);
    assert_eq!(texts(&got), ["0", "1", "2", "3", "4", "5"]);
    let numbers: Vec<u64> =
        [0, 2].iter().map(|at: &usize| world.settle(&mut worker, &got[*at], ACK, &[])).collect();
    assert_eq!(settled(&world.receive(&mut worker)), [], "not before it is stored");
    world.sleep(SECOND);
    let answers = settled(&world.receive(&mut worker));
    assert_eq!(answers, numbers.iter().map(|number| (*number, false)).collect::<Vec<_>>());
    // This one is on its way when the power goes.
    world.settle(&mut worker, &got[1], ACK, &[]);
    world.crash();
    let mut worker = world.client(0, "w", Role::Service);
    world.consume(&mut worker, "billing", "order.*", 10);
    world.sleep(SECOND);
    let again = world.jobs(&mut worker);
    let texts = texts(&again);
    let left = texts.iter().filter(|text| **text != "1").collect::<Vec<_>>();
    assert_eq!(left, [&"3", &"4", &"5"]);
    assert!(again.iter().all(|job| job.attempt == 2), "attempts are remembered: {again:?}");
}

#[test]
fn a_failed_job_comes_again_with_backoff_and_becomes_a_dead_letter() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let mut worker = world.client(1, "w", Role::Service);
    world.publish(&mut publisher, "order.1", "poison");
    world.publish(&mut publisher, "order.1", "good");
    world.consume(&mut worker, "billing", "order.*", 10);
    world.sleep(SECOND);
    let first = world.jobs(&mut worker);
    world.ack(&mut worker, &first[1..]);
    let mut job = first[0].clone();
    for attempt in 1..=10 {
        assert_eq!(job.attempt, attempt);
        let number = world.settle(&mut worker, &job, NAK, &[]);
        let mut came = Vec::new();
        for _ in 0..400 {
            world.sleep(SECOND);
            let frames = world.receive(&mut worker);
            assert!(settled(&frames).iter().all(|(n, late)| *n == number || !late));
            came.extend(jobs(&frames));
            if !came.is_empty() {
                break;
            }
        }
        match came.pop() {
            Some(next) => job = next,
            None => assert_eq!(attempt, 10),
        }
    }
    let letters = world.letters("billing");
    let (_, letter) = &letters[0];
    assert_eq!((letters.len(), &letter.payload[..], letter.attempts), (1, &b"poison"[..], 10));
    assert!(letter.failures.len() == 10 && letter.failures.iter().all(|f| *f.user == *"w"));
    let status = world.status("billing");
    assert_eq!((status.lag, status.dead), (0, 1));
}

#[test]
fn a_dead_letter_survives_a_crash_and_can_be_retried_published_elsewhere_and_discarded() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let mut worker = world.client(1, "w", Role::Service);
    for n in 0..4 {
        world.publish(&mut publisher, "order.1", &n.to_string());
    }
    world.consume(&mut worker, "billing", "order.*", 10);
    world.sleep(SECOND);
    for job in world.jobs(&mut worker) {
        world.settle(&mut worker, &job, REJECT, &[]);
    }
    world.sleep(SECOND);
    world.crash();
    world.sleep(SECOND);
    let letters = world.letters("billing");
    assert_eq!(letters.len(), 4);
    let ids: Vec<u64> = letters.iter().map(|(id, _)| *id).collect();
    let group = || "billing".parse().expect("a name");
    let mut worker = world.client(1, "w", Role::Service);
    let consumer = world.consume(&mut worker, "billing", "order.*", 10);
    world.sleep(SECOND);
    assert_eq!(world.jobs(&mut worker), []);
    world.leave(&worker);
    // Back to the group.
    let which = Which::Ids(vec![ids[0], ids[1]]);
    let retry = Manage::Retry { group: group(), which, target: None };
    assert_eq!(world.manage("billing", retry), each(2, &[]));
    world.crash();
    let mut again = world.client(0, "w", Role::Service);
    world.consume(&mut again, "billing", "order.*", 10);
    world.sleep(SECOND);
    let back = world.jobs(&mut again);
    assert_eq!(texts(&back), ["0", "1"]);
    assert!(back.iter().all(|job| job.attempt == 1), "attempts start anew");
    world.ack(&mut again, &back);
    // To another topic.
    let (which, target) = (Which::Ids(vec![ids[2]]), Some("repair.1".parse().expect("a name")));
    let retry = Manage::Retry { group: group(), which, target };
    assert_eq!(world.manage("billing", retry), each(1, &[]));
    let mut reader = world.client(0, "r", Role::Service);
    world.subscribe(&mut reader, "repair.1", Start::Last(9));
    world.sleep(SECOND);
    assert_eq!(super::payloads(&world.receive(&mut reader)), ["2"]);
    // Away.
    let discard = || Manage::Discard { group: group(), which: Which::All };
    assert_eq!(world.manage("billing", discard()), each(1, &[]));
    let unknown = Manage::Discard { group: group(), which: Which::Ids(vec![ids[3]]) };
    assert_eq!(world.manage("billing", unknown), each(0, &[(ids[3], Code::UNKNOWN_DEAD_LETTER)]));
    assert_eq!(world.letters("billing"), []);
    world.crash();
    world.sleep(SECOND);
    let status = world.status("billing");
    assert_eq!((status.dead, status.lag, consumer), (0, 0, 1));
}

#[test]
fn release_counts_nothing_extend_gives_time_and_silence_counts_as_failure() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let mut worker = world.client(0, "w", Role::Service);
    world.publish(&mut publisher, "order.1", "a");
    world.consume(&mut worker, "billing", "order.*", 10);
    world.sleep(SECOND);
    let job = world.jobs(&mut worker).remove(0);
    world.settle(&mut worker, &job, RELEASE, &[]);
    let job = world.jobs(&mut worker).remove(0);
    assert_eq!(job.attempt, 1);
    world.settle(&mut worker, &job, EXTEND, &[(Tag::Delay, 100_000)]);
    world.sleep(90 * SECOND);
    assert_eq!(world.jobs(&mut worker), []);
    world.sleep(12 * SECOND);
    let again = world.jobs(&mut worker).remove(0);
    assert_eq!(again.attempt, 2);
    // What is said of the first attempt is late; an ack counts all the same.
    let number = world.settle(&mut worker, &job, ACK, &[]);
    world.sleep(SECOND);
    assert_eq!(settled(&world.receive(&mut worker)), [(number, true)]);
    let number = world.settle(&mut worker, &again, NAK, &[]);
    world.sleep(400 * SECOND);
    let frames = world.receive(&mut worker);
    assert_eq!((settled(&frames), jobs(&frames)), (vec![(number, true)], vec![]));
}

#[test]
fn what_is_said_of_an_attempt_that_is_over_changes_nothing_of_the_next_one() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let mut worker = world.client(0, "w", Role::Service);
    world.publish(&mut publisher, "order.1", "a");
    world.consume(&mut worker, "billing", "order.*", 10);
    world.sleep(SECOND);
    let first = world.jobs(&mut worker).remove(0);
    world.sleep(35 * SECOND);
    let second = world.jobs(&mut worker).remove(0);
    assert_eq!((first.attempt, second.attempt), (1, 2));
    for settlement in [NAK, RELEASE, REJECT, EXTEND] {
        let number = world.settle(&mut worker, &first, settlement, &[]);
        world.sleep(SECOND);
        let frames = world.receive(&mut worker);
        assert_eq!((settled(&frames), jobs(&frames)), (vec![(number, true)], vec![]));
    }
    let number = world.settle(&mut worker, &second, ACK, &[]);
    world.sleep(400 * SECOND);
    let frames = world.receive(&mut worker);
    assert_eq!((settled(&frames), jobs(&frames)), (vec![(number, false)], vec![]));
    assert_eq!(world.letters("billing"), []);
}

#[test]
fn a_worker_that_vanishes_has_failed_and_one_that_leaves_has_not() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let mut worker = world.client(1, "w", Role::Service);
    world.publish(&mut publisher, "order.1", "a");
    let consumer = world.consume(&mut worker, "billing", "order.*", 10);
    world.sleep(SECOND);
    assert_eq!(world.jobs(&mut worker).len(), 1);
    world.quit(&mut worker, consumer);
    world.sleep(SECOND);
    let frames = world.receive(&mut worker);
    assert_eq!(of_kind(&frames, Kind::Done).len(), 1);
    let mut other = world.client(0, "w", Role::Service);
    world.consume(&mut other, "billing", "order.*", 10);
    world.sleep(SECOND);
    assert_eq!(world.jobs(&mut other)[0].attempt, 1);
    world.leave(&other);
    let mut third = world.client(0, "w", Role::Service);
    world.consume(&mut third, "billing", "order.*", 10);
    world.sleep(2 * SECOND);
    assert_eq!(world.jobs(&mut third)[0].attempt, 2);
}

#[test]
fn messages_of_one_key_are_handed_out_one_after_the_other() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let mut worker = world.client(1, "w", Role::Service);
    for (key, text) in [("x", "x1"), ("x", "x2"), ("y", "y1"), ("x", "x3"), ("y", "y2")] {
        let extra = [(Tag::Key, key.as_bytes())];
        world.publish_with(&mut publisher, "order.1", text, &extra, 0);
    }
    let body = Consume { order: 2, ..consume("billing", "order.*", 10) };
    world.ask(&mut worker, |number| control::encode(&body, number).expect("valid"));
    world.sleep(SECOND);
    let got = world.jobs(&mut worker);
    assert_eq!(texts(&got), ["x1", "y1"]);
    world.settle(&mut worker, &got[0], NAK, &[(Tag::Delay, 5000)]);
    world.settle(&mut worker, &got[1], ACK, &[]);
    world.sleep(SECOND);
    let got = world.jobs(&mut worker);
    assert_eq!(texts(&got), ["y2"], "a parked message parks its key alone");
    world.sleep(5 * SECOND);
    let got = world.jobs(&mut worker);
    assert_eq!(texts(&got), ["x1"]);
    world.ack(&mut worker, &got);
    let got = world.jobs(&mut worker);
    assert_eq!(texts(&got), ["x2"]);
}

#[test]
fn a_cumulative_ack_settles_what_its_consumer_holds_and_nothing_else() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let mut a = world.client(0, "a", Role::Service);
    let mut b = world.client(1, "b", Role::Service);
    world.consume(&mut a, "billing", "order.*", 10);
    world.consume(&mut b, "billing", "order.*", 10);
    world.sleep(SECOND);
    for n in 1..=6 {
        world.publish(&mut publisher, "order.1", &n.to_string());
        world.sleep(Duration::from_millis(20));
    }
    let (of_a, of_b) = (world.jobs(&mut a), world.jobs(&mut b));
    assert_eq!((of_a.len(), of_b.len()), (3, 3));
    world.settle(&mut a, &of_a[2], ACK | flag::CUMULATIVE, &[]);
    world.sleep(SECOND);
    let status = world.status("billing");
    assert_eq!((status.lag, status.in_flight), (3, 3));
    world.settle(&mut b, &of_b[2], ACK | flag::CUMULATIVE, &[]);
    world.sleep(SECOND);
    assert_eq!(world.status("billing").lag, 0);
}

#[test]
fn a_consumer_without_a_window_gets_what_it_pulls() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let mut worker = world.client(1, "w", Role::Service);
    for n in 0..9 {
        world.publish(&mut publisher, "order.1", &n.to_string());
    }
    let consumer = world.consume(&mut worker, "billing", "order.*", 0);
    world.sleep(SECOND);
    assert_eq!(world.jobs(&mut worker), []);
    world.pull(&mut worker, consumer, 4);
    let got = world.jobs(&mut worker);
    assert_eq!(texts(&got), ["0", "1", "2", "3"]);
    world.ack(&mut worker, &got);
    world.sleep(SECOND);
    assert_eq!(world.jobs(&mut worker), []);
    world.pull(&mut worker, consumer, 100);
    assert_eq!(world.jobs(&mut worker).len(), 5);
}

#[test]
fn a_group_is_made_where_it_was_asked_to_and_keeps_its_pattern() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    for n in 0..5 {
        world.publish(&mut publisher, "order.1", &n.to_string());
    }
    world.sleep(SECOND);
    for (group, start, expected) in [
        ("now", Start::Now, &["new"][..]),
        ("last", Start::Last(2), &["3", "4", "new"]),
        ("since", Start::Since(world.now.unix_ms + 500), &["new"]),
        ("oldest", Start::Since(0), &["0", "1", "2", "3", "4", "new"]),
    ] {
        let mut worker = world.client(1, "w", Role::Service);
        let body = Consume { start, ..consume(group, "order.*", 10) };
        world.ask(&mut worker, |number| control::encode(&body, number).expect("valid"));
        world.sleep(2 * SECOND);
        if group == "now" {
            // Made with the first of them, and read by all.
            world.leave(&worker);
        } else {
            let before = world.jobs(&mut worker);
            assert_eq!(
                texts(&before).last(),
                expected.iter().rev().find(|t| **t != "new"),
                "{group}"
            );
            assert!(before.len() < expected.len());
            world.leave(&worker);
        }
    }
    world.crash();
    world.sleep(SECOND);
    let mut publisher = world.client(0, "p", Role::Service);
    // A client of the new process must not look like the one before it.
    let producer = 77_u64.to_le_bytes();
    for (topic, text) in [("order.1", "new"), ("order.2", "other topic")] {
        world.publish_with(&mut publisher, topic, text, &[(Tag::Producer, &producer)], 0);
    }
    for (group, count) in [("now", 2), ("last", 4), ("since", 2), ("oldest", 7)] {
        let mut worker = world.client(1, "w", Role::Service);
        world.consume(&mut worker, group, "order.*", 10);
        world.sleep(2 * SECOND);
        let got = world.jobs(&mut worker);
        assert_eq!(got.len(), count, "{group}: {got:?}");
        let number = world.consume(&mut worker, group, "order.>", 10);
        world.sleep(SECOND);
        let frames = world.receive(&mut worker);
        assert_eq!(refusal(&frames, number), Some(Code::GROUP_DIFFERS));
        world.leave(&worker);
    }
}

#[test]
fn a_group_reads_again_from_where_it_is_sent() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let mut worker = world.client(1, "w", Role::Service);
    world.consume(&mut worker, "billing", "order.*", 10);
    for n in 1..=4 {
        world.publish(&mut publisher, "order.1", &n.to_string());
        world.sleep(SECOND);
    }
    let got = world.jobs(&mut worker);
    let at = world.now.unix_ms - 2500;
    world.ack(&mut worker, &got);
    world.sleep(SECOND);
    let (group, topic) = ("billing".parse().expect("a name"), "order.1".parse().expect("a name"));
    for (to, expected) in [
        (Seek::Offset(2), &["2", "3", "4"][..]),
        (Seek::Since(at), &["3", "4"]),
        (Seek::Offset(9), &[]),
    ] {
        let seek = Manage::Seek { group: Clone::clone(&group), topic: Clone::clone(&topic), to };
        assert_eq!(world.manage("billing", seek), Ok(Managed::Done(1)));
        world.sleep(SECOND);
        let got = world.jobs(&mut worker);
        assert_eq!(texts(&got), expected, "{to:?}");
        world.ack(&mut worker, &got);
        world.sleep(SECOND);
    }
}

#[test]
fn a_deleted_group_ends_its_consumers_and_leaves_nothing_behind() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let mut worker = world.client(1, "w", Role::Service);
    for n in 0..3 {
        world.publish(&mut publisher, "order.1", &n.to_string());
    }
    let consumer = world.consume(&mut worker, "billing", "order.*", 10);
    world.consume(&mut worker, "billing2", "order.*", 10);
    world.sleep(SECOND);
    for job in world.jobs(&mut worker).iter().filter(|job| job.consumer == consumer) {
        world.settle(&mut worker, job, REJECT, &[]);
    }
    // Not stored yet, so that it is on its way when the group ends.
    let name = || "billing".parse().expect("a name");
    assert_eq!(world.manage("billing", Manage::Delete(name())), Ok(Managed::Done(0)));
    let frames = world.receive(&mut worker);
    assert_eq!(refusal(&frames, consumer), Some(Code::UNKNOWN_GROUP));
    world.crash();
    world.sleep(SECOND);
    let unknown = world.manage("billing", Manage::Groups(Some(name())));
    assert_eq!(unknown, Err(Code::UNKNOWN_GROUP));
    assert_eq!(world.status("billing2").dead, 0, "a name that starts the same is another's");
    let mut worker = world.client(1, "w", Role::Service);
    world.consume(&mut worker, "billing", "order.*", 10);
    world.sleep(SECOND);
    assert_eq!(world.jobs(&mut worker).len(), 3);
    assert_eq!(world.letters("billing"), []);
}

#[test]
fn settles_of_what_was_never_handed_out_and_of_unknown_consumers_are_refused() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let mut worker = world.client(1, "w", Role::Service);
    world.publish(&mut publisher, "order.1", "a");
    world.publish(&mut publisher, "order.1", "b");
    world.consume(&mut worker, "billing", "order.*", 1);
    world.sleep(SECOND);
    let job = world.jobs(&mut worker).remove(0);
    let cases = [
        (Job { offset: 2, ..job.clone() }, Code::NOT_DELIVERED),
        (Job { offset: 3, ..job.clone() }, Code::NOT_DELIVERED),
        (Job { epoch: job.epoch + 1, ..job.clone() }, Code::NOT_DELIVERED),
        (Job { topic_id: 999, ..job.clone() }, Code::NOT_DELIVERED),
        (Job { consumer: 77, ..job.clone() }, Code::UNKNOWN_REQUEST),
    ];
    for (job, code) in cases {
        let number = world.settle(&mut worker, &job, ACK, &[]);
        let frames = world.receive(&mut worker);
        assert_eq!(refusal(&frames, number), Some(code), "{job:?}");
    }
    let mut customer = world.client(0, "c", Role::Customer);
    let number = world.consume(&mut customer, "billing", "order.*", 1);
    let frames = world.receive(&mut customer);
    assert_eq!(refusal(&frames, number), Some(Code::NOT_GRANTED));
}

/// Makes every append and put from now on fail, or none.
fn fail(world: &World, fail_ppm: u32) {
    let delay = Duration::from_millis(1)..=Duration::from_millis(5);
    for store in &world.stores {
        store.memory().set_faults(journal::Faults { delay: delay.clone(), fail_ppm });
    }
}

#[test]
fn a_settlement_that_cannot_be_stored_is_refused_and_stored_when_it_can_be() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    let mut worker = world.client(1, "w", Role::Service);
    for n in 0..3 {
        world.publish(&mut publisher, "order.1", &n.to_string());
    }
    world.consume(&mut worker, "billing", "order.*", 10);
    world.sleep(SECOND);
    let got = world.jobs(&mut worker);
    fail(&world, 1_000_000);
    for job in &got[..2] {
        let number = world.settle(&mut worker, job, ACK, &[]);
        world.sleep(SECOND);
        let frames = world.receive(&mut worker);
        assert_eq!(refusal(&frames, number), Some(Code::STORAGE));
        assert_eq!(settled(&frames), []);
    }
    fail(&world, 0);
    world.sleep(SECOND);
    // Said again: nothing is left to be done, and all of it is stored.
    let number = world.settle(&mut worker, &got[0], ACK, &[]);
    world.sleep(SECOND);
    assert_eq!(settled(&world.receive(&mut worker)), [(number, true)]);
    world.crash();
    let mut worker = world.client(1, "w", Role::Service);
    world.consume(&mut worker, "billing", "order.*", 10);
    world.sleep(SECOND);
    assert_eq!(texts(&world.jobs(&mut worker)), ["2"]);
}

/// A broker whose `order.` topics keep two messages.
fn forgetful() -> World {
    let mut config = (*Config::shipped()).clone();
    let rule = Rule {
        retention: Retention { count: Some(2), ..Retention::default() },
        ..Rule::new("order.>".parse().expect("a pattern"), Class::Durable)
    };
    config.classes = Table::new(vec![rule]);
    let journal = journal::Config { best: AckLevel::Synced, ..journal::Config::default() };
    World::with(2, Arc::new(config), journal)
}

#[test]
fn retention_takes_nothing_from_a_group_that_is_used_and_keeps_nothing_for_one_that_is_not() {
    for used in [true, false] {
        let mut world = forgetful();
        let mut publisher = world.client(0, "p", Role::Service);
        if used {
            let mut first = world.client(0, "first", Role::Service);
            let consumer = world.consume(&mut first, "billing", "order.*", 0);
            world.sleep(SECOND);
            world.quit(&mut first, consumer);
        }
        for n in 1..=9 {
            world.publish(&mut publisher, "order.1", &n.to_string());
            world.sleep(2 * SECOND);
        }
        let mut worker = world.client(1, "w", Role::Service);
        world.consume(&mut worker, "billing", "order.*", 10);
        world.sleep(SECOND);
        let got = world.jobs(&mut worker);
        let expected = ["1", "2", "3", "4", "5", "6", "7", "8", "9"];
        assert_eq!(texts(&got), if used { &expected[..] } else { &expected[7..] });
        world.ack(&mut worker, &got);
        world.sleep(5 * SECOND);
        // What the group has settled is let go.
        let mut reader = world.client(0, "r", Role::Service);
        world.subscribe(&mut reader, "order.1", Start::Since(0));
        world.sleep(SECOND);
        assert_eq!(super::payloads(&world.receive(&mut reader)), ["8", "9"]);
        let bytes: usize = world.stores.iter().map(|store| store.memory().bytes()).sum();
        assert!(bytes < 10_000, "{bytes}");
    }
}

#[test]
fn what_storage_has_damaged_is_skipped_and_counted() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    for n in 1..=6 {
        world.publish(&mut publisher, "order.1", &n.to_string());
        world.sleep(SECOND);
    }
    let topic = "order.1".parse().expect("a name");
    for store in &world.stores {
        store.memory().damage(&topic, journal::Hole { from: 2, to: 4 });
    }
    let mut worker = world.client(1, "w", Role::Service);
    world.consume(&mut worker, "billing", "order.*", 10);
    world.sleep(SECOND);
    let got = world.jobs(&mut worker);
    assert_eq!(texts(&got), ["1", "5", "6"]);
    world.ack(&mut worker, &got);
    world.sleep(SECOND);
    assert_eq!(world.status("billing").lag, 0);
    let skipped: u64 = world.shards.iter().map(|shard| shard.counters().groups.skipped).sum();
    assert_eq!(skipped, 3);
}

#[test]
fn dead_letters_end_with_age_and_a_group_that_has_enough_of_them_holds_back_the_next() {
    let mut config = (*Config::shipped()).clone();
    (config.limits.letters_max, config.limits.letters_age) = (2, 3600 * SECOND);
    let mut world = World::with(2, Arc::new(config), journal::Config::default());
    let mut publisher = world.client(0, "p", Role::Service);
    let mut worker = world.client(1, "w", Role::Service);
    for n in 0..3 {
        world.publish(&mut publisher, "order.1", &n.to_string());
    }
    world.consume(&mut worker, "billing", "order.*", 10);
    world.sleep(SECOND);
    for job in world.jobs(&mut worker) {
        world.settle(&mut worker, &job, REJECT, &[]);
    }
    world.sleep(1800 * SECOND);
    let status = world.status("billing");
    assert_eq!((status.dead, status.parked, status.lag), (2, 1, 1));
    world.sleep(2000 * SECOND);
    let letters = world.letters("billing");
    let left: Vec<&[u8]> = letters.iter().map(|(_, letter)| &letter.payload[..]).collect();
    assert_eq!(left, [b"2"], "the oldest have gone, and made room");
    let status = world.status("billing");
    assert_eq!((status.dead, status.parked, status.lag), (1, 0, 0));
    assert_eq!(world.jobs(&mut worker), []);
}

#[test]
fn the_groups_of_the_configuration_are_there_before_anybody_asks() {
    let mut world = world();
    world.sleep(SECOND);
    for (group, pattern) in [
        ("chat", "chat.conversation.*"),
        ("notifications", "notify.trigger"),
        ("inventory", "inventory.reservation"),
    ] {
        let status = world.status(group);
        assert_eq!((status.pattern.as_str(), status.members), (pattern, 0));
    }
}

#[test]
fn a_topic_that_is_being_opened_holds_up_no_group_of_others() {
    let mut world = world();
    let mut publisher = world.client(0, "p", Role::Service);
    world.publish(&mut publisher, "order.1", "a");
    world.sleep(SECOND);
    let delay = |world: &World, delay: Duration| {
        let faults = journal::Faults { delay: delay..=delay, ..journal::Faults::default() };
        world.stores.iter().for_each(|store| store.memory().set_faults(faults.clone()));
    };
    delay(&world, 100 * SECOND);
    for topic in 0..4 {
        world.publish(&mut publisher, &format!("user.{topic}"), "slow");
    }
    delay(&world, Duration::from_millis(1));
    let mut worker = world.client(0, "w", Role::Service);
    world.consume(&mut worker, "billing", "order.*", 10);
    world.consume(&mut worker, "people", "user.*", 10);
    world.sleep(SECOND);
    let jobs = world.jobs(&mut worker);
    assert_eq!(texts(&jobs), ["a"]);
    world.ack(&mut worker, &jobs);
    world.sleep(100 * SECOND);
    assert_eq!(texts(&world.jobs(&mut worker)), ["slow"; 4]);
}

#[test]
fn a_topic_that_could_not_be_opened_at_start_is_opened_later_for_its_groups() {
    let journal = journal::Config {
        best: AckLevel::Synced,
        pending_max: 4,
        faults: journal::Faults { delay: TICK..=TICK, ..journal::Faults::default() },
        ..journal::Config::default()
    };
    let mut world = World::with(1, Config::shipped(), journal);
    let mut publisher = world.client(0, "p", Role::Service);
    let mut worker = world.client(0, "w", Role::Service);
    let consumer = world.consume(&mut worker, "billing", "order.*", 1);
    world.sleep(SECOND);
    for topic in 0..9 {
        world.publish(&mut publisher, &format!("order.{topic}"), &topic.to_string());
        world.sleep(SECOND);
    }
    world.quit(&mut worker, consumer);
    world.sleep(SECOND);
    world.crash();
    world.sleep(10 * SECOND);
    let mut worker = world.client(0, "w", Role::Service);
    world.consume(&mut worker, "billing", "order.*", 100);
    world.sleep(10 * SECOND);
    let jobs = world.jobs(&mut worker);
    let mut sorted = texts(&jobs);
    sorted.sort_unstable();
    assert_eq!(sorted, ["0", "1", "2", "3", "4", "5", "6", "7", "8"]);
}
