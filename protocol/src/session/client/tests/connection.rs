//! Connecting, backoff, codes, tokens, draining and closing.

use std::time::Duration;

use super::rig::{Rig, options};
use crate::code::Code;
use crate::control::{self, Expiring, GoAway, Hello, Refresh};
use crate::frame::{Header, Kind};
use crate::session::client::{Cause, Event, Lost, NotTaken, Options, State};

fn renewable() -> Options {
    Options { renewable: true, ..options() }
}

fn retry_in(rig: &Rig) -> Option<Duration> {
    rig.events.iter().rev().find_map(|event| match event {
        Event::Waiting { retry_in, .. } => Some(*retry_in),
        _ => None,
    })
}

#[test]
fn a_session_greets_with_version_producer_and_token() {
    let mut rig = Rig::new(options());
    assert_eq!(rig.connects, [1]);
    rig.accept(1);
    let hello: Hello = control::decode(rig.sent(Kind::Hello)[0]).expect("valid");
    assert_eq!((hello.version, hello.token.as_str()), (crate::VERSION, "t"));
    assert_eq!(hello.producer, rig.client.producer());
    assert_eq!(rig.client.state(), State::Live);
    assert!(matches!(&rig.events[..], [Event::Live(live)] if !live.resumed && live.user == "u"));
}

#[test]
fn the_producer_stays_the_same_over_reconnects() {
    let mut rig = Rig::live();
    let producer = rig.client.producer();
    rig.reconnect(2);
    let hello: Hello = control::decode(rig.sent(Kind::Hello)[0]).expect("valid");
    assert_eq!(hello.producer, producer);
    assert!(matches!(&rig.events[0], Event::Live(live) if live.resumed));
}

#[test]
fn failed_attempts_back_off_to_thirty_seconds_and_never_end() {
    let mut rig = Rig::new(options());
    let mut longest = Duration::ZERO;
    for attempt in 0..40u32 {
        rig.lose(None);
        let wait = retry_in(&rig).expect("waits");
        let ceiling =
            Duration::from_millis(500 * 2u64.pow(attempt.min(6))).min(Duration::from_secs(30));
        assert!(wait <= ceiling, "attempt {attempt} waits {wait:?}");
        longest = longest.max(wait);
        rig.pass(wait);
        assert_eq!(rig.connects.len() as u32, attempt + 2);
    }
    assert!(longest > Duration::from_secs(20), "{longest:?}");
}

#[test]
fn a_session_that_lasted_sets_the_backoff_back() {
    let mut rig = Rig::new(options());
    for _ in 0..10 {
        rig.lose(None);
        rig.wait();
    }
    rig.accept(1);
    rig.pass(Duration::from_secs(11));
    rig.lose(None);
    assert!(retry_in(&rig).expect("waits") <= Duration::from_millis(500));
}

#[test]
fn a_broker_that_does_not_answer_is_given_up_after_ten_seconds() {
    let mut rig = Rig::new(options());
    rig.client.connected(rig.now, 1);
    rig.pass(Duration::from_millis(9_999));
    assert_eq!(rig.client.state(), State::Greeting);
    rig.pass(Duration::from_millis(1));
    assert_eq!(rig.client.state(), State::Waiting);
    assert_eq!(rig.closes.len(), 1);
}

#[test]
fn each_hundred_has_its_reaction() {
    let cases = [
        (Code::UNSUPPORTED_VERSION, State::Closed),
        (Code::NOT_GRANTED, State::Closed),
        (Code::BUSY, State::Waiting),
        (Code::GOING_AWAY, State::Waiting),
        (Code::RESTARTED, State::Waiting),
        (Code::REVOKED, State::Closed),
        (Code::BAD_TOKEN, State::Closed),
        (Code::TOKEN_EXPIRED, State::Closed),
        (Code(950), State::Closed),
    ];
    for (code, expected) in cases {
        let mut rig = Rig::live();
        rig.close_frame(code, 0);
        assert_eq!(rig.client.state(), expected, "{code:?} by frame");
        let mut rig = Rig::live();
        rig.lose(Some(code));
        assert_eq!(rig.client.state(), expected, "{code:?} by transport");
    }
}

