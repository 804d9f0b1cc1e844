//! Notifications whose news are lost on the way: what the services have makes it good.

mod fake;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fake::{Fake, TOKEN};
use sampan_client::notifications::{
    Inbox, InboxWanted, Item, JobFollower, JobState, Kind, Mark, Marked, News, Priority, Progress,
    Updated, Watcher,
};
use sampan_client::{Call, Client, Code, Message, Options, Pattern, Token, Topic};
use serde::Serialize;
use serde_json::json;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

/// What the services have, and what they are to refuse next.
#[derive(Default)]
struct Shop {
    /// The oldest first.
    items: Vec<Item>,
    marked: Vec<String>,
    progress: Option<Progress>,
    refusals: Vec<Code>,
}

type Shared = Arc<Mutex<Shop>>;

async fn attach(broker: &Fake) -> Client {
    let options = Options { seed: Some(7), ..Options::new("", Token::Static(TOKEN.to_owned())) };
    Client::attach(Arc::new(broker.clone()), options).await.expect("attached")
}

/// A broker with services.
async fn open() -> (Fake, Client, Shared) {
    let (broker, shop) = (Fake::new(), Shared::default());
    let client = attach(&broker).await;
    let pattern = Pattern::parse("notify.>").expect("valid");
    let mut calls = client.serve(pattern).await.expect("served");
    let served = shop.clone();
    tokio::spawn(async move {
        while let Some(call) = calls.next().await {
            answer(&mut served.lock().expect("no panic"), call);
        }
    });
    (broker, client, shop)
}

fn answer(shop: &mut Shop, call: Call) {
    let name = call.topic().as_str().to_owned();
    if name == "notify.mark" {
        let mark: Mark = serde_json::from_slice(&call.payload()).expect("a mark");
        assert_eq!(mark.mark, Marked::Delivered);
        let ids = mark.ids.expect("of some");
        assert!(ids.len() <= 100, "{}", ids.len());
        shop.marked.extend(ids.clone());
        return reply(call, &Updated { notification_ids: ids, mark: mark.mark, unread: 0 });
    }
    if let Some(code) = shop.refusals.pop() {
        return call.fail(code, "not now");
    }
    if name == "notify.bulk_get" {
        return reply(call, &shop.progress);
    }
    let wanted: InboxWanted = serde_json::from_slice(&call.payload()).expect("a question");
    assert_eq!(wanted.user_id.as_deref(), Some("ann"));
    let newest = shop.items.iter().rev();
    let older = newest.filter(|item| match &wanted.before {
        Some(before) => item.notification_id < *before,
        None => true,
    });
    let items = older.take(100).cloned().collect();
    reply(call, &Inbox { items, unread: shop.items.len() as u64 });
}

fn reply(call: Call, answer: &impl Serialize) {
    call.reply_json(serde_json::to_vec(answer).expect("JSON"));
}

fn item(n: u32) -> Item {
    Item {
        notification_id: format!("n{n:04}"),
        kind: Kind::OrderStatusUpdate,
        title: String::new(),
        body: format!("{n}"),
        action_url: None,
        icon_url: None,
        data: json!({}).into(),
        priority: Priority::Normal,
        created_at: "2026-11-23T02:28:29.123Z".to_owned(),
        seen_at: None,
        read_at: None,
        archived_at: None,
    }
}

async fn tell(client: &Client, topic: &str, event: &str, told: &impl Serialize) {
    let payload = serde_json::to_vec(told).expect("JSON");
    let message = Message::new(Topic::parse(topic).expect("valid"), payload);
    client.publish(message.event(event)).await.expect("told");
}

/// Puts notifications into the inbox, of which nobody is told.
fn put(shop: &Shared, numbers: std::ops::RangeInclusive<u32>) {
    shop.lock().expect("no panic").items.extend(numbers.map(item));
}

async fn come(client: &Client, shop: &Shared, n: u32) {
    put(shop, n..=n);
    tell(client, "user.ann", "notification:new", &item(n)).await;
}

async fn next(watcher: &mut Watcher) -> Option<News> {
    timeout(PATIENCE, watcher.next()).await.expect("in time")
}

async fn further(job: &mut JobFollower) -> Option<Progress> {
    timeout(PATIENCE, job.next()).await.expect("in time")
}

