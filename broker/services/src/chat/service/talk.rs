//! Conversations begin, and messages are sent and changed.

use tracing::warn;

use super::asked::{Delete, Edit, Open};
use super::desk::{Desk, Wish, participant, sender, used};
use super::events::entered;
use super::receipts::no_message;
use crate::chat::access::{may_see, unknown};
use crate::chat::files::{Blobs, User};
use crate::chat::model::{
    Content, Conversation, Draft, Message, Origin, Receipt, Revision, Sender, Status,
};
use crate::chat::rules::content::{check, choose, is_same, is_visible};
use crate::chat::rules::lifecycle::{Event, step};
use crate::chat::rules::revision::{Editor, delete, edit};
use crate::chat::store::{Created, Page, Room, Store};
use crate::id::check_id;
use crate::moment::Moment;
use crate::refusal::Refusal;
use crate::role::Role;
use crate::service::{Asker, Problem};
use crate::signature::id_of;

/// Conversations of a customer that may be unanswered at once, so that one customer does not fill the queue.
const OPEN_MAX: u32 = 50;
/// Tags or skills that are wanted.
const WORDS_MAX: usize = 20;
/// Bytes of each.
const WORD_BYTES_MAX: usize = 64;
/// Messages that are read at once when an answer to a question is looked for.
const PAGE: u32 = 200;
/// Times that a change of a message is tried while others are faster.
const TRIES: u32 = 5;

impl<S: Store, B: Blobs> Desk<S, B> {
    /// Begins a conversation, or finds the one that was begun by the same id.
    pub(super) async fn open(&self, asker: &Asker, asked: Open) -> Result<Conversation, Problem> {
        let customer = match (&asked.customer_id, asker.role) {
            (Some(id), Role::Customer) if *id != asker.user => {
                return Err(Problem::not_allowed("customer_id: that is not you"));
            }
            (None, Role::Customer) => asker.user.clone(),
            (Some(id), _) => id.clone(),
            (None, _) => return Err(Problem::field("customer_id", "whose is it?")),
        };
        if asker.role == Role::Customer && (asked.priority.is_some() || !asked.tags.is_empty()) {
            return Err(Problem::not_allowed("priority and tags are the shop's to say"));
        }
        check_open(&asked, &customer)?;
        let id = id_of(&[&customer, &asked.client_conversation_id]);
        let at = Moment::now();
        let origin = asked.metadata.unwrap_or_default();
        let begun = Conversation {
            priority: asked.priority.unwrap_or_default(),
            tags: asked.tags,
            wants: asked.wants,
            ..Conversation::new(&id, &customer, origin, at)
        };
        let open_max = (asker.role == Role::Customer).then_some(OPEN_MAX);
        let created = self.store.create(&begun, open_max, &[entered(&begun, at)?]).await?;
        if created == Created::Full {
            return Err(Problem::full("you have as many conversations as may be open"));
        }
        // Done again it changes nothing, and a crash may have come before.
        self.store.join(&participant(&id, &customer, Sender::Customer, at)).await?;
        if created == Created::New {
            self.moved.notify_one();
        }
        self.find(&id).await
    }

    /// Sends a message. The same draft again is the same message.
    pub(super) async fn send(&self, asker: &Asker, draft: Draft) -> Result<Message, Problem> {
        let draft = check(draft, sender(asker.role))?;
        let id = id_of(&[&draft.conversation_id, &asker.user, &draft.client_message_id]);
        // Another message under the same id takes no files.
        if !draft.content.attachments.is_empty()
            && let Some(message) = self.sent_before(asker, &draft, &id).await?
        {
            return Ok(message);
        }
        let (desk, its_id, said) = (self, id.as_str(), &draft);
        let sent = self
            .change(&draft.conversation_id, |chat, at| async move {
                desk.wish(asker, said, its_id, &chat, at).await
            })
            .await;
        let message = match sent {
            Ok(done) => done.message.ok_or_else(|| Problem::fault("a message was not stored"))?,
            // What was sent before stays sent, however the conversation stands since.
            Err(problem) => self.sent_before(asker, &draft, &id).await?.ok_or(problem)?,
        };
        if !message.content.attachments.is_empty()
            && let Err(error) = self.files.keep(&message.id).await
        {
            warn!(%error, "the files of a message are noted by the next sweep");
        }
        self.note_typing(&draft.conversation_id, &asker.user, false).await?;
        Ok(message)
    }

