//! What agents do with conversations.

use super::asked::{
    AgentTold, Agents, Assign, Available, HandOver, HandOverAnswer, Of, Snooze, target,
};
use super::desk::{Desk, Wish};
use super::events::{event, parse, topic};
use super::talk::check_words;
use crate::chat::files::Blobs;
use crate::chat::model::TransferTarget;
use crate::chat::model::{Agent, AvailableEvent, Conversation, EndReason, Name, Reason};
use crate::chat::rules::lifecycle::Event;
use crate::chat::rules::routing::is_there;
use crate::chat::store::{Choice, Room, Store};
use crate::id::check_id;
use crate::moment::Moment;
use crate::outbox::DASHBOARD;
use crate::role::Role;
use crate::service::{Asker, Problem};

/// Chats that an agent may have at once at most.
const LIMIT_MAX: u32 = 100;
/// Skills of an agent, and languages.
const SKILLS_MAX: usize = 50;

impl<S: Store, B: Blobs> Desk<S, B> {
    /// Gives a conversation that waits to an agent.
    pub(super) async fn assign(
        &self,
        asker: &Asker,
        asked: &Assign,
    ) -> Result<Conversation, Problem> {
        let to = asked.agent_id.as_ref().unwrap_or(&asker.user);
        if asker.role == Role::Agent && (*to != asker.user || asked.force) {
            return Err(Problem::not_allowed(
                "an agent picks for itself, while it has a free slot",
            ));
        }
        let agent = self.agent(to).await?;
        // Who picks for itself is there.
        if !asked.force && *to != asker.user {
            self.check_there("agent_id: the agent is not there", &agent)?;
        }
        let room = room(asked.force);
        let done = self.change(&asked.conversation_id, |_, _| async move {
            let event = Event::Claim { agent_id: to.clone(), reason: Reason::Manual };
            Ok(Wish { room, ..Wish::from(event) })
        });
        Ok(done.await?.conversation)
    }

    /// Gives a conversation back to those that wait.
    pub(super) async fn requeue(&self, asker: &Asker, of: &Of) -> Result<Conversation, Problem> {
        self.holds(asker, &of.conversation_id, Event::Requeue(EndReason::Unassigned)).await
    }

    /// It is answered.
    pub(super) async fn resolve(&self, asker: &Asker, of: &Of) -> Result<Conversation, Problem> {
        self.holds(asker, &of.conversation_id, Event::Resolve).await
    }

    /// It is over for good.
    pub(super) async fn archive(&self, asker: &Asker, of: &Of) -> Result<Conversation, Problem> {
        self.holds(asker, &of.conversation_id, Event::Archive).await
    }

    /// It is put aside.
    pub(super) async fn snooze(
        &self,
        asker: &Asker,
        asked: &Snooze,
    ) -> Result<Conversation, Problem> {
        self.holds(asker, &asked.conversation_id, Event::Snooze(asked.until)).await
    }

    /// Hands a conversation over.
    pub(super) async fn transfer(
        &self,
        asker: &Asker,
        asked: &HandOver,
    ) -> Result<Conversation, Problem> {
        let from = asked.from_agent.as_ref().unwrap_or(&asker.user);
        if asker.role == Role::Agent && *from != asker.user {
            return Err(Problem::not_allowed("fromAgent: that is not you"));
        }
        if asker.role == Role::Agent && asked.force {
            return Err(Problem::not_allowed("force: an agent hands over to whoever can take it"));
        }
        let target = target(asked).ok_or_else(|| Problem::field("toAgent", "or toSkill"))?;
        match &target {
            TransferTarget::Agent(to) => {
                let to = self.agent(to).await?;
                if !asked.force {
                    self.check_there("toAgent: the agent is not there", &to)?;
                    if to.free_slots() == 0 {
                        return Err(Problem::full("toAgent: the agent has no free slot"));
                    }
                }
            }
            TransferTarget::Skill(skill) => check_words("toSkill", std::slice::from_ref(skill), 1)?,
        }
        let room = room(asked.force);
        let target = &target;
        let done = self.change(&asked.conversation_id, |_, _| async move {
            let (from, to, note) = (from.clone(), target.clone(), asked.note.clone());
            let event = Event::Transfer { from, to, is_asked: asked.ask, note };
            Ok(Wish { room, ..Wish::from(event) })
        });
        Ok(done.await?.conversation)
    }

