//! What every store of chats keeps to.

use std::time::Duration;

use sampan_services::chat::model::{
    Agent, AgentStatus, Content, Conversation, EndReason, Kind, Message, Origin, Participant,
    Reason, Receipt, Revision, Sender, Status,
};
use sampan_services::chat::rules::lifecycle::{Event, step};
use sampan_services::chat::rules::words::{OPEN, Sought};
use sampan_services::chat::store::{
    Choice, Created, Outcome, Page, Room, Search, SqlStore, Step, Store,
};
use sampan_services::outbox::{self, Source};
use sampan_services::store::Error;
use sampan_services::{Id, Moment};
use sampan_tests::chance::Chance;
use tokio::task::JoinSet;

pub(crate) const NOW: Moment = Moment::from_ms(1_700_000_000_000);

/// Lets each fact hold for each store.
macro_rules! facts {
    ($($fact:ident)*) => {
        mod sqlite {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $fact() {
                let site = crate::sites::Site::sqlite();
                let database = site.migrated().await;
                super::$fact(super::SqlStore::new(&database), database).await;
            }
        )*}

        mod postgres {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $fact() {
                let database = crate::sites::Site::postgres().migrated().await;
                super::$fact(super::SqlStore::new(&database), database).await;
            }
        )*}

        mod mongo {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $fact() {
                let store = crate::sites::mongo_store().await;
                super::$fact(store.clone(), store).await;
            }
        )*}
    };
}

facts! {
    messages_get_the_next_sequence_and_their_events_go_by_it
    a_message_sent_again_is_the_first_and_an_altered_one_is_refused
    of_many_who_claim_one_conversation_one_gets_it
    a_step_without_room_leaves_nothing_behind
    an_agent_that_is_seen_lives_and_one_that_is_offline_stays_gone
    a_customer_has_no_more_open_chats_than_may_be
    no_agent_ever_has_more_than_its_limit_and_counters_equal_a_recount
    cursors_only_grow_and_events_leave_only_when_they_do
    a_rewritten_message_keeps_what_it_said_and_two_do_not_rewrite_at_once
    the_queue_goes_by_waiting_and_leaves_out_what_is_put_aside
    messages_are_found_by_what_they_say_now_and_by_those_who_may_see_them
}

fn conversation(id: &str) -> Conversation {
    Conversation::new(id, "cat", Origin::default(), NOW)
}

pub(crate) async fn created(store: &impl Store, id: &str) -> Conversation {
    let it = conversation(id);
    assert_eq!(store.create(&it, None, &[]).await, Ok(Created::New));
    it
}

pub(crate) fn message(conversation: &str, sender: &str, client_id: &str, text: &str) -> Message {
    Message {
        id: Id::new().to_string(),
        conversation_id: conversation.to_owned(),
        seq: 0,
        client_message_id: client_id.to_owned(),
        sender_id: sender.to_owned(),
        sender_type: Sender::Customer,
        content: Content { text: Some(text.to_owned()), ..Content::default() },
        message_type: Kind::Text,
        status: Receipt::Sent,
        created_at: NOW,
        updated_at: NOW,
        epoch: 0,
        reply_to: None,
        private: false,
        edited_at: None,
        deleted_at: None,
    }
}

pub(crate) fn agent(id: &str, limit: u32) -> Agent {
    Agent {
        id: id.to_owned(),
        email: format!("{id}@shop.example"),
        status: AgentStatus::Online,
        concurrent_limit: limit,
        ..Agent::default()
    }
}

pub(crate) fn claim(agent_id: &str) -> Event {
    Event::Claim { agent_id: agent_id.to_owned(), reason: Reason::Auto }
}

