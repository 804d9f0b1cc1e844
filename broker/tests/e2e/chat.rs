//! Chats: customers and agents on real connections, with the services in the broker's process.

use std::time::{Duration, Instant};

use sampan::auth::Role;
use sampan_client::{Client, Code, Delivery, Error, Message, Start, Subscription};
use sampan_tests::chance::Chance;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::asking::{ask, ask_in_time, code, topic};
use crate::harness::{Broker, PATIENCE, pattern};
use crate::houses::{House, on_each_store};

/// An agent of this id, with so many slots, who takes chats.
pub(crate) async fn agent(broker: &Broker, id: &str, limit: u32) -> Client {
    let boss = broker.client("boss", Role::Admin).await;
    let told = json!({
        "id": id, "name": id, "email": format!("{id}@example.com"), "concurrent_limit": limit,
    });
    ask_in_time(&boss, "chat.agent_put", &told).await.expect("told");
    let client = broker.client(id, Role::Agent).await;
    client.presence(topic("agents")).enter().await.expect("present");
    let status = json!({ "status": "online" });
    ask(&client, "chat.agent_available", &status).await.expect("available");
    client
}

/// A conversation of this customer.
pub(crate) async fn open(client: &Client, id: &str) -> String {
    let asked =
        json!({ "client_conversation_id": id, "metadata": { "source": "web", "language": "th" } });
    let chat = ask_in_time(client, "chat.open", &asked).await.expect("begun");
    chat["id"].as_str().expect("an id").to_owned()
}

async fn joined(client: &Client, id: &str) -> Result<Value, Error> {
    ask(client, "chat.join_conversation", &json!({ "conversationId": id })).await
}

/// The conversation, as soon as it is as `wanted`.
async fn becomes(client: &Client, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let chat = joined(client, id).await.expect("there")["conversation"].clone();
        if wanted(&chat) {
            return chat;
        }
        assert!(begun.elapsed() < PATIENCE, "{chat}");
        sleep(Duration::from_millis(20)).await;
    }
}

fn draft(id: &str, client_id: &str, text: &str) -> Value {
    json!({
        "conversation_id": id, "client_message_id": client_id, "content": { "text": text },
    })
}

pub(crate) async fn send(
    client: &Client,
    id: &str,
    client_id: &str,
    text: &str,
) -> Result<Value, Error> {
    ask(client, "chat.send_message", &draft(id, client_id, text)).await
}

async fn listen(client: &Client, name: &str) -> Subscription {
    client.subscribe(pattern(name), Start::Now).await.expect("subscribed")
}

/// The payload of the next event of this name.
async fn next(events: &mut Subscription, name: &str) -> Value {
    let heard = async {
        loop {
            match events.next().await.expect("open") {
                Delivery::Message(message) if message.event() == Some(name) => {
                    return serde_json::from_slice(&message.payload()).expect("JSON");
                }
                _ => {}
            }
        }
    };
    timeout(PATIENCE, heard).await.expect(name)
}

on_each_store! {
    a_customer_and_an_agent_talk_and_each_sees_how_far_the_other_has_come: talk;
    nobody_does_in_anothers_conversation_what_is_not_theirs_to_do: trespass;
    a_chat_is_handed_over_to_one_who_takes_it_and_two_who_pick_one_get_it_once: hand_over;
    a_chat_leaves_an_agent_who_does_not_reply_or_goes_offline: lose;
}

