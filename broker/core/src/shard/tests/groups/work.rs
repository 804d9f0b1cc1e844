//! Workers: who is given what, and in which order.

use super::*;

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
    let mut worker = world.client(1, "w", Role::Service);
    world.order("0 1 2 3 4 5 6 7 8");
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
fn a_worker_that_vanishes_has_failed_and_one_that_leaves_has_not() {
    let mut world = world();
    let mut worker = world.client(1, "w", Role::Service);
    world.order("a");
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
fn settles_of_what_was_never_handed_out_and_of_unknown_consumers_are_refused() {
    let mut world = world();
    let mut worker = world.client(1, "w", Role::Service);
    world.order("a b");
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
