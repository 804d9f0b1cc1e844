//! Whom the routing chooses.

use super::*;
use crate::chat::model::Origin;
use crate::chat::rules::queue::Customer;

fn at(seconds: i64) -> Moment {
    Moment::from_ms(1_000_000_000 + seconds * 1_000)
}

fn agent(id: &str, load: u32, limit: u32) -> Agent {
    Agent {
        id: id.to_owned(),
        status: AgentStatus::Online,
        concurrent_limit: limit,
        current_conversations: load,
        last_seen_at: Some(at(0)),
        ..Agent::default()
    }
}

fn skilled(id: &str, skills: &[&str]) -> Agent {
    Agent { skills: skills.iter().map(|&skill| skill.to_owned()).collect(), ..agent(id, 0, 3) }
}

fn chat() -> Conversation {
    Conversation::new("c", "u", Origin::default(), at(0))
}

fn chosen(policy: &Policy, chat: &Conversation, agents: &[Agent], now: Moment) -> Option<String> {
    let waiting = [Waiting { conversation: chat, customer: Customer::default() }];
    route(policy, &waiting, agents, now).pop().map(|found| found.agent_id)
}

fn least(chat: &Conversation, agents: &[Agent]) -> Option<String> {
    chosen(&Policy::default(), chat, agents, at(0))
}

#[test]
fn the_agent_with_the_least_of_its_limit_gets_the_chat() {
    let agents = [agent("a", 2, 4), agent("b", 1, 3), agent("c", 1, 1)];
    assert_eq!(least(&chat(), &agents).as_deref(), Some("b"));
    let rested = Agent { last_assigned_at: Some(at(-9)), ..agent("z", 0, 2) };
    let tired = Agent { last_assigned_at: Some(at(-1)), ..agent("y", 0, 2) };
    assert_eq!(least(&chat(), &[tired, rested]).as_deref(), Some("z"));
}

#[test]
fn rotation_takes_who_has_waited_longest_whatever_the_load() {
    let policy = Policy { mode: Mode::Rotation, ..Policy::default() };
    let loaded = Agent { last_assigned_at: Some(at(-9)), ..agent("z", 2, 3) };
    let idle = Agent { last_assigned_at: Some(at(-1)), ..agent("y", 0, 3) };
    let found = chosen(&policy, &chat(), &[idle, loaded], at(0));
    assert_eq!(found.as_deref(), Some("z"));
    let manual = Policy { mode: Mode::Manual, ..Policy::default() };
    assert_eq!(chosen(&manual, &chat(), &[agent("a", 0, 1)], at(0)), None);
}

#[test]
fn only_who_is_online_seen_and_free_gets_a_chat() {
    let none = [
        agent("full", 2, 2),
        Agent { status: AgentStatus::Busy, ..agent("busy", 0, 2) },
        Agent { status: AgentStatus::Offline, ..agent("offline", 0, 2) },
        Agent { offline_since: Some(at(0)), ..agent("gone", 0, 2) },
        Agent { last_seen_at: Some(at(-61)), ..agent("silent", 0, 2) },
        Agent { last_seen_at: None, ..agent("never", 0, 2) },
        agent("none", 0, 0),
    ];
    assert_eq!(least(&chat(), &none), None);
}

#[test]
fn a_chat_is_handed_to_who_is_there_or_may_be_back() {
    let grace = Duration::from_secs(60);
    let gone = Agent { offline_since: Some(at(0)), ..agent("gone", 0, 2) };
    assert!(is_there(&agent("full", 2, 2), grace, at(9_000)));
    assert!(is_there(&gone, grace, at(59)));
    assert!(!is_there(&gone, grace, at(60)));
    assert!(!is_there(&Agent { status: AgentStatus::Offline, ..gone.clone() }, grace, at(1)));
    assert!(!is_there(&Agent { last_seen_at: None, ..agent("never", 0, 2) }, grace, at(0)));
}