#[test]
fn a_reconnect_code_is_obeyed_at_once_and_then_with_backoff() {
    let mut rig = Rig::live();
    rig.lose(Some(Code::GOING_AWAY));
    assert_eq!(retry_in(&rig), Some(Duration::ZERO));
    rig.wait();
    let mut waited = Duration::ZERO;
    for _ in 0..5 {
        rig.accept(1);
        rig.lose(Some(Code::GOING_AWAY));
        waited += retry_in(&rig).expect("waits");
        rig.wait();
    }
    assert!(waited > Duration::ZERO);
}

#[test]
fn the_brokers_retry_hint_is_the_least_that_is_waited() {
    let mut rig = Rig::live();
    rig.close_frame(Code::OVERLOADED, 7_000);
    let wait = retry_in(&rig).expect("waits");
    assert!(wait >= Duration::from_secs(7) && wait <= Duration::from_millis(7_500), "{wait:?}");
}

#[test]
fn a_refused_token_is_renewed_once() {
    let mut rig = Rig::new(renewable());
    rig.client.connected(rig.now, 1);
    rig.close_frame(Code::BAD_TOKEN, 0);
    assert_eq!(rig.token_asks, 1);
    assert_eq!(rig.connects, [1]);
    rig.client.token(rig.now, "fresh".to_owned());
    rig.drain();
    assert_eq!(rig.connects, [1, 2]);
    rig.client.connected(rig.now, 2);
    rig.close_frame(Code::BAD_TOKEN, 0);
    assert_eq!(rig.client.state(), State::Closed);
    assert!(matches!(rig.events.last(), Some(Event::Closed(f)) if f.code == Code::BAD_TOKEN));
}

#[test]
fn a_renewed_token_that_worked_may_be_renewed_again() {
    let mut rig = Rig::new(renewable());
    rig.accept(1);
    for asks in 1..=3 {
        rig.lose(Some(Code::TOKEN_EXPIRED));
        assert_eq!(rig.token_asks, asks);
        rig.client.token(rig.now, "fresh".to_owned());
        rig.drain();
        rig.accept(1);
        assert_eq!(rig.client.state(), State::Live);
    }
}

#[test]
fn a_token_source_that_fails_is_asked_again_with_backoff() {
    let mut rig = Rig::new(Options { token: None, ..renewable() });
    assert_eq!((rig.token_asks, rig.connects.len()), (1, 0));
    rig.client.no_token(rig.now, "offline".to_owned());
    rig.drain();
    assert_eq!(rig.client.state(), State::Waiting);
    rig.pass(Duration::from_secs(1));
    assert_eq!(rig.token_asks, 2);
}

#[test]
fn an_expiring_token_is_refreshed_on_the_live_session() {
    let mut rig = Rig::new(renewable());
    rig.accept(1);
    rig.control(control::encode(&Expiring { expires_ms: 9 }, 0).expect("small"));
    assert_eq!(rig.token_asks, 1);
    rig.client.token(rig.now, "fresh".to_owned());
    rig.drain();
    let refresh: Refresh = control::decode(rig.sent(Kind::Refresh)[0]).expect("valid");
    assert_eq!(refresh.token, "fresh");
    assert_eq!(rig.client.state(), State::Live);
}

#[test]
fn a_static_token_that_expires_is_told_to_the_application() {
    let mut rig = Rig::live();
    rig.control(control::encode(&Expiring { expires_ms: 9 }, 0).expect("small"));
    assert!(matches!(rig.events[..], [Event::Expiring { expires_ms: 9 }]));
}

