//! Chats by the client's typed module: a customer and two agents, and a link that is lost.

use sampan::auth::Role;
use sampan_client::chat::{
    AgentStatus, AgentTold, CannedListWanted, CannedPut, CannedUse, Chat, FiguresWanted, FileBegin,
    HandOver, Message, News, Open, PageWanted, PolicyPut, Rate, RatingsWanted, Room, Scope,
    SearchWanted, Status, SystemLine,
};
use sampan_client::{Client, Code, Delivery, Error, Start};
use sampan_services::store::{Address, Database, Query};
use tokio::time::{Instant, sleep, timeout};

use crate::asking::topic;
use crate::harness::{Broker, PATIENCE};

/// An agent who takes chats.
async fn agent(broker: &Broker, id: &str) -> (Client, Chat) {
    let boss = broker.client("boss", Role::Admin).await.chat();
    let told = AgentTold {
        id: id.to_owned(),
        name: id.to_owned(),
        email: format!("{id}@example.com"),
        concurrent_limit: 3,
        ..AgentTold::default()
    };
    let begun = Instant::now();
    while let Err(error) = boss.put_agent(&told).await {
        assert!(error.is_retryable() && begun.elapsed() < PATIENCE, "{error}");
        sleep(std::time::Duration::from_millis(50)).await;
    }
    let client = broker.client(id, Role::Agent).await;
    client.presence(topic("agents")).enter().await.expect("present");
    let chat = client.chat();
    let agent = chat.available(AgentStatus::Online).await.expect("told");
    assert_eq!((agent.status, agent.free_slots()), (AgentStatus::Online, 3));
    (client, chat)
}

/// The next news that is wanted.
async fn next<T>(room: &mut Room, mut wanted: impl FnMut(News) -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = wanted(room.next().await.expect("open")) {
                return found;
            }
        }
    };
    timeout(PATIENCE, found).await.expect("in time")
}

/// Waits until an agent has the chat: routing comes after opening.
async fn assigned(room: &mut Room) {
    if room.snapshot().conversation.agent_id.is_none() {
        next(room, |news| matches!(news, News::Assigned(_)).then_some(())).await;
    }
}

/// The next message that a person has sent.
async fn line(room: &mut Room) -> (u64, String) {
    next(room, |news| match news {
        News::Message(Message { seq, content, .. }) => content.text.map(|text| (seq, text)),
        News::Lost(gap) => panic!("lost: {gap:?}"),
        _ => None,
    })
    .await
}

fn code<T: std::fmt::Debug>(answer: Result<T, Error>) -> Option<Code> {
    answer.expect_err("refused").code()
}

