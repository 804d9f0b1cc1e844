//! The client attached to a broker in the same process.

mod fake;

use std::sync::Arc;
use std::time::Duration;

use fake::{Fake, TOKEN};
use sampan_client::{
    Change, Client, Code, Delivery, Error, Event, HistoryFrom, Message, Options, Pattern, Received,
    Start, State, Subscription, Token, Topic,
};

fn options() -> Options {
    Options { seed: Some(7), ..Options::new("", Token::Static(TOKEN.to_owned())) }
}

async fn attach(broker: &Fake) -> Client {
    Client::attach(Arc::new(broker.clone()), options()).await.expect("attached")
}

fn topic(name: &str) -> Topic {
    Topic::parse(name).expect(name)
}

fn pattern(name: &str) -> Pattern {
    Pattern::parse(name).expect(name)
}

async fn message(subscription: &mut Subscription) -> Received {
    let next = tokio::time::timeout(Duration::from_secs(10), subscription.next());
    match next.await.expect("in time").expect("not ended") {
        Delivery::Message(message) => message,
        Delivery::Gap(gap) => panic!("unexpected {gap:?}"),
    }
}

#[tokio::test]
async fn a_message_arrives_with_all_that_goes_with_it() {
    let broker = Fake::new();
    let client = attach(&broker).await;
    let mut subscription = client.subscribe(pattern("a.*"), Start::Now).await.expect("subscribed");
    let sent = Message::new(topic("a.b"), "payload")
        .event("e")
        .key("k")
        .content_type("text/plain")
        .version(9)
        .header("h", b"\x00\x01")
        .idempotency_key("not relayed");
    let ack = client.publish(sent).await.expect("acked");
    assert_eq!((ack.epoch, ack.offset, ack.duplicate), (1, 1, false));
    let got = message(&mut subscription).await;
    assert_eq!((got.topic(), got.offset(), got.epoch()), (&topic("a.b"), 1, 1));
    assert_eq!(
        (got.event(), got.key(), got.content_type()),
        (Some("e"), Some("k"), Some("text/plain"))
    );
    assert_eq!((got.version(), got.time_ms()), (Some(9), 5));
    assert_eq!(got.headers(), [("h", &b"\x00\x01"[..])]);
    assert_eq!(got.payload_bytes(), b"payload");
}

#[tokio::test]
async fn a_cut_connection_is_resumed_without_loss_or_double() {
    let broker = Fake::new();
    let (client, other) = (attach(&broker).await, attach(&broker).await);
    let mut events = client.events();
    let mut exact = client.subscribe(&topic("a.b"), Start::Now).await.expect("subscribed");
    let mut wild = client.subscribe(pattern("a.>"), Start::Now).await.expect("subscribed");
    for round in 0..5u64 {
        for n in 0..20 {
            let payload = format!("{}", round * 20 + n);
            other.publish(Message::new(topic("a.b"), payload)).await.expect("acked");
        }
        match round % 2 {
            0 => broker.cut(Code::RESTARTED),
            _ => broker.restart(),
        }
    }
    for subscription in [&mut exact, &mut wild] {
        for n in 0..100u64 {
            let got = message(subscription).await;
            assert_eq!((got.offset(), got.payload_bytes()), (n + 1, n.to_string().as_bytes()));
        }
    }
    assert!(matches!(events.next().await, Some(Event::Waiting { .. })));
}

#[tokio::test]
async fn a_publish_whose_ack_was_lost_takes_effect_once() {
    let broker = Fake::new();
    let client = attach(&broker).await;
    broker.lose_acks(3);
    let pending: Vec<_> =
        (0..3).map(|_| client.try_publish(Message::new(topic("a"), "x")).expect("room")).collect();
    while broker.stored("a") < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    broker.restart();
    for (offset, ack) in (1..).zip(pending) {
        let ack = ack.await.expect("acked");
        assert_eq!((ack.offset, ack.duplicate), (offset, true));
    }
    assert_eq!(broker.stored("a"), 3);
    assert_eq!(client.status().pending, 0);
}

#[tokio::test]
async fn a_bulk_publisher_learns_every_outcome() {
    let broker = Fake::new();
    let client = attach(&broker).await;
    let (publisher, mut acks) = client.publisher();
    let sender = tokio::spawn(async move {
        for n in 0..20_000u64 {
            let ordinal = publisher.publish(Message::new(topic("a"), "x")).await.expect("queued");
            assert_eq!(ordinal, n + 1);
        }
        publisher.flush().await.expect("flushed");
        publisher.counts()
    });
    let (mut settled, mut next) = (Vec::new(), 1);
    while acks.next_many(&mut settled).await > 0 {
        for one in settled.drain(..) {
            assert_eq!((one.ordinal, one.result.expect("acked").offset), (next, next));
            next += 1;
        }
    }
    assert_eq!(next, 20_001);
    assert_eq!(sender.await.expect("sent"), (20_000, 20_000, 0));
}

#[tokio::test]
async fn a_slow_reader_is_not_a_deadlock_for_its_own_publishes() {
    let broker = Fake::new();
    let options = Options { queue_max: 4, ..options() };
    let client = Client::attach(Arc::new(broker.clone()), options).await.expect("attached");
    let mut subscription = client.subscribe(&topic("a"), Start::Now).await.expect("subscribed");
    let payload = vec![7u8; 60_000];
    for _ in 0..100 {
        client.publish(Message::new(topic("a"), payload.clone())).await.expect("acked");
    }
    for offset in 1..=100 {
        assert_eq!(message(&mut subscription).await.offset(), offset);
        client.publish(Message::new(topic("b"), "echo")).await.expect("acked");
    }
}

