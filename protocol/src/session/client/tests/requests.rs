//! Requests, their deadlines, history, and calls to answer.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use super::rig::{Rig, deliver, options, pattern, topic};
use crate::attribute::{self, Attributes, Tag};
use crate::code::Code;
use crate::control::{self, Action, Ask, From};
use crate::frame::{Header, Kind};
use crate::session::client::{Answer, Cause, Event, Request, State};

fn request(name: &str) -> Request {
    let timeout = Duration::from_secs(2);
    Request { topic: topic(name), attributes: Bytes::new(), payload: "q".into(), timeout }
}

impl Rig {
    fn ask(&mut self) -> u64 {
        let number = self.client.request(self.now, request("a.ask")).expect("room");
        self.drain();
        number
    }

    fn answer(&self, of: u64) -> Option<&Answer> {
        self.events.iter().find_map(|event| match event {
            Event::Answered { number, result: Ok(answer) } if *number == of => Some(answer),
            _ => None,
        })
    }
}

fn reply(number: u64, code: Option<Code>) -> Bytes {
    let mut attributes = BytesMut::new();
    if let Some(code) = code {
        attribute::put_number(&mut attributes, Tag::Code, code.0.into());
        attribute::put(&mut attributes, Tag::Reason, b"no");
    }
    Header::new(Kind::Reply).number(number).to_frame(&attributes, b"r").expect("small")
}

#[test]
fn a_request_names_topic_and_deadline_and_its_reply_finds_it() {
    let mut rig = Rig::live();
    let number = rig.ask();
    let frame = rig.sent(Kind::Request)[0].clone();
    let attributes = frame.attributes().expect("valid");
    assert_eq!((attributes.topic, attributes.deadline_ms), (Some("a.ask"), Some(2000)));
    assert_eq!((frame.header.number, frame.body_bytes()), (number, &b"q"[..]));
    rig.control(reply(number, None));
    assert!(matches!(rig.answer(number), Some(Answer::Reply(f)) if f.body_bytes() == b"r"));
    rig.control(reply(number, None));
    assert_eq!(rig.client.counters().unmatched, 1);
}

#[test]
fn a_failed_reply_is_the_responders_refusal() {
    let mut rig = Rig::live();
    let number = rig.ask();
    rig.control(reply(number, Some(Code(942))));
    let failure = rig.failure(number).expect("failed");
    assert_eq!(
        (failure.cause, failure.code, failure.reason.as_str()),
        (Cause::Refused, Code(942), "no")
    );
    assert!(!failure.may_have_happened);
}

#[test]
fn a_refused_request_carries_the_retry_hint() {
    let mut rig = Rig::live();
    let number = rig.ask();
    let body = control::refused(Code::NO_RESPONDER, 250, "nobody");
    rig.control(control::encode(&body, number).expect("small"));
    let failure = rig.failure(number).expect("failed");
    assert_eq!((failure.code, failure.retry_after_ms), (Code::NO_RESPONDER, 250));
}

#[test]
fn a_deadline_fails_the_request_which_may_have_happened() {
    let mut rig = Rig::live();
    let number = rig.ask();
    rig.pass(Duration::from_millis(1999));
    assert!(rig.failure(number).is_none());
    rig.pass(Duration::from_millis(1));
    let failure = rig.failure(number).expect("failed");
    assert_eq!((failure.cause, failure.may_have_happened), (Cause::Deadline, true));
}

#[test]
fn a_lost_connection_fails_requests_that_were_sent_and_keeps_the_others() {
    let mut rig = Rig::live();
    let (asked, read) = (rig.ask(), rig.client.members(&topic("a"), "").expect("room"));
    rig.lose(None);
    let may = |rig: &Rig, number| rig.failure(number).map(|f| (f.cause, f.may_have_happened));
    assert_eq!(may(&rig, asked), Some((Cause::Lost, true)));
    assert_eq!(may(&rig, read), Some((Cause::Lost, false)));
    let unsent = rig.ask();
    assert!(rig.failure(unsent).is_none());
    rig.pass(Duration::from_millis(600));
    rig.forget();
    rig.accept(1);
    assert_eq!(rig.sent(Kind::Request)[0].header.number, unsent);
}

#[test]
fn a_request_that_was_never_sent_cannot_have_happened() {
    let mut rig = Rig::new(options());
    let number = rig.ask();
    rig.pass(Duration::from_secs(2));
    let failure = rig.failure(number).expect("failed");
    assert_eq!((failure.cause, failure.may_have_happened), (Cause::Deadline, false));
}

#[test]
fn answered_requests_leave_no_timers_behind() {
    let mut rig = Rig::live();
    for _ in 0..1000 {
        let number = rig.ask();
        rig.control(reply(number, None));
    }
    rig.forget();
    rig.pass(Duration::from_secs(3));
    assert!(rig.events.is_empty());
    assert_eq!(rig.client.deadline(), None);
}