#[tokio::test]
async fn what_a_gap_takes_from_an_inbox_is_told_before_what_comes_and_each_once() {
    let (broker, services, shop) = open().await;
    put(&shop, 1..=150);
    let ann = attach(&broker).await.notifications();
    let mut watcher = ann.watch("ann").await.expect("seen");
    let first: Vec<_> = (51..=150).rev().map(item).collect();
    assert_eq!((&watcher.inbox().items, watcher.inbox().unread), (&first, 150));
    let mut told = Vec::new();
    come(&services, &shop, 151).await;
    assert_eq!(next(&mut watcher).await, Some(News::New(item(151))));
    // 250 come of which nothing is heard, and the services are busy at first.
    put(&shop, 152..=401);
    broker.gap("user.ann", 2, 2);
    shop.lock().expect("no panic").refusals.push(Code::BUSY);
    tell(&services, "user.ann", "order_status_update", &json!({ "no": "notification" })).await;
    come(&services, &shop, 402).await;
    let stands = loop {
        match next(&mut watcher).await.expect("open") {
            News::New(item) => told.push(item.body.parse::<u32>().expect("a number")),
            other => break other,
        }
    };
    let last = *told.last().expect("some");
    assert_eq!(told, (152..=last).collect::<Vec<_>>(), "in order, and none of before");
    let newest = (last - 99..=last).rev().map(item).collect();
    assert_eq!(stands, News::Stands(Inbox { items: newest, unread: u64::from(last) }));
    // What was read from the inbox is not told again by the message that it came with.
    come(&services, &shop, 403).await;
    for n in last + 1..=403 {
        assert_eq!(next(&mut watcher).await, Some(News::New(item(n))));
    }
    let expected: Vec<_> = (151..=403).map(|n| item(n).notification_id).collect();
    let all = async {
        while shop.lock().expect("no panic").marked.len() < expected.len() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, all).await.expect("marked");
    assert_eq!(shop.lock().expect("no panic").marked, expected, "each once, what was handed out");
}

#[tokio::test]
async fn a_loss_that_nobody_makes_good_is_told_as_it_is() {
    let (broker, services, shop) = open().await;
    let ann = attach(&broker).await.notifications();
    let mut watcher = ann.watch("ann").await.expect("seen");
    come(&services, &shop, 1).await;
    assert_eq!(next(&mut watcher).await, Some(News::New(item(1))));
    shop.lock().expect("no panic").refusals.push(Code::NOT_GRANTED);
    broker.gap("user.ann", 2, 2);
    let Some(News::Lost(gap)) = next(&mut watcher).await else { panic!("lost") };
    assert_eq!((gap.from, gap.to), (2, 2));
    tell(&services, "user.ann", "notification:new", &item(9)).await;
    tell(&services, "user.ann", "notification:new", &item(1)).await;
    tell(&services, "user.ann", "notification:new", &item(2)).await;
    broker.cut(Code::RESTARTED);
    assert_eq!(next(&mut watcher).await, Some(News::New(item(2))), "and what comes is told, once");
}

#[tokio::test]
async fn a_job_ends_for_its_follower_though_its_last_word_is_lost() {
    let (broker, services, shop) = open().await;
    let at = |state, done| Progress {
        job_id: "j".to_owned(),
        state,
        total: 3,
        done,
        failed: 0,
        deliveries: [("sent".to_owned(), done)].into(),
    };
    let stands = |progress| shop.lock().expect("no panic").progress = Some(progress);
    stands(at(JobState::Running, 1));
    let mut job = attach(&broker).await.notifications().follow_job("j").await.expect("followed");
    let first = at(JobState::Running, 1);
    assert_eq!(further(&mut job).await, Some(first.clone()));
    // What was told before the job was asked about is no news.
    tell(&services, "notify.bulk.j", "bulk:progress", &at(JobState::Running, 0)).await;
    tell(&services, "notify.bulk.j", "bulk:progress", &first).await;
    let second = at(JobState::Running, 2);
    tell(&services, "notify.bulk.j", "bulk:progress", &second).await;
    assert_eq!(further(&mut job).await, Some(second));
    stands(at(JobState::Done, 3));
    shop.lock().expect("no panic").refusals.push(Code::BUSY);
    broker.gap("notify.bulk.j", 4, 4);
    assert_eq!(further(&mut job).await, Some(at(JobState::Done, 3)));
    assert_eq!(further(&mut job).await, None);
    assert_eq!(job.error(), None, "that was its end");
}
