//! Consumers face to face with the broker's end of the session.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::rig::{Rig, options, pattern, topic};
use crate::attribute::{self, Tag};
use crate::class::Class;
use crate::code::Code;
use crate::control::{self, Consume, GoAway, Settlement, Start};
use crate::frame::{Frame, Header, Kind, flag};
use crate::session::client::{
    Answer, Cause, Channel, Event, Job, NotTaken, SETTLEMENTS_MAX, Verdict,
};
use crate::session::server::{Accepted, Command, Input, Output, Server, Settle, done};

/// A client, and the broker's end of its sessions; what goes between them goes by this test.
struct Pair {
    rig: Rig,
    server: Server,
}

/// Whether a settlement was late, or what made it fail and whether it may have had its effect.
type Told = Result<bool, (Cause, bool)>;

impl Pair {
    fn new() -> Self {
        let mut rig = Rig::new(options());
        rig.accept(1);
        let server = Server::new(rig.now);
        let mut pair = Pair { rig, server };
        assert!(pair.commands().is_empty());
        pair.rig.forget();
        pair
    }

    /// A pair with one consumer that the broker knows.
    fn consuming(window: u32) -> (Self, u64) {
        let mut pair = Pair::new();
        let consumer = pair.rig.client.consume(consume(window)).expect("room");
        pair.rig.drain();
        assert!(matches!(&pair.commands()[..], [Command::Consume(_)]));
        pair.rig.control(done(consumer));
        pair.rig.name(7, "order.1", Class::Durable, 3, 0);
        pair.rig.forget();
        (pair, consumer)
    }

    /// What the broker makes of the frames that the client has sent.
    fn commands(&mut self) -> Vec<Command> {
        self.rig.drain();
        let (now, mut out) = (self.rig.now, VecDeque::new());
        for frame in std::mem::take(&mut self.rig.control) {
            self.server.handle(now, Input::Frame(frame), &mut out);
            if let Some(Output::Authenticate { .. }) = out.back() {
                self.server.handle(now, Input::Verdict(Ok(accepted())), &mut out);
            }
        }
        let commands = out.into_iter().filter_map(|output| match output {
            Output::Command(command) => Some(command),
            Output::Close { reason, .. } => panic!("the broker closes: {reason}"),
            _ => None,
        });
        commands.collect()
    }

    fn settles(&mut self) -> Vec<Settle> {
        let settles = self.commands().into_iter().map(|command| match command {
            Command::Settle(settle) => settle,
            other => panic!("not a settlement: {other:?}"),
        });
        settles.collect()
    }

    fn jobs(&mut self, consumer: u64, offsets: std::ops::RangeInclusive<u64>) -> Vec<Job> {
        for offset in offsets {
            self.rig.lane(job(consumer, 7, offset));
        }
        let jobs = self.rig.events.iter().filter_map(|event| match event {
            Event::Job(job) => Some(job.clone()),
            _ => None,
        });
        let jobs = jobs.collect();
        self.rig.forget();
        jobs
    }

    /// A new connection, and the broker's new session for it.
    fn reconnect(&mut self, boot: u64) {
        self.rig.reconnect(boot);
        self.server = Server::new(self.rig.now);
    }

    fn settle(&mut self, job: &Job, verdict: Verdict<'_>) -> u64 {
        self.rig.client.settle(&job.id, verdict).expect("held")
    }

    fn answers(&self) -> Vec<(u64, Told)> {
        let answers = self.rig.events.iter().filter_map(|event| match event {
            Event::Answered { number, result: Ok(Answer::Settled { late }) } => {
                Some((*number, Ok(*late)))
            }
            Event::Answered { number, result: Err(failure) } => {
                Some((*number, Err((failure.cause, failure.may_have_happened))))
            }
            _ => None,
        });
        answers.collect()
    }
}

fn accepted() -> Accepted {
    Accepted {
        user: "u".into(),
        role: "service".into(),
        expires_ms: 1 << 40,
        session: 1,
        boot: 1,
        payload_bytes_max: 1 << 20,
        subscriptions_max: 10,
        keep_alive: Duration::from_secs(10),
    }
}