#[tokio::test]
async fn requests_reach_their_responder_and_failures_come_back() {
    let broker = Fake::new();
    let (client, worker) = (attach(&broker).await, attach(&broker).await);
    let ask = |name: &str| client.request(topic(name), "q", Duration::from_secs(5));
    let nobody = ask("work.x").await.expect_err("nobody serves");
    assert_eq!(nobody.code(), Some(Code::NO_RESPONDER));
    assert!(nobody.is_retryable() && !nobody.may_have_happened());

    let mut calls = worker.serve(pattern("work.*")).await.expect("served");
    tokio::spawn(async move {
        while let Some(call) = calls.next().await {
            match call.topic().as_str() {
                "work.bad" => call.fail(Code(942), "no"),
                "work.silent" => drop(call),
                _ => {
                    let answer = format!("{} by {}", call.user(), call.topic());
                    call.reply(answer);
                }
            }
        }
    });
    assert_eq!(ask("work.x").await.expect("answered").payload(), "asker by work.x");
    assert_eq!(ask("work.bad").await.expect_err("failed").code(), Some(Code(942)));
    let silent = client.request(topic("work.silent"), "", Duration::from_millis(50)).await;
    let silent = silent.expect_err("no answer");
    assert!(silent.may_have_happened() && silent.code() == Some(Code::DEADLINE));

    broker.cut(Code::RESTARTED);
    while worker.status().state != State::Live || client.status().state != State::Live {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut again = ask("work.y").await;
    while again.as_ref().is_err_and(Error::is_retryable) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        again = ask("work.y").await;
    }
    assert_eq!(again.expect("the offer came back").payload(), "asker by work.y");
}

#[tokio::test]
async fn authorizers_answer_and_history_and_presence_are_read() {
    let broker = Fake::new();
    let client = attach(&broker).await;
    let mut questions = client.authorize(pattern("a.*")).await.expect("authorizes");
    let question = questions.next().await.expect("asked");
    assert_eq!((question.user(), question.topic().as_str()), ("u7", "a.x"));
    question.allow(Duration::from_secs(3));
    while broker.stored("answers") == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let page = client.history(topic("answers"), HistoryFrom::Offset(1), 10).await.expect("read");
    assert_eq!((page.epoch, page.floor, page.next, page.messages.len()), (1, 1, 2, 1));
    assert_eq!(page.messages[0].payload_bytes(), b"true 3000");

    let presence = client.presence(topic("a"));
    presence.enter().await.expect("entered");
    assert_eq!(presence.read().await.expect("read").count, 3);
    let mut watch = presence.watch().await.expect("watching");
    assert!(matches!(watch.next().await, Some(Change::All(members)) if members.count == 3));
    presence.leave().await.expect("left");
}

#[tokio::test]
async fn gaps_are_told_between_messages() {
    let broker = Fake::new();
    let client = attach(&broker).await;
    let mut subscription = client.subscribe(&topic("a"), Start::Now).await.expect("subscribed");
    client.publish(Message::new(topic("a"), "1")).await.expect("acked");
    broker.gap("a", 2, 7);
    assert_eq!(message(&mut subscription).await.offset(), 1);
    let Some(Delivery::Gap(gap)) = subscription.next().await else { panic!("no gap") };
    assert_eq!((gap.from, gap.to, gap.is_loss()), (2, 7, true));
}

#[tokio::test]
async fn a_refused_subscription_is_an_error_and_leaves_nothing() {
    let broker = Fake::new();
    let client = attach(&broker).await;
    let refused = client.subscribe(&topic("forbidden"), Start::Now).await.expect_err("refused");
    assert_eq!(refused.code(), Some(Code::NOT_GRANTED));
    assert!(!refused.is_retryable());
    drop(client.subscribe(&topic("a"), Start::Now).await.expect("subscribed"));
    while broker.subscriptions() > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_refused_token_fails_at_once_and_a_provider_is_asked_twice() {
    let broker: Arc<Fake> = Arc::new(Fake::new());
    let bad = Options::new("", Token::Static("bad".to_owned()));
    let refused = Client::attach(broker.clone(), bad).await.expect_err("refused");
    assert_eq!(refused.code(), Some(Code::BAD_TOKEN));

    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let token = Token::from_fn(move || {
        let second = asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 0;
        async move { Ok((if second { TOKEN } else { "stale" }).to_owned()) }
    });
    let client = Client::attach(broker, Options::new("", token)).await.expect("attached");
    assert_eq!(client.status().user, "u");
}

#[tokio::test]
async fn a_broker_that_cannot_be_reached_fails_in_time() {
    let broker = Fake::new();
    broker.refuse_attach(Some(Code::OVERLOADED));
    let timeout = Duration::from_millis(300);
    let options = Options { connect_timeout: timeout, ..options() };
    let failed = Client::attach(Arc::new(broker), options).await.expect_err("unreachable");
    assert!(matches!(failed, Error::Unreachable { .. }) && failed.is_retryable(), "{failed}");
}

#[tokio::test]
async fn closing_flushes_and_ends_every_stream() {
    let broker = Fake::new();
    let client = attach(&broker).await;
    let mut subscription = client.subscribe(&topic("a"), Start::Now).await.expect("subscribed");
    let mut events = client.events();
    for _ in 0..100 {
        drop(client.try_publish(Message::new(topic("b"), "x")).expect("room"));
    }
    client.close().await.expect("flushed");
    assert_eq!(broker.stored("b"), 100);
    assert!(subscription.next().await.is_none());
    assert_eq!(subscription.error().and_then(|e| e.code()), Some(Code::CLOSED));
    assert!(matches!(events.next().await, Some(Event::Closed(_))));
    assert!(events.next().await.is_none());
    let refused = client.publish(Message::new(topic("b"), "x")).await.expect_err("closed");
    assert!(matches!(refused, Error::Closed { .. }) && !refused.is_retryable());
}
