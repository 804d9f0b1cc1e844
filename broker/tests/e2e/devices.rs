//! One long conversation on four devices that lose their connections, with a broker that is killed:
//! a customer's phone and tablet and an agent over QUIC, another agent over Socket.IO.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use sampan::auth::Role;
use sampan_client::{Client, Code, Delivery, Options, Start, TopicPosition};
use serde_json::{Value, json};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;

use crate::asking::{ask, ask_in_time, topic};
use crate::chat::{agent, open};
use crate::harness::{Broker, PATIENCE, pattern};

/// What the customer types on the phone and on the tablet, and what each agent answers.
const LINES: [(&str, usize); 4] = [("phone", 150), ("tablet", 100), ("amy", 125), ("kim", 125)];
/// The last words, said when everything else is.
const END: &str = "that is all";
/// How long the whole conversation may take.
const LONG: Duration = Duration::from_secs(300);
/// How long an answer may take before it is asked for again.
const TURN: Duration = Duration::from_secs(3);

fn lines(of: &str) -> Vec<String> {
    let (_, count) = LINES.iter().find(|(name, _)| *name == of).expect("a device");
    (0..*count).map(|number| format!("{of} says {number} 🛶")).collect()
}

/// What a device shows: messages by their sequence, and the last one that came live.
#[derive(Debug, Default)]
struct Screen {
    shown: BTreeMap<u64, (String, String)>,
    live: Option<u64>,
}

impl Screen {
    /// A message has come, live. Whether it is the last one.
    fn hear(&mut self, message: &Value) -> bool {
        let seq = message["seq"].as_u64().expect("a sequence");
        let last = self.live.replace(seq);
        assert!(last.is_none_or(|last| seq == last + 1), "after {last:?}, once each: {message}");
        self.show(message);
        message["content"]["text"] == END
    }

    /// A message is there, live or from the snapshot, whichever comes first.
    fn show(&mut self, message: &Value) {
        let text = |it: &Value| it.as_str().unwrap_or_default().to_owned();
        let seq = message["seq"].as_u64().expect("a sequence");
        self.shown.insert(seq, (text(&message["id"]), text(&message["content"]["text"])));
    }
}

/// Where everybody finds the broker, and how far they have come.
struct Stage {
    id: String,
    http: watch::Sender<SocketAddr>,
    heard: AtomicUsize,
}

/// A network between a device and the broker, which can fail.
struct Network {
    address: SocketAddr,
    is_down: Arc<AtomicBool>,
    carrying: JoinHandle<()>,
}

impl Network {
    async fn to(broker: SocketAddr) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let inner = UdpSocket::bind(any).await.expect("bound");
        let address = inner.local_addr().expect("bound");
        let is_down = Arc::new(AtomicBool::new(false));
        let down = is_down.clone();
        let carrying = tokio::spawn(async move {
            // A device that comes back from another port has a path of its own.
            let mut outer = UdpSocket::bind(any).await.expect("bound");
            let (mut device, mut there, mut back) = (any, vec![0; 65_536], vec![0; 65_536]);
            loop {
                let (socket, bytes, to) = tokio::select! {
                    Ok((length, from)) = inner.recv_from(&mut there) => {
                        if from != device {
                            device = from;
                            outer = UdpSocket::bind(any).await.expect("bound");
                        }
                        (&outer, &there[..length], broker)
                    }
                    Ok(length) = outer.recv(&mut back) => (&inner, &back[..length], device),
                };
                if !down.load(Ordering::Relaxed) {
                    let _ = socket.send_to(bytes, to).await;
                }
            }
        });
        Network { address, is_down, carrying }
    }

    /// Everything is lost for a while.
    async fn fail(&self) {
        self.is_down.store(true, Ordering::Relaxed);
        sleep(Duration::from_millis(500)).await;
    }

    fn heal(&self) {
        self.is_down.store(false, Ordering::Relaxed);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.carrying.abort();
    }
}