fn consume(window: u32) -> Consume {
    Consume {
        group: "packers".to_owned(),
        pattern: "order.*".to_owned(),
        start: Start::Since(0),
        window,
        order: 2,
        ack_wait_ms: 5000,
        attempts_max: 3,
    }
}

fn job(consumer: u64, topic_id: u64, offset: u64) -> Bytes {
    let mut attributes = BytesMut::new();
    attribute::put(&mut attributes, Tag::Key, b"k");
    attribute::put_number(&mut attributes, Tag::Consumer, consumer);
    attribute::put_number(&mut attributes, Tag::Attempt, 2);
    attribute::put_number(&mut attributes, Tag::Epoch, 3);
    let header = Header { topic_id, ..Header::new(Kind::Job).number(offset) };
    header.to_frame(&attributes, b"x").expect("small")
}

fn settled(last: u64, count: u64, late: bool) -> Bytes {
    let mut attributes = BytesMut::new();
    attribute::put_number(&mut attributes, Tag::Count, count);
    let flags = if late { flag::LATE } else { 0 };
    let header = Header { flags, ..Header::new(Kind::Settled).number(last) };
    header.to_frame(&attributes, &[]).expect("small")
}

#[test]
fn a_consumer_is_asked_for_again_on_every_connection() {
    let (mut pair, consumer) = Pair::consuming(100);
    for boot in [1, 2] {
        pair.reconnect(boot);
        let [Command::Consume(asked)] = &pair.commands()[..] else { panic!("not asked for") };
        assert_eq!((asked.number, asked.window), (consumer, 100));
        assert_eq!(asked.group, topic("packers"));
        assert_eq!(asked.ack_wait, Some(Duration::from_secs(5)));
        assert_eq!(asked.attempts_max.map(u32::from), Some(3));
    }
}

#[test]
fn a_refused_consumer_ends_with_its_code() {
    let mut pair = Pair::new();
    let consumer = pair.rig.client.consume(consume(1)).expect("room");
    assert_eq!(pair.commands().len(), 1);
    let body = control::refused(Code::GROUP_DIFFERS, 0, "reads another pattern");
    pair.rig.control(control::encode(&body, consumer).expect("small"));
    let ended = pair.rig.events.iter().any(|event| {
        matches!(event, Event::Ended { number, failure }
            if *number == consumer && failure.code == Code::GROUP_DIFFERS)
    });
    assert!(ended, "{:?}", pair.rig.events);
    pair.reconnect(1);
    assert!(pair.commands().is_empty());
}

#[test]
fn a_consume_that_cannot_be_sent_is_not_taken() {
    let mut pair = Pair::new();
    let wide = Consume { window: 10_001, ..consume(0) };
    let not_taken = pair.rig.client.consume(wide);
    assert!(matches!(not_taken, Err(NotTaken::TooLarge { field: "window", .. })));
}

#[test]
fn a_job_carries_its_message_and_is_settled_by_its_parts() {
    let (mut pair, consumer) = Pair::consuming(10);
    let jobs = pair.jobs(consumer, 4..=4);
    let [job] = &jobs[..] else { panic!("{} jobs", jobs.len()) };
    assert_eq!((&job.message.topic, job.message.epoch, job.attempt), (&topic("order.1"), 3, 2));
    assert_eq!(job.message.frame.header.number, 4);
    let hour = Duration::from_secs(3600);
    let cases = [
        (Verdict::Ack, Settlement::Ack, None, ""),
        (Verdict::AckThrough, Settlement::Ack, None, ""),
        (Verdict::Nak { delay: Some(hour), reason: "no" }, Settlement::Nak, Some(hour), "no"),
        (Verdict::Nak { delay: None, reason: "" }, Settlement::Nak, None, ""),
        (Verdict::Release, Settlement::Release, None, ""),
        (Verdict::Reject { reason: "bad" }, Settlement::Reject, None, "bad"),
        (Verdict::Extend { by: Some(hour) }, Settlement::Extend, Some(hour), ""),
    ];
    for (verdict, settlement, delay, reason) in cases {
        let number = pair.settle(job, verdict);
        let expected = Settle {
            number,
            consumer,
            topic_id: 7,
            epoch: 3,
            from: 4,
            to: 4,
            attempt: 2,
            is_cumulative: verdict == Verdict::AckThrough,
            settlement,
            delay,
            reason: reason.to_owned(),
        };
        assert_eq!(pair.settles(), [expected]);
    }
}

