//! Chat's events from MongoDB, whoever is killed.

use std::time::Duration;

use sampan::auth::Role;
use sampan_services::chat::model::{Content, Conversation, Kind, Message, Origin, Receipt, Sender};
use sampan_services::chat::rules::lifecycle::{self, Event};
use sampan_services::chat::store::{Created, MongoStore, Outcome, Step, Store};
use sampan_services::store::{Address, Mongo};
use sampan_services::{Id, Moment};
use sampan_tests::servers;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::harness::{Broker, PATIENCE};
use crate::services::{Process, WITHOUT, told_in_time};

const NOW: Moment = Moment::from_ms(1_700_000_000_000);
const MESSAGES: u32 = 60;

/// Says something in a conversation; again until it is stored.
async fn say(store: &MongoStore, conversation_id: &str, key: &str) {
    let said = Message {
        id: Id::new().to_string(),
        conversation_id: conversation_id.to_owned(),
        seq: 0,
        client_message_id: key.to_owned(),
        sender_id: "cat".to_owned(),
        sender_type: Sender::Customer,
        content: Content { text: Some(key.to_owned()), ..Content::default() },
        message_type: Kind::Text,
        status: Receipt::Sent,
        created_at: NOW,
        updated_at: NOW,
        epoch: 0,
        reply_to: None,
        private: false,
        edited_at: None,
        deleted_at: None,
    };
    let begun = Instant::now();
    loop {
        let stored = async {
            let before = store.conversation(conversation_id).await?.expect("there");
            let change = lifecycle::step(&before, Event::CustomerWrote, NOW).expect("it is open");
            store.apply(&Step::new(change, NOW).message(said.clone())).await
        };
        match stored.await {
            Ok(Outcome::Done(_) | Outcome::Repeated(_)) => return,
            Ok(Outcome::Moved) => {}
            Err(error) if error.is_retryable() && begun.elapsed() < PATIENCE => {}
            other => panic!("{other:?}"),
        }
    }
}

fn key(payload: String) -> String {
    let message: Message = serde_json::from_str(&payload).expect("a message");
    message.client_message_id
}

fn keys(count: u32) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

/// Two processes share the database; each is stopped dead once, the broker twice, and mongod once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_mongodb_leave_once_and_in_order_whoever_is_killed() {
    let (mut server, folder) = (servers::Mongo::start(), TempDir::new().expect("a folder"));
    let chat = Address::new(&server.database());
    let sql = Address::sqlite(&folder.path().join("services.db"));
    let store = MongoStore::new(&Mongo::open(&chat).expect("a valid address"));
    store.prepare().await.expect("prepared");
    let mut broker = Broker::configured(WITHOUT);
    let process = |broker: &Broker| {
        Process::with_chat(&sql, Some(chat.clone()), broker.options("shop", Role::Service))
    };
    let mut one = process(&broker);
    let mut writers = JoinSet::new();
    for id in ["c1", "c2", "c3"] {
        let it = Conversation::new(id, "cat", Origin::default(), NOW);
        assert_eq!(store.create(&it, None, &[]).await, Ok(Created::New));
        let store = store.clone();
        writers.spawn(async move {
            for key in keys(MESSAGES) {
                say(&store, id, &key).await;
                sleep(Duration::from_millis(20)).await;
            }
        });
    }
    let two = process(&broker);
    broker = broker.crash_and_restart();
    drop(one);
    server.kill();
    server.start_again();
    one = process(&broker);
    broker = broker.crash_and_restart();
    drop(two);
    writers.join_all().await;
    let reader = broker.client("boss", Role::Admin).await;
    for id in ["c1", "c2", "c3"] {
        told_in_time(&reader, &format!("chat.conversation.{id}"), &keys(MESSAGES), key).await;
    }
    drop(one);
}

/// The broker that has the address from a file goes on without the database, says so, and needs no
/// restart.
#[tokio::test]
async fn a_killed_mongod_stops_the_services_and_nothing_else() {
    let (mut server, folder) = (servers::Mongo::start(), TempDir::new().expect("a folder"));
    let (address, file) = (server.database(), folder.path().join("address"));
    std::fs::write(&file, format!("{address}\n")).expect("written");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, private).expect("set");
    let config = format!("[services]\nchat_database_file = '{}'\n", file.display());
    let broker = Broker::configured(&config);
    let ready = async |words: &str| {
        let begun = Instant::now();
        while !broker.http_get("/readyz").1.contains(words) {
            assert!(begun.elapsed() < PATIENCE, "{:?}", broker.http_get("/readyz"));
            sleep(Duration::from_millis(50)).await;
        }
    };
    ready("ready\n").await;
    let store = MongoStore::new(&Mongo::open(&Address::new(&address)).expect("a valid address"));
    let it = Conversation::new("c1", "cat", Origin::default(), NOW);
    assert_eq!(store.create(&it, None, &[]).await, Ok(Created::New));
    say(&store, "c1", "0").await;
    let reader = broker.client("boss", Role::Admin).await;
    told_in_time(&reader, "chat.conversation.c1", &keys(1), key).await;
    server.kill();
    ready("without services: the database is not available").await;
    server.start_again();
    say(&store, "c1", "1").await;
    told_in_time(&reader, "chat.conversation.c1", &keys(2), key).await;
    ready("ready\n").await;
}