    /// Takes a conversation that the asker was asked to take, or does not.
    pub(super) async fn answer(
        &self,
        asker: &Asker,
        asked: &HandOverAnswer,
    ) -> Result<Conversation, Problem> {
        let done = self.change(&asked.conversation_id, |_, _| async move {
            let by = asker.user.clone();
            let event = match asked.accept {
                true => Event::AcceptTransfer(by),
                false => Event::DeclineTransfer(by),
            };
            Ok(Wish { room: Room::Slot, ..Wish::from(event) })
        });
        Ok(done.await?.conversation)
    }

    /// Notes whether an agent takes chats.
    pub(super) async fn available(
        &self,
        asker: &Asker,
        asked: &Available,
    ) -> Result<Agent, Problem> {
        let id = asked.agent_id.as_ref().unwrap_or(&asker.user);
        if asker.role == Role::Agent && *id != asker.user {
            return Err(Problem::not_allowed("agentId: that is not you"));
        }
        let at = Moment::now();
        let told = AvailableEvent { agent_id: id.clone(), status: asked.status };
        let mut events = Vec::new();
        for topic in [topic("agent", id)?, parse(DASHBOARD)?] {
            events.push(event(topic, Name::Available.text(), id, at, &told)?);
        }
        let choice = Choice { status: asked.status, at, is_own: *id == asker.user };
        let agent = self.store.set_status(id, choice, &events).await?;
        self.moved.notify_one();
        agent.ok_or_else(no_agent)
    }

    /// Notes what the shop tells of an agent.
    pub(super) async fn put_agent(&self, told: AgentTold) -> Result<Agent, Problem> {
        check_id("id", &told.id)?;
        for (field, text) in [("name", &told.name), ("email", &told.email)] {
            if text.trim().is_empty() || text.len() > 255 || text.chars().any(char::is_control) {
                return Err(Problem::field(field, "1 to 255 bytes without control characters"));
            }
        }
        for (field, list) in [("skills", &told.skills), ("languages", &told.languages)] {
            check_words(field, list, SKILLS_MAX)?;
        }
        if told.concurrent_limit > LIMIT_MAX {
            return Err(Problem::field("concurrent_limit", "at most 100"));
        }
        let AgentTold { id, name, email, skills, languages, concurrent_limit } = told;
        let agent =
            Agent { id, name, email, skills, languages, concurrent_limit, ..Agent::default() };
        let stored = self.store.put_agent(&agent).await?;
        self.moved.notify_one();
        self.tell_load(&stored).await;
        Ok(stored)
    }

    /// All agents.
    pub(super) async fn all_agents(&self) -> Result<Agents, Problem> {
        let averages = self.courses.averages().await?;
        let known = |agent: Agent| {
            let averages = averages.get(&agent.id).copied().unwrap_or_default();
            Agent {
                response_time_avg: averages.response_s,
                satisfaction_rating: averages.satisfaction,
                ..agent
            }
        };
        Ok(Agents { agents: self.store.agents().await?.into_iter().map(known).collect() })
    }

    fn check_there(&self, why: &str, agent: &Agent) -> Result<(), Problem> {
        let is_there = is_there(agent, self.settings.patience.offline, Moment::now());
        if is_there { Ok(()) } else { Err(Problem::conflict(why)) }
    }

    async fn agent(&self, id: &str) -> Result<Agent, Problem> {
        self.store.agent(id).await?.ok_or_else(no_agent)
    }

    /// Changes a conversation that no other agent has.
    async fn holds(&self, asker: &Asker, id: &str, event: Event) -> Result<Conversation, Problem> {
        let event = &event;
        let done = self.change(id, |chat, _| async move {
            let holder = chat.agent_id.as_ref();
            if asker.role == Role::Agent && holder.is_some_and(|holder| *holder != asker.user) {
                return Err(Problem::not_allowed("another agent has the conversation"));
            }
            Ok(Wish::from(event.clone()))
        });
        Ok(done.await?.conversation)
    }
}

/// What an agent whom somebody has named must have.
fn room(is_forced: bool) -> Room {
    if is_forced { Room::Nothing } else { Room::Slot }
}

fn no_agent() -> Problem {
    Problem::not_found("there is no such agent")
}
