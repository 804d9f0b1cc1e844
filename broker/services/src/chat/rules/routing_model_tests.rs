//! The routing against a model: whatever agents and customers do, nobody has too much, nobody
//! waits beside a free agent, and every count is right.

use proptest::prelude::*;

use super::*;
use crate::chat::model::{EndReason, Origin, Reason, TransferTarget};
use crate::chat::rules::lifecycle::{Effect, Event, step};
use crate::chat::rules::queue::Customer;

const CHATS: usize = 200;
const AGENTS: usize = 10;
const SKILLS: [&str; 3] = ["billing", "shoes", "refund"];

/// What may happen.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Write(usize),
    Online(usize),
    Offline(usize),
    Busy(usize),
    Resolve(usize),
    Reply(usize),
    Transfer(usize, usize),
    ToSkill(usize, usize),
    Silent(usize),
    Snooze(usize),
    Limit(usize, u32),
    Pause(i64),
}

fn deed() -> impl Strategy<Value = Deed> {
    let (chat, agent) = (|| 0..CHATS, || 0..AGENTS);
    prop_oneof![
        4 => chat().prop_map(Deed::Write),
        2 => agent().prop_map(Deed::Online),
        1 => agent().prop_map(Deed::Offline),
        1 => agent().prop_map(Deed::Busy),
        3 => chat().prop_map(Deed::Resolve),
        2 => chat().prop_map(Deed::Reply),
        2 => (chat(), agent()).prop_map(|(chat, agent)| Deed::Transfer(chat, agent)),
        1 => (chat(), 0..SKILLS.len()).prop_map(|(chat, skill)| Deed::ToSkill(chat, skill)),
        1 => chat().prop_map(Deed::Silent),
        1 => chat().prop_map(Deed::Snooze),
        1 => (agent(), 1u32..6).prop_map(|(agent, limit)| Deed::Limit(agent, limit)),
        2 => (1i64..200).prop_map(Deed::Pause),
    ]
}

/// Chats and agents as a store keeps them: changed by guarded claims alone.
struct World {
    now: Moment,
    policy: Policy,
    chats: Vec<Conversation>,
    agents: Vec<Agent>,
}

impl World {
    fn new(limits: &[u32], policy: Policy) -> Self {
        let now = Moment::from_ms(1_000_000_000);
        let agents = limits.iter().enumerate().map(|(n, &limit)| Agent {
            id: format!("a{n}"),
            status: AgentStatus::Online,
            skills: SKILLS.iter().take(n % 4).map(|&skill| skill.to_owned()).collect(),
            concurrent_limit: limit,
            last_seen_at: Some(now),
            ..Agent::default()
        });
        let chats = (0..CHATS).map(|n| {
            let mut chat = Conversation::new(&format!("c{n:03}"), "u", Origin::default(), now);
            if n % 5 == 0 {
                chat.wants.required_skills = vec![SKILLS[n % 3].to_owned()];
            }
            chat
        });
        World { now, policy, chats: chats.collect(), agents: agents.collect() }
    }

    /// Applies an event whose slots were looked at before; an agent's load follows its effects.
    fn apply(&mut self, chat: usize, event: Event) {
        let before = &self.chats[chat];
        let Ok(change) = step(before, event, self.now) else { return };
        for effect in &change.effects {
            match effect {
                Effect::Assigned { agent_id, epoch, .. } => {
                    assert_eq!(*epoch, before.epoch + 1, "epochs increase by one");
                    let now = self.now;
                    let agent = self.agents.iter_mut().find(|agent| agent.id == *agent_id).unwrap();
                    agent.current_conversations += 1;
                    agent.last_assigned_at = Some(now);
                }
                Effect::Ended { agent_id, .. } => {
                    let agent = self.agents.iter_mut().find(|agent| agent.id == *agent_id).unwrap();
                    agent.current_conversations =
                        agent.current_conversations.checked_sub(1).unwrap();
                }
                _ => {}
            }
        }
        self.chats[chat] = change.conversation;
    }

