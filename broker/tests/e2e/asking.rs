//! Questions to services, with JSON both ways.

use std::time::{Duration, Instant};

use sampan_client::{Client, Code, Error, Topic};
use serde_json::Value;
use tokio::time::sleep;

use crate::harness::PATIENCE;

pub(crate) fn topic(name: &str) -> Topic {
    Topic::parse(name).expect("a topic")
}

pub(crate) async fn ask(client: &Client, name: &str, question: &Value) -> Result<Value, Error> {
    ask_for(client, name, question, PATIENCE).await
}

async fn ask_for(
    client: &Client,
    name: &str,
    question: &Value,
    time: Duration,
) -> Result<Value, Error> {
    let reply = client.request(topic(name), question.to_string(), time).await?;
    Ok(serde_json::from_slice(&reply.payload()).expect("JSON"))
}

/// How long one who may have been stopped dead is waited for.
const TURN: Duration = Duration::from_secs(5);

/// Asks until the answer is no more that nobody answers, or that the answerer has no database.
pub(crate) async fn ask_in_time(
    client: &Client,
    name: &str,
    question: &Value,
) -> Result<Value, Error> {
    let begun = Instant::now();
    loop {
        match ask_for(client, name, question, TURN).await {
            Err(error) if error.is_retryable() && begun.elapsed() < PATIENCE => {
                sleep(Duration::from_millis(50)).await;
            }
            done => return done,
        }
    }
}

pub(crate) fn code(answer: Result<Value, Error>) -> Option<Code> {
    answer.expect_err("refused").code()
}