#[tokio::test]
async fn a_chat_goes_from_opening_to_rating_and_nobody_misses_or_repeats_a_word() {
    let mut broker = Broker::start();
    let (_amy_client, amy) = agent(&broker, "amy").await;
    let ann = broker.client("ann", Role::Customer).await.chat();
    let wanted = Open { client_conversation_id: "help".to_owned(), ..Open::default() };
    let id = ann.open(&wanted).await.expect("begun").id;
    assert_eq!(ann.open(&wanted).await.expect("the same").id, id);
    let mut hers = ann.enter(&id).await.expect("entered");
    assigned(&mut hers).await;
    let mut its = amy.enter(&id).await.expect("entered");
    assert!(its.snapshot().participants.iter().any(|who| who.user_id == "ann"));
    amy.typing(&id, true).await.expect("told");
    let who = next(&mut hers, |news| match news {
        News::Typing(told) => Some((told.user_id, told.typing)),
        _ => None,
    });
    assert_eq!(who.await, ("amy".to_owned(), true));
    let first = ann.say(&id, "m1", "สวัสดี 🛶").await.expect("sent");
    assert_eq!(ann.say(&id, "m1", "สวัสดี 🛶").await.expect("the same"), first);
    assert_eq!(code(ann.say(&id, "m1", "else").await), Some(Code(910)));
    assert_eq!(line(&mut its).await, (first.seq, "สวัสดี 🛶".to_owned()));
    assert_eq!(line(&mut hers).await.0, first.seq, "the sender's other devices hear it too");
    amy.read(&id, first.seq).await.expect("read");
    let read = next(&mut hers, |news| match news {
        News::Read(told) => Some((told.user_id, told.up_to_seq)),
        _ => None,
    });
    assert_eq!(read.await, ("amy".to_owned(), first.seq));
    let note = sampan_client::chat::Draft {
        conversation_id: id.clone(),
        client_message_id: "n1".to_owned(),
        content: sampan_client::chat::DraftContent {
            text: Some("a kind one".to_owned()),
            ..Default::default()
        },
        private: true,
        ..Default::default()
    };
    let note = amy.send(&note).await.expect("noted");
    assert_eq!(line(&mut its).await, (note.seq, "a kind one".to_owned()));
    // The broker dies: both go on where they were.
    broker = broker.crash_and_restart();
    let begun = Instant::now();
    let second = loop {
        match amy.say(&id, "r1", "hello").await {
            Ok(message) => break message,
            Err(error) => assert!(error.is_retryable() && begun.elapsed() < PATIENCE, "{error}"),
        }
    };
    assert_eq!(
        line(&mut hers).await,
        (second.seq, "hello".to_owned()),
        "no note, and nothing twice"
    );
    assert_eq!(line(&mut its).await.0, second.seq);
    amy.edit(&second.id, "hello there").await.expect("edited");
    let changed = next(&mut hers, |news| match news {
        News::Changed(message) => message.content.text,
        _ => None,
    });
    assert_eq!(changed.await, "hello there");
    let (_kim_client, kim) = agent(&broker, "kim").await;
    let over = HandOver {
        conversation_id: id.clone(),
        from_agent: None,
        to_agent: Some("kim".to_owned()),
        to_skill: None,
        ask: true,
        force: false,
        note: None,
    };
    amy.hand_over(&over).await.expect("asked");
    let taken = kim.answer_hand_over(&id, true).await.expect("taken");
    assert_eq!((taken.agent_id.as_deref(), taken.epoch), (Some("kim"), 2));
    let moved = next(&mut hers, |news| match news {
        News::Transferred(told) => Some((told.from_agent, told.to_agent)),
        _ => None,
    });
    assert_eq!(moved.await, ("amy".to_owned(), "kim".to_owned()));
    kim.resolve(&id).await.expect("resolved");
    let stands = next(&mut hers, |news| match news {
        News::Status(told) => Some(told.new),
        _ => None,
    });
    assert_eq!(stands.await, Status::Resolved);
    let rate = Rate { conversation_id: id.clone(), rating: 5, comment: None };
    let rating = ann.rate(&rate).await.expect("rated");
    assert_eq!((rating.agent_id.as_deref(), rating.answer.rating), (Some("kim"), 5));
    let page = PageWanted { conversation_id: id.clone(), ..PageWanted::default() };
    let history = ann.history(&page).await.expect("read");
    let system = |message: &Message| {
        message.content.metadata.as_ref().and_then(|metadata| metadata.system.clone())
    };
    assert_eq!(history.iter().filter_map(system).next_back(), Some(SystemLine::Resolved));
    let sought = SearchWanted { text: "there".to_owned(), ..SearchWanted::default() };
    let found = ann.search(&sought).await.expect("searched").messages;
    assert_eq!(found.iter().map(|one| one.seq).collect::<Vec<_>>(), [second.seq]);
    let own = ann.list(&sampan_client::chat::ListWanted::default()).await.expect("read");
    assert_eq!(own.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), [id.as_str()]);
    assert_eq!(code(ann.resolve(&id).await), Some(Code::NOT_GRANTED));
    assert_eq!(code(ann.conversation("nobody's").await), Some(Code(904)));
    ann.leave(&id).await.expect("left");
}

