//! Every event in every state, and what a conversation keeps on its way.

use proptest::prelude::*;

use super::*;
use crate::chat::model::Origin;

fn at(seconds: i64) -> Moment {
    Moment::from_ms(1_000_000_000 + seconds * 1_000)
}

fn chat() -> Conversation {
    Conversation::new("c", "customer", Origin::default(), at(0))
}

fn claim(agent: &str) -> Event {
    Event::Claim { agent_id: agent.to_owned(), reason: Reason::Auto }
}

fn transfer(from: &str, to: &str, is_asked: bool) -> Event {
    let to = TransferTarget::Agent(to.to_owned());
    Event::Transfer { from: from.to_owned(), to, is_asked, note: None }
}

/// The conversation after all events, at seconds 1, 2, 3 and so on.
fn after(events: &[Event]) -> Change {
    let mut change = Change { conversation: chat(), effects: Vec::new() };
    for (second, event) in (1..).zip(events) {
        change = step(&change.conversation, event.clone(), at(second)).unwrap();
    }
    change
}

#[test]
fn every_state_takes_its_events_and_refuses_the_others() {
    let states = [
        ("waiting", after(&[])),
        ("active", after(&[claim("a")])),
        ("resolved", after(&[claim("a"), Event::Resolve])),
        ("archived", after(&[claim("a"), Event::Resolve, Event::Archive])),
    ];
    let events = [
        ("customer", Event::CustomerWrote, "waiting active resolved"),
        ("agent", Event::AgentWrote("a".to_owned()), "active"),
        ("claim", claim("b"), "waiting"),
        ("requeue", Event::Requeue(EndReason::Offline), "active"),
        ("transfer", transfer("a", "b", false), "active"),
        ("resolve", Event::Resolve, "waiting active"),
        ("archive", Event::Archive, "resolved"),
        ("snooze", Event::Snooze(at(60)), "waiting active"),
        ("wake", Event::Wake, ""),
        ("accept", Event::AcceptTransfer("b".to_owned()), ""),
    ];
    for (state, change) in &states {
        for (name, event, taken) in &events {
            let result = step(&change.conversation, event.clone(), at(10));
            let is_taken = taken.split(' ').any(|word| word == *state);
            assert_eq!(result.is_ok(), is_taken, "{name} while {state}: {result:?}");
        }
    }
}

#[test]
fn an_archived_conversation_is_over_and_says_so_once() {
    let archived = after(&[claim("a"), Event::Resolve, Event::Archive]);
    let told = archived.effects.iter().filter(|effect| **effect == Effect::Archived).count();
    assert_eq!(told, 1);
    let again = step(&archived.conversation, Event::Archive, at(9));
    assert!(matches!(again, Err(Refusal::Closed(_))));
}

#[test]
fn a_customer_comes_back_within_seven_days_and_waits_from_then() {
    let resolved = after(&[claim("a"), Event::Resolve]).conversation;
    assert_eq!(resolved.resolved_at, Some(at(2)));
    let back = at(2).after(REOPEN_WITHIN);
    let reopened = step(&resolved, Event::CustomerWrote, back).unwrap();
    assert_eq!(reopened.conversation.status, Status::Waiting);
    assert_eq!(reopened.conversation.resolved_at, None);
    assert_eq!(reopened.conversation.waiting_since, Some(back));
    assert_eq!(reopened.conversation.agent_id, None);
    assert_eq!(reopened.conversation.last_agent_id.as_deref(), Some("a"));
    assert!(reopened.effects.contains(&Effect::Queued));
    let late = step(&resolved, Event::CustomerWrote, back.after(Duration::from_millis(1)));
    assert!(matches!(late, Err(Refusal::Closed(_))));
}

#[test]
fn a_chat_whose_agent_went_offline_keeps_its_place() {
    let requeued = after(&[claim("a"), Event::Requeue(EndReason::Offline)]);
    assert_eq!(requeued.conversation.waiting_since, Some(at(0)));
    assert!(requeued.conversation.excluded_agents.is_empty());
    assert!(requeued.effects.contains(&Effect::Line(SystemLine::Requeued)));
}

#[test]
fn who_writes_after_a_reply_waits_since_then_whatever_becomes_of_the_agent() {
    let wrote = Event::AgentWrote("a".to_owned());
    let gone = Event::Requeue(EndReason::Offline);
    let mut chat = after(&[claim("a"), wrote]).conversation;
    assert_eq!(chat.waiting_since, None);
    for (second, event) in [(50, Event::CustomerWrote), (60, Event::CustomerWrote), (900, gone)] {
        chat = step(&chat, event, at(second)).unwrap().conversation;
        assert_eq!(chat.waiting_since, Some(at(50)), "{second}");
    }
}

