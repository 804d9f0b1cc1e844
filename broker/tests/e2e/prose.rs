//! Real prose through chats: a hundred customers, ten agents, every line once, in order, as it was
//! written, found again, and there after a crash.
//!
//! `make real-chat` sends ten thousand lines of what Debian installs as documents and prints what they
//! took; without `REAL_LINES` a few hundred of this repository's own are sent.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sampan::auth::Role;
use sampan_client::{Client, Delivery, Start};
use sampan_services::chat::rules::text::clean;
use sampan_services::chat::rules::words::Sought;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::asking::ask_in_time;
use crate::chat::{agent, open};
use crate::harness::{PATIENCE, pattern};
use crate::houses::{House, on_each_store};

const CUSTOMERS: usize = 100;
const AGENTS: usize = 10;
/// Lines without the variable.
const FEW: usize = 400;
/// How long thousands of lines may take on a small machine.
const LONG: Duration = Duration::from_secs(900);

/// Lines of other scripts, between those of the documents.
const OTHERS: [&str; 6] = [
    "สวัสดีค่ะ สินค้าชิ้นนี้ยังมีอยู่ไหมคะ 🛶",
    "ขอเลขพัสดุของคำสั่งซื้อเมื่อวานด้วยครับ",
    "👩‍👩‍👧‍👦 family size? 🥭🥭",
    "ราคา ฿1,290 รวมส่งไหม?",
    "ご注文ありがとうございます。明日お届けします。",
    "Ça arrive quand, s'il vous plaît ? À bientôt !",
];

/// All files below, in a fixed order.
fn files(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![below.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| !entry.path().is_symlink()) {
            if entry.path().is_dir() {
                folders.push(entry.path())
            } else {
                found.push(entry.path())
            }
        }
    }
    found.sort();
    found
}

/// So many lines as somebody might write them: they say something, and stay as they are.
fn lines() -> Vec<String> {
    let wanted = std::env::var("REAL_LINES").ok().map(|text| text.parse().expect("a number"));
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec");
    let places = match wanted {
        Some(_) => vec!["/usr/share/common-licenses".into(), "/usr/share/doc".into()],
        None => vec![own],
    };
    let wanted = wanted.unwrap_or(FEW);
    let texts = places
        .iter()
        .flat_map(|place| files(place))
        .filter_map(|file| fs::read_to_string(file).ok());
    let mut lines: Vec<String> = Vec::new();
    for text in texts {
        for line in text.lines().map(str::trim_end) {
            let is_kept = clean(line).is_ok_and(|cleaned| cleaned.as_deref() == Some(line));
            if is_kept && Sought::new(line).is_some() {
                lines.push(line.to_owned());
            }
            if lines.len() % 9 == 8 {
                lines.push(OTHERS[lines.len() % OTHERS.len()].to_owned());
            }
        }
        if lines.len() >= wanted {
            break;
        }
    }
    assert!(lines.len() >= wanted, "{} lines in {places:?}", lines.len());
    lines.truncate(wanted);
    lines
}

on_each_store! { every_line_arrives_once_and_is_found_again: prose; }

/// Sends lines one after the other.
async fn write(customer: Client, id: String, lines: Vec<String>) {
    for (number, line) in lines.into_iter().enumerate() {
        let draft = json!({
            "conversation_id": id, "client_message_id": number.to_string(), "content": { "text": line },
        });
        ask_in_time(&customer, "chat.send_message", &draft).await.expect("sent");
    }
}

/// Reads so many lines of the customer of a conversation.
async fn read(agent: Client, id: String, count: usize) -> (String, Vec<String>) {
    let name = format!("chat.conversation.{id}");
    let mut room = agent.subscribe(pattern(&name), Start::Now).await.expect("joined");
    let mut said = Vec::new();
    while said.len() < count {
        let next = timeout(LONG, room.next()).await.expect("in time").expect("open");
        let Delivery::Message(message) = next else { panic!("{next:?}") };
        if message.event() == Some("message:receive") {
            let line: Value = serde_json::from_slice(&message.payload()).expect("JSON");
            if line["sender_type"] == "customer" {
                said.push(line["content"]["text"].as_str().expect("a text").to_owned());
            }
        }
    }
    (id, said)
}

