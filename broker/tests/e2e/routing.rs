//! The routing of chats under everything at once, on each store: customers come while agents come, go,
//! resolve and hand over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sampan::auth::Role;
use sampan_client::{Client, Code, Delivery, Error, Start};
use sampan_tests::chance::Chance;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::asking::ask;
use crate::chat::{agent, open, send};
use crate::harness::{PATIENCE, pattern};
use crate::houses::{House, on_each_store};

const AGENTS: usize = 10;
const TASKS: usize = 8;
const CHATS: usize = 200;
/// How long an agent may be free while chats wait. That it is no longer than a sweep is shown in
/// virtual time; here a round has a loaded machine and its databases to wait for, and the recount,
/// which would hide a lost slot, comes later still.
const WAIT_MAX: Duration = Duration::from_secs(30);

on_each_store! { routing_keeps_every_limit: route_all; }

async fn route_all(house: House) {
    let broker = &house.broker("");
    let boss = broker.client("boss", Role::Admin).await;
    let mut agents = Vec::new();
    for number in 0..AGENTS {
        let limit = u32::try_from(1 + number % 5).expect("few");
        agents.push(agent(broker, &format!("agent{number}"), limit).await);
    }
    let resolved = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let customer = broker.client(&format!("customer{task}"), Role::Customer).await;
        let (agents, resolved) = (agents.clone(), resolved.clone());
        tasks.spawn(async move {
            let mut chance = Chance::new(task as u64);
            for number in 0..CHATS / TASKS {
                let id = open(&customer, &format!("c{number}")).await;
                send(&customer, &id, "m1", "hello").await.expect("sent");
                happen(&agents, &mut chance, &resolved).await;
            }
            while resolved.load(Ordering::Relaxed) < CHATS {
                happen(&agents, &mut chance, &resolved).await;
            }
        });
    }
    let begun = Instant::now();
    let mut idle: BTreeMap<String, Instant> = BTreeMap::new();
    while resolved.load(Ordering::Relaxed) < CHATS {
        assert!(begun.elapsed() < 5 * PATIENCE, "{} of {CHATS}", resolved.load(Ordering::Relaxed));
        look(&boss, &mut idle).await;
        sleep(Duration::from_millis(20)).await;
    }
    while let Some(task) = tasks.join_next().await {
        task.expect("no panic");
    }
    // A slot that was taken for a chat that was resolved meanwhile is given back a moment later.
    let begun = Instant::now();
    loop {
        let all = loads(&boss).await;
        if all.iter().all(|one| one["current_conversations"] == 0) {
            break;
        }
        assert!(begun.elapsed() < WAIT_MAX, "the counts are those of the chats: {all:?}");
        sleep(Duration::from_millis(20)).await;
    }
    epochs_increase(&boss).await;
}

/// One thing that agents do, as chance has it.
async fn happen(agents: &[Client], chance: &mut Chance, resolved: &AtomicUsize) {
    let at = usize::try_from(chance.below(AGENTS as u64)).expect("few");
    let agent = &agents[at];
    if chance.below(6) == 0 {
        for status in [["busy", "offline"][usize::from(chance.below(2) == 0)], "online"] {
            ask(agent, "chat.agent_available", &json!({ "status": status })).await.expect("told");
        }
    }
    let own = ask(agent, "chat.list", &json!({})).await.expect("read");
    let Some(chat) = own["conversations"].as_array().and_then(|all| all.first()) else {
        return sleep(Duration::from_millis(5)).await;
    };
    if chance.below(4) == 0 {
        let to = format!("agent{}", chance.below(AGENTS as u64));
        let over = json!({ "conversationId": chat["id"], "toAgent": to });
        let _ = expected(ask(agent, "chat.agent_transfer", &over).await);
    } else {
        let of = json!({ "conversation_id": chat["id"], });
        if expected(ask(agent, "chat.resolve", &of).await) {
            resolved.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Whether it was done; what another was faster with, or has no room, is not.
fn expected(done: Result<Value, Error>) -> bool {
    match done.map_err(|error| error.code()) {
        Ok(_) => true,
        Err(Some(Code(909 | 912) | Code::NOT_GRANTED | Code::BAD_FIELD)) => false,
        Err(other) => panic!("{other:?}"),
    }
}

async fn loads(boss: &Client) -> Vec<Value> {
    let all = ask(boss, "chat.agents", &json!({})).await.expect("read");
    all["agents"].as_array().expect("a list").clone()
}

/// No agent has more than its limit, and none is free for long while a chat waits.
async fn look(boss: &Client, idle: &mut BTreeMap<String, Instant>) {
    let all = loads(boss).await;
    let load =
        |one: &Value| (one["current_conversations"].as_u64(), one["concurrent_limit"].as_u64());
    assert!(all.iter().all(|one| load(one).0 <= load(one).1), "{all:?}");
    let waiting = ask(boss, "chat.list", &json!({ "waiting": true })).await.expect("read");
    let is_empty = waiting["conversations"].as_array().is_none_or(Vec::is_empty);
    let free = all
        .iter()
        .filter(|one| !is_empty && one["status"] == "online" && load(one).0 < load(one).1);
    // One that was given a chat meanwhile is another one.
    let free: BTreeSet<String> =
        free.map(|one| format!("{} since {}", one["id"], one["last_assigned_at"])).collect();
    idle.retain(|agent, _| free.contains(agent));
    for agent in free {
        let since = *idle.entry(agent.clone()).or_insert_with(Instant::now);
        assert!(since.elapsed() < WAIT_MAX, "{agent} is free while chats wait: {waiting}");
    }
}

/// Every assignment of a chat has a later epoch than the one before: nobody has it beside another.
async fn epochs_increase(boss: &Client) {
    let everything = Start::Last(10_000);
    let mut events =
        boss.subscribe(pattern("chat.conversation.*"), everything).await.expect("read");
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    let mut resolved = 0;
    while resolved < CHATS {
        let delivery = timeout(PATIENCE, events.next()).await.expect("in time").expect("open");
        let Delivery::Message(message) = delivery else { continue };
        let told: Value = serde_json::from_slice(&message.payload()).expect("JSON");
        match message.event() {
            Some("agent:assigned") => {
                let id = told["conversationId"].as_str().expect("an id").to_owned();
                let epoch = told["epoch"].as_u64().expect("a number");
                let before = last.insert(id, epoch);
                assert!(before.is_none_or(|before| before < epoch), "{before:?} {told}");
            }
            Some("conversation:status") if told["new"] == "resolved" => resolved += 1,
            _ => {}
        }
    }
    assert_eq!(last.len(), CHATS, "each has found an agent");
}
