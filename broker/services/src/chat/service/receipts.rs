//! How far users have come.

use std::collections::VecDeque;

use super::asked::{Come, Cursors};
use super::desk::{Desk, participant, sender};
use super::events::{event, topic};
use crate::chat::files::Blobs;
use crate::chat::model::{Conversation, Message, Name, Participant, ReceiptEvent, Sender};
use crate::chat::rules::content::is_visible;
use crate::chat::rules::page::fit;
use crate::chat::rules::receipts::{Mark, advance, status};
use crate::chat::store::{Page, Store};
use crate::moment::Moment;
use crate::role::Role;
use crate::service::{Asker, Problem};

/// Refuses to act for another.
pub(super) fn check_self(asker: &Asker, user: Option<&str>) -> Result<(), Problem> {
    match user {
        Some(user) if user != asker.user => Err(Problem::not_allowed("userId: that is not you")),
        _ => Ok(()),
    }
}

impl<S: Store, B: Blobs> Desk<S, B> {
    /// The asker has got messages, or has read them.
    pub(super) async fn come(
        &self,
        asker: &Asker,
        come: &Come,
        mark: Mark,
    ) -> Result<Cursors, Problem> {
        check_self(asker, come.user_id.as_deref())?;
        let (chat, message) = self.place(asker, come).await?;
        let seq = message.seq;
        let who = self.participant(&chat, asker).await?;
        let last = chat.next_seq.saturating_sub(1);
        let Some(to) = advance(&who, mark, seq, last) else { return Ok(cursors(&who)) };
        let name = if mark == Mark::Read { Name::Read } else { Name::Delivered };
        let up_to_seq = if mark == Mark::Read { to.read_seq } else { to.delivered_seq };
        // Customers are told of it too, and of notes they know nothing.
        let open = match message.private {
            true => {
                let before = Page::Before(seq, 1);
                self.page(&chat.id, Sender::Customer, before, &[]).await?.into_iter().next()
            }
            false => Some(message),
        };
        let mut events = Vec::new();
        if let Some(Message { id: message_id, .. }) = open {
            let (user_id, conversation_id) = (asker.user.clone(), chat.id.clone());
            let told = ReceiptEvent { message_id, user_id, conversation_id, up_to_seq };
            let topic = topic("conversation", &chat.id)?;
            events.push(event(topic, name.text(), &chat.id, Moment::now(), &told)?);
        }
        self.store.advance(&to, &events).await?;
        Ok(cursors(&to))
    }

    /// Where the asker has come to: the conversation, the sequence and the message there.
    async fn place(&self, asker: &Asker, come: &Come) -> Result<(Conversation, Message), Problem> {
        if let Some(id) = &come.message_id {
            let message = self.store.message(id).await?.ok_or_else(no_message)?;
            let chat = self.seen(&message.conversation_id, asker).await;
            let chat = chat.map_err(|_| no_message())?;
            if !is_visible(&message, sender(asker.role)) {
                return Err(no_message());
            }
            return Ok((chat, message));
        }
        let (Some(id), Some(seq)) = (&come.conversation_id, come.up_to_seq) else {
            return Err(Problem::field("messageId", "or conversation_id and up_to_seq"));
        };
        let chat = self.seen(id, asker).await?;
        let at = seq.min(chat.next_seq.saturating_sub(1));
        let page = self.store.messages(id, Page::Before(at.saturating_add(1), 1)).await?;
        let message = page.into_iter().next().ok_or_else(no_message)?;
        Ok((chat, message))
    }

    /// The asker as one who takes part: a customer in its own conversation, an agent in any.
    pub(super) async fn participant(
        &self,
        chat: &Conversation,
        asker: &Asker,
    ) -> Result<Participant, Problem> {
        let all = self.store.participants(&chat.id).await?;
        match all.into_iter().find(|who| who.user_id == asker.user && who.left_at.is_none()) {
            Some(who) => Ok(who),
            None if asker.role == Role::Service => {
                Err(Problem::not_allowed("programs of the shop read without taking part"))
            }
            None => {
                let who = participant(&chat.id, &asker.user, sender(asker.role), Moment::now());
                Ok(self.store.join(&who).await?)
            }
        }
    }

    /// A page of messages as users of this kind see it: without what is not for them, each with how
    /// far it has come. It may have fewer than are asked for and there are, if these are long.
    pub(super) async fn page(
        &self,
        id: &str,
        role: Sender,
        page: Page,
        participants: &[Participant],
    ) -> Result<Vec<Message>, Problem> {
        let max = page.max() as usize;
        let (mut seen, mut wanted) = (VecDeque::new(), page);
        // Notes between the messages that a customer sees make no page shorter.
        while seen.len() < max {
            let found = self.store.messages(id, wanted).await?;
            let is_end = found.len() < max;
            let (first, last) = (found.first(), found.last());
            let Some((first, last)) = first.zip(last).map(|(one, other)| (one.seq, other.seq))
            else {
                break;
            };
            let visible = found.into_iter().filter(|message| is_visible(message, role));
            wanted = match wanted {
                Page::After(..) => {
                    seen.extend(visible);
                    Page::After(last, page.max())
                }
                Page::Before(..) | Page::Last(_) => {
                    visible.rev().for_each(|message| seen.push_front(message));
                    Page::Before(first, page.max())
                }
            };
            if is_end {
                break;
            }
        }
        match page {
            Page::After(..) => seen.truncate(fit(&seen).min(max)),
            Page::Before(..) | Page::Last(_) => {
                let surplus = seen.len() - fit(seen.iter().rev()).min(max);
                drop(seen.drain(..surplus));
            }
        }
        let come = |message: Message| Message { status: status(&message, participants), ..message };
        Ok(seen.into_iter().map(come).collect())
    }
}

fn cursors(who: &Participant) -> Cursors {
    Cursors {
        conversation_id: who.conversation_id.clone(),
        delivered_seq: who.delivered_seq,
        read_seq: who.read_seq,
    }
}

pub(super) fn no_message() -> Problem {
    Problem::not_found("there is no such message, or not for you")
}