/// All that a conversation holds of its customer: text and id.
async fn kept(reader: &Client, id: &str) -> Vec<(String, String)> {
    let (mut kept, mut after) = (Vec::new(), 0);
    loop {
        let page = json!({ "conversation_id": id, "after": after });
        let page = ask_in_time(reader, "chat.history", &page).await.expect("read");
        let messages = page["messages"].as_array().expect("a list").clone();
        let Some(last) = messages.last() else { return kept };
        after = last["seq"].as_u64().expect("a number");
        let text = |it: &Value| it["content"]["text"].as_str().expect("a text").to_owned();
        let own = messages.iter().filter(|it| it["sender_type"] == "customer");
        kept.extend(own.map(|it| (text(it), it["id"].as_str().expect("an id").to_owned())));
    }
}

/// The chats of an agent, once it has so many.
async fn chats(agent: &Client, count: usize) -> Vec<String> {
    let begun = Instant::now();
    loop {
        let own = ask_in_time(agent, "chat.list", &json!({})).await.expect("read");
        let own = own["conversations"].as_array().expect("a list").clone();
        if own.len() == count {
            return own.iter().map(|it| it["id"].as_str().expect("an id").to_owned()).collect();
        }
        assert!(begun.elapsed() < PATIENCE, "{} of {count}", own.len());
        sleep(Duration::from_millis(100)).await;
    }
}

/// Says what it took, for a person to read.
fn report(house: &House, lines: usize, took: [Duration; 4]) {
    let [stored, seen, broker, database] = took.map(|took| took.as_secs_f64());
    let rate = f64::from(u32::try_from(lines).expect("few")) / stored;
    println!(
        "{}: {lines} lines stored in {stored:.1} s ({rate:.0} a second), seen in {seen:.1} s; \
         CPU: broker and services {broker:.1} s, database {database:.1} s",
        house.name(),
    );
}

async fn prose(house: House) {
    let lines = lines();
    let each = lines.len() / CUSTOMERS;
    let broker = house.broker("[services.chat]\nfirst_reply_s = 86400\n");
    let mut agents = Vec::new();
    for number in 0..AGENTS {
        agents.push(agent(&broker, &format!("agent{number}"), 10).await);
    }
    let customers = broker.clients(CUSTOMERS, Role::Customer).await;
    let (mut ids, mut written) = (Vec::new(), BTreeMap::new());
    for (customer, lines) in customers.iter().zip(lines.chunks(each)) {
        let id = open(customer, "c1").await;
        ids.push(id.clone());
        written.insert(id, lines.to_vec());
    }
    let mut readers = JoinSet::new();
    for agent in &agents {
        for id in chats(agent, CUSTOMERS / AGENTS).await {
            readers.spawn(read(agent.clone(), id, each));
        }
    }
    let (begun, before) = (Instant::now(), (broker.cpu(), house.cpu()));
    let mut writers = JoinSet::new();
    for (customer, id) in customers.iter().zip(ids) {
        let lines = written[&id].clone();
        writers.spawn(write(customer.clone(), id, lines));
    }
    writers.join_all().await;
    let stored = begun.elapsed();
    let heard: BTreeMap<_, _> = readers.join_all().await.into_iter().collect();
    assert_eq!(heard, written, "every line once, in order, as it was written");
    let cpu = (broker.cpu() - before.0, house.cpu() - before.1);
    report(&house, each * CUSTOMERS, [stored, begun.elapsed(), cpu.0, cpu.1]);
    let broker = broker.crash_and_restart();
    let boss = broker.client("boss", Role::Admin).await;
    let mut sought = 0;
    for (id, lines) in &written {
        let kept = kept(&boss, id).await;
        let texts: Vec<&String> = kept.iter().map(|(text, _)| text).collect();
        assert!(texts.iter().copied().eq(lines), "{id}: after a crash they are there");
        for (text, its_id) in kept.iter().step_by(each.div_ceil(4)) {
            let wanted = json!({ "text": text, "conversation_id": id });
            let found = ask_in_time(&boss, "chat.search", &wanted).await.expect("searched");
            let found = found["messages"].as_array().expect("a list").clone();
            assert!(found.iter().any(|it| it["id"] == json!(its_id)), "{text:?} in {found:?}");
            sought += 1;
        }
    }
    assert!(sought >= CUSTOMERS);
}