#[test]
fn an_agent_who_did_not_reply_is_passed_over_until_somebody_does() {
    let events = [claim("a"), Event::Requeue(EndReason::NoReply)];
    let requeued = after(&events).conversation;
    assert_eq!(requeued.excluded_agents, ["a"]);
    let answered = after(&[&events[..], &[claim("b"), Event::AgentWrote("b".to_owned())]].concat());
    assert!(answered.conversation.excluded_agents.is_empty());
}

#[test]
fn the_first_reply_of_each_agent_counts_once() {
    let wrote = |agent: &str| Event::AgentWrote(agent.to_owned());
    let replied = after(&[claim("a"), wrote("a")]);
    assert!(replied.effects.contains(&Effect::FirstReply));
    let again = step(&replied.conversation, wrote("a"), at(9)).unwrap();
    assert!(!again.effects.contains(&Effect::FirstReply));
    assert_eq!(again.conversation.first_reply_at, Some(at(2)));
    // The customer was answered before; the next agent has a first reply of its own.
    let handed = after(&[claim("a"), wrote("a"), transfer("a", "b", false), wrote("b")]);
    assert!(handed.effects.contains(&Effect::FirstReply));
    assert_eq!(handed.conversation.first_reply_at, Some(at(4)));
}

#[test]
fn an_agent_who_gives_a_chat_away_does_not_get_it_back_until_somebody_replies() {
    let to = TransferTarget::Skill("billing".to_owned());
    let handed = Event::Transfer { from: "a".to_owned(), to, is_asked: false, note: None };
    for given in [Event::Requeue(EndReason::Unassigned), handed] {
        let waits = after(&[claim("a"), given.clone()]).conversation;
        assert_eq!(waits.excluded_agents, ["a"], "{given:?}");
        let replied = after(&[claim("a"), given, claim("b"), Event::AgentWrote("b".to_owned())]);
        assert!(replied.conversation.excluded_agents.is_empty());
    }
}

#[test]
fn who_was_asked_to_take_a_chat_learns_that_it_is_gone() {
    let asked = after(&[claim("a"), transfer("a", "b", true)]).conversation;
    let ends = [
        Event::Resolve,
        Event::Requeue(EndReason::Unassigned),
        Event::Snooze(at(60)),
        transfer("a", "c", false),
    ];
    for end in ends {
        let gone = step(&asked, end.clone(), at(3)).unwrap();
        assert_eq!(gone.conversation.transfer, None);
        let told = |effect: &Effect| matches!(effect, Effect::TransferRefused(_));
        assert_eq!(gone.effects.iter().filter(|effect| told(effect)).count(), 1, "{end:?}");
    }
    let taken = step(&asked, Event::AcceptTransfer("b".to_owned()), at(3)).unwrap();
    assert!(!taken.effects.iter().any(|effect| matches!(effect, Effect::TransferRefused(_))));
}

#[test]
fn only_the_agent_who_has_a_chat_hands_it_over() {
    let active = after(&[claim("a")]).conversation;
    for (from, to) in [("b", "c"), ("customer", "b")] {
        let refused = step(&active, transfer(from, to, false), at(5));
        assert!(matches!(refused, Err(Refusal::NotAllowed(_))), "{refused:?}");
    }
    assert!(step(&active, transfer("a", "a", false), at(5)).is_err());
    let moved = step(&active, transfer("a", "b", false), at(5)).unwrap();
    assert_eq!(moved.conversation.agent_id.as_deref(), Some("b"));
    assert_eq!(moved.conversation.epoch, 2);
    let reason = EndReason::Transferred;
    let ended = Effect::Ended { agent_id: "a".to_owned(), epoch: 1, reason };
    let begun = Effect::Assigned { agent_id: "b".to_owned(), epoch: 2, reason: Reason::Transfer };
    assert!(moved.effects.contains(&ended) && moved.effects.contains(&begun));
}

#[test]
fn an_asked_agent_accepts_declines_or_lets_time_pass() {
    let asked = after(&[claim("a"), transfer("a", "b", true)]).conversation;
    assert_eq!(asked.agent_id.as_deref(), Some("a"));
    let b = || "b".to_owned();
    assert!(step(&asked, Event::AcceptTransfer("c".to_owned()), at(3)).is_err());
    assert!(step(&asked, transfer("a", "d", true), at(3)).is_err());
    let accepted = step(&asked, Event::AcceptTransfer(b()), at(3)).unwrap().conversation;
    assert_eq!((accepted.agent_id, accepted.transfer), (Some(b()), None));
    let declined = step(&asked, Event::DeclineTransfer(b()), at(3)).unwrap().conversation;
    assert_eq!((declined.agent_id.as_deref(), declined.transfer), (Some("a"), None));
    assert!(step(&asked, Event::TransferExpired, at(61)).is_err());
    assert!(step(&asked, Event::AcceptTransfer(b()), at(62)).is_err());
    let expired = step(&asked, Event::TransferExpired, at(62)).unwrap();
    assert_eq!(expired.conversation.agent_id.as_deref(), Some("a"));
    assert!(matches!(expired.effects[..], [Effect::TransferRefused(_)]));
}

