//! Which agent gets which waiting chat.
//!
//! A match is a proposal made from what was known: the store claims the agent's slot and the
//! conversation by guarded updates and gives the slot back if the second fails. The routing runs
//! again whenever a chat begins to wait, a slot becomes free, an agent comes or is edited, and
//! every [`SWEEP`].

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::chat::model::{Agent, AgentStatus, Conversation};
use crate::moment::Moment;

use super::queue::{Ranking, Waiting};

/// How often the routing runs even if nothing has happened.
pub const SWEEP: Duration = Duration::from_secs(5);
/// An agent that was not seen for so long gets nothing.
pub const FRESH: Duration = Duration::from_secs(60);
/// An agent that was seen so short a time ago is not noted anew.
const NOTED: Duration = Duration::from_secs(10);

/// How an agent is chosen among those who can take a chat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Who has the least of what they may have.
    #[default]
    LeastLoaded,
    /// Who has waited longest for a chat.
    Rotation,
    /// Nobody: agents pick.
    Manual,
}

/// How chats find agents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Who is served first.
    pub ranking: Ranking,
    /// How an agent is chosen.
    pub mode: Mode,
    /// Whether a chat goes back to the agent who had it, if there is a free slot.
    pub is_sticky: bool,
    /// After so long required skills are only preferred. Default never.
    pub relax_after: Option<Duration>,
}

/// A chat and the agent who is to have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The chat.
    pub conversation_id: String,
    /// Its version when it was matched: the claim holds for this one only.
    pub version: u64,
    /// The agent.
    pub agent_id: String,
}

/// Whether an agent gets chats: online, seen to live, with a free slot.
#[must_use]
pub fn is_available(agent: &Agent, now: Moment) -> bool {
    agent.status == AgentStatus::Online
        && agent.offline_since.is_none()
        && agent.last_seen_at.is_some_and(|seen| now.since(seen) <= FRESH)
        && agent.free_slots() > 0
}

/// Whom a look finds to live, and whom to be gone, if these users have a session. What is noted
/// already, or was a moment ago, is not found again.
#[must_use]
pub fn look(agents: &[Agent], present: &BTreeSet<&str>, now: Moment) -> (Vec<String>, Vec<String>) {
    let (mut live, mut gone) = (Vec::new(), Vec::new());
    for agent in agents.iter().filter(|agent| agent.status != AgentStatus::Offline) {
        let is_noted = agent.last_seen_at.is_some_and(|seen| now.since(seen) < NOTED);
        match (present.contains(agent.id.as_str()), agent.offline_since) {
            (true, None) if is_noted => {}
            (true, _) => live.push(agent.id.clone()),
            (false, None) => gone.push(agent.id.clone()),
            (false, Some(_)) => {}
        }
    }
    (live, gone)
}

/// Whether a chat may be handed to an agent by name: one who is offline, or gone for so long as to
/// lose its chats, is not there.
#[must_use]
pub fn is_there(agent: &Agent, grace: Duration, now: Moment) -> bool {
    agent.status != AgentStatus::Offline
        && agent.last_seen_at.is_some()
        && agent.offline_since.is_none_or(|gone| now < gone.after(grace))
}

/// Whether an agent may have this chat at all.
#[must_use]
pub fn can_take(agent: &Agent, chat: &Waiting<'_>, policy: &Policy, now: Moment) -> bool {
    let conversation = chat.conversation;
    let is_relaxed = policy.relax_after.is_some_and(|after| now.since(chat.since()) >= after);
    // Who let it wait is asked again rather than that it waits for ever.
    let is_passed =
        conversation.excluded_agents.contains(&agent.id) && !policy.ranking.is_starved(chat, now);
    let required = &conversation.wants.required_skills;
    !is_passed && (is_relaxed || required.iter().all(|skill| has(&agent.skills, skill)))
}

/// The matches that can be made, the next to be served first.
#[must_use]
pub fn route(
    policy: &Policy,
    waiting: &[Waiting<'_>],
    agents: &[Agent],
    now: Moment,
) -> Vec<Match> {
    let mut out = Vec::new();
    if policy.mode == Mode::Manual {
        return out;
    }
    let mut free: Vec<Agent> =
        agents.iter().filter(|agent| is_available(agent, now)).cloned().collect();
    let mut queue: Vec<_> =
        waiting.iter().copied().filter(|chat| chat.conversation.is_queued()).collect();
    policy.ranking.sort(&mut queue, now);
    for chat in &queue {
        if free.is_empty() {
            break;
        }
        let Some(at) = choose(policy, chat, &free, now) else { continue };
        let Some(agent) = free.get_mut(at) else { continue };
        agent.current_conversations += 1;
        agent.last_assigned_at = Some(now);
        out.push(Match {
            conversation_id: chat.conversation.id.clone(),
            version: chat.conversation.version,
            agent_id: agent.id.clone(),
        });
        if agent.free_slots() == 0 {
            free.swap_remove(at);
        }
    }
    out
}

/// The place of the agent who gets the chat.
fn choose(policy: &Policy, chat: &Waiting<'_>, free: &[Agent], now: Moment) -> Option<usize> {
    let able = free.iter().enumerate().filter(|(_, agent)| can_take(agent, chat, policy, now));
    let best = able.min_by(|(_, a), (_, b)| compare(policy, chat.conversation, a, b));
    best.map(|(at, _)| at)
}

/// The better of two agents is less: who has let it wait after all others, then by fit, then by
/// load.
fn compare(policy: &Policy, chat: &Conversation, a: &Agent, b: &Agent) -> Ordering {
    let is_last = |agent: &Agent| {
        policy.is_sticky && chat.last_agent_id.as_deref() == Some(agent.id.as_str())
    };
    let fit = |agent: &Agent| {
        let wants = &chat.wants;
        let skills = wants.required_skills.iter().chain(&wants.preferred_skills);
        let known = skills.filter(|skill| has(&agent.skills, skill)).count();
        (is_last(agent), speaks(agent, &chat.metadata.language), known)
    };
    let load =
        |x: &Agent, y: &Agent| u64::from(x.current_conversations) * u64::from(y.concurrent_limit);
    let loads = match policy.mode {
        Mode::LeastLoaded => load(a, b).cmp(&load(b, a)),
        Mode::Rotation | Mode::Manual => Ordering::Equal,
    };
    let has_let_wait = |agent: &Agent| chat.excluded_agents.contains(&agent.id);
    let rested = a.last_assigned_at.cmp(&b.last_assigned_at);
    has_let_wait(a)
        .cmp(&has_let_wait(b))
        .then_with(|| fit(b).cmp(&fit(a)))
        .then(loads)
        .then(rested)
        .then_with(|| a.id.cmp(&b.id))
}

fn has(skills: &[String], skill: &str) -> bool {
    skills.iter().any(|known| known.eq_ignore_ascii_case(skill))
}

/// Whether the agent writes the language, whatever its region.
fn speaks(agent: &Agent, language: &str) -> bool {
    let base = |tag: &str| tag.split(['-', '_']).next().unwrap_or("").to_ascii_lowercase();
    !language.is_empty() && agent.languages.iter().any(|known| base(known) == base(language))
}

#[cfg(test)]
#[path = "routing_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "routing_model_tests.rs"]
mod model;
