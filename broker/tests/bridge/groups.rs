//! Groups on a WebSocket: jobs, what becomes of them, and who gets what is handed back.

use std::collections::VecDeque;

use sampan::auth::Role;
use serde_json::{Value, json};

use crate::harness::{Broker, Socket};

/// A consumer with id 1, and what it has been handed meanwhile.
struct Worker {
    socket: Socket,
    jobs: VecDeque<Value>,
}

impl Worker {
    async fn new(broker: &Broker, token: &str, window: u32) -> Self {
        let mut socket = broker.live(token).await;
        let consume =
            json!({"group": "packing", "topic": "order.*", "window": window, "last": 100});
        socket.say(&json!({"id": 1, "consume": consume})).await;
        let mut worker = Worker { socket, jobs: VecDeque::new() };
        assert_eq!(worker.answer().await, json!({"id": 1, "done": {}}));
        worker
    }

    /// The next answer; jobs that come before it wait.
    async fn answer(&mut self) -> Value {
        loop {
            let heard = self.socket.hear().await;
            match heard.get("job") {
                Some(job) => self.jobs.push_back(job.clone()),
                None => return heard,
            }
        }
    }

    /// The next job.
    async fn job(&mut self) -> Value {
        match self.jobs.pop_front() {
            Some(job) => job,
            None => self.socket.hear_of("job").await["job"].clone(),
        }
    }

    async fn ask(&mut self, id: u32, operation: &str, body: Value) -> Value {
        self.socket.say(&json!({"id": id, operation: body})).await;
        self.answer().await
    }

    async fn settle(&mut self, id: u32, job: &Value, act: &str) {
        let settle = json!({"handle": job["handle"], "act": act});
        let settled = json!({"id": id, "settled": {"late": false}});
        assert_eq!(self.ask(id, "settle", settle).await, settled, "{act}");
    }
}

async fn publish(broker: &Broker, token: &str, payloads: std::ops::Range<u32>) {
    let message = |n| json!({"topic": "order.1", "payload": n, "headers": [["trace", "t"]]});
    let messages: Vec<Value> = payloads.map(message).collect();
    let reply = broker.post(token, "/v1/publish/batch", &json!({"messages": messages})).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
}

#[tokio::test]
async fn jobs_come_within_the_window_and_are_settled_one_by_one_or_together() {
    let broker = Broker::start();
    let token = broker.token("till", Role::Service);
    publish(&broker, &token, 0..6).await;
    let mut worker = Worker::new(&broker, &token, 3).await;
    let mut jobs = Vec::new();
    for n in 0..3 {
        let job = worker.job().await;
        assert_eq!((&job["consumer"], &job["attempt"]), (&1.into(), &1.into()));
        assert_eq!(job["message"]["payload"], n);
        assert_eq!(job["message"]["headers"], json!([["trace", "t"]]));
        jobs.push(job);
    }
    worker.settle(2, &jobs[2], "ack_through").await;
    for n in 3..6 {
        let job = worker.job().await;
        assert_eq!(job["message"]["payload"], n);
        jobs.push(job);
    }
    worker.settle(3, &jobs[3], "extend").await;
    worker.settle(4, &jobs[3], "ack").await;
    worker.settle(5, &jobs[4], "reject").await;
    let nak = json!({"handle": jobs[5]["handle"], "act": "nak", "delay_ms": 1, "reason": "busy"});
    assert_eq!(worker.ask(6, "settle", nak).await["settled"]["late"], false);
    let again = worker.job().await;
    assert_eq!((&again["attempt"], &again["message"]["payload"]), (&2.into(), &5.into()));
    worker.settle(7, &again, "ack").await;
    let letters = broker.get(&token, "/v1/dead-letters?group=packing").await.json();
    assert_eq!(letters["letters"].as_array().map(Vec::len), Some(1), "{letters}");
}

#[tokio::test]
async fn what_a_worker_leaves_or_loses_goes_to_others() {
    let broker = Broker::start();
    let token = broker.token("till", Role::Service);
    publish(&broker, &token, 0..1).await;
    let mut left = Worker::new(&broker, &token, 1).await;
    let job = left.job().await;
    assert_eq!(left.ask(1, "leave", json!({})).await, json!({"id": 1, "done": {}}));
    let mut lost = Worker::new(&broker, &token, 1).await;
    assert_eq!(lost.job().await["attempt"], 1, "handing back is no attempt");
    drop(lost);
    let mut last = Worker::new(&broker, &token, 1).await;
    let after_loss = last.job().await;
    assert_eq!(after_loss["attempt"], 2, "a lost connection is one");
    let late = json!({"handle": job["handle"], "act": "nak"});
    let answer = left.ask(2, "settle", late).await;
    assert!(answer["error"].is_object(), "who has left settles nothing: {answer}");
    last.settle(2, &after_loss, "ack").await;
}

#[tokio::test]
async fn a_consumer_without_a_window_gets_what_it_pulls() {
    let broker = Broker::start();
    let token = broker.token("till", Role::Service);
    publish(&broker, &token, 0..3).await;
    let mut worker = Worker::new(&broker, &token, 0).await;
    worker.socket.say(&json!({"id": 1, "pull": {"count": 2}})).await;
    for n in 0..2 {
        let job = worker.job().await;
        assert_eq!(job["message"]["payload"], n);
        worker.settle(10 + n, &job, "ack").await;
    }
    let refused = worker.ask(5, "pull", json!({"count": 1})).await;
    assert!(refused["error"]["code"].is_u64(), "no such consumer: {refused}");
    worker.socket.say(&json!({"id": 1, "pull": {"count": 1}})).await;
    assert_eq!(worker.job().await["message"]["payload"], 2);
}

#[tokio::test]
async fn a_customer_takes_part_in_no_group() {
    let broker = Broker::start();
    let mut socket = broker.live(&broker.token("ann", Role::Customer)).await;
    let consume = json!({"group": "packing", "topic": "order.*"});
    socket.say(&json!({"id": 1, "consume": consume})).await;
    assert_eq!(socket.hear().await["error"]["code"], 200);
}