#[test]
fn acks_of_offsets_that_meet_share_one_settle_and_its_answer() {
    let (mut pair, consumer) = Pair::consuming(10);
    let jobs = pair.jobs(consumer, 1..=6);
    let numbers: Vec<u64> = [0, 1, 2, 4, 5].map(|at| pair.settle(&jobs[at], Verdict::Ack)).into();
    let parts: Vec<_> = pair.settles().into_iter().map(|s| (s.number, s.from, s.to)).collect();
    let (first, second) = (numbers[0], numbers[3]);
    assert_eq!(parts, [(first, 1, 3), (second, 5, 6)]);
    assert_eq!(numbers, [first, first, first, second, second]);
    // What was sent is not added to.
    assert_ne!(pair.settle(&jobs[3], Verdict::Ack), second);
    pair.rig.control(settled(second, second - first + 1, false));
    assert_eq!(pair.answers(), [(first, Ok(false)), (second, Ok(false))]);
    assert_eq!(pair.rig.client.unsettled(), 1);
}

#[test]
fn acks_of_different_attempts_share_nothing() {
    let (mut pair, consumer) = Pair::consuming(10);
    let mut jobs = pair.jobs(consumer, 1..=3);
    jobs[1].id.attempt += 1;
    for job in &jobs {
        pair.settle(job, Verdict::Ack);
    }
    let parts: Vec<_> = pair.settles().into_iter().map(|s| (s.from, s.to, s.attempt)).collect();
    assert_eq!(parts, [(1, 1, 2), (2, 2, 3), (3, 3, 2)]);
}

#[test]
fn a_later_ack_through_takes_the_place_of_one_that_waits() {
    let (mut pair, consumer) = Pair::consuming(10);
    let jobs = pair.jobs(consumer, 1..=3);
    for job in &jobs {
        pair.settle(job, Verdict::AckThrough);
    }
    let settles = pair.settles();
    assert_eq!(settles.iter().map(|s| (s.from, s.to)).collect::<Vec<_>>(), [(3, 3)]);
    assert!(settles[0].is_cumulative);
}

#[test]
fn late_and_refused_settlements_are_told_apart() {
    let (mut pair, consumer) = Pair::consuming(10);
    let jobs = pair.jobs(consumer, 1..=3);
    let late = pair.settle(&jobs[0], Verdict::Ack);
    let refused = pair.settle(&jobs[2], Verdict::Release);
    assert_eq!(pair.settles().len(), 2);
    pair.rig.control(settled(late, 1, true));
    let body = control::refused(Code::NOT_DELIVERED, 0, "");
    pair.rig.control(control::encode(&body, refused).expect("small"));
    assert_eq!(pair.answers(), [(late, Ok(true)), (refused, Err((Cause::Refused, false)))]);
}

#[test]
fn only_acks_outlive_a_connection() {
    let (mut pair, consumer) = Pair::consuming(10);
    let jobs = pair.jobs(consumer, 1..=5);
    let ack = pair.settle(&jobs[0], Verdict::Ack);
    let nak = pair.settle(&jobs[2], Verdict::Nak { delay: None, reason: "" });
    assert_eq!(pair.settles().len(), 2);
    pair.reconnect(1);
    assert_eq!(pair.answers(), []);
    // One that is made of an earlier connection's job joins them; what else is said is void.
    let more = pair.settle(&jobs[3], Verdict::Ack);
    assert_eq!(pair.rig.client.settle(&jobs[4].id, Verdict::Release), Err(NotTaken::NotHeld));
    let commands = pair.commands();
    let [Command::Consume(_), Command::Settle(first), Command::Settle(second)] = &commands[..]
    else {
        panic!("{commands:?}")
    };
    assert_eq!((first.number, first.to, second.number, second.to), (ack, 1, more, 4));
    assert_ne!(nak, more);
}

