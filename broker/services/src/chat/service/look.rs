//! Who looks at a conversation, and what is seen there.

use sampan_client::Message as Published;

use super::asked::{Found, List, ListWanted, Messages, Of, PageWanted, SearchWanted, Snapshot};
use super::desk::{Desk, participant, sender};
use super::events::{event, topic};
use crate::chat::files::Blobs;
use crate::chat::model::{Conversation, JoinEvent, Message, Name};
use crate::chat::rules::content::is_visible;
use crate::chat::rules::page::fit;
use crate::chat::rules::words::{self, Sought};
use crate::chat::store::{Page, Search, Store};
use crate::moment::Moment;
use crate::role::Role;
use crate::service::{Asker, Problem};

/// Messages of a snapshot, if nobody says how many.
const SNAPSHOT: u32 = 50;
/// Rows of a page.
const PAGE_MAX: u32 = 100;

impl<S: Store, B: Blobs> Desk<S, B> {
    /// The asker comes to look at a conversation.
    pub(super) async fn join(&self, asker: &Asker, of: &Of) -> Result<Snapshot, Problem> {
        let id = &of.conversation_id;
        let chat = self.seen(id, asker).await?;
        // Programs of the shop look without taking part.
        if asker.role != Role::Service {
            let all = self.store.participants(id).await?;
            let was = all.iter().find(|who| who.user_id == asker.user);
            if was.is_none_or(|who| who.left_at.is_some()) {
                let who = participant(id, &asker.user, sender(asker.role), Moment::now());
                self.store.join(&who).await?;
                self.tell_of(Name::Join, id, &asker.user).await?;
            }
        }
        let participants = self.store.participants(id).await?;
        let messages =
            self.page(id, sender(asker.role), Page::Last(SNAPSHOT), &participants).await?;
        // Read after the messages, so that nothing is missing between.
        let last_seq = messages.last().map_or(chat.next_seq.saturating_sub(1), |last| last.seq);
        Ok(Snapshot { conversation: shown(chat, asker), participants, messages, last_seq })
    }

    /// The asker takes part no longer.
    pub(super) async fn leave(&self, asker: &Asker, of: &Of) -> Result<(), Problem> {
        self.seen(&of.conversation_id, asker).await?;
        if self.store.leave(&of.conversation_id, &asker.user, Moment::now()).await? {
            self.tell_of(Name::Leave, &of.conversation_id, &asker.user).await?;
        }
        self.note_typing(&of.conversation_id, &asker.user, false).await
    }

    /// Tells who came or went. It says nothing that is not stored: who misses it reads it there.
    async fn tell_of(&self, name: Name, id: &str, user: &str) -> Result<(), Problem> {
        let told = JoinEvent { conversation_id: id.to_owned(), user_id: user.to_owned() };
        let event = event(topic("conversation", id)?, name.text(), id, Moment::now(), &told)?;
        let message = Published::new(event.topic, event.payload.into_bytes())
            .event(name.text())
            .content_type("application/json")
            .key(user);
        let _ = self.client.publish_unacked(message).await;
        Ok(())
    }

    /// A page of messages.
    pub(super) async fn history(
        &self,
        asker: &Asker,
        asked: &PageWanted,
    ) -> Result<Messages, Problem> {
        let id = &asked.conversation_id;
        self.seen(id, asker).await?;
        let max = asked.limit.unwrap_or(PAGE_MAX).min(PAGE_MAX);
        let page = match (asked.before, asked.after) {
            (Some(_), Some(_)) => return Err(Problem::field("before", "not together with after")),
            (Some(seq), None) => Page::Before(seq, max),
            (None, Some(seq)) => Page::After(seq, max),
            (None, None) => Page::Last(max),
        };
        let participants = self.store.participants(id).await?;
        let messages = self.page(id, sender(asker.role), page, &participants).await?;
        Ok(Messages { messages })
    }

    /// Messages that have what is sought, of those that the asker may see.
    pub(super) async fn search(
        &self,
        asker: &Asker,
        asked: &SearchWanted,
    ) -> Result<Found, Problem> {
        let sought = Sought::new(&asked.text)
            .ok_or_else(|| Problem::field("text", "one to 32 words to look for"))?;
        if let Some(id) = &asked.conversation_id {
            self.seen(id, asker).await?;
        }
        let is_customer = asker.role == Role::Customer;
        let open = is_customer.then(|| words::OPEN.to_owned());
        let max = asked.limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
        let wanted = Search {
            terms: sought.terms().iter().cloned().chain(open).collect(),
            customer_id: is_customer.then(|| asker.user.clone()),
            conversation_id: asked.conversation_id.clone(),
            before: asked.before.clone(),
            max,
        };
        let mut found = self.store.search(&wanted).await?;
        let fits = fit(&found);
        let has_more = fits < found.len() || found.len() as u64 >= u64::from(max);
        found.truncate(fits);
        let next = found.last().filter(|_| has_more).map(|last| last.id.clone());
        // Terms may be shared by other words, and by what is not for the asker.
        let role = sender(asker.role);
        let has = |message: &Message| {
            is_visible(message, role)
                && sought.is_in(message.content.text.as_deref().unwrap_or_default())
        };
        Ok(Found { messages: found.into_iter().filter(has).collect(), next })
    }

    /// The asker's conversations, or those that wait.
    pub(super) async fn list(&self, asker: &Asker, asked: &ListWanted) -> Result<List, Problem> {
        let is_customer = asker.role == Role::Customer;
        let found = match (&asked.customer_id, asked.waiting) {
            (Some(id), _) if is_customer && *id != asker.user => {
                return Err(Problem::not_allowed("customerId: that is not you"));
            }
            (_, true) if is_customer => {
                return Err(Problem::not_allowed("waiting: agents see who waits"));
            }
            (_, true) => self.store.waiting(PAGE_MAX).await?,
            (Some(id), false) => self.store.of_customer(id, PAGE_MAX).await?,
            (None, false) if is_customer => self.store.of_customer(&asker.user, PAGE_MAX).await?,
            (None, false) => self.store.of_agent(&asker.user).await?,
        };
        let mut found: Vec<_> = found.into_iter().map(|chat| shown(chat, asker)).collect();
        found.truncate(fit(&found));
        Ok(List { conversations: found })
    }
}

/// A conversation as the asker may see it: what agents write one another is not for customers.
pub(super) fn shown(chat: Conversation, asker: &Asker) -> Conversation {
    if asker.role != Role::Customer {
        return chat;
    }
    Conversation { transfer: None, excluded_agents: Vec::new(), tags: Vec::new(), ..chat }
}
