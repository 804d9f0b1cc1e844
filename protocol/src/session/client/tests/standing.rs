//! Registrations that survive reconnects, and presence.

use std::time::Duration;

use bytes::Bytes;

use super::rig::{Rig, pattern, topic};
use crate::code::Code;
use crate::control::{self, Members, MembersChanged, Presence, PresenceAct, Start, Subscribed};
use crate::frame::{Header, Kind};
use crate::session::client::{Event, NotTaken, STANDING_MAX};

impl Rig {
    fn acts(&self) -> Vec<(u64, PresenceAct)> {
        let frames = self.sent(Kind::Presence).into_iter();
        let acts = frames.map(|frame| {
            let body: Presence = control::decode(frame).expect("valid");
            (frame.header.number, PresenceAct::from_number(body.act).expect("known"))
        });
        acts.collect()
    }

    fn done(&mut self, number: u64) {
        self.control(Header::new(Kind::Done).number(number).bare());
    }

    fn refuse(&mut self, number: u64, code: Code, retry_after_ms: u32) {
        let body = control::refused(code, retry_after_ms, "");
        self.control(control::encode(&body, number).expect("small"));
    }

    fn ended(&self, of: u64) -> Option<Code> {
        self.events.iter().find_map(|event| match event {
            Event::Ended { number, failure } if *number == of => Some(failure.code),
            _ => None,
        })
    }

    fn is_ready(&self, of: u64) -> bool {
        self.events
            .iter()
            .any(|event| matches!(event, Event::Ready { number, .. } if *number == of))
    }
}

fn members(number: u64, sequence: u64) -> Bytes {
    let body = Members { topic: "a".to_owned(), sequence, count: 0, members: vec![] };
    control::encode(&body, number).expect("small")
}

fn changed(sequence: u64) -> Bytes {
    let (joined, left) = (vec![], vec!["u".to_owned()]);
    let body = MembersChanged { topic: "a".to_owned(), sequence, count: 0, joined, left };
    control::encode(&body, 0).expect("small")
}

#[test]
fn offers_and_entries_are_asked_for_again_under_their_numbers() {
    let mut rig = Rig::live();
    let serve = rig.client.serve(pattern("a.*")).expect("room");
    let authorize = rig.client.authorize(pattern("a.*")).expect("room");
    let entry = rig.client.enter(topic("a")).expect("room");
    rig.drain();
    for number in [serve, authorize, entry] {
        rig.done(number);
        assert!(rig.is_ready(number));
    }
    rig.reconnect(2);
    let roles: Vec<_> = rig.sent(Kind::Serve).iter().map(|f| f.header.number).collect();
    assert_eq!(roles, [serve, authorize]);
    assert_eq!(rig.acts(), [(entry, PresenceAct::Enter)]);
    rig.done(serve);
    assert!(!rig.is_ready(serve), "it is told once");
    rig.client.withdraw(serve);
    rig.drain();
    assert_eq!(rig.sent(Kind::Withdraw)[0].header.number, serve);
}

#[test]
fn a_first_refusal_ends_the_registration() {
    for code in [Code::NOT_GRANTED, Code::BUSY] {
        let mut rig = Rig::live();
        let number = rig.client.subscribe(pattern("a"), Start::Now).expect("room");
        rig.drain();
        rig.refuse(number, code, 0);
        assert_eq!(rig.ended(number), Some(code));
    }
}

#[test]
fn a_later_refusal_that_can_pass_is_tried_again() {
    for (code, retry_after_ms) in [(Code::BUSY, 3000), (Code::NOT_AUTHORIZED, 0)] {
        let mut rig = Rig::live();
        let number = rig.client.subscribe(pattern("a"), Start::Now).expect("room");
        let confirmed = Subscribed { joined_ms: 1, positions: vec![] };
        rig.control(control::encode(&confirmed, number).expect("small"));
        rig.reconnect(2);
        rig.refuse(number, code, retry_after_ms);
        rig.forget();
        rig.pass(Duration::from_millis(retry_after_ms.saturating_sub(1).into()));
        assert_eq!(rig.sent(Kind::Subscribe).len(), 0);
        rig.pass(Duration::from_secs(2));
        assert_eq!(rig.sent(Kind::Subscribe)[0].header.number, number);
        rig.refuse(number, Code::NOT_GRANTED, 0);
        assert_eq!(rig.ended(number), Some(Code::NOT_GRANTED));
    }
}

#[test]
fn a_watch_yields_all_members_and_then_each_change_in_turn() {
    let mut rig = Rig::live();
    let watch = rig.client.watch(topic("a")).expect("room");
    rig.drain();
    rig.control(changed(4));
    rig.control(members(watch, 5));
    for sequence in [5, 6, 6, 7] {
        rig.control(changed(sequence));
    }
    let told: Vec<_> = rig
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Members { members, .. } => Some(members.sequence),
            Event::MembersChanged { change, .. } => Some(change.sequence),
            _ => None,
        })
        .collect();
    assert_eq!(told, [5, 6, 7]);
}

#[test]
fn a_hole_in_the_changes_starts_the_watch_over() {
    let mut rig = Rig::live();
    let watch = rig.client.watch(topic("a")).expect("room");
    rig.drain();
    rig.control(members(watch, 5));
    rig.forget();
    rig.control(changed(8));
    rig.control(changed(9));
    assert!(rig.events.is_empty());
    let acts = rig.acts();
    assert!(matches!(acts[..], [(number, PresenceAct::Watch)] if number > watch));
    rig.control(members(acts[0].0, 9));
    assert!(matches!(rig.events[..], [Event::Members { watch: of, .. }] if of == watch));
}

#[test]
fn a_watch_starts_over_after_a_reconnect() {
    let mut rig = Rig::live();
    let watch = rig.client.watch(topic("a")).expect("room");
    rig.drain();
    rig.control(members(watch, 5));
    rig.reconnect(2);
    let asked = rig.acts()[0].0;
    rig.control(changed(6));
    rig.control(members(asked, 1));
    rig.control(changed(2));
    assert_eq!(rig.events.len(), 3, "live, members, one change: {:?}", rig.events);
}

#[test]
fn the_broker_hears_of_a_leave_when_the_last_entry_goes() {
    let mut rig = Rig::live();
    rig.client.enter(topic("a")).expect("room");
    rig.client.enter(topic("a")).expect("room");
    assert_eq!(rig.client.leave(&topic("a")), None);
    let asked = rig.client.leave(&topic("a")).expect("the last one is told");
    rig.drain();
    assert_eq!(rig.acts().last(), Some(&(asked, PresenceAct::Leave)));
    assert_eq!(rig.client.leave(&topic("a")), None);
}

#[test]
fn the_broker_hears_of_an_unwatch_when_the_last_watch_goes() {
    let mut rig = Rig::live();
    let first = rig.client.watch(topic("a")).expect("room");
    let second = rig.client.watch(topic("a")).expect("room");
    rig.client.cancel(first);
    rig.client.cancel(second);
    rig.drain();
    let unwatches = rig.acts().into_iter().filter(|(_, act)| *act == PresenceAct::Unwatch);
    assert_eq!(unwatches.count(), 1);
}

#[test]
fn registrations_are_bounded() {
    let mut rig = Rig::live();
    for _ in 0..STANDING_MAX {
        rig.client.serve(pattern("a")).expect("room");
    }
    assert_eq!(rig.client.serve(pattern("a")), Err(NotTaken::Full));
}
