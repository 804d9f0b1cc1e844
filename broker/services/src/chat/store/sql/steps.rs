//! Steps: a change with all that follows from it, in one transaction.

use super::{add_all, agents, conversations, messages};
use crate::chat::model::{Assignment, Message};
use crate::chat::rules::lifecycle::Effect;
use crate::chat::store::{Answer, Outcome, Step};
use crate::id::Id;
use crate::store::{Database, Work};

pub(super) async fn apply(database: &Database, step: &Step) -> Answer<Outcome> {
    // Whatever returns early takes everything back.
    let mut work = database.begin().await?;
    for message in &step.messages {
        match messages::earlier(&mut work, message).await? {
            Some((earlier, true)) => return Ok(Outcome::Repeated(Box::new(earlier))),
            Some((_, false)) => return Ok(Outcome::Differs),
            None => {}
        }
    }
    let conversation = &step.change.conversation;
    let taken = step.messages.len();
    let Some(first) = conversations::replace(&mut work, conversation, taken).await? else {
        return Ok(Outcome::Moved);
    };
    for effect in &step.change.effects {
        if !follow(&mut work, step, effect).await? {
            return Ok(Outcome::Full);
        }
    }
    let mut stored = Vec::with_capacity(taken);
    for (seq, message) in (first..).zip(&step.messages) {
        let message = Message { seq, ..message.clone() };
        messages::insert(&mut work, &message).await?;
        stored.push(message);
    }
    add_all(&mut work, &step.events).await?;
    work.commit().await?;
    Ok(Outcome::Done(stored))
}

/// Carries out what follows; whether there was room for it.
async fn follow(work: &mut Work<'_>, step: &Step, effect: &Effect) -> Answer<bool> {
    let conversation = &step.change.conversation;
    match effect {
        Effect::Assigned { agent_id, epoch, reason } => {
            if !agents::take_slot(work, agent_id, step.room, step.at).await? {
                return Ok(false);
            }
            let assignment = Assignment {
                id: Id::new().to_string(),
                conversation_id: conversation.id.clone(),
                agent_id: agent_id.clone(),
                epoch: *epoch,
                reason: *reason,
                assigned_at: step.at,
                first_reply_at: None,
                ended_at: None,
                end_reason: None,
            };
            agents::begin(work, &assignment).await?;
        }
        Effect::Ended { agent_id, epoch, reason } => {
            agents::free_slot(work, agent_id).await?;
            agents::end(work, &conversation.id, *epoch, *reason, step.at).await?;
        }
        Effect::FirstReply => {
            agents::first_reply(work, &conversation.id, conversation.epoch, step.at).await?;
        }
        _ => {}
    }
    Ok(true)
}