#[test]
fn a_look_finds_who_has_come_who_is_gone_and_who_was_not_noted_of_late() {
    let gone = |id: &str| Agent { offline_since: Some(at(0)), ..agent(id, 0, 2) };
    let agents = [
        agent("new", 0, 2),
        gone("back"),
        agent("lost", 0, 2),
        gone("away"),
        Agent { status: AgentStatus::Offline, ..agent("off", 0, 2) },
    ];
    let present = ["new", "back", "off", "boss"].into();
    let names = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert_eq!(look(&agents, &present, at(9)), (names(&["back"]), names(&["lost"])));
    assert_eq!(look(&agents, &present, at(10)), (names(&["new", "back"]), names(&["lost"])));
}

#[test]
fn required_skills_bind_until_they_are_relaxed() {
    let mut chat = chat();
    chat.wants.required_skills = vec!["Billing".to_owned(), "refund".to_owned()];
    let half = [skilled("a", &["billing"])];
    assert_eq!(least(&chat, &half), None);
    let both = [skilled("a", &["billing"]), skilled("b", &["refund", "billing"])];
    assert_eq!(least(&chat, &both).as_deref(), Some("b"));
    let policy = Policy { relax_after: Some(Duration::from_secs(60)), ..Policy::default() };
    assert_eq!(chosen(&policy, &chat, &half, at(59)), None);
    assert_eq!(chosen(&policy, &chat, &half, at(60)).as_deref(), Some("a"));
}

#[test]
fn language_and_preferred_skills_rank_and_do_not_bind() {
    let mut chat = chat();
    chat.metadata.language = "th-TH".to_owned();
    chat.wants.preferred_skills = vec!["shoes".to_owned()];
    let thai = Agent { languages: vec!["TH".to_owned()], ..agent("thai", 2, 3) };
    let agents = [agent("idle", 0, 3), skilled("shoes", &["shoes"]), thai];
    assert_eq!(least(&chat, &agents).as_deref(), Some("thai"));
    assert_eq!(least(&chat, &agents[..2]).as_deref(), Some("shoes"));
    assert_eq!(least(&chat, &agents[..1]).as_deref(), Some("idle"));
}

#[test]
fn a_chat_goes_back_to_who_had_it_only_if_that_agent_is_free() {
    let policy = Policy { is_sticky: true, ..Policy::default() };
    let mut chat = chat();
    chat.last_agent_id = Some("b".to_owned());
    let agents = [agent("a", 0, 3), agent("b", 2, 3)];
    assert_eq!(chosen(&policy, &chat, &agents, at(0)).as_deref(), Some("b"));
    assert_eq!(least(&chat, &agents).as_deref(), Some("a"));
    let full = [agent("a", 0, 3), agent("b", 3, 3)];
    assert_eq!(chosen(&policy, &chat, &full, at(0)).as_deref(), Some("a"));
}

#[test]
fn who_did_not_reply_is_passed_over_until_the_chat_has_waited_too_long() {
    let mut chat = chat();
    chat.excluded_agents = vec!["a".to_owned()];
    let agents = [agent("a", 0, 3), agent("b", 2, 3)];
    assert_eq!(least(&chat, &agents).as_deref(), Some("b"));
    assert_eq!(least(&chat, &agents[..1]), None);
    let awake = [Agent { last_seen_at: Some(at(600)), ..agent("a", 0, 3) }];
    assert_eq!(chosen(&Policy::default(), &chat, &awake, at(600)).as_deref(), Some("a"));
    let other = Agent { last_seen_at: Some(at(600)), ..agent("b", 2, 3) };
    let both = [awake[0].clone(), other];
    assert_eq!(chosen(&Policy::default(), &chat, &both, at(600)).as_deref(), Some("b"));
}

#[test]
fn one_pass_never_gives_an_agent_more_than_its_limit() {
    let chats: Vec<_> =
        (0..9).map(|n| Conversation::new(&n.to_string(), "u", Origin::default(), at(0))).collect();
    let customer = Customer::default();
    let waiting: Vec<_> =
        chats.iter().map(|conversation| Waiting { conversation, customer }).collect();
    let agents = [agent("a", 1, 3), agent("b", 0, 4)];
    let matches = route(&Policy::default(), &waiting, &agents, at(0));
    let of = |id: &str| matches.iter().filter(|found| found.agent_id == id).count();
    assert_eq!((of("a"), of("b"), matches.len()), (2, 4, 6));
}