/// Takes the conversation as it stands, lets the event happen, and stores what comes of it; again if
/// it was changed meanwhile. None if the event does not go with how it stands.
async fn happen(store: &impl Store, id: &str, event: Event, told: &[Message]) -> Option<Outcome> {
    loop {
        let before = store.conversation(id).await.expect("read").expect("there");
        let change = step(&before, event.clone(), NOW).ok()?;
        let step = Step { messages: told.to_vec(), ..Step::new(change, NOW) };
        match store.apply(&step).await {
            Ok(Outcome::Moved) | Err(Error::Contended(_)) => {}
            Ok(outcome) => return Some(outcome),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Names and payloads of the events that wait.
async fn events(outbox: &impl Source) -> Vec<(String, String)> {
    let open = outbox.open(&[]).await.expect("read").into_iter();
    let events = open.map(|open| open.event.expect("an event"));
    events.map(|event| (event.name, event.payload)).collect()
}

async fn messages_get_the_next_sequence_and_their_events_go_by_it(
    store: impl Store,
    outbox: impl Source,
) {
    created(&store, "c1").await;
    let mut senders = JoinSet::new();
    for sender in 0..4 {
        let store = store.clone();
        senders.spawn(async move {
            for n in 0..15 {
                let said = message("c1", &format!("s{sender}"), &n.to_string(), "hello");
                let done = happen(&store, "c1", Event::CustomerWrote, &[said]).await;
                assert!(matches!(done, Some(Outcome::Done(_))), "{done:?}");
            }
        });
    }
    senders.join_all().await;
    let stored = store.messages("c1", Page::After(0, 1000)).await.expect("read");
    let seqs: Vec<u64> = stored.iter().map(|message| message.seq).collect();
    assert_eq!(seqs, (1..=60).collect::<Vec<u64>>());
    let told: Vec<Message> = events(&outbox)
        .await
        .into_iter()
        .filter(|(name, _)| name == "message:receive")
        .map(|(_, payload)| serde_json::from_str(&payload).expect("a message"))
        .collect();
    assert_eq!(told, stored);
    assert_eq!(store.conversation("c1").await.expect("read").expect("there").next_seq, 61);
    let last = store.messages("c1", Page::Last(2)).await.expect("read");
    assert_eq!(last, stored[58..]);
    let before = store.messages("c1", Page::Before(59, 3)).await.expect("read");
    assert_eq!(before, stored[55..58]);
    let after = store.messages("c1", Page::After(57, 2)).await.expect("read");
    assert_eq!(after, stored[57..59]);
    assert_eq!(store.message(&stored[7].id).await, Ok(Some(stored[7].clone())));
}

async fn a_message_sent_again_is_the_first_and_an_altered_one_is_refused(
    store: impl Store,
    outbox: impl Source,
) {
    created(&store, "c1").await;
    created(&store, "c2").await;
    let said = message("c1", "cat", "k1", "สวัสดี 👋");
    let first = happen(&store, "c1", Event::CustomerWrote, std::slice::from_ref(&said)).await;
    let Some(Outcome::Done(first)) = first else { panic!("{first:?}") };
    let again = Message { id: "other".to_owned(), ..said.clone() };
    let repeated = happen(&store, "c1", Event::CustomerWrote, &[again]).await;
    assert_eq!(repeated, Some(Outcome::Repeated(Box::new(first[0].clone()))));
    let altered = Message { content: Content::default(), ..said.clone() };
    let differs = happen(&store, "c1", Event::CustomerWrote, &[altered]).await;
    assert_eq!(differs, Some(Outcome::Differs));
    for (conversation, sender) in [("c1", "amy"), ("c2", "cat")] {
        let other = message(conversation, sender, "k1", "other");
        let done = happen(&store, conversation, Event::CustomerWrote, &[other]).await;
        assert!(matches!(done, Some(Outcome::Done(_))), "{done:?}");
    }
    assert_eq!(events(&outbox).await.len(), 3);
    assert_eq!(store.messages("c1", Page::Last(10)).await.expect("read").len(), 2);
}

async fn of_many_who_claim_one_conversation_one_gets_it(store: impl Store, _: impl Source) {
    created(&store, "c1").await;
    let mut claims = JoinSet::new();
    for n in 0..12 {
        let id = format!("a{n}");
        store.put_agent(&agent(&id, 1)).await.expect("told");
        let store = store.clone();
        claims.spawn(async move {
            happen(&store, "c1", claim(&id), &[]).await.map(|outcome| (id, outcome))
        });
    }
    let done: Vec<_> = claims.join_all().await.into_iter().flatten().collect();
    assert_eq!(done.len(), 1, "{done:?}");
    let holder = &done[0].0;
    let stands = store.conversation("c1").await.expect("read").expect("there");
    assert_eq!((stands.agent_id.as_ref(), stands.epoch), (Some(holder), 1));
    let busy: Vec<String> = store
        .agents()
        .await
        .expect("read")
        .into_iter()
        .filter(|agent| agent.current_conversations > 0)
        .map(|agent| agent.id)
        .collect();
    assert_eq!(&busy, std::slice::from_ref(holder));
    assert_eq!(store.of_agent(holder).await, Ok(vec![stands]));
}

async fn a_step_without_room_leaves_nothing_behind(store: impl Store, outbox: impl Source) {
    store.put_agent(&agent("amy", 1)).await.expect("told");
    created(&store, "c1").await;
    let full = created(&store, "c2").await;
    happen(&store, "c1", claim("amy"), &[]).await.expect("it waits");
    let line = message("c2", "system", "line", "amy has it");
    let change = step(&full, claim("amy"), NOW).expect("it waits");
    let mut claimed = Step::new(change, NOW).message(line);
    assert_eq!(store.apply(&claimed).await, Ok(Outcome::Full));
    claimed.room = Room::Slot;
    assert_eq!(store.apply(&claimed).await, Ok(Outcome::Full));
    assert_eq!(store.conversation("c2").await, Ok(Some(full)));
    assert_eq!(store.messages("c2", Page::Last(10)).await, Ok(Vec::new()));
    assert!(events(&outbox).await.is_empty());
    claimed.room = Room::Nothing;
    assert!(matches!(store.apply(&claimed).await, Ok(Outcome::Done(_))));
    let amy = store.agent("amy").await.expect("read").expect("there");
    assert_eq!(amy.current_conversations, 2);
    let off = Choice { status: AgentStatus::Offline, at: NOW, is_own: true };
    let offline = store.set_status("amy", off, &[]).await.expect("set");
    assert_eq!(offline.map(|amy| amy.status), Some(AgentStatus::Offline));
    store.put_agent(&agent("amy", 9)).await.expect("told");
    created(&store, "c3").await;
    assert_eq!(happen(&store, "c3", claim("amy"), &[]).await, Some(Outcome::Full));
}

async fn an_agent_that_is_seen_lives_and_one_that_is_offline_stays_gone(
    store: impl Store,
    _: impl Source,
) {
    let ids: Vec<String> = ["amy", "kim", "nobody"].map(str::to_owned).into();
    for id in &ids[..2] {
        store.put_agent(&agent(id, 1)).await.expect("told");
    }
    let after = |seconds| NOW.after(Duration::from_secs(seconds));
    let off = Choice { status: AgentStatus::Offline, at: NOW, is_own: true };
    store.set_status("kim", off, &[]).await.expect("set");
    // To say so again does not begin it anew.
    store.set_status("kim", Choice { at: after(5), ..off }, &[]).await.expect("set");
    store.seen(&ids, &[], after(15)).await.expect("noted");
    let agents = store.agents().await.expect("read");
    let [amy, kim] = &agents[..] else { panic!("{agents:?}") };
    assert_eq!((amy.last_seen_at, amy.offline_since), (Some(after(15)), None));
    assert_eq!((kim.last_seen_at, kim.offline_since), (Some(after(5)), Some(NOW)));

    // A look that began before she was seen knows less.
    store.seen(&[], &ids, after(14)).await.expect("noted");
    let amy = store.agent("amy").await.expect("read").expect("there");
    assert_eq!((amy.last_seen_at, amy.offline_since), (Some(after(15)), None));

    // Who has gone is gone since it went, until it is back.
    store.seen(&[], &ids, after(20)).await.expect("noted");
    store.seen(&[], &ids, after(25)).await.expect("noted");
    let amy = store.agent("amy").await.expect("read").expect("there");
    assert_eq!((amy.last_seen_at, amy.offline_since), (Some(after(15)), Some(after(20))));
    created(&store, "c1").await;
    assert_eq!(happen(&store, "c1", claim("amy"), &[]).await, Some(Outcome::Full), "she is gone");
    store.seen(&ids, &[], after(30)).await.expect("noted");
    let amy = store.agent("amy").await.expect("read").expect("there");
    assert_eq!((amy.last_seen_at, amy.offline_since), (Some(after(30)), None));
    assert!(matches!(happen(&store, "c1", claim("amy"), &[]).await, Some(Outcome::Done(_))));

    // That another says that it takes chats does not show that it lives.
    let on = Choice { status: AgentStatus::Online, at: after(40), is_own: false };
    let kim = store.set_status("kim", on, &[]).await.expect("set").expect("there");
    assert_eq!((kim.last_seen_at, kim.offline_since), (Some(after(5)), None));
}

async fn a_customer_has_no_more_open_chats_than_may_be(store: impl Store, _: impl Source) {
    let open = async |id: &str| store.create(&conversation(id), Some(2), &[]).await.expect("told");
    assert_eq!([open("c1").await, open("c2").await], [Created::New; 2]);
    assert_eq!([open("c3").await, open("c1").await], [Created::Full, Created::Known]);
    assert_eq!(store.conversation("c3").await, Ok(None));
    store.put_agent(&agent("amy", 9)).await.expect("told");
    let choice = Choice { status: AgentStatus::Online, at: NOW, is_own: true };
    store.set_status("amy", choice, &[]).await.expect("set");
    for event in [claim("amy"), Event::Resolve] {
        assert!(matches!(happen(&store, "c1", event, &[]).await, Some(Outcome::Done(_))));
    }
    assert_eq!([open("c3").await, open("c4").await], [Created::New, Created::Full]);
    assert_eq!(store.create(&conversation("c4"), None, &[]).await, Ok(Created::New), "the shop's");
}

/// Where changes are transactions, also at the same moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_chats_that_are_opened_at_once_no_more_come_to_be_than_may() {
    for site in [crate::sites::Site::sqlite(), crate::sites::Site::postgres()] {
        let store = SqlStore::new(&site.migrated().await);
        let mut opening = JoinSet::new();
        for n in 0..16 {
            let store = store.clone();
            opening.spawn(async move {
                store.create(&conversation(&format!("c{n}")), Some(5), &[]).await
            });
        }
        let opened = opening.join_all().await;
        let new = opened.iter().filter(|opened| **opened == Ok(Created::New)).count();
        assert_eq!(new, 5, "{}: {opened:?}", site.name);
    }
}

/// Tasks that claim, resolve, hand back and reopen at random: no limit is passed, and in the end
/// counters equal a recount and each time of each conversation was had by one agent.
async fn no_agent_ever_has_more_than_its_limit_and_counters_equal_a_recount(
    store: impl Store,
    _: impl Source,
) {
    const CHATS: u64 = 24;
    const AGENTS: u64 = 4;
    for n in 0..AGENTS {
        let limit = u32::try_from(n).expect("few") + 1;
        store.put_agent(&agent(&format!("a{n}"), limit)).await.expect("told");
    }
    for n in 0..CHATS {
        created(&store, &format!("c{n}")).await;
    }
    let mut tasks = JoinSet::new();
    for seed in 0..4 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut chance = Chance::new(seed);
            for _ in 0..60 {
                let id = format!("c{}", chance.below(CHATS));
                let event = match chance.below(5) {
                    0..=2 => claim(&format!("a{}", chance.below(AGENTS))),
                    3 => Event::Resolve,
                    _ => Event::Requeue(EndReason::Unassigned),
                };
                happen(&store, &id, event, &[]).await;
                for agent in store.agents().await.expect("read") {
                    assert!(agent.current_conversations <= agent.concurrent_limit);
                }
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("no panic");
    }
    assert_eq!(store.recount().await, Ok(0));
    for n in 0..CHATS {
        let id = format!("c{n}");
        let stands = store.conversation(&id).await.expect("read").expect("there");
        let had = store.assignments(&id).await.expect("read");
        let epochs: Vec<u64> = had.iter().map(|assignment| assignment.epoch).collect();
        assert_eq!(epochs, (1..=stands.epoch).collect::<Vec<u64>>(), "{id}");
        let open: Vec<_> = had.iter().filter(|it| it.ended_at.is_none()).collect();
        let holder = (stands.status == Status::Active).then_some(stands.agent_id).flatten();
        let held = open.first().map(|it| it.agent_id.clone());
        assert!(open.len() <= 1 && held == holder, "{id}: {open:?}");
    }
}

async fn cursors_only_grow_and_events_leave_only_when_they_do(
    store: impl Store,
    outbox: impl Source,
) {
    created(&store, "c1").await;
    let who = Participant {
        conversation_id: "c1".to_owned(),
        user_id: "cat".to_owned(),
        role: Sender::Customer,
        delivered_seq: 0,
        read_seq: 0,
        joined_at: NOW,
        left_at: None,
        muted: false,
    };
    assert_eq!(store.join(&who).await, Ok(who.clone()));
    let to = |delivered_seq, read_seq| Participant { delivered_seq, read_seq, ..who.clone() };
    let event = || {
        let event = outbox::Event::of("chat.conversation.c1", "message:read", NOW, &1);
        [event.expect("an event")]
    };
    let cases = [
        (to(5, 3), true, (5, 3)),
        (to(4, 3), false, (5, 3)),
        (to(0, 5), true, (5, 5)),
        (to(9, 1), true, (9, 5)),
        (to(9, 5), false, (9, 5)),
    ];
    for (to, is_moved, stands) in cases {
        assert_eq!(store.advance(&to, &event()).await, Ok(is_moved), "{to:?}");
        let found = store.participants("c1").await.expect("read").remove(0);
        assert_eq!((found.delivered_seq, found.read_seq), stands);
    }
    assert_eq!(events(&outbox).await.len(), 3);
    let stranger = Participant { user_id: "eve".to_owned(), ..to(1, 1) };
    assert_eq!(store.advance(&stranger, &event()).await, Ok(false));
    let later = NOW.after(Duration::from_secs(1));
    assert_eq!(store.leave("c1", "cat", later).await, Ok(true));
    assert_eq!(store.leave("c1", "cat", later).await, Ok(false));
    let again = store.join(&who).await.expect("joined");
    assert_eq!((again.read_seq, again.left_at), (5, None));
}

async fn a_rewritten_message_keeps_what_it_said_and_two_do_not_rewrite_at_once(
    store: impl Store,
    _: impl Source,
) {
    created(&store, "c1").await;
    let said = message("c1", "cat", "k", "first");
    let done = happen(&store, "c1", Event::CustomerWrote, &[said]).await;
    let Some(Outcome::Done(stored)) = done else { panic!("{done:?}") };
    let first = stored[0].clone();
    let text = |text: &str| Content { text: Some(text.to_owned()), ..Content::default() };
    let second = Message { content: text("second"), edited_at: Some(NOW), ..first.clone() };
    let revision = Revision { content: first.content.clone(), until: NOW };
    assert_eq!(store.rewrite(&first, &second, &revision).await, Ok(true));
    let other = Message { content: text("other"), ..first.clone() };
    assert_eq!(store.rewrite(&first, &other, &revision).await, Ok(false));
    assert_eq!(store.message(&first.id).await, Ok(Some(second)));
    assert_eq!(store.revisions(&first.id).await, Ok(vec![revision]));
    let again = happen(&store, "c1", Event::CustomerWrote, &[first]).await;
    assert!(matches!(again, Some(Outcome::Repeated(_))), "{again:?}");
}

async fn the_queue_goes_by_waiting_and_leaves_out_what_is_put_aside(
    store: impl Store,
    _: impl Source,
) {
    for (id, waited) in [("c1", 10), ("c2", 30), ("c3", 20), ("c4", 40)] {
        let since = NOW.before(Duration::from_secs(waited));
        let it = Conversation { waiting_since: Some(since), ..conversation(id) };
        assert_eq!(store.create(&it, None, &[]).await, Ok(Created::New));
        assert_eq!(store.create(&it, None, &[]).await, Ok(Created::Known));
    }
    let until = NOW.after(Duration::from_secs(60));
    happen(&store, "c4", Event::Snooze(until), &[]).await.expect("put aside");
    happen(&store, "c1", Event::Resolve, &[]).await.expect("resolved");
    let ids =
        |found: Vec<Conversation>| -> Vec<String> { found.into_iter().map(|it| it.id).collect() };
    assert_eq!(ids(store.waiting(10).await.expect("read")), ["c2", "c3"]);
    assert_eq!(ids(store.waiting(1).await.expect("read")), ["c2"]);

    // What has rested long enough is found, be it asleep or resolved; what is archived no longer.
    let early = |at: Moment| at.before(Duration::from_millis(1));
    let rested =
        async |woken, resolved, max| ids(store.rested(woken, resolved, max).await.expect("read"));
    assert_eq!(rested(until, NOW, 10).await, ["c4", "c1"]);
    assert_eq!(rested(until, early(NOW), 10).await, ["c4"]);
    assert_eq!(rested(early(until), NOW, 10).await, ["c1"]);
    assert!(rested(until, NOW, 0).await.is_empty());
    happen(&store, "c1", Event::Archive, &[]).await.expect("archived");
    assert_eq!(rested(until, NOW, 10).await, ["c4"]);

    let mut own = ids(store.of_customer("cat", 10).await.expect("read"));
    own.sort();
    assert_eq!(own, ["c1", "c2", "c3", "c4"]);
    assert!(store.of_customer("dog", 10).await.expect("read").is_empty());
}

async fn messages_are_found_by_what_they_say_now_and_by_those_who_may_see_them(
    store: impl Store,
    _: impl Source,
) {
    for (id, customer) in [("c", "cat"), ("d", "dog")] {
        let it = Conversation { customer_id: customer.to_owned(), ..conversation(id) };
        assert_eq!(store.create(&it, None, &[]).await, Ok(Created::New));
        let says = |n: usize, text: &str| {
            let message = message(id, customer, &format!("{n}"), text);
            // Ids say nothing of the time.
            let updated_at = NOW.after(Duration::from_secs(10 - n as u64));
            Message { id: format!("{id}{n}"), private: n == 2, updated_at, ..message }
        };
        let told = [
            says(0, "Where is my order TH-1234?"),
            says(1, "สินค้ายังไม่มาถึงเลยค่ะ 🛶"),
            says(2, "the customer of order TH-1234 is angry"),
            says(3, "order order order"),
        ];
        happen(&store, id, Event::CustomerWrote, &told).await;
    }
    let found = async |text: &str, customer: Option<&str>, before: Option<&str>, max| {
        let sought = Sought::new(text).expect("something");
        let open = customer.map(|_| OPEN.to_owned());
        let wanted = Search {
            terms: sought.terms().iter().cloned().chain(open).collect(),
            customer_id: customer.map(str::to_owned),
            conversation_id: None,
            before: before.map(str::to_owned),
            max,
        };
        let found = store.search(&wanted).await.expect("sought");
        found.into_iter().map(|message| message.id).collect::<Vec<_>>()
    };
    assert_eq!(found("ORDER", None, None, 10).await, ["d0", "c0", "d2", "c2", "d3", "c3"]);
    assert_eq!(found("order th", Some("cat"), None, 10).await, ["c0"], "no note of an agent");
    assert_eq!(found("order", Some("cat"), None, 10).await, ["c0", "c3"]);
    assert_eq!(found("order", None, None, 2).await, ["d0", "c0"]);
    assert_eq!(found("order", None, Some("c0"), 2).await, ["d2", "c2"]);
    assert_eq!(found("ไม่มาถึง", Some("dog"), None, 10).await, ["d1"]);
    assert_eq!(found("🛶 สินค้า", None, None, 10).await, ["d1", "c1"]);
    assert!(found("missing order", None, None, 10).await.is_empty());
    let before = store.message("c3").await.expect("read").expect("there");
    let revision = Revision { content: before.content.clone(), until: NOW };
    let text =
        |text: Option<&str>| Content { text: text.map(str::to_owned), ..before.content.clone() };
    let edited = Message { content: text(Some("never mind")), ..before.clone() };
    assert_eq!(store.rewrite(&before, &edited, &revision).await, Ok(true));
    assert_eq!(found("order", Some("cat"), None, 10).await, ["c0"]);
    assert_eq!(found("mind", Some("cat"), None, 10).await, ["c3"]);
    let deleted = Message { content: text(None), deleted_at: Some(NOW), ..edited.clone() };
    assert_eq!(store.rewrite(&edited, &deleted, &revision).await, Ok(true));
    assert!(found("mind", None, None, 10).await.is_empty());
}
