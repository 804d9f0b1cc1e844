//! What a message may say.

use crate::chat::model::{Draft, Kind, Message, Metadata, QuickReply, Sender};
use crate::id::check_id;
use crate::refusal::Refusal;

use super::text;

/// Files of a message.
pub const ATTACHMENTS_MAX: usize = 15;
/// Answers that a message may offer.
const QUICK_REPLIES_MAX: usize = 20;
/// Characters of an answer's title or payload.
const QUICK_REPLY_CHARS_MAX: usize = 256;
/// Bytes of what clients add for one another, as JSON.
const OTHER_BYTES_MAX: usize = 4_096;

/// The draft as it may be stored: text in its stored form, everything within its bounds.
///
/// # Errors
/// A refusal that names the field, or `NotAllowed` for what this sender may not send.
pub fn check(mut draft: Draft, sender: Sender) -> Result<Draft, Refusal> {
    if sender != Sender::System && draft.message_type == Kind::System {
        return Err(Refusal::NotAllowed("only the shop itself sends messages of type system"));
    }
    if draft.private && sender == Sender::Customer {
        return Err(Refusal::NotAllowed("private notes are between agents"));
    }
    check_id("conversation_id", &draft.conversation_id)?;
    check_id("client_message_id", &draft.client_message_id)?;
    if let Some(id) = &draft.reply_to {
        check_id("reply_to", id)?;
    }
    if let Some(given) = &draft.content.text {
        draft.content.text = text::clean(given)?;
    }
    check_attachments(&draft.content.attachments)?;
    if let Some(metadata) = &mut draft.content.metadata {
        check_metadata(metadata, sender, draft.reply_to.is_some())?;
    }
    check_kind(&draft)?;
    Ok(draft)
}

/// Whether the draft says what the message first said: the same key again, not another use of it.
#[must_use]
pub fn is_same(draft: &Draft, message: &Message, first: &crate::chat::model::Content) -> bool {
    let files = first.attachments.iter().map(|attachment| &attachment.id);
    draft.conversation_id == message.conversation_id
        && draft.message_type == message.message_type
        && draft.reply_to == message.reply_to
        && draft.private == message.private
        && draft.content.text == first.text
        && draft.content.metadata == first.metadata
        && draft.content.attachments.iter().eq(files)
}

/// The answer that a draft chooses of those that `offer` has; `is_answered` if one was chosen.
///
/// # Errors
/// `Conflict` if one was chosen before, a refusal of the field if there is no such answer.
pub fn choose<'a>(
    draft: &Draft,
    offer: &'a Message,
    is_answered: bool,
) -> Result<&'a QuickReply, Refusal> {
    let chosen = draft.content.metadata.as_ref().and_then(|all| all.quick_reply_id.as_deref());
    let offered = offer.content.metadata.as_ref().map_or(&[][..], |all| &all.quick_replies);
    let reply = offered.iter().find(|reply| Some(reply.id.as_str()) == chosen);
    let reply = reply.ok_or(Refusal::field(
        "content.metadata.quick_reply_id",
        "one of those that the message named by reply_to offers",
    ))?;
    if is_answered {
        return Err(Refusal::Conflict("the question is answered already"));
    }
    Ok(reply)
}

/// Whether someone of this sort sees the message.
#[must_use]
pub fn is_visible(message: &Message, to: Sender) -> bool {
    !message.private || to != Sender::Customer
}

fn check_attachments(ids: &[String]) -> Result<(), Refusal> {
    const FIELD: &str = "content.attachments";
    if ids.len() > ATTACHMENTS_MAX {
        return Err(Refusal::field(FIELD, "at most 15"));
    }
    for (at, id) in ids.iter().enumerate() {
        check_id(FIELD, id)?;
        if ids.iter().take(at).any(|other| other == id) {
            return Err(Refusal::field(FIELD, "each file once"));
        }
    }
    Ok(())
}

fn check_metadata(all: &mut Metadata, sender: Sender, is_reply: bool) -> Result<(), Refusal> {
    const REPLIES: &str = "content.metadata.quick_replies";
    if sender != Sender::System && all.system.is_some() {
        return Err(Refusal::NotAllowed("only the shop itself tells what has happened"));
    }
    if !all.quick_replies.is_empty() && sender == Sender::Customer {
        return Err(Refusal::NotAllowed("customers answer quick replies and offer none"));
    }
    if all.quick_replies.len() > QUICK_REPLIES_MAX {
        return Err(Refusal::field(REPLIES, "at most 20"));
    }
    for (at, reply) in all.quick_replies.iter().enumerate() {
        check_id(REPLIES, &reply.id)?;
        let texts = [&reply.title, &reply.payload];
        if texts.iter().any(|text| text.chars().count() > QUICK_REPLY_CHARS_MAX)
            || reply.title.trim().is_empty()
            || reply.title.chars().any(char::is_control)
        {
            return Err(Refusal::field(REPLIES, "a title and a payload of up to 256 characters"));
        }
        if all.quick_replies.iter().take(at).any(|other| other.id == reply.id) {
            return Err(Refusal::field(REPLIES, "each id once"));
        }
    }
    if all.quick_reply_id.is_some() && !is_reply {
        return Err(Refusal::field("reply_to", "the message that offers the quick reply"));
    }
    let size = serde_json::to_vec(&all.other).map_or(usize::MAX, |json| json.len());
    if size > OTHER_BYTES_MAX {
        return Err(Refusal::field("content.metadata", "at most 4,096 bytes beside the known"));
    }
    Ok(())
}

/// Each kind has what makes it one.
fn check_kind(draft: &Draft) -> Result<(), Refusal> {
    let content = &draft.content;
    let (text, files) = (content.text.is_some(), !content.attachments.is_empty());
    let is_quick = content
        .metadata
        .as_ref()
        .is_some_and(|all| all.quick_reply_id.is_some() || !all.quick_replies.is_empty());
    let is_told = content.metadata.as_ref().is_some_and(|all| all.system.is_some());
    let (is_whole, field, why) = match draft.message_type {
        Kind::Text => (text, "content.text", "something to read"),
        Kind::Image | Kind::File => (files, "content.attachments", "at least one file"),
        Kind::QuickReply => (is_quick, "content.metadata", "quick replies, or the chosen one"),
        Kind::System => (text || is_told, "content", "what has happened"),
    };
    if is_whole { Ok(()) } else { Err(Refusal::field(field, why)) }
}

#[cfg(test)]
#[path = "content_tests.rs"]
mod tests;
