//! Chats while their database dies: nothing that was answered is lost, and nobody else notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sampan::auth::Role;
use sampan_client::{Client, Code, Delivery, Message, Start};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::asking::{ask, ask_in_time, topic};
use crate::chat::{agent, open, send};
use crate::harness::{PATIENCE, pattern};
use crate::houses::House;

const CUSTOMERS: usize = 8;
const LINES: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_postgresql_loses_no_message_and_delays_no_other_topic() {
    outage(House::on_postgresql()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_mongod_loses_no_message_and_delays_no_other_topic() {
    outage(House::on_mongodb()).await;
}

/// Sends every line until it is answered.
async fn talk(customer: Client, id: String, sent: Arc<AtomicUsize>, refused: Arc<AtomicUsize>) {
    for number in 0..LINES {
        let (key, begun) = (format!("m{number}"), Instant::now());
        loop {
            match send(&customer, &id, &key, &format!("line {number}")).await {
                Ok(_) => break,
                Err(error) => {
                    let is_fair = error.is_retryable() && error.code() == Some(Code::BUSY);
                    assert!(is_fair && begun.elapsed() < PATIENCE, "{error}");
                    refused.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
        sent.fetch_add(1, Ordering::Relaxed);
        sleep(Duration::from_millis(10)).await;
    }
}

async fn outage(mut house: House) {
    let broker = house.broker("");
    let amy = agent(&broker, "amy", 100).await;
    let (sent, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (mut talks, mut ids) = (JoinSet::new(), Vec::new());
    for number in 0..CUSTOMERS {
        let customer = broker.client(&format!("customer{number}"), Role::Customer).await;
        let id = open(&customer, "c1").await;
        ids.push(id.clone());
        talks.spawn(talk(customer, id, sent.clone(), refused.clone()));
    }
    let reaches = async |count: &AtomicUsize, wanted: usize| {
        let begun = Instant::now();
        while count.load(Ordering::Relaxed) < wanted {
            assert!(begun.elapsed() < PATIENCE, "{}", count.load(Ordering::Relaxed));
            sleep(Duration::from_millis(5)).await;
        }
    };
    reaches(&sent, CUSTOMERS * LINES / 4).await;
    house.kill();
    let backend = broker.client("shop", Role::Service).await;
    let mut orders = backend.subscribe(pattern("order.1"), Start::Now).await.expect("subscribed");
    for number in 0..20 {
        backend.publish(Message::new(topic("order.1"), number.to_string())).await.expect("synced");
        let heard = timeout(PATIENCE, orders.next()).await.expect("in time");
        assert!(matches!(heard, Some(Delivery::Message(_))), "{heard:?}");
    }
    // Everyone has asked in vain at least once.
    reaches(&refused, CUSTOMERS).await;
    house.start_again();
    talks.join_all().await;
    let texts = |list: &Value| -> Vec<String> {
        let all = list["messages"].as_array().expect("a list").iter();
        all.filter_map(|one| one["content"]["text"].as_str().map(str::to_owned)).collect()
    };
    let wanted: Vec<String> = (0..LINES).map(|number| format!("line {number}")).collect();
    for id in &ids {
        let page = json!({ "conversation_id": id });
        let stored = ask_in_time(&amy, "chat.history", &page).await.expect("read");
        assert_eq!(texts(&stored), wanted, "stored, each once and in order");
        let name = format!("chat.conversation.{id}");
        let mut told = amy.subscribe(pattern(&name), Start::Last(1_000)).await.expect("read");
        let mut heard = Vec::new();
        while heard.len() < LINES {
            let next = timeout(PATIENCE, told.next()).await.expect("in time").expect("open");
            let Delivery::Message(message) = next else { panic!("{next:?}") };
            if message.event() == Some("message:receive") {
                let line: Value = serde_json::from_slice(&message.payload()).expect("JSON");
                heard.extend(line["content"]["text"].as_str().map(str::to_owned));
            }
        }
        assert_eq!(heard, wanted, "told, each once and in order");
    }
    let of = json!({ "conversation_id": ids[0] });
    ask(&amy, "chat.get", &of).await.expect("it goes on without a restart");
}
