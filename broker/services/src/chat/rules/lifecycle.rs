//! The life of a conversation: what may happen to it in which state, and what follows.
//!
//! A change is applied by a guarded update on `version`: whoever finds it changed asks again. The
//! sequence of messages is the store's.

use std::time::Duration;

use crate::chat::model::{
    Conversation, EndReason, Reason, Status, SystemLine, Transfer, TransferTarget,
};
use crate::moment::Moment;
use crate::refusal::Refusal;

/// How long a customer may come back to a resolved conversation.
pub const REOPEN_WITHIN: Duration = Duration::from_secs(7 * 86_400);
/// How long an agent who is asked to take a chat may think.
pub const TRANSFER_WITHIN: Duration = Duration::from_secs(60);
/// How far ahead a conversation may be put aside.
pub const SNOOZE_MAX: Duration = Duration::from_secs(90 * 86_400);
/// Characters of the note that goes with a hand-over.
const NOTE_CHARS_MAX: usize = 1_000;
/// Agents that are passed over at most; the oldest is asked again first.
const EXCLUDED_MAX: usize = 50;

/// What happens to a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its customer writes.
    CustomerWrote,
    /// An agent writes to the customer; private notes are none.
    AgentWrote(String),
    /// An agent gets it.
    Claim {
        /// Who.
        agent_id: String,
        /// Why.
        reason: Reason,
    },
    /// Its agent loses it, and it waits again.
    Requeue(EndReason),
    /// Its agent hands it over.
    Transfer {
        /// Who hands it over; it must be the one who has it.
        from: String,
        /// To whom.
        to: TransferTarget,
        /// Whether an agent who is named is asked first.
        is_asked: bool,
        /// For the one who gets it.
        note: Option<String>,
    },
    /// The agent who was asked takes it.
    AcceptTransfer(String),
    /// The agent who was asked does not take it.
    DeclineTransfer(String),
    /// The agent who was asked has not answered.
    TransferExpired,
    /// It is answered.
    Resolve,
    /// It is over for good.
    Archive,
    /// It is put aside until then.
    Snooze(Moment),
    /// The time it was put aside for is over.
    Wake,
}

/// What follows from a change, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It stands differently.
    Status {
        /// How it stood.
        old: Status,
        /// How it stands.
        new: Status,
    },
    /// An agent has it: a slot of the agent's is taken.
    Assigned {
        /// Who.
        agent_id: String,
        /// Which time.
        epoch: u64,
        /// Why.
        reason: Reason,
    },
    /// An agent has it no longer: a slot of the agent's is free, and the routing runs.
    Ended {
        /// Who.
        agent_id: String,
        /// Which time.
        epoch: u64,
        /// Why.
        reason: EndReason,
    },
    /// It waits: the routing runs.
    Queued,
    /// It waits no longer.
    Dequeued,
    /// One agent has handed it to another.
    Transferred {
        /// Who had it.
        from: String,
        /// Who has it.
        to: String,
        /// Which time.
        epoch: u64,
    },
    /// An agent is asked to take it.
    TransferAsked(Transfer),
    /// An agent who was asked does not take it, has not answered, or can no longer have it.
    TransferRefused(Transfer),
    /// The agent who has it has replied for the first time.
    FirstReply,
    /// The customer is told.
    Line(SystemLine),
    /// The customer is asked how content it is with this resolution.
    AskRating(u32),
    /// It is over for good.
    Archived,
}

/// A conversation after an event, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// How it stands.
    pub conversation: Conversation,
    /// What follows.
    pub effects: Vec<Effect>,
}

/// The conversation after the event.
///
/// # Errors
/// `Conflict` if the event does not go with how it stands, `Closed` if it is over, `NotAllowed`
/// for an agent who does not have it. Nothing is changed then.
pub fn step(before: &Conversation, event: Event, now: Moment) -> Result<Change, Refusal> {
    if before.status == Status::Archived {
        return Err(Refusal::Closed("the conversation is archived"));
    }
    let mut work = Work { after: before.clone(), effects: Vec::new(), now };
    match event {
        Event::CustomerWrote => work.customer_wrote()?,
        Event::AgentWrote(agent) => work.agent_wrote(&agent)?,
        Event::Claim { agent_id, reason } => work.claim(agent_id, reason)?,
        Event::Requeue(reason) => work.requeue(reason)?,
        Event::Transfer { from, to, is_asked, note } => work.transfer(&from, to, is_asked, note)?,
        Event::AcceptTransfer(by) => work.accept(&by)?,
        Event::DeclineTransfer(by) => work.decline(&by)?,
        Event::TransferExpired => work.expire()?,
        Event::Resolve => work.resolve()?,
        Event::Archive => work.archive()?,
        Event::Snooze(until) => work.snooze(until)?,
        Event::Wake => work.wake()?,
    }
    work.finish(before)
}

struct Work {
    after: Conversation,
    effects: Vec<Effect>,
    now: Moment,
}