#[tokio::test]
async fn a_customer_is_asked_for_a_rating_once_a_week() {
    let broker = Broker::start();
    let (_client, amy) = agent(&broker, "amy").await;
    let client = broker.client("ann", Role::Customer).await;
    let mut hers = client.subscribe(&topic("user.ann"), Start::Now).await.expect("subscribed");
    let ann = client.chat();
    let mut rooms = Vec::new();
    for number in ["c1", "c2"] {
        let open = Open { client_conversation_id: number.to_owned(), ..Open::default() };
        let id = ann.open(&open).await.expect("begun").id;
        let mut room = ann.enter(&id).await.expect("entered");
        assigned(&mut room).await;
        amy.say(&id, "m1", "hello").await.expect("said");
        amy.resolve(&id).await.expect("resolved");
        rooms.push(id);
    }
    let asked = async {
        loop {
            if let Delivery::Message(told) = hers.next().await.expect("open")
                && told.event() == Some("conversation:rate")
            {
                let told: serde_json::Value =
                    serde_json::from_slice(told.payload_bytes()).expect("JSON");
                return told;
            }
        }
    };
    let asked = timeout(PATIENCE, asked).await.expect("in time");
    assert_eq!(asked, serde_json::json!({ "conversationId": rooms[0], "resolution_no": 1 }));
    let file = broker.data.path().join("data/services.db");
    let database = Database::open(&Address::sqlite(&file)).expect("a valid address");
    let told = Query::new("SELECT key FROM outbox WHERE name = 'conversation:rate'");
    let told = database.all(told).await.expect("read");
    assert_eq!(told.len(), 1, "nor will it be for the second");
    // Who is not asked may say it all the same.
    let rate = Rate { conversation_id: rooms.remove(1), rating: 4, comment: None };
    ann.rate(&rate).await.expect("rated");
}

/// More than an answer may have: who reads it asks on.
#[tokio::test]
async fn long_messages_keep_nobody_from_a_chat() {
    let broker = Broker::start();
    let (_client, amy) = agent(&broker, "amy").await;
    let ann = broker.client("ann", Role::Customer).await.chat();
    let wanted = Open { client_conversation_id: "c1".to_owned(), ..Open::default() };
    let id = ann.open(&wanted).await.expect("begun").id;
    let mut hers = ann.enter(&id).await.expect("entered");
    assigned(&mut hers).await;
    // A chat without a first reply goes to another agent, and the lines below may take that long.
    amy.say(&id, "welcome", "hello").await.expect("said");
    drop(hers);
    let text = "😀 ".repeat(5_000);
    for number in 0..40 {
        ann.say(&id, &format!("m{number}"), &text).await.expect("sent");
    }
    let room = amy.enter(&id).await.expect("she sees it");
    let (snapshot, last) = (room.snapshot(), room.snapshot().last_seq);
    assert!((1..40).contains(&snapshot.messages.len()), "{}", snapshot.messages.len());
    assert_eq!(snapshot.messages.last().map(|message| message.seq), Some(last));
    let mut seqs = Vec::new();
    loop {
        let after = Some(seqs.last().copied().unwrap_or(0));
        let page = PageWanted { conversation_id: id.clone(), after, ..PageWanted::default() };
        let messages = amy.history(&page).await.expect("read");
        if messages.is_empty() {
            break;
        }
        seqs.extend(messages.iter().map(|message| message.seq));
    }
    assert_eq!(seqs, (1..=last).collect::<Vec<_>>());
    let before = snapshot.messages.first().map(|message| message.seq);
    let page = PageWanted { conversation_id: id.clone(), before, ..PageWanted::default() };
    let earlier = amy.history(&page).await.expect("read");
    assert_eq!(earlier.last().map(|message| message.seq + 1), before, "without a hole");
    let (mut sought, mut found) =
        (SearchWanted { text: "😀".to_owned(), ..SearchWanted::default() }, 0);
    loop {
        let page = amy.search(&sought).await.expect("searched");
        found += page.messages.len();
        sought.before = page.next;
        if sought.before.is_none() {
            break;
        }
    }
    assert_eq!(found, 40);
    assert_eq!(amy.list(&sampan_client::chat::ListWanted::default()).await.expect("read").len(), 1);
}