async fn talk(house: House) {
    let broker = house.broker("");
    let ann = broker.client("ann", Role::Customer).await;
    let id = open(&ann, "c1").await;
    assert_eq!(open(&ann, "c1").await, id, "the same id is the same conversation");
    let mut events = listen(&ann, &format!("chat.conversation.{id}")).await;
    let mut typing = listen(&ann, &format!("chat.typing.{id}")).await;
    let boss = broker.client("boss", Role::Admin).await;
    let mut load = listen(&boss, "chat.agent.amy").await;
    let amy = agent(&broker, "amy", 2).await;
    for current in [0, 1] {
        let told = next(&mut load, "agent:load").await;
        assert_eq!((&told["current"], &told["limit"]), (&current.into(), &2.into()));
        assert_eq!(told["version"], current, "one more with each change");
    }
    let assigned = next(&mut events, "agent:assigned").await;
    assert_eq!(
        (&assigned["agentId"], &assigned["epoch"], &assigned["reason"]),
        (&"amy".into(), &1.into(), &"auto".into())
    );
    let first = send(&ann, &id, "m1", "สวัสดี 🛶").await.expect("sent");
    let again = send(&ann, &id, "m1", "สวัสดี 🛶").await.expect("the same");
    assert_eq!(first, again, "sent again it is the same message");
    assert_eq!(code(send(&ann, &id, "m1", "other").await), Some(Code(910)));
    let heard = next(&mut events, "message:receive").await;
    assert_eq!((&heard["content"]["text"], &heard["seq"]), (&"สวัสดี 🛶".into(), &first["seq"]));
    ask(&amy, "chat.user_typing", &json!({ "conversationId": id })).await.expect("typed");
    assert_eq!(next(&mut typing, "user:typing").await["userId"], "amy");
    let reply = send(&amy, &id, "m1", "hello").await.expect("sent");
    assert_eq!(next(&mut typing, "user:typing").await["typing"], false, "a message ends it");
    assert_eq!(reply["seq"].as_u64(), first["seq"].as_u64().map(|seq| seq + 1));
    let read = json!({ "messageId": reply["id"], "userId": "ann" });
    ask(&ann, "chat.message_read", &read).await.expect("read");
    let receipt = next(&mut events, "message:read").await;
    assert_eq!((&receipt["userId"], &receipt["up_to_seq"]), (&"ann".into(), &reply["seq"]));
    let older = json!({ "messageId": first["id"] });
    let cursors = ask(&ann, "chat.message_delivered", &older).await.expect("fine");
    assert_eq!(cursors["delivered_seq"], reply["seq"], "a cursor never goes back");
    let snapshot = joined(&amy, &id).await.expect("there");
    assert_eq!(snapshot["messages"][0]["message_type"], "system", "the shop says who has it");
    let last = snapshot["messages"].as_array().and_then(|all| all.last()).expect("one").clone();
    assert_eq!((&last["id"], &last["status"]), (&reply["id"], &"read".into()));
    assert_eq!(snapshot["last_seq"], reply["seq"]);
    let note = json!({
        "conversation_id": id, "client_message_id": "n1", "private": true,
        "content": { "text": "a difficult one" },
    });
    let note = ask(&amy, "chat.send_message", &note).await.expect("noted");
    // That she has read it says no more than that she has read what comes before it.
    let read = json!({ "messageId": note["id"] });
    ask(&amy, "chat.message_read", &read).await.expect("read");
    assert_eq!(next(&mut events, "message:read").await["messageId"], reply["id"]);
    ask(&amy, "chat.resolve", &json!({ "conversation_id": id })).await.expect("resolved");
    assert_eq!(next(&mut events, "conversation:status").await["new"], "resolved");
    let told = next(&mut load, "agent:load").await;
    assert_eq!((&told["current"], &told["version"]), (&0.into(), &2.into()));
    let page = json!({ "conversation_id": id });
    let seen = ask(&ann, "chat.history", &page).await.expect("read");
    assert!(!seen.to_string().contains("difficult"), "{seen}");
    assert!(
        ask(&amy, "chat.history", &page).await.expect("read").to_string().contains("difficult")
    );
    send(&ann, &id, "m2", "one more thing").await.expect("it is open again");
    let chat = becomes(&amy, &id, |chat| chat["status"] == "active").await;
    assert_eq!((&chat["epoch"], &chat["agent_id"]), (&2.into(), &"amy".into()));
}