impl Work {
    fn customer_wrote(&mut self) -> Result<(), Refusal> {
        let now = self.now;
        if self.after.status == Status::Resolved {
            let resolved = self.after.resolved_at.unwrap_or(self.after.last_message_at);
            if now.since(resolved) > REOPEN_WITHIN {
                return Err(Refusal::Closed("resolved too long ago; begin a new conversation"));
            }
            self.after.status = Status::Waiting;
            self.after.resolved_at = None;
            self.after.waiting_since = Some(now);
            self.after.excluded_agents.clear();
            self.effects.push(Effect::Line(SystemLine::Reopened));
        } else if self.after.snoozed_until.take().is_some() {
            self.after.waiting_since = Some(now);
        } else {
            // Also of one who has an agent: if that agent goes, it has waited since now.
            self.after.waiting_since.get_or_insert(now);
        }
        self.after.last_message_at = self.after.last_message_at.max(now);
        Ok(())
    }

    fn agent_wrote(&mut self, agent: &str) -> Result<(), Refusal> {
        self.holder(agent)?;
        if self.after.first_reply_at.is_none() {
            self.after.first_reply_at = Some(self.now);
            self.effects.push(Effect::FirstReply);
        }
        self.after.waiting_since = None;
        self.after.excluded_agents.clear();
        self.after.last_message_at = self.after.last_message_at.max(self.now);
        Ok(())
    }

    fn claim(&mut self, agent: String, reason: Reason) -> Result<(), Refusal> {
        match self.after.status {
            Status::Waiting => {}
            Status::Active => return Err(Refusal::Conflict("another agent has it")),
            _ => return Err(Refusal::Conflict("the conversation waits for nobody")),
        }
        self.after.snoozed_until = None;
        let line = SystemLine::Assigned { agent_id: agent.clone() };
        self.assign(agent, reason);
        self.effects.push(Effect::Line(line));
        Ok(())
    }

    fn requeue(&mut self, reason: EndReason) -> Result<(), Refusal> {
        let agent = self.release(reason)?;
        // Who was offline may have it again.
        if matches!(reason, EndReason::NoReply | EndReason::Unassigned) {
            self.pass_over(agent);
        }
        self.wait();
        Ok(())
    }

    fn transfer(
        &mut self,
        from: &str,
        to: TransferTarget,
        is_asked: bool,
        note: Option<String>,
    ) -> Result<(), Refusal> {
        self.holder(from)?;
        if note.as_ref().is_some_and(|note| note.chars().count() > NOTE_CHARS_MAX) {
            return Err(Refusal::field("note", "at most 1,000 characters"));
        }
        match to {
            TransferTarget::Agent(to) if to == from => {
                Err(Refusal::field("toAgent", "somebody else"))
            }
            TransferTarget::Agent(to) if is_asked => {
                if self.after.transfer.is_some() {
                    return Err(Refusal::Conflict("somebody is asked already"));
                }
                let expires_at = self.now.after(TRANSFER_WITHIN);
                let from = from.to_owned();
                let asked = Transfer { from, to, note, asked_at: self.now, expires_at };
                self.effects.push(Effect::TransferAsked(asked.clone()));
                self.after.transfer = Some(asked);
                Ok(())
            }
            TransferTarget::Agent(to) => self.hand_over(to),
            TransferTarget::Skill(skill) => {
                let agent = self.release(EndReason::Transferred)?;
                self.pass_over(agent);
                self.after.wants.required_skills = vec![skill];
                self.wait();
                Ok(())
            }
        }
    }

    fn accept(&mut self, by: &str) -> Result<(), Refusal> {
        let asked = self.asked(by)?;
        if self.now >= asked.expires_at {
            return Err(Refusal::Conflict("the hand-over no longer holds"));
        }
        self.after.transfer = None;
        self.hand_over(asked.to)
    }

    fn decline(&mut self, by: &str) -> Result<(), Refusal> {
        let asked = self.asked(by)?;
        self.refuse(asked);
        Ok(())
    }

    fn expire(&mut self) -> Result<(), Refusal> {
        match self.after.transfer.clone() {
            Some(asked) if self.now >= asked.expires_at => {
                self.refuse(asked);
                Ok(())
            }
            _ => Err(Refusal::Conflict("no hand-over has run out of time")),
        }
    }

    fn resolve(&mut self) -> Result<(), Refusal> {
        match self.after.status {
            Status::Waiting => self.after.snoozed_until = None,
            Status::Active => {
                self.release(EndReason::Resolved)?;
            }
            _ => return Err(Refusal::Conflict("the conversation is resolved already")),
        }
        self.after.status = Status::Resolved;
        self.after.resolved_at = Some(self.now);
        self.after.waiting_since = None;
        self.after.resolution_no = self.after.resolution_no.saturating_add(1);
        self.effects.push(Effect::Line(SystemLine::Resolved));
        if self.after.last_agent_id.is_some() {
            self.effects.push(Effect::AskRating(self.after.resolution_no));
        }
        Ok(())
    }