#[test]
fn a_page_of_history_is_cut_into_its_messages() {
    let mut rig = Rig::live();
    let number = rig.client.history(topic("a.b"), From::Offset(3), 10).expect("room");
    rig.drain();
    let mut attributes = BytesMut::new();
    attribute::put_number(&mut attributes, Tag::Epoch, 4);
    attribute::put_number(&mut attributes, Tag::Floor, 2);
    attribute::put_number(&mut attributes, Tag::Next, 9);
    let body = [deliver(1, 3), deliver(1, 8)].concat();
    let page = Header::new(Kind::Page).number(number).to_frame(&attributes, &body);
    rig.control(page.expect("small"));
    let Some(Answer::Page(page)) = rig.answer(number) else { panic!("no page") };
    assert_eq!((page.epoch, page.floor, page.next), (4, 2, 9));
    let offsets: Vec<_> = page.messages.iter().map(|m| m.frame.header.number).collect();
    assert_eq!(offsets, [3, 8]);
    assert_eq!(page.messages[0].topic, topic("a.b"));
}

#[test]
fn a_page_that_ends_within_a_frame_breaks_the_protocol() {
    let mut rig = Rig::live();
    let number = rig.client.history(topic("a.b"), From::Last(1), 10).expect("room");
    let body = deliver(1, 3);
    let page = Header::new(Kind::Page).number(number).to_frame(&[], &body[..body.len() - 1]);
    rig.control(page.expect("small"));
    assert_eq!(rig.client.state(), State::Waiting);
}

/// A REQUEST as the broker hands it to a responder.
fn call(number: u64, name: &str) -> Bytes {
    let mut attributes = BytesMut::new();
    attribute::put(&mut attributes, Tag::Topic, name.as_bytes());
    attribute::put(&mut attributes, Tag::User, b"u7");
    attribute::put(&mut attributes, Tag::Role, b"customer");
    attribute::put_number(&mut attributes, Tag::Deadline, 1500);
    Header::new(Kind::Request).number(number).to_frame(&attributes, b"q").expect("small")
}

#[test]
fn a_call_reaches_the_offer_that_matches_and_its_reply_goes_back() {
    let mut rig = Rig::live();
    rig.client.serve(pattern("b.>")).expect("room");
    let offer = rig.client.serve(pattern("a.*")).expect("room");
    rig.control(call(900, "a.x"));
    let Some(Event::Call(call)) = rig.events.last().cloned() else { panic!("no call") };
    assert_eq!((call.offer, call.user.as_str(), call.role.as_str()), (offer, "u7", "customer"));
    assert_eq!(call.timeout, Some(Duration::from_millis(1500)));
    assert_eq!(rig.client.reply(call.id, &[], b"r"), Ok(true));
    rig.drain();
    let reply = rig.sent(Kind::Reply)[0];
    assert_eq!((reply.header.number, reply.body_bytes()), (900, &b"r"[..]));
}

#[test]
fn a_failed_call_tells_code_and_reason() {
    let mut rig = Rig::live();
    rig.client.serve(pattern("a.*")).expect("room");
    rig.control(call(900, "a.x"));
    let Some(Event::Call(call)) = rig.events.last().cloned() else { panic!("no call") };
    assert!(rig.client.fail(call.id, Code(904), "gone\nfor good"));
    rig.drain();
    let attributes = Attributes::parse(rig.sent(Kind::Reply)[0].attribute_bytes()).expect("valid");
    assert_eq!((attributes.code, attributes.reason), (Some(904), Some("gone for good")));
}

#[test]
fn a_reply_after_a_reconnect_goes_nowhere() {
    let mut rig = Rig::live();
    rig.client.serve(pattern("a.*")).expect("room");
    rig.control(call(900, "a.x"));
    let Some(Event::Call(call)) = rig.events.last().cloned() else { panic!("no call") };
    rig.reconnect(1);
    rig.forget();
    assert_eq!(rig.client.reply(call.id, &[], b"r"), Ok(false));
    rig.drain();
    assert!(rig.control.is_empty());
}

#[test]
fn a_call_that_no_offer_matches_is_refused() {
    let mut rig = Rig::live();
    rig.control(call(900, "a.x"));
    let attributes = Attributes::parse(rig.sent(Kind::Reply)[0].attribute_bytes()).expect("valid");
    assert_eq!(attributes.code, Some(Code::NO_RESPONDER.0.into()));
}

#[test]
fn a_question_reaches_an_authorizer_that_covers_all_of_it() {
    let ask = |topic: &str| Ask {
        user: "u7".to_owned(),
        role: "customer".to_owned(),
        action: Action::Subscribe.number(),
        topic: topic.to_owned(),
    };
    let mut rig = Rig::live();
    rig.client.authorize(pattern("a.*")).expect("room");
    rig.control(control::encode(&ask("a.>"), 5).expect("small"));
    let answer: control::Answer = control::decode(rig.sent(Kind::Answer)[0]).expect("valid");
    assert!(!answer.allow, "nobody covers the whole pattern");
    rig.control(control::encode(&ask("a.x"), 6).expect("small"));
    let Some(Event::Question(question)) = rig.events.last().cloned() else { panic!("none") };
    assert_eq!((question.action, question.user.as_str()), (Action::Subscribe, "u7"));
    assert!(rig.client.answer(question.id, true, Duration::from_secs(9)));
    rig.drain();
    let answer = rig.sent(Kind::Answer)[1];
    let body: control::Answer = control::decode(answer).expect("valid");
    assert_eq!((answer.header.number, body.allow, body.ttl_ms), (6, true, 9000));
}