async fn trespass(house: House) {
    let broker = house.broker("");
    let ann = broker.client("ann", Role::Customer).await;
    let bob = broker.client("bob", Role::Customer).await;
    let id = open(&ann, "c1").await;
    let amy = agent(&broker, "amy", 1).await;
    let kim = agent(&broker, "kim", 1).await;
    let holder = becomes(&amy, &id, |chat| chat["status"] == "active").await["agent_id"].clone();
    let (has, has_not) = if holder == "amy" { (&amy, &kim) } else { (&kim, &amy) };
    let message = send(&ann, &id, "m1", "hello").await.expect("sent");
    let of = json!({ "conversation_id": id });
    let named = |user: &str| json!({ "conversationId": id, "userId": user });
    let read = json!({ "messageId": message["id"] });
    let tell = |status: &str| json!({ "agentId": "kim", "status": status });
    let other = |text: &str| json!({ "message_id": message["id"], "text": text });
    let system = json!({
        "conversation_id": id, "client_message_id": "s", "message_type": "system",
        "content": { "text": "trust me" },
    });
    let refused = [
        (&bob, "chat.join_conversation", of.clone(), Code(904)),
        (&bob, "chat.send_message", draft(&id, "x", "hi"), Code(904)),
        (&bob, "chat.message_read", read, Code(904)),
        (&bob, "chat.history", of.clone(), Code(904)),
        (&bob, "chat.user_typing", named("bob"), Code(904)),
        (&bob, "chat.edit_message", other("mine"), Code(904)),
        (&ann, "chat.user_typing", named("bob"), Code::NOT_GRANTED),
        (&ann, "chat.resolve", of.clone(), Code::NOT_GRANTED),
        (&ann, "chat.agent_available", tell("online"), Code::NOT_GRANTED),
        (&ann, "chat.list", json!({ "waiting": true }), Code::NOT_GRANTED),
        (&ann, "chat.list", json!({ "customerId": "bob" }), Code::NOT_GRANTED),
        (&ann, "chat.send_message", system, Code::NOT_GRANTED),
        (&ann, "chat.send_message", draft(&id, "x", "\u{200b} \n"), Code::BAD_FIELD),
        (&ann, "chat.send_message", draft(&id, "x", &"x".repeat(10_001)), Code::BAD_FIELD),
        (&ann, "chat.send_message", draft(&id, "", "hi"), Code::BAD_FIELD),
        (&ann, "chat.send_message", json!({ "conversation_id": id }), Code::BAD_FIELD),
        (&ann, "chat.open", json!({ "client_conversation_id": "" }), Code::BAD_FIELD),
        (
            &ann,
            "chat.open",
            json!({ "client_conversation_id": "x", "priority": "urgent" }),
            Code::NOT_GRANTED,
        ),
        (has_not, "chat.send_message", draft(&id, "x", "hi"), Code::NOT_GRANTED),
        (has_not, "chat.resolve", of.clone(), Code::NOT_GRANTED),
        (has_not, "chat.assign", of.clone(), Code(909)),
        (
            has,
            "chat.agent_transfer",
            json!({ "conversationId": id, "toAgent": "nobody" }),
            Code(904),
        ),
        (has, "chat.agent_transfer", of.clone(), Code::BAD_FIELD),
        (has, "chat.archive", of.clone(), Code(909)),
        (has, "chat.snooze", json!({ "conversation_id": id, "until": 1 }), Code::BAD_FIELD),
        (has, "chat.agent_put", json!({ "id": "x" }), Code::NOT_GRANTED),
    ];
    let before = joined(has, &id).await.expect("there");
    for (client, name, question, expected) in refused {
        assert_eq!(code(ask(client, name, &question).await), Some(expected), "{name} {question}");
    }
    let broken = ann.request(topic("chat.send_message"), &b"\xff{"[..], PATIENCE).await;
    assert_eq!(broken.expect_err("no JSON").code(), Some(Code::BAD_FIELD));
    assert_eq!(joined(has, &id).await.expect("there")["conversation"], before["conversation"]);
    for name in [format!("chat.conversation.{id}"), format!("chat.typing.{id}")] {
        let denied = bob.subscribe(pattern(&name), Start::Now).await;
        assert_eq!(
            denied.err().and_then(|error| error.code()),
            Some(Code::NOT_AUTHORIZED),
            "{name}"
        );
    }
    for client in [&ann, has] {
        for kind in ["conversation", "typing", "position", "note"] {
            let forged = topic(&format!("chat.{kind}.{id}"));
            let forged = Message::new(forged, "{}").event("message:receive");
            let refused = client.publish(forged).await.expect_err("only the services tell");
            assert_eq!(refused.code(), Some(Code::NOT_GRANTED), "{kind}");
        }
    }
    let notes = ann.subscribe(pattern(&format!("chat.note.{id}")), Start::Now).await;
    assert_eq!(notes.err().and_then(|error| error.code()), Some(Code::NOT_GRANTED));
}

