//! What MongoDB has of its own: shapes of databases, and changes that are cut off half way.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mongodb::bson::{Document, doc};
use sampan_services::chat::model::{Content, EndReason, Message, Revision, Status, TransferTarget};
use sampan_services::chat::rules::lifecycle::{Event, step};
use sampan_services::chat::store::{MongoStore, Outcome, Page, Room, Step, Store};
use sampan_services::outbox::{Done, Open, Source};
use sampan_services::store::{Address, Error, Fault, Mongo};
use sampan_tests::servers;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::chat::{NOW, agent, claim, created, message};
use crate::sites::mongo_address;

async fn opened(address: &str) -> MongoStore {
    let store = MongoStore::new(&Mongo::open(&Address::new(address)).expect("a valid address"));
    store.prepare().await.expect("prepared");
    store
}

/// The database as the driver has it.
async fn raw(address: &str) -> mongodb::Database {
    let client = mongodb::Client::with_uri_str(address).await.expect("a client");
    client.default_database().expect("the address names it")
}

fn documents(database: &mongodb::Database, name: &str) -> mongodb::Collection<Document> {
    database.collection(name)
}

#[tokio::test]
async fn processes_that_start_at_once_prepare_a_database_and_a_newer_one_is_refused() {
    let address = mongo_address();
    let mut starting = JoinSet::new();
    for _ in 0..6 {
        let address = address.clone();
        starting.spawn(async move { opened(&address).await });
    }
    let store = starting.join_all().await.remove(0);
    let database = raw(&address).await;
    // What an older program had made goes.
    let messages = documents(&database, "messages");
    let index = mongodb::IndexModel::builder().keys(doc! { "words": 1 });
    let named = mongodb::options::IndexOptions::builder().name("words".to_owned()).build();
    messages.create_index(index.options(named).build()).await.expect("made");
    store.prepare().await.expect("prepared again");
    let names = messages.list_index_names().await.expect("listed");
    assert!(names.contains(&"words_newest".to_owned()) && !names.contains(&"words".to_owned()));
    let newer = doc! { "$set": { "version": 7 } };
    let schemas = documents(&database, "schemas");
    schemas.update_one(doc! { "_id": "chat" }, newer).await.expect("updated");
    let refused = store.prepare().await;
    assert_eq!(refused, Err(Error::Newer { schema: "chat", found: 7, known: 1 }));
}

#[tokio::test]
async fn an_address_that_cannot_be_is_the_operators_and_a_server_that_is_away_is_waited_for() {
    for url in ["mongodb://", "postgres://localhost/x", "mongodb://a:b@c:99999999/d"] {
        let refused = Mongo::open(&Address::new(url)).expect_err(url);
        assert_eq!(
            (refused.fault(), refused.is_retryable()),
            (Fault::Operator, false),
            "{refused}"
        );
    }
    let nobody = "mongodb://127.0.0.1:1/x?serverSelectionTimeoutMS=200";
    let away = Mongo::open(&Address::new(nobody)).expect("a valid address");
    let away = away.ping().await.expect_err("nobody is there");
    assert!(matches!(away, Error::Unavailable(_)) && away.is_retryable(), "{away}");
}

#[tokio::test]
async fn what_is_no_event_is_told_as_such_and_set_aside_before_others() {
    let address = mongo_address();
    let store = opened(&address).await;
    created(&store, "c1").await;
    let said = [message("c1", "cat", "k1", "hello")];
    sent(&store, "c1", &said).await.expect("sent");
    let database = raw(&address).await;
    let conversations = documents(&database, "conversations");
    let odd = doc! { "$push": { "pending": { "$position": 0, "$each": [
        { "id": "0", "topic": "", "name": "odd" },
        { "id": "1", "duty": "{\"kind\":\"sing\"}" },
    ] } } };
    conversations.update_one(doc! { "_id": "c1" }, odd).await.expect("updated");
    let open = store.open(&[]).await.expect("read");
    let readable: Vec<bool> = open.iter().map(|open| open.event.is_ok()).collect();
    assert_eq!(readable, [false, false, true]);
    let done = |open: Open<_>| Done {
        key: open.key,
        failure: open.event.err().map(|error| error.to_string()),
    };
    store.mark(open.into_iter().map(done).collect()).await.expect("marked");
    assert!(store.open(&[]).await.expect("read").is_empty());
    let refused = documents(&database, "refused");
    assert_eq!(refused.count_documents(doc! {}).await.expect("counted"), 2);
}