    async fn sent_before(
        &self,
        asker: &Asker,
        draft: &Draft,
        id: &str,
    ) -> Result<Option<Message>, Problem> {
        let Some(message) = self.store.message(id).await? else { return Ok(None) };
        self.seen(&message.conversation_id, asker).await?;
        let revisions = self.store.revisions(id).await?;
        let first = revisions.first().map_or(&message.content, |revision| &revision.content);
        if is_same(draft, &message, first) { Ok(Some(message)) } else { Err(used()) }
    }

    async fn wish(
        &self,
        asker: &Asker,
        draft: &Draft,
        id: &str,
        chat: &Conversation,
        at: Moment,
    ) -> Result<Wish, Problem> {
        if !may_see(chat, asker) {
            return Err(unknown());
        }
        if chat.status == Status::Archived {
            return Err(Refusal::Closed("the conversation is archived").into());
        }
        self.check_reply(asker, draft).await?;
        let role = sender(asker.role);
        let event = match role {
            Sender::Customer => Some(Event::CustomerWrote),
            Sender::Agent if !draft.private => Some(Event::AgentWrote(asker.user.clone())),
            Sender::Agent | Sender::System => None,
        };
        // What is refused takes no files.
        if let Some(event) = event.clone().filter(|_| !draft.content.attachments.is_empty()) {
            step(chat, event, at)?;
        }
        let user = User {
            owner_id: &asker.user,
            conversation_id: &chat.id,
            message_id: id,
            private: draft.private,
        };
        let content = Content {
            text: draft.content.text.clone(),
            attachments: self.files.take(&draft.content.attachments, &user).await?,
            metadata: draft.content.metadata.clone(),
        };
        let message = Message {
            id: id.to_owned(),
            conversation_id: chat.id.clone(),
            seq: 0,
            client_message_id: draft.client_message_id.clone(),
            sender_id: asker.user.clone(),
            sender_type: role,
            content,
            message_type: draft.message_type,
            status: Receipt::Sent,
            created_at: at,
            updated_at: at,
            epoch: chat.epoch,
            reply_to: draft.reply_to.clone(),
            private: draft.private,
            edited_at: None,
            deleted_at: None,
        };
        Ok(Wish { event, message: Some(message), room: Room::Online })
    }

    /// What a draft answers is there for its sender, and a question is answered once.
    async fn check_reply(&self, asker: &Asker, draft: &Draft) -> Result<(), Problem> {
        let Some(id) = &draft.reply_to else { return Ok(()) };
        let offer = self.store.message(id).await?.filter(|offer| {
            offer.conversation_id == draft.conversation_id && is_visible(offer, sender(asker.role))
        });
        let Some(offer) = offer else {
            return Err(Problem::field("reply_to", "no message of this conversation"));
        };
        let is_choice = |metadata: &crate::chat::model::Metadata| metadata.quick_reply_id.is_some();
        if draft.content.metadata.as_ref().is_some_and(is_choice) {
            let is_answered = self.is_answered(&offer, asker, draft).await?;
            choose(draft, &offer, is_answered)?;
        }
        Ok(())
    }