async fn hand_over(house: House) {
    let broker = house.broker("");
    let ann = broker.client("ann", Role::Customer).await;
    let amy = agent(&broker, "amy", 1).await;
    let id = open(&ann, "c1").await;
    becomes(&amy, &id, |chat| chat["agent_id"] == "amy").await;
    let kim = agent(&broker, "kim", 1).await;
    let mut own = listen(&kim, "user.kim").await;
    let over = json!({ "conversationId": id, "fromAgent": "amy", "toAgent": "kim", "ask": true });
    ask(&amy, "chat.agent_transfer", &over).await.expect("asked");
    assert_eq!(next(&mut own, "agent:transfer_asked").await["fromAgent"], "amy");
    let yes = json!({ "conversationId": id, "accept": true });
    assert_eq!(code(ask(&amy, "chat.transfer_answer", &yes).await), Some(Code::NOT_GRANTED));
    let chat = ask(&kim, "chat.transfer_answer", &yes).await.expect("taken");
    assert_eq!((&chat["agent_id"], &chat["epoch"]), (&"kim".into(), &2.into()));
    let loads = ask(&amy, "chat.agents", &json!({})).await.expect("read");
    let load = |loads: &Value, at: usize| loads["agents"][at]["current_conversations"].clone();
    assert_eq!((load(&loads, 0), load(&loads, 1)), (0.into(), 1.into()));
    let full = json!({ "conversationId": id, "fromAgent": "kim", "toAgent": "amy" });
    let bob = broker.client("bob", Role::Customer).await;
    let second = open(&bob, "c1").await;
    becomes(&amy, &second, |chat| chat["agent_id"] == "amy").await;
    assert_eq!(code(ask(&kim, "chat.agent_transfer", &full).await), Some(Code(912)), "amy is full");
    for (client, status) in [(&amy, "busy"), (&kim, "busy")] {
        ask(client, "chat.agent_available", &json!({ "status": status })).await.expect("told");
    }
    for (client, id) in [(&amy, &second), (&kim, &id)] {
        ask(client, "chat.resolve", &json!({ "conversation_id": id })).await.expect("resolved");
    }
    let third = open(&ann, "c2").await;
    let pick = json!({ "conversationId": third });
    let (one, other) =
        tokio::join!(ask(&amy, "chat.assign", &pick), ask(&kim, "chat.assign", &pick));
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    let loser = if one.is_ok() { other } else { one };
    assert_eq!(code(loser), Some(Code(909)));
}

/// Customers come, agents come and go, resolve and hand over, all at once.
#[tokio::test]
async fn no_agent_ever_has_more_than_its_limit_and_every_chat_finds_one() {
    const CHATS: usize = 60;
    const LIMITS: [u32; 5] = [1, 2, 3, 4, 5];
    let broker = Broker::start();
    let mut agents = Vec::new();
    for (number, limit) in LIMITS.iter().enumerate() {
        agents.push(agent(&broker, &format!("agent{number}"), *limit).await);
    }
    let mut tasks = JoinSet::new();
    for task in 0..6 {
        let client = broker.client(&format!("customer{task}"), Role::Customer).await;
        tasks.spawn(async move {
            for number in 0..CHATS / 6 {
                let id = open(&client, &format!("c{number}")).await;
                send(&client, &id, "m1", "hello").await.expect("sent");
            }
        });
    }
    let (mut chance, mut resolved) = (Chance::new(7), 0);
    let begun = Instant::now();
    let boss = broker.client("boss", Role::Admin).await;
    while resolved < CHATS {
        assert!(begun.elapsed() < PATIENCE, "{resolved} of {CHATS}");
        let at = usize::try_from(chance.below(5)).expect("small");
        let agent = &agents[at];
        if chance.below(8) == 0 {
            let status = if chance.below(2) == 0 { "busy" } else { "online" };
            ask(agent, "chat.agent_available", &json!({ "status": status })).await.expect("told");
            ask(agent, "chat.agent_available", &json!({ "status": "online" })).await.expect("told");
        }
        let all = ask(&boss, "chat.agents", &json!({})).await.expect("read");
        for one in all["agents"].as_array().expect("a list") {
            assert!(one["current_conversations"].as_u64() <= one["concurrent_limit"].as_u64());
        }
        let own = ask(agent, "chat.list", &json!({})).await.expect("read");
        let Some(chat) = own["conversations"].as_array().and_then(|all| all.first()).cloned()
        else {
            sleep(Duration::from_millis(5)).await;
            continue;
        };
        if chance.below(4) == 0 {
            let to = format!("agent{}", (at + 1) % 5);
            let over = json!({ "conversationId": chat["id"], "toAgent": to });
            match ask(agent, "chat.agent_transfer", &over).await {
                Ok(_) => continue,
                Err(error) => assert_eq!(error.code(), Some(Code(912)), "{error}"),
            }
        }
        let of = json!({ "conversation_id": chat["id"] });
        ask(agent, "chat.resolve", &of).await.expect("resolved");
        resolved += 1;
    }
    tasks.join_all().await;
    let all = ask(&boss, "chat.agents", &json!({})).await.expect("read");
    for one in all["agents"].as_array().expect("a list") {
        assert_eq!(one["current_conversations"], 0, "the counts are those of the chats");
    }
}