#[tokio::test]
async fn what_has_no_room_in_a_document_is_set_aside_before_others() {
    let address = mongo_address();
    let store = opened(&address).await;
    for id in ["c1", "c2"] {
        created(&store, id).await;
    }
    let long = message("c1", "cat", "k1", "first");
    sent(&store, "c1", std::slice::from_ref(&long)).await.expect("sent");
    publish_all(&store).await;
    let database = raw(&address).await;
    let full = doc! { "$push": { "revisions": "x".repeat((16 << 20) - 2_000) } };
    let messages = documents(&database, "messages");
    messages.update_one(doc! { "_id": &long.id }, full).await.expect("filled");
    let before = store.message(&long.id).await.expect("read").expect("there");
    let text = Some("y".repeat(5_000));
    let after = Message {
        content: Content { text, ..before.content.clone() },
        edited_at: Some(NOW),
        ..before.clone()
    };
    let revision = Revision { content: before.content.clone(), until: NOW };
    assert_eq!(store.rewrite(&before, &after, &revision).await, Ok(true), "it is on its way");
    sent(&store, "c2", &[message("c2", "cat", "k2", "hello")]).await.expect("sent");
    let open = store.open(&[]).await.expect("others go on");
    let (bad, good): (Vec<_>, Vec<_>) = open.into_iter().partition(|it| it.event.is_err());
    assert_eq!((bad.len(), good.len()), (1, 2));
    let set_aside = |it: Open<_>| Done { key: it.key, failure: Some("too large".to_owned()) };
    store.mark(bad.into_iter().map(set_aside).collect()).await.expect("marked");
    assert_eq!(store.messages("c1", Page::Last(9)).await, Ok(vec![before]), "as it was");
}

#[tokio::test]
async fn conversations_of_an_earlier_version_are_known_by_when_they_were_resolved() {
    let address = mongo_address();
    let store = opened(&address).await;
    created(&store, "c1").await;
    happen(&store, "c1", Event::Resolve, &[]).await.expect("resolved");
    let database = raw(&address).await;
    let forget = doc! { "$unset": { "resolved_at": "" } };
    let conversations = documents(&database, "conversations");
    conversations.update_one(doc! { "_id": "c1" }, forget).await.expect("updated");
    assert_eq!(store.rested(NOW, NOW, 9).await, Ok(Vec::new()));
    store.prepare().await.expect("prepared");
    assert_eq!(store.rested(NOW, NOW, 9).await.expect("read").len(), 1);
}

#[tokio::test]
async fn a_place_that_is_passed_over_hides_no_other() {
    let store = opened(&mongo_address()).await;
    let mut places = Vec::new();
    for id in ["c1", "c2", "c3"] {
        created(&store, id).await;
        sent(&store, id, &[message(id, "cat", "k", "hello")]).await.expect("sent");
        places.push(format!("conversations/{id}"));
    }
    let open = store.open(&places[..2]).await.expect("read");
    let found: Vec<&str> = open.iter().map(|open| open.place.as_str()).collect();
    assert_eq!(found, ["conversations/c3"]);
}