    fn archive(&mut self) -> Result<(), Refusal> {
        if self.after.status != Status::Resolved {
            return Err(Refusal::Conflict("only a resolved conversation is archived"));
        }
        self.after.status = Status::Archived;
        self.effects.push(Effect::Archived);
        Ok(())
    }

    fn snooze(&mut self, until: Moment) -> Result<(), Refusal> {
        if until <= self.now || until.since(self.now) > SNOOZE_MAX {
            return Err(Refusal::field("snoozed_until", "within the next 90 days"));
        }
        match self.after.status {
            Status::Waiting => {}
            Status::Active => {
                self.release(EndReason::Snoozed)?;
            }
            _ => return Err(Refusal::Conflict("the conversation is resolved")),
        }
        self.after.status = Status::Waiting;
        self.after.snoozed_until = Some(until);
        self.after.waiting_since = None;
        Ok(())
    }

    fn wake(&mut self) -> Result<(), Refusal> {
        match self.after.snoozed_until {
            Some(until) if self.now >= until => {
                self.after.snoozed_until = None;
                self.after.waiting_since = Some(self.now);
                Ok(())
            }
            _ => Err(Refusal::Conflict("the conversation is not to wake")),
        }
    }

    /// The agent has it at this moment.
    fn holder(&self, agent: &str) -> Result<(), Refusal> {
        match &self.after.agent_id {
            Some(holder) if holder == agent => Ok(()),
            Some(_) => Err(Refusal::NotAllowed("another agent has the conversation")),
            None => Err(Refusal::Conflict("no agent has the conversation")),
        }
    }

    fn asked(&self, agent: &str) -> Result<Transfer, Refusal> {
        match &self.after.transfer {
            Some(asked) if asked.to == agent => Ok(asked.clone()),
            Some(_) => Err(Refusal::NotAllowed("another agent is asked")),
            None => Err(Refusal::Conflict("nobody is asked to take it")),
        }
    }

    fn refuse(&mut self, asked: Transfer) {
        self.after.transfer = None;
        self.effects.push(Effect::TransferRefused(asked));
    }

    fn hand_over(&mut self, to: String) -> Result<(), Refusal> {
        let from = self.release(EndReason::Transferred)?;
        self.assign(to.clone(), Reason::Transfer);
        let line = SystemLine::Transferred { from: from.clone(), to: to.clone() };
        self.effects.push(Effect::Transferred { from, to, epoch: self.after.epoch });
        self.effects.push(Effect::Line(line));
        Ok(())
    }

    fn assign(&mut self, agent: String, reason: Reason) {
        let chat = &mut self.after;
        chat.status = Status::Active;
        chat.epoch = chat.epoch.saturating_add(1);
        chat.assigned_at = Some(self.now);
        chat.assigned_reason = Some(reason);
        chat.first_reply_at = None;
        chat.last_agent_id = Some(agent.clone());
        chat.agent_id = Some(agent.clone());
        self.effects.push(Effect::Assigned { agent_id: agent, epoch: chat.epoch, reason });
    }

    fn release(&mut self, reason: EndReason) -> Result<String, Refusal> {
        let chat = &mut self.after;
        let agent = chat.agent_id.take().ok_or(Refusal::Conflict("no agent has it"))?;
        let ended = Effect::Ended { agent_id: agent.clone(), epoch: chat.epoch, reason };
        chat.assigned_at = None;
        chat.assigned_reason = None;
        self.effects.push(ended);
        if let Some(asked) = self.after.transfer.take() {
            self.effects.push(Effect::TransferRefused(asked));
        }
        Ok(agent)
    }

    /// It waits, since when the customer has waited already.
    fn wait(&mut self) {
        self.after.status = Status::Waiting;
        self.after.waiting_since.get_or_insert(self.now);
        self.effects.push(Effect::Line(SystemLine::Requeued));
    }

    /// Another agent is to have it, until somebody replies or the customer has waited too long.
    fn pass_over(&mut self, agent: String) {
        let passed = &mut self.after.excluded_agents;
        passed.retain(|other| *other != agent);
        passed.push(agent);
        let surplus = passed.len().saturating_sub(EXCLUDED_MAX);
        passed.drain(..surplus);
    }

    fn finish(mut self, before: &Conversation) -> Result<Change, Refusal> {
        let (old, new) = (before.status, self.after.status);
        if old != new {
            self.effects.push(Effect::Status { old, new });
        }
        match (before.is_queued(), self.after.is_queued()) {
            (false, true) => self.effects.push(Effect::Queued),
            (true, false) => self.effects.push(Effect::Dequeued),
            _ => {}
        }
        self.after.version = before.version.saturating_add(1);
        Ok(Change { conversation: self.after, effects: self.effects })
    }
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
