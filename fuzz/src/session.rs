//! Both ends of a session under arbitrary frames and moments.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sampan_protocol::control::{self, Consume, Start, Welcome};
use sampan_protocol::limits::PAYLOAD_BYTES_MAX;
use sampan_protocol::session::client::{
    Channel, Event, Options, Output, Publish, Request, State, Verdict,
};
use sampan_protocol::session::server::{self, Accepted, Input};
use sampan_protocol::session::{Client, Server};
use sampan_protocol::{Error, Frame, FrameReader, Now};

fn now() -> Now {
    Now { mono: Instant::now(), unix_ms: 1_767_182_400_000 }
}

/// The frames of a stream up to the error that ends it.
fn frames(stream: &[u8]) -> impl Iterator<Item = Result<Frame, Error>> {
    let mut reader = FrameReader::new(PAYLOAD_BYTES_MAX);
    reader.push(Bytes::copy_from_slice(stream));
    std::iter::from_fn(move || reader.next_frame().transpose())
        .scan(false, |over, frame| (!std::mem::replace(over, frame.is_err())).then_some(frame))
}

fn accepted(now: Now) -> Accepted {
    Accepted {
        user: "u".into(),
        role: "customer".into(),
        expires_ms: now.unix_ms + 90_000,
        session: 1,
        boot: 1,
        payload_bytes_max: 1 << 20,
        subscriptions_max: 16,
        keep_alive: Duration::from_secs(15),
    }
}

/// Handles an input; the session says little at once, and nothing after its end.
fn handle(server: &mut Server, now: Now, input: Input) {
    let (closed, mut out) = (server.is_closed(), VecDeque::new());
    server.handle(now, input, &mut out);
    assert!(out.len() <= if closed { 0 } else { 3 });
    let ends = out.iter().filter(|output| matches!(output, server::Output::Close { .. })).count();
    assert_eq!(ends, usize::from(server.is_closed() && !closed));
    if out.iter().any(|output| matches!(output, server::Output::Authenticate { .. })) {
        handle(server, now, Input::Verdict(Ok(accepted(now))));
    }
}

/// A stream of frames to a broker that accepts every token; the first byte is the seconds between
/// two frames.
pub fn server_session(data: &[u8]) {
    let Some((seconds, stream)) = data.split_first() else { return };
    let mut now = now();
    let mut server = Server::new(now);
    for frame in frames(stream) {
        handle(&mut server, now, frame.map_or_else(Input::Broken, Input::Frame));
        now = now.after(Duration::from_secs((*seconds).into()));
        handle(&mut server, now, Input::Time);
    }
}

/// A client on its first connection, greeted, with one of everything open.
fn live(now: Now) -> Client {
    let mut client = Client::new(Options { token: Some("t".into()), ..Options::default() }, 1);
    client.open(now);
    client.connected(now, 1);
    let Accepted { user, role, expires_ms, .. } = accepted(now);
    let (version, features, session, boot) = (1, 0, 1, 1);
    let (payload_bytes_max, subscriptions_max, keep_alive_ms) = (1 << 20, 16, 15_000);
    let welcome = Welcome {
        version,
        features,
        session,
        boot,
        user,
        role,
        expires_ms,
        now_ms: 0,
        payload_bytes_max,
        subscriptions_max,
        keep_alive_ms,
    };
    let frame = control::encode(&welcome, 0).and_then(|bytes| Frame::decode(bytes, 0));
    client.frame(now, 1, Channel::Control, frame.expect("valid"));
    assert!(client.is_live());
    let (topic, none) = ("order.1001".parse().expect("a topic"), Bytes::new());
    for (pattern, start) in [("order.1001", Start::Last(5)), (">", Start::Now)] {
        client.subscribe(pattern.parse().expect("a pattern"), start).expect("room");
    }
    client.serve("*.>".parse().expect("a pattern")).expect("room");
    client.authorize(">".parse().expect("a pattern")).expect("room");
    let (group, pattern) = ("packers".to_owned(), "order.*".to_owned());
    let (start, window, order, ack_wait_ms, attempts_max) = (Start::Since(0), 10, 0, 0, 0);
    let consume = Consume { group, pattern, start, window, order, ack_wait_ms, attempts_max };
    client.consume(consume).expect("room");
    client.watch("presence.shop".parse().expect("a topic")).expect("room");
    client.history(Clone::clone(&topic), control::From::Last(5), 5).expect("room");
    for _ in 0..9 {
        let publish = Publish {
            topic: Clone::clone(&topic),
            attributes: none.clone(),
            payload: none.clone(),
            level: None,
        };
        client.publish(publish).expect("room");
    }
    let request =
        Request { topic, attributes: none.clone(), payload: none, timeout: Duration::from_secs(9) };
    client.request(now, request).expect("room");
    client
}

/// A stream of frames to a live client; the first byte is the seconds between two frames, and the
/// low bits of a frame's time choose its channel. Outputs stay few, and stop with the client.
pub fn client_session(data: &[u8]) {
    let Some((seconds, stream)) = data.split_first() else { return };
    let mut now = now();
    let mut client = live(now);
    for frame in frames(stream) {
        while client.poll().is_some() {}
        match frame {
            Ok(frame) => client.frame(now, 1, channel(&frame), frame),
            Err(error) => client.broken(now, 1, &error),
        }
        let outputs: Vec<_> = std::iter::from_fn(|| client.poll()).collect();
        assert!(outputs.len() <= 40, "{}", outputs.len());
        for output in outputs {
            if let Output::Event(Event::Job(job)) = output {
                // A client that the frame has closed takes no more.
                let _ = client.settle(&job.id, Verdict::Ack);
            }
        }
        now = now.after(Duration::from_secs((*seconds).into()));
        client.timeout(now);
        assert!(client.state() != State::Closed || client.closed().is_some());
    }
}

fn channel(frame: &Frame) -> Channel {
    match frame.header.time_ms % 4 {
        0 | 1 => Channel::Control,
        2 => Channel::Lane,
        _ => Channel::Datagram,
    }
}