/// The times of the settings, made short.
async fn lose(house: House) {
    let times = "[services.chat]\nfirst_reply_s = 2\noffline_grace_s = 30\n";
    let broker = house.broker(times);
    let ann = broker.client("ann", Role::Customer).await;
    let amy = agent(&broker, "amy", 1).await;
    let id = open(&ann, "c1").await;
    let mut events = listen(&ann, &format!("chat.conversation.{id}")).await;
    let first = becomes(&ann, &id, |chat| chat["agent_id"] == "amy").await;
    let since = &first["waiting_since"];
    assert_eq!(next(&mut events, "agent:assigned").await["agentId"], "amy");
    let kim = agent(&broker, "kim", 1).await;
    let given = next(&mut events, "agent:assigned").await;
    assert_eq!(
        (&given["agentId"], &given["epoch"], &given["reason"]),
        (&"kim".into(), &2.into(), &"reassign_timeout".into()),
    );
    let second = becomes(&kim, &id, |chat| chat["agent_id"] == "kim").await;
    assert_eq!(&second["waiting_since"], since, "the customer waits since then");
    assert_eq!(second["excluded_agents"], json!(["amy"]), "she is not asked again");
    send(&kim, &id, "m1", "here I am").await.expect("sent");
    // From now on she is there for nobody, and the other is.
    ask(&kim, "chat.agent_available", &json!({ "status": "offline" })).await.expect("told");
    let given = next(&mut events, "agent:assigned").await;
    assert_eq!(
        (&given["agentId"], &given["epoch"], &given["reason"]),
        (&"amy".into(), &3.into(), &"reassign_offline".into()),
    );
    let history = ask(&ann, "chat.history", &json!({ "conversation_id": id })).await.expect("read");
    let told = history.to_string();
    assert_eq!(told.matches("\"requeued\"").count(), 2, "the customer is told each time: {told}");
    drop(amy);
}

#[tokio::test]
async fn notes_between_messages_make_no_page_of_a_customer_shorter() {
    let broker = Broker::start();
    let ann = broker.client("ann", Role::Customer).await;
    let amy = agent(&broker, "amy", 1).await;
    let id = open(&ann, "c1").await;
    becomes(&amy, &id, |chat| chat["agent_id"] == "amy").await;
    let note = async |key: String| {
        let note = json!({
            "conversation_id": id, "client_message_id": key, "private": true,
            "content": { "text": "careful" },
        });
        ask(&amy, "chat.send_message", &note).await.expect("noted");
    };
    for number in 0..6 {
        send(&ann, &id, &format!("m{number}"), &format!("line {number}")).await.expect("sent");
        for n in 0..20 {
            note(format!("n{number}.{n}")).await;
        }
    }
    let texts = |answer: Value| -> Vec<String> {
        let all = answer["messages"].as_array().expect("a list").iter();
        all.filter_map(|one| one["content"]["text"].as_str().map(str::to_owned)).collect()
    };
    let page = async |more: Value| {
        let mut wanted = json!({ "conversation_id": id, "limit": 3 });
        wanted.as_object_mut().expect("one").extend(more.as_object().expect("one").clone());
        texts(ask(&ann, "chat.history", &wanted).await.expect("read"))
    };
    assert_eq!(page(json!({})).await, ["line 3", "line 4", "line 5"]);
    let first = send(&ann, &id, "m0", "line 0").await.expect("the same")["seq"].clone();
    assert_eq!(page(json!({ "after": first })).await, ["line 1", "line 2", "line 3"]);
    assert_eq!(texts(joined(&ann, &id).await.expect("there")).len(), 6);
    assert_eq!(texts(joined(&amy, &id).await.expect("there")).len(), 50);
}