    fn happen(&mut self, deed: Deed) {
        match deed {
            Deed::Write(chat) => self.apply(chat, Event::CustomerWrote),
            Deed::Online(agent) => self.agents[agent].status = AgentStatus::Online,
            Deed::Busy(agent) => self.agents[agent].status = AgentStatus::Busy,
            Deed::Offline(agent) => {
                self.agents[agent].status = AgentStatus::Offline;
                let id = Some(self.agents[agent].id.clone());
                for chat in 0..CHATS {
                    if self.chats[chat].agent_id == id {
                        self.apply(chat, Event::Requeue(EndReason::Offline));
                    }
                }
            }
            Deed::Resolve(chat) => self.apply(chat, Event::Resolve),
            Deed::Reply(chat) => {
                if let Some(agent) = self.chats[chat].agent_id.clone() {
                    self.apply(chat, Event::AgentWrote(agent));
                }
            }
            Deed::Transfer(chat, to) => {
                let Some(from) = self.chats[chat].agent_id.clone() else { return };
                if self.agents[to].free_slots() > 0 {
                    let to = TransferTarget::Agent(self.agents[to].id.clone());
                    self.apply(chat, Event::Transfer { from, to, is_asked: false, note: None });
                }
            }
            Deed::ToSkill(chat, skill) => {
                let Some(from) = self.chats[chat].agent_id.clone() else { return };
                let to = TransferTarget::Skill(SKILLS[skill].to_owned());
                self.apply(chat, Event::Transfer { from, to, is_asked: false, note: None });
            }
            Deed::Silent(chat) => self.apply(chat, Event::Requeue(EndReason::NoReply)),
            Deed::Snooze(chat) => {
                self.apply(chat, Event::Snooze(self.now.after(Duration::from_secs(50))));
            }
            Deed::Limit(agent, limit) => {
                let agent = &mut self.agents[agent];
                agent.concurrent_limit = limit.max(agent.current_conversations);
            }
            Deed::Pause(seconds) => {
                self.now = self.now.after(Duration::from_secs(seconds.unsigned_abs()));
                for agent in &mut self.agents {
                    agent.last_seen_at = Some(self.now);
                }
                for chat in 0..CHATS {
                    self.apply(chat, Event::Wake);
                }
            }
        }
    }

    fn waiting(&self) -> Vec<Waiting<'_>> {
        let queued = self.chats.iter().filter(|chat| chat.is_queued());
        queued.map(|conversation| Waiting { conversation, customer: Customer::default() }).collect()
    }

    fn route(&self) -> Vec<Match> {
        route(&self.policy, &self.waiting(), &self.agents, self.now)
    }

    /// Both claims, each guarded; how many matches no longer held.
    fn claim(&mut self, matches: Vec<Match>) -> usize {
        let mut late = 0;
        for found in matches {
            let agent = self.agents.iter().find(|agent| agent.id == found.agent_id).unwrap();
            let chat = self.chats.iter().position(|chat| chat.id == found.conversation_id).unwrap();
            if is_available(agent, self.now) && self.chats[chat].version == found.version {
                let (agent_id, reason) = (found.agent_id, Reason::Auto);
                self.apply(chat, Event::Claim { agent_id, reason });
            } else {
                late += 1;
            }
        }
        late
    }

    fn check_counts(&self) {
        for agent in &self.agents {
            let held = self.chats.iter().filter(|chat| chat.agent_id.as_ref() == Some(&agent.id));
            assert_eq!(held.count(), agent.current_conversations as usize, "{}", agent.id);
            assert!(agent.current_conversations <= agent.concurrent_limit, "{}", agent.id);
        }
    }

    /// Said in other words than the routing's: for each chat that waits, each agent has a reason.
    fn check_nobody_waits_in_vain(&self) {
        for chat in self.chats.iter().filter(|chat| chat.is_queued()) {
            let waited = self.now.since(chat.waiting_since.unwrap());
            for agent in &self.agents {
                let lacks = |skill: &String| !agent.skills.contains(skill);
                let is_passed = chat.excluded_agents.contains(&agent.id);
                let is_excused = agent.status != AgentStatus::Online
                    || agent.current_conversations >= agent.concurrent_limit
                    || chat.wants.required_skills.iter().any(lacks)
                    || (is_passed && waited < Duration::from_secs(600));
                assert!(is_excused, "{} waits beside {}", chat.id, agent.id);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn no_chat_waits_beside_a_free_agent_and_no_limit_is_exceeded(
        limits in prop::collection::vec(1u32..6, AGENTS),
        is_rotating in any::<bool>(),
        is_sticky in any::<bool>(),
        deeds in prop::collection::vec(deed(), 1..300),
    ) {
        let mode = if is_rotating { Mode::Rotation } else { Mode::LeastLoaded };
        let mut world = World::new(&limits, Policy { mode, is_sticky, ..Policy::default() });
        for deed in deeds {
            world.happen(deed);
            world.check_counts();
            let matches = world.route();
            prop_assert_eq!(world.claim(matches), 0);
            world.check_counts();
            world.check_nobody_waits_in_vain();
        }
    }

    #[test]
    fn matches_made_from_an_old_view_break_nothing(
        limits in prop::collection::vec(1u32..6, AGENTS),
        deeds in prop::collection::vec(prop::collection::vec(deed(), 1..6), 1..60),
    ) {
        let mut world = World::new(&limits, Policy::default());
        for batch in deeds {
            let (first, second) = (world.route(), world.route());
            for deed in batch {
                world.happen(deed);
            }
            world.claim(first);
            world.check_counts();
            world.claim(second);
            world.check_counts();
        }
        let matches = world.route();
        prop_assert_eq!(world.claim(matches), 0);
        world.check_nobody_waits_in_vain();
    }
}