#[tokio::test]
async fn what_goes_with_chats_is_asked_for_by_typed_methods_too() {
    let broker = Broker::start();
    let (_amy, amys) = agent(&broker, "amy").await;
    let ann = broker.client("ann", Role::Customer).await.chat();
    let boss = broker.client("boss", Role::Admin).await.chat();
    let wanted = Open { client_conversation_id: "c1".to_owned(), ..Open::default() };
    let id = ann.open(&wanted).await.expect("begun").id;
    ann.say(&id, "m1", "hello").await.expect("said");

    let png = FileBegin {
        conversation_id: id.clone(),
        file_name: "a.png".to_owned(),
        size_bytes: 9,
        mime_type: "image/png".to_owned(),
    };
    let file = ann.begin_file(&png).await.expect("announced");
    assert!(file.path.starts_with(&format!("/v1/chat/files/{}/", file.id)), "{}", file.path);
    assert_eq!(code(ann.file_link(&file.id).await), Some(Code(904)), "it has no bytes yet");
    let huge = FileBegin { size_bytes: 1 << 40, ..png };
    assert_eq!(code(ann.begin_file(&huge).await), Some(Code::BAD_FIELD));

    let told = CannedPut {
        scope: Scope::Global,
        owner: String::new(),
        shortcut: "hi".to_owned(),
        text: "สวัสดี {{name}}".to_owned(),
    };
    let kept = boss.put_canned(&told).await.expect("kept");
    let mut called = CannedUse { shortcut: "hi".to_owned(), variables: [].into() };
    assert_eq!(code(amys.fill_canned(&called).await), Some(Code::BAD_FIELD), "no gap is read");
    called.variables.insert("name".to_owned(), "Ann".to_owned());
    assert_eq!(amys.fill_canned(&called).await.expect("filled"), "สวัสดี Ann");
    let all = amys.canned(&CannedListWanted::default()).await.expect("read");
    assert_eq!((all.responses, all.next), (vec![kept.clone()], None));
    assert_eq!(code(ann.canned(&CannedListWanted::default()).await), Some(Code::NOT_GRANTED));
    assert!(boss.delete_canned(&kept.id).await.expect("gone"));
    assert!(!boss.delete_canned(&kept.id).await.expect("gone before"));

    let gold =
        PolicyPut { id: "gold".to_owned(), first_response_s: Some(60), ..PolicyPut::default() };
    assert_eq!(boss.put_policy(&gold).await.expect("made"), gold);
    assert_eq!(amys.policies().await.expect("read"), [gold]);
    assert_eq!(code(amys.apply_policy(&id, "iron").await), Some(Code(904)));
    let begun = Instant::now();
    let promise = loop {
        match amys.apply_policy(&id, "gold").await {
            Ok(promise) => break promise,
            // The group has not come to it yet.
            Err(error) if error.code() == Some(Code(904)) && begun.elapsed() < PATIENCE => {
                sleep(std::time::Duration::from_millis(20)).await;
            }
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(promise.policy_id.as_deref(), Some("gold"));
    assert_eq!(amys.promise(&id).await.expect("read").policy_id, promise.policy_id);

    while ann.conversation(&id).await.expect("there").agent_id.is_none() {
        assert!(begun.elapsed() < PATIENCE, "she gets it");
        sleep(std::time::Duration::from_millis(20)).await;
    }
    amys.say(&id, "r1", "hello").await.expect("said");
    amys.resolve(&id).await.expect("resolved");
    assert_eq!(code(amys.rating_link(&id).await), Some(Code::NOT_GRANTED), "it is about her");
    let link = boss.rating_link(&id).await.expect("a link");
    assert_eq!(boss.rating_link(&id).await.expect("the same").path, link.path);
    let rate = Rate { conversation_id: id.clone(), rating: 4, comment: None };
    ann.rate(&rate).await.expect("rated");
    let of = RatingsWanted { conversation_id: Some(id.clone()), agent_id: None };
    let ratings = ann.ratings(&of).await.expect("read");
    assert_eq!(ratings.ratings.iter().map(|one| one.answer.rating).collect::<Vec<_>>(), [4]);
    let today = ratings.ratings[0].created_at[..10].to_owned();
    let days = FiguresWanted { from: today.clone(), to: today, agent_id: None };
    let begun = Instant::now();
    let told = loop {
        let told = amys.figures(&days).await.expect("read");
        if told.total.figures.resolution.count == 1 {
            break told;
        }
        assert!(begun.elapsed() < PATIENCE, "it is counted: {told:?}");
        sleep(std::time::Duration::from_millis(20)).await;
    };
    assert_eq!((told.total.satisfaction, told.total.first_response_goal), (Some(4.0), Some(1.0)));
    assert!(told.days.iter().all(|day| day.agent_id.as_deref() == Some("amy")), "her own");
    assert_eq!(code(ann.figures(&days).await), Some(Code::NOT_GRANTED));
}