    /// Whether one of a message's quick replies was chosen, by another message than this draft.
    /// Whatever comes meanwhile changes the conversation, and so this is asked again.
    async fn is_answered(
        &self,
        offer: &Message,
        asker: &Asker,
        draft: &Draft,
    ) -> Result<bool, Problem> {
        let mut after = offer.seq;
        loop {
            let page =
                self.store.messages(&offer.conversation_id, Page::After(after, PAGE)).await?;
            let chooses = |message: &&Message| {
                let chosen = message.content.metadata.as_ref();
                message.reply_to.as_ref() == Some(&offer.id)
                    && chosen.is_some_and(|all| all.quick_reply_id.is_some())
                    && (&message.sender_id, &message.client_message_id)
                        != (&asker.user, &draft.client_message_id)
            };
            if page.iter().any(|message| chooses(&message)) {
                return Ok(true);
            }
            match page.last() {
                Some(last) => after = last.seq,
                None => return Ok(false),
            }
        }
    }

    /// Gives a message another text.
    pub(super) async fn edit(&self, asker: &Asker, asked: &Edit) -> Result<Message, Problem> {
        self.rewrite(asker, &asked.message_id, |message, by, times, at| {
            edit(message, by, &asked.text, times, at)
        })
        .await
    }

    /// Takes from a message what it said.
    pub(super) async fn delete(&self, asker: &Asker, asked: &Delete) -> Result<Message, Problem> {
        self.rewrite(asker, &asked.message_id, |message, by, _, at| delete(message, by, at)).await
    }

    async fn rewrite(
        &self,
        asker: &Asker,
        id: &str,
        rule: impl Fn(&Message, Editor<'_>, usize, Moment) -> Result<(Message, Revision), Refusal>,
    ) -> Result<Message, Problem> {
        for _ in 0..TRIES {
            let before = self.store.message(id).await?.ok_or_else(no_message)?;
            let seen = self.seen(&before.conversation_id, asker).await;
            let chat = seen.map_err(|_| no_message())?;
            if !is_visible(&before, sender(asker.role)) {
                return Err(no_message());
            }
            if chat.status == Status::Archived {
                return Err(Refusal::Closed("the conversation is archived").into());
            }
            let by = Editor { id: &asker.user, is_admin: asker.role == Role::Admin };
            let times = match before.edited_at {
                Some(_) => self.store.revisions(id).await?.len(),
                None => 0,
            };
            let (after, revision) = rule(&before, by, times, Moment::now())?;
            if after.deleted_at.is_some() && !before.content.attachments.is_empty() {
                // If nothing is deleted after all, the next sweep finds that the message has them.
                self.files.doubt(id).await?;
            }
            if self.store.rewrite(&before, &after, &revision).await? {
                return Ok(after);
            }
        }
        Err(Problem::new(sampan_client::Code::BUSY, "others change the message; try again"))
    }
}

fn check_open(asked: &Open, customer: &str) -> Result<(), Problem> {
    check_id("client_conversation_id", &asked.client_conversation_id)?;
    check_id("customer_id", customer)?;
    let lists = [
        ("tags", &asked.tags),
        ("wants.required_skills", &asked.wants.required_skills),
        ("wants.preferred_skills", &asked.wants.preferred_skills),
    ];
    for (field, list) in lists {
        check_words(field, list, WORDS_MAX)?;
    }
    let Origin { initial_url, user_agent, language, .. } =
        asked.metadata.clone().unwrap_or_default();
    let texts = [(initial_url, 2_048), (user_agent, 512), (Some(language), 35)];
    let is_bad = |text: &String, max| text.len() > max || text.chars().any(char::is_control);
    if texts.iter().any(|(text, max)| text.as_ref().is_some_and(|text| is_bad(text, *max))) {
        let why = "an address, a program or a language too long, or with control characters";
        return Err(Problem::field("metadata", why));
    }
    Ok(())
}

/// Tags, skills and languages, so many at most.
pub(super) fn check_words(field: &str, list: &[String], max: usize) -> Result<(), Problem> {
    let is_bad = |word: &String| {
        !(1..=WORD_BYTES_MAX).contains(&word.len()) || word.chars().any(char::is_control)
    };
    if list.len() > max || list.iter().any(is_bad) {
        let why = format!("at most {max} of 1 to 64 bytes each, without control characters");
        return Err(Problem::field(field, &why));
    }
    Ok(())
}
