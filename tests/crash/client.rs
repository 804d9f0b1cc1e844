//! Clients of a broker: they publish and consume, and say what they were told, a line at a time.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sampan_client::{
    AckLevel, Client, Consumer, Delivery, Job, Message, Options, Pattern, Received, Start, Token,
    Topic, Trust,
};
use sampan_tests::chance::Chance;
use sampan_tests::history;
use sampan_tests::payload;
use tokio::runtime::Builder;
use tokio::sync::Semaphore;

use crate::witness::{self, TOPICS, say};

/// The group that consumes.
pub(crate) const GROUP: &str = "work";
const BROKER: &str = "quic://127.0.0.1:3001";
const PUBLISHERS: u64 = 2;
/// Producers of one boot: the publishers, and who publishes the ends.
const PRODUCERS: u64 = PUBLISHERS + 1;
/// Publishes that wait for their acks, of each publisher.
const WINDOW: usize = 16;
const PATIENCE: Duration = Duration::from_secs(60);

fn all() -> Pattern {
    Pattern::parse("order.>").expect("valid")
}

/// The number of a topic, by which it is told.
fn number(topic: &Topic) -> u64 {
    let number = topic.as_str().strip_prefix("order.").and_then(|text| text.parse().ok());
    number.expect("one of the topics")
}

fn place(received: &Received) -> String {
    format!("{} {} {}", number(received.topic()), received.epoch(), received.offset())
}

/// A client, with the certificate and the token that lie in the directory.
async fn connect(directory: &str) -> Client {
    let read = |name: &str| fs::read_to_string(Path::new(directory).join(name)).expect(name);
    let token = Token::Static(read("token").trim().to_owned());
    let mut options = Options::new(BROKER, token);
    options.trust = Trust::Pem(read("dev-certificate.pem").into_bytes());
    options.connect_timeout = PATIENCE;
    Client::connect(options).await.expect("connected")
}

/// Runs to the end; a panic anywhere is told, also of a task that nobody waits for.
fn run(work: impl Future<Output = ()>) {
    std::panic::set_hook(Box::new(|panic| {
        say(&format!("damaged a client: {}", panic.to_string().replace('\n', " ")));
    }));
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work);
}

/// Publishes and consumes for ever. The seed tells the producers of one boot from those of others.
pub(crate) fn use_it(directory: &str, seed: &str) {
    let seed: u64 = seed.parse().expect("a number");
    run(async {
        let consumer = connect(directory).await.consume(GROUP, all()).await.expect("joined");
        let consuming = tokio::spawn(consume(consumer));
        let mut clients = Vec::new();
        for _ in 0..PUBLISHERS {
            clients.push(connect(directory).await);
        }
        say("ready");
        for (client, producer) in clients.into_iter().zip(seed * PRODUCERS + 1..) {
            tokio::spawn(publish(client, producer));
        }
        consuming.await.expect("it goes on until the power is cut");
    });
}

/// Sends a message with a key, and every other with a key of idempotency; says what comes of it.
fn send(client: &Client, message: history::Message, topic: u64, bytes: u64) -> Said {
    let history::Message { producer, sequence } = message;
    say(&format!("sent {topic} {producer} {sequence} 1 {bytes}"));
    let body = payload::encode(message, usize::try_from(bytes).expect("small"));
    let publish = Message::new(witness::topic(topic), body).ack(AckLevel::Synced);
    let publish = publish.key(&format!("k{}", sequence % 16));
    let publish = match sequence % 2 {
        0 => publish.idempotency_key(&format!("{producer}-{sequence}")),
        _ => publish,
    };
    let ack = client.try_publish(publish).expect("within the window");
    Box::pin(async move {
        let ack = ack.await.expect("acknowledged");
        assert_eq!(ack.level, AckLevel::Synced, "a disk that syncs");
        let told = format!("{topic} {producer} {sequence} 1 {} {}", ack.epoch, ack.offset);
        say(&format!("synced {told}"));
        ack.offset
    })
}

/// The ack of what was sent, which is said when it comes: the offset.
type Said = std::pin::Pin<Box<dyn Future<Output = u64> + Send>>;

async fn publish(client: Client, producer: u64) {
    let mut chance = Chance::of(producer, "publisher", 0);
    let window = Arc::new(Semaphore::new(WINDOW));
    for sequence in 1.. {
        let permit = window.clone().acquire_owned().await.expect("open");
        let bytes = if chance.below(8) == 0 { 4000 } else { 33 + chance.below(300) };
        let message = history::Message { producer, sequence };
        let said = send(&client, message, 1 + chance.below(TOPICS), bytes);
        tokio::spawn(async move {
            said.await;
            drop(permit);
        });
    }
}

/// Says what the group is given; says that it is done with it once that was confirmed.
fn settle(job: Job) -> impl Future<Output = ()> {
    let place = place(&job);
    say(&format!("given {place}"));
    let settling = job.ack();
    async move {
        // What was late may have been given to another meanwhile.
        if !settling.await.expect("settled").late {
            say(&format!("settled {place}"));
        }
    }
}

async fn consume(mut consumer: Consumer) {
    while let Some(job) = consumer.next().await {
        tokio::spawn(settle(job));
    }
    panic!("the consumer has ended");
}

/// Says everything that the broker holds, up to an end that is published to each topic, and lets
/// the group consume what it is owed.
pub(crate) fn consume_all(directory: &str, seed: &str) {
    let producer = seed.parse::<u64>().expect("a number") * PRODUCERS;
    run(async {
        let client = connect(directory).await;
        let mut ends = BTreeSet::new();
        for topic in 1..=TOPICS {
            let message = history::Message { producer, sequence: topic };
            let end = send(&client, message, topic, 33).await;
            ends.insert((topic, end));
            read_to(&client, topic, end).await;
        }
        let mut consumer = client.consume(GROUP, all()).await.expect("joined");
        while !ends.is_empty() || client.group(GROUP).await.expect("its standing").lag > 0 {
            let mut settlings = Vec::new();
            for job in consumer.next_batch(100, Duration::from_millis(200)).await {
                ends.remove(&(number(job.topic()), job.offset()));
                settlings.push(settle(job));
            }
            for settling in settlings {
                settling.await;
            }
        }
        (1..=TOPICS).for_each(|topic| say(&format!("consumed {topic}")));
        say("drained");
    });
}

/// Says all messages of a topic up to this offset.
async fn read_to(client: &Client, topic: u64, end: u64) {
    let wanted = Pattern::from(&witness::topic(topic));
    let mut reader = client.subscribe(wanted, Start::Since(0)).await.expect("subscribed");
    loop {
        let next = tokio::time::timeout(PATIENCE, reader.next()).await;
        // Gaps are offsets that were reserved and not used; the checker sees what else is missing.
        if let Delivery::Message(received) = next.expect("it goes on").expect("not ended") {
            let text = String::from_utf8_lossy(received.payload_bytes()).into_owned();
            say(&format!("found {} {text}", place(&received)));
            if received.offset() >= end {
                return;
            }
        }
    }
}