/// More conversations than a round looks at, whose changes were cut off, stand before an event.
#[tokio::test]
async fn what_a_crash_has_left_hides_no_event() {
    let address = mongo_address();
    let (store, database) = (opened(&address).await, raw(&address).await);
    for n in 0..70 {
        created(&store, &format!("c{n}")).await;
    }
    let left = doc! { "id": "0", "duty": r#"{"kind":"replied","epoch":1,"at":0}"# };
    let left = doc! { "$push": { "pending": left } };
    documents(&database, "conversations").update_many(doc! {}, left).await.expect("updated");
    sent(&store, "c7", &[message("c7", "cat", "k", "hello")]).await.expect("sent");
    let open = store.open(&[]).await.expect("read");
    let found: Vec<&str> = open.iter().map(|open| open.place.as_str()).collect();
    assert_eq!(found, ["conversations/c7"]);
}

#[tokio::test]
async fn while_nothing_is_published_a_conversation_takes_only_so_much() {
    let store = opened(&mongo_address()).await;
    created(&store, "c1").await;
    let mut said = 0;
    let refused = loop {
        let batch: Vec<Message> =
            (0..50).map(|n| message("c1", "cat", &format!("{said}-{n}"), "hello")).collect();
        match sent(&store, "c1", &batch).await {
            Ok(_) => said += batch.len(),
            Err(error) => break error,
        }
        assert!(said <= 1_000, "there is no end to it");
    };
    assert!(refused.is_retryable() && said == 1_000, "{said}: {refused}");
    let mut told = 0;
    loop {
        let open = store.open(&[]).await.expect("read");
        if open.is_empty() {
            break;
        }
        told += open.len();
        let done = open.into_iter().map(|open| Done { key: open.key, failure: None });
        store.mark(done.collect()).await.expect("marked");
    }
    assert_eq!(told, said);
    sent(&store, "c1", &[message("c1", "cat", "last", "hello")]).await.expect("there is room");
}

/// What a customer writes, to the conversation as it stands.
async fn sent(store: &MongoStore, id: &str, messages: &[Message]) -> Result<Outcome, Error> {
    happen(store, id, Event::CustomerWrote, messages).await
}

async fn happen(
    store: &MongoStore,
    id: &str,
    event: Event,
    messages: &[Message],
) -> Result<Outcome, Error> {
    loop {
        let before = store.conversation(id).await?.expect("there");
        let change = step(&before, event.clone(), NOW).expect("it goes with how it stands");
        let step = Step { messages: messages.to_vec(), room: Room::Slot, ..Step::new(change, NOW) };
        match store.apply(&step).await {
            Ok(Outcome::Moved) | Err(Error::Contended(_)) => {}
            outcome => return outcome,
        }
    }
}

/// Every change is cut off after each of its writes. Whatever was cut off has happened with all
/// that follows, or not at all; then the same is done again by somebody else.
#[tokio::test]
async fn a_change_that_is_cut_off_between_any_two_writes_happens_whole_or_not_at_all() {
    let server = servers::Mongo::start();
    let address = server.database();
    let (store, database) = (opened(&address).await, raw(&address).await);
    for agent_id in ["amy", "bob"] {
        store.put_agent(&agent(agent_id, 1)).await.expect("told");
    }
    let handed = Event::Transfer {
        from: "amy".to_owned(),
        to: TransferTarget::Agent("bob".to_owned()),
        is_asked: false,
        note: None,
    };
    let life: [(&str, Event, &[&str]); 6] = [
        ("customer", Event::CustomerWrote, &[]),
        ("claim", claim("amy"), &["amy"]),
        ("reply", Event::AgentWrote("amy".to_owned()), &["amy"]),
        ("transfer", handed, &["bob"]),
        ("requeue", Event::Requeue(EndReason::Unassigned), &[]),
        ("resolve", Event::Resolve, &[]),
    ];
    let mut cuts = 0;
    for (at, (name, event, busy_after)) in life.iter().enumerate() {
        for writes in 0.. {
            assert!(writes < 20, "{name} has no end of writes");
            let id = format!("{name}-{writes}");
            created(&store, &id).await;
            for (_, event, _) in &life[..at] {
                let done = happen(&store, &id, event.clone(), &[]).await;
                assert!(matches!(done, Ok(Outcome::Done(_))), "{done:?}");
            }
            publish_all(&store).await;
            let before = store.conversation(&id).await.expect("read").expect("there");
            let said = message(&id, "someone", "k", name);
            server.fail_after(writes);
            let cut = happen(&store, &id, event.clone(), std::slice::from_ref(&said)).await;
            server.heal();
            let is_done = matches!(cut, Ok(Outcome::Done(_)));
            let left = pending(&database, &id).await;
            // What the relay does from time to time, as any process may.
            store.upkeep().await.expect("kept up");
            let told = publish_all(&store).await;
            let after = store.conversation(&id).await.expect("read").expect("there");
            let has_happened = after.version > before.version;
            assert!(has_happened || !is_done, "{id}: told, and has not happened");
            let stored = store.messages(&id, Page::Last(9)).await.expect("read");
            assert_eq!(stored.len(), usize::from(has_happened), "{id}: {stored:?}");
            assert_eq!(told, stored.len(), "{id}: events");
            assert_eq!(after.next_seq, 1 + stored.len() as u64, "{id}");
            if !has_happened {
                assert_eq!(after, before, "{id}");
                let again = happen(&store, &id, event.clone(), &[said]).await;
                assert!(matches!(again, Ok(Outcome::Done(_))), "{id}: {again:?}");
            } else {
                let again = happen(&store, &id, Event::CustomerWrote, &[said]).await;
                assert!(matches!(again, Ok(Outcome::Repeated(_))), "{id}: {again:?}");
            }
            let had = store.assignments(&id).await.expect("read");
            let open: Vec<_> = had.iter().filter(|it| it.ended_at.is_none()).collect();
            let busy: Vec<&str> = open.iter().map(|it| it.agent_id.as_str()).collect();
            assert_eq!(&busy, busy_after, "{id}");
            for agent in store.agents().await.expect("read") {
                let chats = u32::from(busy.contains(&agent.id.as_str()));
                assert_eq!(agent.current_conversations, chats, "{id}: {}", agent.id);
            }
            assert_eq!(store.recount().await, Ok(0), "{id}");
            // The agents are free for the next.
            if !busy.is_empty() {
                happen(&store, &id, Event::Requeue(EndReason::Unassigned), &[])
                    .await
                    .expect("done");
            }
            publish_all(&store).await;
            cuts += 1;
            if is_done && left == 1 {
                break;
            }
        }
    }
    assert!(cuts > 20, "only {cuts} cuts");
}

/// Entries that wait at a conversation.
async fn pending(database: &mongodb::Database, id: &str) -> usize {
    let found = documents(database, "conversations").find_one(doc! { "_id": id }).await;
    found.expect("read").expect("there").get_array("pending").expect("a list").len()
}

/// Takes all events as published, as the relay does; how many there were.
async fn publish_all(store: &MongoStore) -> usize {
    let mut count = 0;
    loop {
        let open = store.open(&[]).await.expect("read");
        if open.is_empty() {
            return count;
        }
        count += open.len();
        let done = open.into_iter().map(|open| Done { key: open.key, failure: None });
        store.mark(done.collect()).await.expect("marked");
    }
}

/// Gives the conversation to the agent, or takes it away, with a message; again until it has come.
async fn turned(
    store: &MongoStore,
    id: &str,
    agent_id: &str,
    said: &Message,
) -> Result<Outcome, Error> {
    loop {
        let before = store.conversation(id).await?.expect("there");
        let event = match before.status {
            Status::Active => Event::Requeue(EndReason::Unassigned),
            _ => claim(agent_id),
        };
        let change = step(&before, event, NOW).expect("it goes with how it stands");
        match store.apply(&Step::new(change, NOW).message(said.clone())).await {
            Ok(Outcome::Moved) => {}
            // A slot that a lost change has kept.
            Ok(Outcome::Full) => store.upkeep().await?,
            outcome => return outcome,
        }
    }
}

/// Publishes until it is told to stop and nothing is left; each event once, by its id.
async fn relayed(store: MongoStore, stop: Arc<AtomicBool>) -> Vec<Message> {
    let (mut ids, mut told) = (BTreeSet::new(), Vec::new());
    loop {
        let is_last = stop.load(Ordering::Relaxed);
        let Ok(open) = store.open(&[]).await else { continue };
        if is_last && open.is_empty() {
            return told;
        }
        for open in &open {
            let event = open.event.as_ref().expect("an event");
            if ids.insert(event.id.clone()) {
                told.push(serde_json::from_str(&event.payload).expect("a message"));
            }
        }
        let done = open.into_iter().map(|open| Done { key: open.key, failure: None });
        // What is not marked comes again.
        let _ = store.mark(done.collect()).await;
        sleep(Duration::from_millis(5)).await;
    }
}

/// MongoDB is killed again and again under load: callers are told to try again, what they were told
/// is stored is there once and in order, with its event, no slot is lost, and nothing has to be
/// started anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_mongod_loses_nothing_that_was_told_and_is_found_again() {
    let mut server = servers::Mongo::start();
    let store = opened(&server.database()).await;
    let (stored, failures) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let (id, agent_id) = (format!("c{writer}"), format!("a{writer}"));
        created(&store, &id).await;
        store.put_agent(&agent(&agent_id, 1)).await.expect("told");
        let (store, stored, failures) = (store.clone(), stored.clone(), failures.clone());
        writers.spawn(async move {
            let mut told = Vec::new();
            while failures.load(Ordering::Relaxed) < 8 || told.len() <= 30 {
                let said = message(&id, "cat", &told.len().to_string(), "hello");
                let mut sent = turned(&store, &id, &agent_id, &said).await;
                while let Err(error) = &sent {
                    assert!(error.is_retryable(), "{error}");
                    failures.fetch_add(1, Ordering::Relaxed);
                    sent = turned(&store, &id, &agent_id, &said).await;
                }
                assert!(matches!(sent, Ok(Outcome::Done(_) | Outcome::Repeated(_))), "{sent:?}");
                told.push(said.id);
                stored.fetch_add(1, Ordering::Relaxed);
            }
            (id, told)
        });
    }
    let stop = Arc::new(AtomicBool::new(false));
    let relay = tokio::spawn(relayed(store.clone(), stop.clone()));
    let beyond = async |count: &AtomicU64, than: u64| {
        while count.load(Ordering::Relaxed) <= than {
            sleep(Duration::from_millis(5)).await;
        }
    };
    while failures.load(Ordering::Relaxed) < 8 {
        beyond(&stored, stored.load(Ordering::Relaxed) + 20).await;
        server.kill();
        beyond(&failures, failures.load(Ordering::Relaxed)).await;
        server.start_again();
    }
    let writers = writers.join_all().await;
    stop.store(true, Ordering::Relaxed);
    let published = relay.await.expect("no panic");
    store.upkeep().await.expect("it is up");
    for (number, (id, told)) in writers.into_iter().enumerate() {
        let found = store.messages(&id, Page::Last(100_000)).await.expect("it is up");
        let ids: Vec<&String> = found.iter().map(|it| &it.id).collect();
        assert_eq!(ids, told.iter().collect::<Vec<_>>(), "{number}");
        let seqs: Vec<u64> = found.iter().map(|it| it.seq).collect();
        assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<u64>>(), "{id}");
        let events: Vec<Message> =
            published.iter().filter(|it| it.conversation_id == id).cloned().collect();
        assert_eq!(events, found, "{id}");
        let stands = store.conversation(&id).await.expect("read").expect("there");
        if let Some(holder) = stands.last_agent_id {
            let agent = store.agent(&holder).await.expect("read").expect("there");
            let chats = u32::from(stands.status == Status::Active);
            assert_eq!(agent.current_conversations, chats, "{holder}");
        }
    }
    assert_eq!(store.recount().await, Ok(0));
}
