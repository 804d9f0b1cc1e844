//! Edits and deletions: what was said before is kept apart, what is deleted leaves its place.

use std::time::Duration;

use crate::chat::model::{Content, Message, Revision, Sender};
use crate::moment::Moment;
use crate::refusal::Refusal;

use super::text;

/// How long a sender may change what was sent.
pub const EDIT_WITHIN: Duration = Duration::from_secs(24 * 3_600);
/// How often; what was said before is kept, each time.
pub const EDITS_MAX: usize = 50;

/// Who changes a message.
#[derive(Clone, Copy, Debug)]
pub struct Editor<'a> {
    /// The user.
    pub id: &'a str,
    /// Whether the user runs the shop, and so may delete what others sent.
    pub is_admin: bool,
}

/// The message with another text, and what it said before. It was edited so many `times`.
///
/// # Errors
/// `NotAllowed` for anyone but its sender, `Closed` once it is deleted, a day old or edited 50 times,
/// and what [`text::clean`] refuses.
pub fn edit(
    message: &Message,
    by: Editor<'_>,
    words: &str,
    times: usize,
    now: Moment,
) -> Result<(Message, Revision), Refusal> {
    if message.sender_id != by.id || message.sender_type == Sender::System {
        return Err(Refusal::NotAllowed("a message is edited by its sender only"));
    }
    check_live(message)?;
    if now.since(message.created_at) > EDIT_WITHIN {
        return Err(Refusal::Closed("a message is edited within a day"));
    }
    if times >= EDITS_MAX {
        return Err(Refusal::Closed("a message is edited 50 times at most"));
    }
    let had_files = !message.content.attachments.is_empty();
    let words = text::clean(words)?;
    if words.is_none() && !had_files {
        return Err(Refusal::field("content.text", "something to read"));
    }
    let before = Revision { content: message.content.clone(), until: now };
    let content = Content { text: words, ..message.content.clone() };
    let edited_at = Some(now);
    Ok((Message { content, edited_at, updated_at: now, ..message.clone() }, before))
}

/// The message without what it said, and what it said before. Its sequence stays taken.
///
/// # Errors
/// `NotAllowed` for anyone but its sender and admins, `Closed` once it is deleted.
pub fn delete(
    message: &Message,
    by: Editor<'_>,
    now: Moment,
) -> Result<(Message, Revision), Refusal> {
    if message.sender_id != by.id && !by.is_admin {
        return Err(Refusal::NotAllowed("a message is deleted by its sender or an admin"));
    }
    check_live(message)?;
    let before = Revision { content: message.content.clone(), until: now };
    let (content, deleted_at) = (Content::default(), Some(now));
    Ok((Message { content, deleted_at, updated_at: now, ..message.clone() }, before))
}

fn check_live(message: &Message) -> Result<(), Refusal> {
    match message.deleted_at {
        Some(_) => Err(Refusal::Closed("the message is deleted")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::model::{Kind, Receipt};

    fn message() -> Message {
        Message {
            id: "1".to_owned(),
            conversation_id: "c".to_owned(),
            seq: 4,
            client_message_id: "m".to_owned(),
            sender_id: "u1".to_owned(),
            sender_type: Sender::Customer,
            content: Content { text: Some("frist".to_owned()), ..Content::default() },
            message_type: Kind::Text,
            status: Receipt::Sent,
            created_at: Moment::from_ms(0),
            updated_at: Moment::from_ms(0),
            epoch: 0,
            reply_to: None,
            private: false,
            edited_at: None,
            deleted_at: None,
        }
    }

    const SENDER: Editor<'_> = Editor { id: "u1", is_admin: false };
    const OTHER: Editor<'_> = Editor { id: "u2", is_admin: false };
    const ADMIN: Editor<'_> = Editor { id: "boss", is_admin: true };

    #[test]
    fn an_edit_keeps_what_was_said_before() {
        let now = Moment::from_ms(5);
        let (edited, before) = edit(&message(), SENDER, "first", 0, now).unwrap();
        assert_eq!(edited.content.text.as_deref(), Some("first"));
        assert_eq!(before.content.text.as_deref(), Some("frist"));
        assert_eq!((edited.seq, edited.edited_at), (4, Some(now)));
        assert!(matches!(edit(&message(), OTHER, "x", 0, now), Err(Refusal::NotAllowed(_))));
        assert!(matches!(edit(&message(), ADMIN, "x", 0, now), Err(Refusal::NotAllowed(_))));
        assert!(matches!(edit(&message(), SENDER, " ", 0, now), Err(Refusal::Field { .. })));
        assert!(edit(&message(), SENDER, "x", EDITS_MAX - 1, now).is_ok());
        assert!(matches!(edit(&message(), SENDER, "x", EDITS_MAX, now), Err(Refusal::Closed(_))));
        let late = now.after(EDIT_WITHIN);
        assert!(matches!(edit(&message(), SENDER, "x", 0, late), Err(Refusal::Closed(_))));
    }

    #[test]
    fn a_deleted_message_leaves_its_place_and_no_words() {
        let now = Moment::from_ms(5);
        let (gone, before) = delete(&message(), ADMIN, now).unwrap();
        assert_eq!((gone.seq, gone.content.clone()), (4, Content::default()));
        assert!(before.content.text.is_some());
        assert!(matches!(delete(&gone, SENDER, now), Err(Refusal::Closed(_))));
        assert!(matches!(edit(&gone, SENDER, "x", 0, now), Err(Refusal::Closed(_))));
        assert!(matches!(delete(&message(), OTHER, now), Err(Refusal::NotAllowed(_))));
    }
}