#[test]
fn what_is_lost_with_a_connection_is_told() {
    let (mut pair, consumer) = Pair::consuming(10);
    let jobs = pair.jobs(consumer, 1..=2);
    let ack = pair.settle(&jobs[0], Verdict::Ack);
    assert_eq!(pair.settles().len(), 1);
    let nak = pair.settle(&jobs[1], Verdict::Nak { delay: None, reason: "" });
    pair.rig.drain();
    pair.rig.lose(None);
    let lost = |event: &Event| matches!(event, Event::JobsLost { consumer: of } if *of == consumer);
    assert_eq!(pair.rig.events.iter().filter(|event| lost(event)).count(), 1);
    assert_eq!(pair.answers(), [(nak, Err((Cause::Lost, true)))]);
    pair.rig.wait();
    pair.rig.forget();
    pair.rig.accept(2);
    assert_eq!(pair.answers(), [(ack, Err((Cause::Lost, true)))], "its topic id is void");
}

#[test]
fn a_job_of_an_earlier_broker_process_is_acked_once_its_topic_is_named_again() {
    let (mut pair, consumer) = Pair::consuming(10);
    let jobs = pair.jobs(consumer, 1..=2);
    pair.reconnect(2);
    assert_eq!(pair.rig.client.settle(&jobs[0].id, Verdict::Ack), Err(NotTaken::NotHeld));
    assert_eq!(pair.commands().len(), 1);
    pair.rig.name(91, "order.1", Class::Durable, 3, 0);
    pair.settle(&jobs[0], Verdict::Ack);
    assert_eq!(pair.settles().iter().map(|s| s.topic_id).collect::<Vec<_>>(), [91]);
}

#[test]
fn a_pull_is_made_up_to_its_count_and_again_after_a_reconnect() {
    let (mut pair, consumer) = Pair::consuming(0);
    let pulls = |commands: Vec<Command>| -> Vec<(u64, u64)> {
        let pulls = commands.into_iter().filter_map(|command| match command {
            Command::Pull { number, count } => Some((number, count)),
            _ => None,
        });
        pulls.collect()
    };
    pair.rig.client.pull(consumer, 10);
    assert_eq!(pulls(pair.commands()), [(consumer, 10)]);
    assert_eq!(pair.jobs(consumer, 1..=4).len(), 4);
    pair.rig.client.pull(consumer, 10);
    assert_eq!(pulls(pair.commands()), [(consumer, 4)]);
    pair.rig.client.pull(consumer, 5);
    assert_eq!(pulls(pair.commands()), []);
    pair.reconnect(1);
    assert_eq!(pulls(pair.commands()), [(consumer, 10)]);
}

#[test]
fn a_consumer_that_quits_leaves_after_what_it_has_settled() {
    let (mut pair, consumer) = Pair::consuming(10);
    let jobs = pair.jobs(consumer, 1..=2);
    let ack = pair.settle(&jobs[0], Verdict::Ack);
    pair.rig.client.cancel(consumer);
    let commands = pair.commands();
    let [Command::Settle(settle), Command::Leave { number }] = &commands[..] else {
        panic!("{commands:?}")
    };
    assert_eq!((settle.number, *number), (ack, consumer));
    assert_eq!(pair.rig.client.settle(&jobs[1].id, Verdict::Ack), Err(NotTaken::NotHeld));
    pair.rig.control(settled(ack, 1, false));
    assert_eq!(pair.answers(), [(ack, Ok(false))]);
    pair.rig.lane(job(consumer, 7, 9));
    assert!(!pair.rig.events.iter().any(|event| matches!(event, Event::Job(_))));
    assert!(pair.rig.closes.is_empty());
}