#[test]
fn a_chat_handed_to_a_skill_waits_for_it_without_losing_its_place() {
    let to = TransferTarget::Skill("billing".to_owned());
    let event = Event::Transfer { from: "a".to_owned(), to, is_asked: false, note: None };
    let queued = after(&[claim("a"), event]);
    assert_eq!(queued.conversation.status, Status::Waiting);
    assert_eq!(queued.conversation.wants.required_skills, ["billing"]);
    assert_eq!(queued.conversation.waiting_since, Some(at(0)));
    assert!(queued.effects.contains(&Effect::Queued));
}

#[test]
fn a_snoozed_chat_frees_its_agent_and_wakes_on_time_or_by_its_customer() {
    let snoozed = after(&[claim("a"), Event::Snooze(at(100))]);
    let reason = EndReason::Snoozed;
    let ended = Effect::Ended { agent_id: "a".to_owned(), epoch: 1, reason };
    assert!(snoozed.effects.contains(&ended));
    assert!(!snoozed.effects.contains(&Effect::Queued));
    let snoozed = snoozed.conversation;
    assert!(!snoozed.is_queued());
    assert!(step(&snoozed, Event::Wake, at(99)).is_err());
    for (event, when) in [(Event::Wake, at(100)), (Event::CustomerWrote, at(50))] {
        let woken = step(&snoozed, event, when).unwrap();
        assert!(woken.conversation.is_queued());
        assert_eq!(woken.conversation.waiting_since, Some(when));
        assert!(woken.effects.contains(&Effect::Queued));
    }
    assert!(step(&chat(), Event::Snooze(at(-1)), at(0)).is_err());
}

#[test]
fn a_resolution_asks_for_a_rating_if_somebody_had_the_chat() {
    assert!(after(&[claim("a"), Event::Resolve]).effects.contains(&Effect::AskRating(1)));
    let unanswered = after(&[Event::Resolve]);
    assert!(!unanswered.effects.iter().any(|effect| matches!(effect, Effect::AskRating(_))));
}

#[test]
fn a_conversation_has_the_names_of_the_requirements() {
    let active = after(&[claim("a"), Event::Resolve]).conversation;
    let json = serde_json::to_value(active).unwrap();
    for name in [
        "id",
        "customer_id",
        "status",
        "priority",
        "tags",
        "metadata",
        "created_at",
        "last_message_at",
        "resolved_at",
    ] {
        assert!(json.get(name).is_some(), "{name}");
    }
    assert_eq!(json["metadata"]["source"], "web");
    assert_eq!(json["priority"], "medium");
}

fn any_event() -> impl Strategy<Value = Event> {
    let agent = prop_oneof![Just("a".to_owned()), Just("b".to_owned())];
    prop_oneof![
        Just(Event::CustomerWrote),
        agent.clone().prop_map(Event::AgentWrote),
        agent.clone().prop_map(|a| claim(&a)),
        Just(Event::Requeue(EndReason::NoReply)),
        Just(Event::Requeue(EndReason::Offline)),
        (agent.clone(), agent.clone(), any::<bool>()).prop_map(|(a, b, ask)| transfer(&a, &b, ask)),
        agent.clone().prop_map(Event::AcceptTransfer),
        agent.prop_map(Event::DeclineTransfer),
        Just(Event::TransferExpired),
        Just(Event::Resolve),
        Just(Event::Archive),
        (1i64..200).prop_map(|s| Event::Snooze(at(s))),
        Just(Event::Wake),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_the_fields_of_a_conversation_agree(
        events in prop::collection::vec((any_event(), 0i64..40), 1..80),
    ) {
        let (mut chat, mut time, mut load) = (chat(), 0, 0i32);
        for (event, pause) in events {
            time += pause;
            let Ok(change) = step(&chat, event, at(time)) else { continue };
            let next = change.conversation;
            for effect in &change.effects {
                match effect {
                    Effect::Assigned { epoch, .. } => {
                        load += 1;
                        prop_assert_eq!(*epoch, chat.epoch + 1);
                    }
                    Effect::Ended { epoch, .. } => {
                        load -= 1;
                        prop_assert_eq!(*epoch, chat.epoch);
                    }
                    _ => {}
                }
            }
            prop_assert_eq!(load, i32::from(next.agent_id.is_some()));
            prop_assert_eq!(next.status == Status::Active, next.agent_id.is_some());
            prop_assert_eq!(next.status == Status::Active, next.assigned_at.is_some());
            prop_assert!(next.transfer.is_none() || next.agent_id.is_some());
            prop_assert!(next.snoozed_until.is_none() || next.status == Status::Waiting);
            prop_assert_eq!(next.resolved_at.is_some(), !next.is_open());
            prop_assert!(!next.is_queued() || next.waiting_since.is_some());
            prop_assert_eq!(next.version, chat.version + 1);
            chat = next;
        }
    }
}