#[tokio::test]
async fn a_customer_does_not_fill_the_queue() {
    let broker = Broker::start();
    let ann = broker.client("ann", Role::Customer).await;
    for number in 0..50 {
        open(&ann, &format!("c{number}")).await;
    }
    let more = json!({ "client_conversation_id": "c50" });
    assert_eq!(code(ask(&ann, "chat.open", &more).await), Some(Code(912)));
    let id = open(&ann, "c7").await;
    let boss = broker.client("boss", Role::Admin).await;
    ask(&boss, "chat.resolve", &json!({ "conversation_id": id })).await.expect("resolved");
    ask(&ann, "chat.open", &more).await.expect("there is room again");
    assert_eq!(open(&ann, "c7").await, id, "it is no further one");
}

/// More agents than presence names at once.
#[tokio::test]
async fn of_however_many_agents_those_who_have_gone_get_no_chat() {
    const MANY: usize = 260;
    let broker = Broker::start();
    let boss = broker.client("boss", Role::Admin).await;
    let mut crowd = Vec::new();
    for number in 0..MANY {
        let client = broker.client(&format!("b{number:03}"), Role::Agent).await;
        client.presence(topic("agents")).enter().await.expect("present");
        crowd.push(client);
    }
    let agents = boss.presence(topic("agents"));
    let first = agents.read().await.expect("read");
    assert_eq!((first.count as usize, first.members.len()), (MANY, 256));
    let rest = agents.read_after("b255").await.expect("read").members;
    let rest: Vec<_> = rest.iter().map(|member| member.user.as_str()).collect();
    assert_eq!(rest, ["b256", "b257", "b258", "b259"]);
    let kim = agent(&broker, "kim", 5).await;
    drop(agent(&broker, "amy", 5).await);
    let begun = Instant::now();
    loop {
        let all = ask(&boss, "chat.agents", &json!({})).await.expect("read");
        let is_gone = |at: usize| !all["agents"][at]["offline_since"].is_null();
        if is_gone(0) {
            assert!(!is_gone(1), "kim is there: {all}");
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "amy is not there: {all}");
        sleep(Duration::from_millis(100)).await;
    }
    drop((kim, crowd));
}

#[tokio::test]
async fn an_agent_whose_last_session_has_ended_gets_no_chat() {
    let broker = Broker::start();
    let boss = broker.client("boss", Role::Admin).await;
    drop(agent(&broker, "amy", 5).await);
    let is_gone = async || {
        let begun = Instant::now();
        loop {
            let all = ask(&boss, "chat.agents", &json!({})).await.expect("read");
            if !all["agents"][0]["offline_since"].is_null() {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "she is not there: {all}");
            sleep(Duration::from_millis(20)).await;
        }
    };
    is_gone().await;
    // Of whom another says that it takes chats, the next look finds that it is not there.
    let on = json!({ "agentId": "amy", "status": "online" });
    ask(&boss, "chat.agent_available", &on).await.expect("told");
    is_gone().await;
    let ann = broker.client("ann", Role::Customer).await;
    let id = open(&ann, "c1").await;
    let kim = agent(&broker, "kim", 5).await;
    let chat = becomes(&kim, &id, |chat| chat["status"] == "active").await;
    assert_eq!((&chat["agent_id"], &chat["epoch"]), (&"kim".into(), &1.into()));
}
