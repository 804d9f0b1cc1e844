//! Consumers of a group of a broker in the same process.

mod fake;

use std::sync::Arc;
use std::time::Duration;

use fake::{Fake, TOKEN};
use protocol::control::Settlement::{Ack, Extend, Nak, Reject, Release};
use sampan_client::{
    Client, Code, Consumer, Error, Failure, Job, Message, Options, Pattern, Receipt, State, Token,
    Topic,
};
use tokio::sync::mpsc;

/// How long what must happen may take. Not a measure of speed.
const PATIENCE: Duration = Duration::from_secs(10);

async fn attach(broker: &Fake) -> Client {
    let options = Options { seed: Some(7), ..Options::new("", Token::Static(TOKEN.to_owned())) };
    Client::attach(Arc::new(broker.clone()), options).await.expect("attached")
}

fn work() -> Pattern {
    Pattern::parse("work.*").expect("valid")
}

async fn publish(client: &Client, payloads: &[&'static str]) {
    for payload in payloads {
        let topic = Topic::parse("work.a").expect("valid");
        client.publish(Message::new(topic, *payload).key("k")).await.expect("acked");
    }
}

async fn next(consumer: &mut Consumer) -> Job {
    let next = tokio::time::timeout(PATIENCE, consumer.next());
    next.await.expect("in time").expect("not ended")
}

async fn until(mut is_so: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    waited.await.expect("in time");
}

#[tokio::test]
async fn a_job_reads_like_its_message_and_every_word_reaches_the_broker() {
    let broker = Fake::new();
    let client = attach(&broker).await;
    publish(&client, &["1", "2", "3", "4", "5", "6"]).await;
    let mut consumer = client.consume("g", work()).window(10).await.expect("joined");
    let job = next(&mut consumer).await;
    assert_eq!(
        (job.topic().as_str(), job.offset(), job.epoch(), job.attempt()),
        ("work.a", 1, 1, 1)
    );
    assert_eq!((job.key(), job.payload_bytes()), (Some("k"), &b"1"[..]));
    job.extend(PATIENCE).await.expect("stored");
    assert_eq!(job.ack().await, Ok(Receipt { late: false }));
    next(&mut consumer).await.nak(Some(PATIENCE), "later").await.expect("stored");
    next(&mut consumer).await.release().await.expect("stored");
    next(&mut consumer).await.reject("never").await.expect("stored");
    next(&mut consumer).await.defer();
    next(&mut consumer).await.ack_through().await.expect("stored");
    let text = str::to_owned;
    let expected = [
        (Extend, 1, text("")),
        (Ack, 1, text("")),
        (Nak, 2, text("later")),
        (Release, 3, text("")),
        (Reject, 4, text("never")),
        (Ack, 6, text("")),
    ];
    assert_eq!(broker.said(), expected);
}

#[tokio::test]
async fn a_job_that_is_dropped_has_failed_and_comes_again() {
    let broker = Fake::new();
    let client = attach(&broker).await;
    publish(&client, &["1"]).await;
    let mut consumer = client.consume("g", work()).await.expect("joined");
    drop(next(&mut consumer).await);
    let again = next(&mut consumer).await;
    assert_eq!(again.attempt(), 2);
    again.ack().await.expect("stored");
    assert_eq!(broker.said()[0], (Nak, 1, "dropped unsettled".to_owned()));
}

#[tokio::test]
async fn a_group_that_differs_is_an_error() {
    let broker = Fake::new();
    let client = attach(&broker).await;
    let refused = client.consume("forbidden", work()).await.expect_err("refused");
    assert_eq!(refused.code(), Some(Code::GROUP_DIFFERS));
    assert!(!refused.is_retryable() && !refused.may_have_happened());
    let invalid = client.consume("no spaces", work()).window(20_000).await.expect_err("not sent");
    assert!(matches!(invalid, Error::TooLarge { field: "window", .. }), "{invalid}");
}

#[tokio::test]
async fn batches_are_pulled_one_after_the_other() {
    let broker = Fake::new();
    let client = attach(&broker).await;
    publish(&client, &["1", "2", "3", "4", "5"]).await;
    let mut consumer = client.consume("g", work()).batch(2).await.expect("joined");
    let batch = consumer.next_batch(3, PATIENCE).await;
    assert_eq!(batch.iter().map(|job| job.offset()).collect::<Vec<_>>(), [1, 2, 3]);
    for job in batch {
        job.ack().await.expect("stored");
    }
    assert_eq!(next(&mut consumer).await.offset(), 4);
    let rest = consumer.next_batch(9, Duration::from_millis(50)).await;
    assert!(!rest.is_empty() && rest.len() < 9, "{}", rest.len());
}

#[tokio::test]
async fn a_batch_that_is_given_up_is_kept_until_its_connection_is_lost() {
    let broker = Fake::new();
    let client = attach(&broker).await;
    publish(&client, &["1", "2"]).await;
    let mut consumer = client.consume("g", work()).await.expect("joined");
    let short = Duration::from_millis(50);
    assert!(tokio::time::timeout(short, consumer.next_batch(3, PATIENCE)).await.is_err());
    let first = next(&mut consumer).await;
    assert_eq!((first.offset(), first.attempt()), (1, 1));
    first.ack().await.expect("stored");
    broker.cut(Code::GOING_AWAY);
    until(|| client.status().sessions == 2).await;
    let again = next(&mut consumer).await;
    assert_eq!((again.offset(), again.attempt()), (2, 2));
    again.ack().await.expect("stored");
    assert_eq!(broker.said(), [(Ack, 1, String::new()), (Ack, 2, String::new())]);
}

#[tokio::test]
async fn a_batch_has_no_more_than_was_asked_for_whatever_an_earlier_one_has_left() {
    let broker = Fake::new();
    let client = attach(&broker).await;
    publish(&client, &["1", "2", "3"]).await;
    let mut consumer = client.consume("g", work()).await.expect("joined");
    let short = Duration::from_millis(50);
    assert!(tokio::time::timeout(short, consumer.next_batch(4, PATIENCE)).await.is_err());
    for offsets in [&[1][..], &[2, 3]] {
        let batch = consumer.next_batch(offsets.len(), PATIENCE).await;
        assert_eq!(batch.iter().map(|job| job.offset()).collect::<Vec<_>>(), offsets);
    }
}

#[tokio::test]
async fn what_was_not_begun_is_forgotten_with_its_connection_and_acks_are_said_again() {
    let broker = Fake::new();
    let client = attach(&broker).await;
    publish(&client, &["1", "2", "3"]).await;
    let mut consumer = client.consume("g", work()).await.expect("joined");
    let first = next(&mut consumer).await;
    broker.lose_settled(1);
    let ack = first.ack();
    until(|| broker.said().len() == 1).await;
    broker.cut(Code::GOING_AWAY);
    assert_eq!(ack.await, Ok(Receipt { late: true }), "the broker had it the first time");
    let again = next(&mut consumer).await;
    assert_eq!((again.offset(), again.attempt()), (2, 2));
    again.ack().await.expect("stored");
    next(&mut consumer).await.ack().await.expect("stored");
    assert_eq!(broker.said().iter().filter(|said| *said == &(Ack, 1, String::new())).count(), 2);
}

#[tokio::test]
async fn a_job_of_a_broker_that_was_restarted_is_refused_until_its_topic_is_known() {
    let broker = Fake::new();
    let client = attach(&broker).await;
    publish(&client, &["1"]).await;
    let mut consumer = client.consume("g", work()).await.expect("joined");
    let job = next(&mut consumer).await;
    broker.restart();
    until(|| client.status().state != State::Live).await;
    let refused = job.nak(None, "").await.expect_err("taken back");
    assert_eq!(refused.code(), Some(Code::NOT_DELIVERED));
    assert!(!refused.is_retryable() && !refused.may_have_happened());
    let again = next(&mut consumer).await;
    assert_eq!(again.attempt(), 2);
    again.ack().await.expect("stored");
}

#[tokio::test]
async fn leaving_and_closing_hand_jobs_back() {
    let broker = Fake::new();
    let client = attach(&broker).await;
    publish(&client, &["1", "2"]).await;
    let mut consumer = client.consume("g", work()).await.expect("joined");
    let ack = next(&mut consumer).await.ack();
    consumer.leave().await.expect("stored");
    ack.await.expect("answered before the end");
    until(|| broker.consumers() == 0).await;
    let mut other = client.consume("g", work()).await.expect("joined");
    let held = next(&mut other).await;
    assert_eq!(held.offset(), 2);
    client.close().await.expect("flushed");
    assert!(other.next().await.is_none());
    assert_eq!(other.error().and_then(|error| error.code()), Some(Code::CLOSED));
    until(|| broker.consumers() == 0).await;
    assert_eq!(broker.said(), [(Ack, 1, String::new())], "what is handed back is not blamed");
}

#[tokio::test]
async fn handlers_are_given_values_and_their_results_are_said() {
    let broker = Fake::new();
    let client = attach(&broker).await;
    publish(&client, &["1", "2", "3", "\"four\"", "5"]).await;
    let consumer = client.consume("g", work()).window(1).await.expect("joined");
    let mut worker = consumer.handle(3, |job, value: u64| async move {
        match (value, job.attempt()) {
            (1, 1) => Err(Failure::retry("not yet")),
            (2, _) => Err(Failure::reject("no such thing")),
            (3, 1) => panic!("a bug"),
            _ => Ok(()),
        }
    });
    until(|| broker.said().len() == 7).await;
    let said = broker.said();
    let text = str::to_owned;
    assert_eq!(said[0], (Nak, 1, text("not yet")));
    assert_eq!(said[2], (Reject, 2, text("no such thing")));
    assert_eq!(said[3], (Nak, 3, text("the handler panicked")));
    assert_eq!((said[5].0, said[5].1), (Reject, 4));
    assert!(said[5].2.starts_with("the payload is not understood"), "{}", said[5].2);
    assert_eq!(said.iter().filter(|(verdict, _, _)| *verdict == Ack).count(), 3);
    client.close().await.expect("flushed");
    assert_eq!(worker.ended().await.expect_err("closed").code(), Some(Code::CLOSED));
}

#[tokio::test]
async fn a_worker_that_stops_sees_to_its_end_what_it_has_begun() {
    let broker = Fake::new();
    let client = attach(&broker).await;
    publish(&client, &["1", "2", "3"]).await;
    let consumer = client.consume("g", work()).await.expect("joined");
    let (begun, mut begins) = mpsc::unbounded_channel();
    let (go, gate) = tokio::sync::watch::channel(false);
    let worker = consumer.handle(1, move |_, value: u64| {
        let (begun, mut gate) = (begun.clone(), gate.clone());
        async move {
            begun.send(value).map_err(Failure::retry)?;
            gate.wait_for(|open| *open).await.map_err(Failure::retry)?;
            Ok(())
        }
    });
    assert_eq!(begins.recv().await, Some(1));
    let stopped = tokio::spawn(worker.stop());
    tokio::task::yield_now().await;
    go.send(true).expect("a handler waits");
    stopped.await.expect("no panic").expect("stored");
    assert_eq!(broker.said(), [(Ack, 1, String::new())]);
    until(|| broker.consumers() == 0).await;
    assert_eq!(begins.recv().await, None, "nothing more was begun");
}

#[tokio::test]
async fn a_worker_that_is_dropped_fails_what_it_works_on() {
    let broker = Fake::new();
    let client = attach(&broker).await;
    publish(&client, &["1", "2"]).await;
    let consumer = client.consume("g", work()).await.expect("joined");
    let (begun, mut begins) = mpsc::unbounded_channel();
    let worker = consumer.handle(1, move |_, value: u64| {
        let sent = begun.send(value).map_err(Failure::retry);
        async move {
            sent?;
            std::future::pending().await
        }
    });
    assert_eq!(begins.recv().await, Some(1));
    drop(worker);
    until(|| broker.consumers() == 0).await;
    // It left, or has failed its job first: either way both messages are free again.
    let mut other = client.consume("g", work()).await.expect("joined");
    assert_eq!(next(&mut other).await.attempt(), 2);
}