/// A device over QUIC shows what comes; after so many messages each time its connection is lost, and
/// it begins anew from where it was.
async fn show(
    stage: Arc<Stage>,
    options: Options,
    network: Network,
    losses: [usize; 3],
    current: watch::Sender<Option<Client>>,
) -> Screen {
    let name = format!("chat.conversation.{}", stage.id);
    let (mut screen, mut seen): (Screen, Option<TopicPosition>) = (Screen::default(), None);
    let (mut heard, mut lost) = (0, 0);
    loop {
        let Ok(client) = Client::connect(options.clone()).await else { continue };
        let start = match seen.clone() {
            None => Start::Last(1_000),
            Some(seen) => Start::Resume { joined_ms: 0, positions: vec![seen] },
        };
        // An agent is there for the routing.
        let _ = client.presence(topic("agents")).enter().await;
        let Ok(mut room) = client.subscribe(pattern(&name), start).await else { continue };
        current.send_replace(Some(client.clone()));
        while let Some(delivery) = room.next().await {
            let Delivery::Message(message) = delivery else { panic!("{delivery:?}") };
            let (epoch, offset) = (message.epoch(), message.offset());
            seen = Some(TopicPosition { topic: name.clone(), epoch, offset });
            if message.event() != Some("message:receive") {
                continue;
            }
            let told: Value = serde_json::from_slice(&message.payload()).expect("JSON");
            let is_last = screen.hear(&told);
            heard += 1;
            stage.heard.fetch_max(heard, Ordering::Relaxed);
            if heard % 20 == 0 {
                let got = json!({ "messageId": told["id"] });
                let question =
                    client.request(topic("chat.message_delivered"), got.to_string(), TURN);
                // The next one says the same of all before.
                let _ = question.await;
            }
            if is_last {
                assert_eq!(lost, losses.len(), "it has lost its connection each time");
                return screen;
            }
            if losses.get(lost) == Some(&heard) {
                lost += 1;
                network.fail().await;
                current.send_replace(None);
                break;
            }
        }
        drop((room, client));
        network.heal();
    }
}

/// Says every line, again until it is answered, by whatever connection the device has.
async fn say(stage: Arc<Stage>, mut current: watch::Receiver<Option<Client>>, lines: Vec<String>) {
    for line in lines {
        let draft = json!({
            "conversation_id": stage.id, "client_message_id": line, "content": { "text": line },
        });
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "{line} is not answered");
            let client = current.wait_for(Option::is_some).await.expect("a device").clone();
            let client = client.expect("one");
            let question = client.request(topic("chat.send_message"), draft.to_string(), TURN);
            match question.await {
                Ok(_) => break,
                // The conversation is not yet the agent's, or the broker or the network is away.
                Err(error) if error.is_retryable() || error.code() == Some(Code::NOT_GRANTED) => {}
                Err(error) if error.code().is_none() => {}
                Err(error) => panic!("{line}: {error}"),
            }
            drop(client);
            sleep(Duration::from_millis(50)).await;
        }
        sleep(Duration::from_millis(5)).await;
    }
}

/// What a client of Socket.IO needs to come back to where it was.
#[derive(Default)]
struct Seat {
    pid: Option<String>,
    offset: Option<String>,
}

type Socket = WebSocketStream<TcpStream>;