#[test]
fn a_close_hands_jobs_back_before_it() {
    let (mut pair, consumer) = Pair::consuming(10);
    pair.jobs(consumer, 1..=2);
    pair.rig.client.close();
    pair.rig.drain();
    let kinds: Vec<_> = pair.rig.control.iter().map(|frame| frame.header.kind).collect();
    assert_eq!(kinds, [Kind::Leave, Kind::Close]);
}

#[test]
fn a_client_that_moves_hands_its_jobs_back_and_acks_on_the_next_connection() {
    let (mut pair, consumer) = Pair::consuming(10);
    let jobs = pair.jobs(consumer, 1..=2);
    let body = GoAway {
        code: Code::GOING_AWAY.0,
        reconnect_within_ms: 100,
        close_after_ms: 5000,
        reason: String::new(),
    };
    pair.rig.control(control::encode(&body, 0).expect("small"));
    let attempts = pair.rig.connects.len();
    pair.rig.pass(Duration::from_millis(120));
    assert!(matches!(&pair.commands()[..], [Command::Leave { number }] if *number == consumer));
    assert_eq!(pair.rig.connects.len(), attempts, "the broker is given time to hear of it");
    let ack = pair.settle(&jobs[0], Verdict::Ack);
    assert!(pair.commands().is_empty());
    pair.rig.wait();
    pair.rig.forget();
    pair.rig.accept(1);
    pair.server = Server::new(pair.rig.now);
    let commands = pair.commands();
    assert!(
        matches!(&commands[..], [Command::Consume(_), Command::Settle(s)] if s.number == ack),
        "{commands:?}"
    );
}

#[test]
fn a_topic_named_for_jobs_says_nothing_of_a_subscription() {
    let (mut pair, consumer) = Pair::consuming(10);
    let subscription = pair.rig.client.subscribe(pattern("order.2"), Start::Now);
    let subscription = subscription.expect("room");
    pair.rig.name(8, "order.2", Class::Durable, 3, 5);
    pair.rig.deliver(8, 5);
    pair.rig.name(8, "order.2", Class::Durable, 3, 0);
    pair.rig.deliver(8, 6);
    assert_eq!(pair.rig.offsets(subscription), [5, 6]);
    pair.rig.forget();
    pair.rig.name(9, "order.3", Class::Durable, 3, 1);
    pair.rig.lane(job(consumer, 9, 1));
    let named = pair
        .rig
        .events
        .iter()
        .any(|event| matches!(event, Event::Job(job) if job.message.topic == topic("order.3")));
    assert!(named, "a topic named for delivery is known to jobs too");
}

#[test]
fn a_broker_that_hands_out_what_cannot_be_is_left() {
    let bare = Header { topic_id: 7, ..Header::new(Kind::Job).number(1) };
    let zero = settled(0, 1, false);
    let cases = [
        (Channel::Lane, job(1, 99, 1)),
        (Channel::Lane, bare.to_frame(&[], b"x").expect("small")),
        (Channel::Control, zero),
        (Channel::Control, settled(3, 4, false)),
    ];
    for (channel, bytes) in cases {
        let (mut pair, _) = Pair::consuming(10);
        let frame = Frame::decode(bytes, 1 << 20).expect("one frame");
        let connection = pair.rig.connection();
        pair.rig.client.frame(pair.rig.now, connection, channel, frame);
        pair.rig.drain();
        assert_eq!(pair.rig.closes, [Code::PROTOCOL], "{channel:?}");
    }
}

#[test]
fn settlements_are_bounded() {
    let (mut pair, consumer) = Pair::consuming(10);
    let jobs = pair.jobs(consumer, 1..=3);
    for at in 0..SETTLEMENTS_MAX {
        // Offsets that do not meet share nothing.
        pair.settle(&jobs[at % 2 * 2], Verdict::Ack);
    }
    assert_eq!(pair.rig.client.settle(&jobs[0].id, Verdict::Release), Err(NotTaken::Full));
    assert_eq!(pair.settles().len(), SETTLEMENTS_MAX);
}
