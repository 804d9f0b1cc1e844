//! Who types where. Nothing of it is stored.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sampan_client::Message;

use super::asked::Typing;
use super::desk::Desk;
use super::events::topic;
use crate::chat::files::Blobs;
use crate::chat::model::{Name, TypingEvent};
use crate::chat::rules::typing::{Told, Typists};
use crate::chat::store::Store;
use crate::moment::Moment;
use crate::service::{Asker, Problem};

/// Conversations in which somebody types at the same moment; in more, nobody is told.
const CONVERSATIONS_MAX: usize = 10_000;

/// Who types in each conversation.
#[derive(Clone, Debug, Default)]
pub(super) struct Keyboards(Arc<Mutex<HashMap<String, Typists>>>);

impl Keyboards {
    /// A user types, or has stopped; what to tell, if anything.
    fn note(&self, id: &str, user: &str, typing: bool) -> Option<Told> {
        let at = Moment::now();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains_key(id) {
            if all.len() >= CONVERSATIONS_MAX {
                all.retain(|_, typists| typists.deadline().is_some_and(|until| until > at));
            }
            if !typing || all.len() >= CONVERSATIONS_MAX {
                return None;
            }
        }
        let typists = all.entry(id.to_owned()).or_default();
        let told = if typing { typists.typed(user, at) } else { typists.stopped(user, at) };
        if typists.deadline().is_none() {
            all.remove(id);
        }
        told
    }
}

impl<S: Store, B: Blobs> Desk<S, B> {
    /// The asker types, or has stopped.
    pub(super) async fn types(&self, asker: &Asker, asked: &Typing) -> Result<(), Problem> {
        super::receipts::check_self(asker, asked.user_id.as_deref())?;
        self.seen(&asked.conversation_id, asker).await?;
        self.note_typing(&asked.conversation_id, &asker.user, asked.typing).await
    }

    /// Tells the others, if there is something to tell.
    pub(super) async fn note_typing(
        &self,
        id: &str,
        user: &str,
        typing: bool,
    ) -> Result<(), Problem> {
        let Some(told) = self.keyboards.note(id, user, typing) else { return Ok(()) };
        let expires_at = match told {
            Told::Typing(until) => Some(until),
            Told::Stopped => None,
        };
        let event = TypingEvent {
            user_id: user.to_owned(),
            conversation_id: id.to_owned(),
            typing: expires_at.is_some(),
            expires_at,
        };
        let json =
            serde_json::to_vec(&event).map_err(|error| Problem::fault(&error.to_string()))?;
        let message = Message::new(topic("typing", id)?, json)
            .event(Name::Typing.text())
            .content_type("application/json")
            .key(user);
        // Nobody waits for it, and the next one says the same.
        let _ = self.client.publish_unacked(message).await;
        Ok(())
    }
}