/// Connects a client of Socket.IO, again until it is in.
async fn connect(stage: &Stage, token: &str, seat: &mut Seat) -> Socket {
    loop {
        let http = *stage.http.borrow();
        if let Ok(Some(socket)) = timeout(TURN, try_connect(http, token, seat)).await {
            return socket;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

async fn try_connect(http: SocketAddr, token: &str, seat: &mut Seat) -> Option<Socket> {
    let url = format!("ws://{http}/socket.io/?EIO=4&transport=websocket");
    let stream = TcpStream::connect(http).await.ok()?;
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await.ok()?;
    socket.next().await?.ok()?;
    let mut auth = json!({ "token": token });
    if let (Some(pid), offset) = (&seat.pid, &seat.offset) {
        auth["pid"] = json!(pid);
        auth["offset"] = json!(offset);
    }
    socket.send(Frame::text(format!("40{auth}"))).await.ok()?;
    let answer = socket.next().await?.ok()?.into_text().ok()?;
    let connected: Value = serde_json::from_str(answer.strip_prefix("40")?).ok()?;
    seat.pid = connected["pid"].as_str().map(str::to_owned);
    Some(socket)
}

/// The agent at a browser: shows what comes, says its lines, hands the conversation over, and loses
/// its connection after so many messages each time.
async fn sit(stage: Arc<Stage>, token: String, losses: [usize; 3]) -> Screen {
    let (mut screen, mut seat, mut lost, mut heard) = (Screen::default(), Seat::default(), 0, 0);
    let id = &stage.id;
    let mut todo: Vec<(&str, Value)> = vec![("conversation:join", json!({ "conversationId": id }))];
    todo.extend(lines("amy").into_iter().map(|line| {
        let content = json!({ "text": line });
        (
            "message:send",
            json!({ "conversation_id": id, "client_message_id": line, "content": content }),
        )
    }));
    let over = json!({ "conversationId": id, "fromAgent": "amy", "toAgent": "kim" });
    todo.push(("agent:transfer", over));
    let mut at = 0;
    loop {
        let mut socket = connect(&stage, &token, &mut seat).await;
        // What was not answered is asked again.
        let mut is_asked = false;
        loop {
            if let (false, Some((event, argument))) = (is_asked, todo.get(at)) {
                is_asked = true;
                let packet = format!("42{at}[\"{event}\",{argument}]");
                if socket.send(Frame::text(packet)).await.is_err() {
                    break;
                }
            }
            let next = match timeout(TURN, socket.next()).await {
                Ok(Some(Ok(Frame::Text(text)))) => text.to_string(),
                Ok(Some(Ok(_))) => continue,
                Ok(None | Some(Err(_))) => break,
                // Nothing has come for long: perhaps the answer is lost.
                Err(_) => {
                    is_asked = false;
                    continue;
                }
            };
            if next == "2" {
                let _ = socket.send(Frame::text("3")).await;
            } else if let Some(event) = next.strip_prefix("42") {
                let event: Value = serde_json::from_str(event).expect("JSON");
                if let Some(offset) = event.as_array().and_then(|all| all.last()?.as_str()) {
                    seat.offset = Some(offset.to_owned());
                }
                if event[0] == "message:receive" {
                    heard += 1;
                    if screen.hear(&event[1]) {
                        assert_eq!(lost, losses.len(), "it has lost its connection each time");
                        return screen;
                    }
                    if losses.get(lost) == Some(&heard) {
                        lost += 1;
                        break;
                    }
                }
            } else if let Some(ack) = next.strip_prefix("43") {
                let (number, answer) = ack.split_at(ack.find('[').expect("an answer"));
                let answer: Value = serde_json::from_str(answer).expect("JSON");
                if number.parse() != Ok(at) {
                    continue;
                }
                is_asked = false;
                let error = &answer[0]["error"];
                // A hand-over whose answer was lost is asked for by one who no longer has it.
                if error.is_null() || (todo[at].0 == "agent:transfer" && error["code"] == 200) {
                    if at == 0 {
                        let before = answer[0]["messages"].as_array().expect("a list").iter();
                        before.for_each(|message| screen.show(message));
                    }
                    at += 1;
                } else {
                    assert_eq!(error["retryable"], true, "{answer}");
                    sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_devices_end_with_the_same_conversation_whatever_is_lost_and_killed() {
    let mut broker = Broker::start();
    let ann = broker.client("ann", Role::Customer).await;
    let amy = agent(&broker, "amy", 5).await;
    let id = open(&ann, "c1").await;
    let begun = Instant::now();
    while ask(&amy, "chat.get", &json!({ "conversation_id": id })).await.expect("there")["agent_id"]
        != "amy"
    {
        assert!(begun.elapsed() < PATIENCE, "she gets it");
        sleep(Duration::from_millis(20)).await;
    }
    drop(agent(&broker, "kim", 5).await);
    let heard = AtomicUsize::new(0);
    let stage = Arc::new(Stage { id: id.clone(), http: watch::channel(broker.http).0, heard });
    let seat = tokio::spawn(sit(stage.clone(), broker.token("amy", Role::Agent), [140, 280, 440]));
    let (mut screens, mut voices) = (Vec::new(), Vec::new());
    for (name, user, role, losses) in [
        ("phone", "ann", Role::Customer, [60, 220, 420]),
        ("tablet", "ann", Role::Customer, [90, 260, 450]),
        ("kim", "kim", Role::Agent, [110, 300, 470]),
    ] {
        let network = Network::to(broker.quic).await;
        let mut options = broker.options(user, role);
        options.url = format!("quic://{}", network.address);
        let (current, its) = watch::channel(None);
        screens.push(tokio::spawn(show(stage.clone(), options, network, losses, current)));
        voices.push(tokio::spawn(say(stage.clone(), its, lines(name))));
    }
    drop((ann, amy));
    for reached in [170, 350] {
        let begun = Instant::now();
        while stage.heard.load(Ordering::Relaxed) < reached {
            assert!(begun.elapsed() < LONG, "{:?} of {reached}", stage.heard);
            sleep(Duration::from_millis(10)).await;
        }
        broker = broker.crash_and_restart();
        stage.http.send_replace(broker.http);
    }
    for voice in voices {
        timeout(LONG, voice).await.expect("in time").expect("all is said");
    }
    // Amy's lines are said before Kim gets the conversation, and so before this.
    let ann = broker.client("ann", Role::Customer).await;
    let last = json!({
        "conversation_id": id, "client_message_id": "end", "content": { "text": END },
    });
    let last = ask_in_time(&ann, "chat.send_message", &last).await.expect("said");
    let last = last["seq"].as_u64().expect("a sequence");
    let mut shown = vec![timeout(LONG, seat).await.expect("in time").expect("shown")];
    for screen in screens {
        shown.push(timeout(LONG, screen).await.expect("in time").expect("shown"));
    }
    let first = &shown[0].shown;
    assert!(shown.iter().all(|screen| screen.shown == *first), "all show the same");
    assert!(first.keys().copied().eq(1..=last), "nothing is missing");
    let texts = first.values().map(|(_, text)| text.clone());
    let said: Vec<String> = texts.filter(|text| !text.is_empty() && text != END).collect();
    let wanted: BTreeSet<String> = LINES.iter().flat_map(|(name, _)| lines(name)).collect();
    assert_eq!(said.len(), 500, "none is there twice");
    assert_eq!(said.into_iter().collect::<BTreeSet<_>>(), wanted);
    receipts(&broker, &id, last).await;
}

/// Each reads to the end, and each sees that the others have.
async fn receipts(broker: &Broker, id: &str, last: u64) {
    for (user, role) in [("ann", Role::Customer), ("amy", Role::Agent), ("kim", Role::Agent)] {
        let client = broker.client(user, role).await;
        let read = json!({ "conversation_id": id, "up_to_seq": last });
        let cursors = ask_in_time(&client, "chat.message_read", &read).await.expect("read");
        assert_eq!((&cursors["delivered_seq"], &cursors["read_seq"]), (&json!(last), &json!(last)));
    }
    let boss = broker.client("boss", Role::Admin).await;
    let of = json!({ "conversation_id": id });
    let snapshot = ask_in_time(&boss, "chat.join_conversation", &of).await.expect("there");
    let all = snapshot["participants"].as_array().expect("a list");
    for user in ["ann", "amy", "kim"] {
        let one = all.iter().find(|one| one["user_id"] == user).expect("took part");
        assert_eq!(
            (&one["delivered_seq"], &one["read_seq"]),
            (&json!(last), &json!(last)),
            "{one}"
        );
    }
    let messages = snapshot["messages"].as_array().expect("a list").iter();
    let own = messages.filter(|message| message["sender_type"] != "system");
    assert!(own.clone().count() > 0 && own.clone().all(|message| message["status"] == "read"));
}