#[test]
fn a_draining_broker_is_left_at_a_random_time_within_what_it_grants() {
    let mut times = Vec::new();
    for seed in 0..20 {
        let mut rig = Rig::live();
        for _ in 0..seed {
            rig.client.chance.next();
        }
        let body = GoAway {
            code: Code::GOING_AWAY.0,
            reconnect_within_ms: 10_000,
            close_after_ms: 30_000,
            reason: String::new(),
        };
        rig.control(control::encode(&body, 0).expect("small"));
        let Some(Event::Draining { renew_in }) = rig.events.last() else { panic!("not draining") };
        times.push(*renew_in);
        let renew_in = *renew_in;
        assert!(renew_in <= Duration::from_secs(10));
        assert_eq!(rig.client.state(), State::Draining);
        rig.deliverable();
        rig.pass(renew_in);
        assert_eq!(rig.connects, [1, 2]);
        assert_eq!(rig.closes.len(), 1);
    }
    times.sort();
    assert!(times[19] - times[0] > Duration::from_secs(5), "{times:?}");
}

impl Rig {
    /// A session that drains still takes commands.
    fn deliverable(&mut self) {
        assert!(self.client.is_live());
        self.publish("a.b", b"x");
        assert!(!self.published.is_empty());
    }
}

#[test]
fn a_broker_that_breaks_the_protocol_is_left_and_tried_again_later() {
    let frames = [
        Header::new(Kind::Hello).bare(),
        Header::new(Kind::Gap).bare(),
        Header::new(Kind::Published).bare(),
        Header { topic_id: 9, ..Header::new(Kind::Deliver).number(1) }.bare(),
    ];
    for frame in frames {
        let mut rig = Rig::live();
        rig.control(frame.clone());
        assert_eq!(rig.closes, [Code::PROTOCOL], "{frame:?}");
        assert_eq!(rig.client.state(), State::Waiting);
        assert_eq!(rig.client.counters().violations, 1);
    }
}

#[test]
fn what_an_old_connection_still_says_is_ignored() {
    let mut rig = Rig::live();
    rig.reconnect(1);
    rig.forget();
    let frame = crate::Frame::decode(Header::new(Kind::Hello).bare(), 0).expect("valid");
    rig.client.frame(rig.now, 1, crate::session::client::Channel::Control, frame);
    rig.client.lost(rig.now, 1, Lost::default());
    rig.drain();
    assert_eq!((rig.client.state(), rig.events.len()), (State::Live, 0));
}

#[test]
fn a_hopeless_first_connection_closes_the_client_and_a_later_one_does_not() {
    let hopeless = Lost { hopeless: true, reason: "certificate".to_owned(), code: None };
    let mut rig = Rig::new(options());
    rig.client.lost(rig.now, 1, hopeless.clone());
    rig.drain();
    assert_eq!(rig.client.state(), State::Closed);
    let mut rig = Rig::live();
    rig.client.lost(rig.now, 1, hopeless);
    assert_eq!(rig.client.state(), State::Waiting);
}

#[test]
fn closing_fails_what_is_open_and_refuses_what_follows() {
    let mut rig = Rig::live();
    let read = rig.client.members(&super::rig::topic("a"), "").expect("room");
    let subscription =
        rig.client.subscribe(super::rig::pattern("a.>"), control::Start::Now).expect("room");
    rig.publish("a.b", b"x");
    rig.client.close();
    rig.drain();
    assert_eq!(rig.failure(read).map(|f| f.cause), Some(Cause::Closed));
    assert!(
        rig.events
            .iter()
            .any(|event| matches!(event, Event::Ended { number, .. } if *number == subscription))
    );
    assert!(matches!(rig.events.last(), Some(Event::Closed(f)) if f.code == Code::CLOSED));
    assert_eq!(rig.sent(Kind::Close).len(), 1);
    assert_eq!(rig.client.publish(super::rig::message("a", b"")), Err(NotTaken::Closed));
    assert_eq!(rig.client.deadline(), None);
}
