//! Steps: a change with all that follows from it, in one update.

use super::conversations::{Head, columns, settled};
use super::duty::{Duty, settle_or_leave};
use super::{MongoStore, agents, messages, pending};
use crate::chat::model::{Assignment, Message};
use crate::chat::rules::lifecycle::Effect;
use crate::chat::store::events::received;
use crate::chat::store::{Answer, Outcome, Step};
use crate::id::Id;
use crate::store::encoding::number;
use crate::store::mongo::doc;

pub(super) async fn apply(store: &MongoStore, step: &Step) -> Answer<Outcome> {
    let conversation = &step.change.conversation;
    let Some(head) = settled(store, &conversation.id).await? else { return Ok(Outcome::Moved) };
    for message in &step.messages {
        match messages::earlier(store, message).await? {
            Some((earlier, true)) => return Ok(Outcome::Repeated(Box::new(earlier))),
            Some((_, false)) => return Ok(Outcome::Differs),
            None => {}
        }
    }
    if head.version != conversation.version.saturating_sub(1) {
        return Ok(Outcome::Moved);
    }
    head.check_room()?;
    let slot = match assigned(step) {
        None => head.slot.clone().filter(|_| conversation.agent_id.is_some()),
        Some(agent_id) => {
            let slot = Id::new().to_string();
            let holder = (conversation.id.as_str(), slot.as_str());
            if !agents::take_slot(store, agent_id, holder, step.room, step.at).await? {
                // Others who are at the same may have taken it, and then the asker looks again.
                let now = settled(store, &conversation.id).await?;
                let is_same = now.is_some_and(|now| now.version == head.version);
                return Ok(if is_same { Outcome::Full } else { Outcome::Moved });
            }
            Some(slot)
        }
    };
    let messages: Vec<Message> = (head.next_seq..)
        .zip(&step.messages)
        .map(|(seq, message)| Message { seq, ..message.clone() })
        .collect();
    let duties = duties(step, &head, &messages);
    let mut events = messages.iter().map(received).collect::<Answer<Vec<_>>>()?;
    events.extend(step.events.iter().cloned());
    let mut stands = columns(conversation, slot.clone())?;
    stands.insert("next_seq", number(head.next_seq.saturating_add(messages.len() as u64)));
    let change = doc! { "$set": stands, "$push": pending::push(&duties, &events)? };
    // If nobody knows whether this has happened, the slot is left to the recount.
    if !store.conversations().update(head.guard(&conversation.id), change).await? {
        if let (Some(agent_id), Some(slot)) = (assigned(step), slot) {
            agents::free_slot(store, agent_id, &slot).await?;
        }
        return Ok(Outcome::Moved);
    }
    settle_or_leave(store, &conversation.id, &duties).await;
    if !events.is_empty() {
        store.0.tell_events();
    }
    Ok(Outcome::Done(messages))
}

/// The agent that a step gives the conversation to.
fn assigned(step: &Step) -> Option<&str> {
    step.change.effects.iter().find_map(|effect| match effect {
        Effect::Assigned { agent_id, .. } => Some(agent_id.as_str()),
        _ => None,
    })
}

/// What follows beside the conversation's document and the slot that is taken.
fn duties(step: &Step, head: &Head, messages: &[Message]) -> Vec<(String, Duty)> {
    let conversation = &step.change.conversation;
    let follow = |effect: &Effect| match effect {
        Effect::Assigned { agent_id, epoch, reason } => Some(Duty::Begun(Assignment {
            id: Id::new().to_string(),
            conversation_id: conversation.id.clone(),
            agent_id: agent_id.clone(),
            epoch: *epoch,
            reason: *reason,
            assigned_at: step.at,
            first_reply_at: None,
            ended_at: None,
            end_reason: None,
        })),
        Effect::Ended { agent_id, epoch, reason } => Some(Duty::Ended {
            agent_id: agent_id.clone(),
            slot: head.slot.clone(),
            epoch: *epoch,
            reason: *reason,
            at: step.at,
        }),
        Effect::FirstReply => Some(Duty::Replied { epoch: conversation.epoch, at: step.at }),
        _ => None,
    };
    // A message that is not yet at its place is found by its id.
    let said = messages
        .iter()
        .map(|message| (message.id.clone(), Duty::Message { message: Box::new(message.clone()) }));
    step.change.effects.iter().filter_map(follow).map(pending::new).chain(said).collect()
}
