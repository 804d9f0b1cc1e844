//! Ratings: one for each resolution, by the customer or by whoever has the signed link.

use std::time::Duration;

use crate::chat::model::{Answer, Conversation, Rating};
use crate::moment::Moment;
use crate::refusal::Refusal;
use crate::signature::{Secret, hex, unhex};

use super::text;

/// How long an answer may be changed.
pub const EDIT_WITHIN: Duration = Duration::from_secs(24 * 3_600);
/// How long a link is good.
pub const LINK_WITHIN: Duration = Duration::from_secs(14 * 86_400);
/// A customer who answered or was asked is left alone so long.
pub const COOLDOWN: Duration = Duration::from_secs(7 * 86_400);
/// Characters of a comment.
const COMMENT_CHARS_MAX: usize = 2_000;

/// The rating of the conversation's last resolution, under this id.
///
/// # Errors
/// `Conflict` if it is not resolved or rated already, or a refusal of a field.
pub fn rate(
    id: &str,
    chat: &Conversation,
    before: Option<&Rating>,
    answer: Answer,
    now: Moment,
) -> Result<Rating, Refusal> {
    if chat.resolved_at.is_none() {
        return Err(Refusal::Conflict("only a resolved conversation is rated"));
    }
    if before.is_some_and(|before| before.resolution_no == chat.resolution_no) {
        return Err(Refusal::Conflict("the resolution is rated already"));
    }
    Ok(Rating {
        id: id.to_owned(),
        conversation_id: chat.id.clone(),
        resolution_no: chat.resolution_no,
        agent_id: chat.last_agent_id.clone(),
        answer: check(answer)?,
        created_at: now,
        updated_at: now,
    })
}

/// The rating with another answer.
///
/// # Errors
/// `Closed` after a day, or a refusal of a field.
pub fn change(before: &Rating, answer: Answer, now: Moment) -> Result<Rating, Refusal> {
    if now.since(before.created_at) > EDIT_WITHIN {
        return Err(Refusal::Closed("a rating is changed within a day"));
    }
    Ok(Rating { answer: check(answer)?, updated_at: now, ..before.clone() })
}

fn check(answer: Answer) -> Result<Answer, Refusal> {
    if !(1..=5).contains(&answer.rating) {
        return Err(Refusal::field("rating", "1 to 5"));
    }
    let comment = answer.comment.as_deref().map(text::clean).transpose()?.flatten();
    if comment.as_ref().is_some_and(|comment| comment.chars().count() > COMMENT_CHARS_MAX) {
        return Err(Refusal::field("comment", "at most 2,000 characters"));
    }
    Ok(Answer { comment, ..answer })
}

/// The token of a link that rates one resolution without another login.
#[must_use]
pub fn token(secret: &Secret, conversation: &str, resolution_no: u32, now: Moment) -> String {
    let until = now.after(LINK_WITHIN).as_ms();
    let signature = secret.sign(&signed(conversation, resolution_no, until));
    format!("{resolution_no}.{until}.{}", hex(&signature))
}

/// The resolution that a token lets its bearer rate.
///
/// # Errors
/// `NotAllowed` if it is not the shop's or for another conversation, `Closed` if it is too old.
pub fn verify(
    secret: &Secret,
    conversation: &str,
    token: &str,
    now: Moment,
) -> Result<u32, Refusal> {
    const FORGED: Refusal = Refusal::NotAllowed("the link is not one of the shop's");
    let mut parts = token.splitn(3, '.');
    let mut part = || parts.next().unwrap_or("");
    let (resolution_no, until, signature) = (part(), part(), part());
    let resolution_no = resolution_no.parse().map_err(|_| FORGED)?;
    let until = until.parse().map_err(|_| FORGED)?;
    let signature = unhex(signature).ok_or(FORGED)?;
    if !secret.is_signed(&signed(conversation, resolution_no, until), &signature) {
        return Err(FORGED);
    }
    if now.as_ms() >= until {
        return Err(Refusal::Closed("the link is too old"));
    }
    Ok(resolution_no)
}

fn signed(conversation: &str, resolution_no: u32, until: i64) -> Vec<u8> {
    format!("csat\n{resolution_no}\n{until}\n{conversation}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::model::{Origin, Reason};
    use crate::chat::rules::lifecycle::{Event, step};

    fn at(seconds: i64) -> Moment {
        Moment::from_ms(1_000_000_000 + seconds * 1_000)
    }

    fn resolved() -> Conversation {
        let chat = Conversation::new("c", "u", Origin::default(), at(0));
        let claim = Event::Claim { agent_id: "a".to_owned(), reason: Reason::Auto };
        let active = step(&chat, claim, at(1)).unwrap().conversation;
        step(&active, Event::Resolve, at(2)).unwrap().conversation
    }

    fn answer(rating: u8) -> Answer {
        Answer { rating, comment: Some("ดีมาก".to_owned()) }
    }

    #[test]
    fn a_resolution_is_rated_once_and_for_the_agent_who_had_it() {
        let chat = resolved();
        let first = rate("r", &chat, None, answer(5), at(3)).unwrap();
        assert_eq!((first.agent_id.as_deref(), first.resolution_no), (Some("a"), 1));
        let twice = rate("r2", &chat, Some(&first), answer(1), at(4));
        assert!(matches!(twice, Err(Refusal::Conflict(_))));
        let open = step(&chat, Event::CustomerWrote, at(5)).unwrap().conversation;
        assert!(rate("r2", &open, None, answer(1), at(6)).is_err());
        let again = step(&open, Event::Resolve, at(7)).unwrap().conversation;
        let second = rate("r2", &again, Some(&first), answer(2), at(8)).unwrap();
        assert_eq!(second.resolution_no, 2);
    }

    #[test]
    fn a_rating_is_one_to_five_and_may_change_for_a_day() {
        for bad in [0, 6, 255] {
            assert!(rate("r", &resolved(), None, answer(bad), at(3)).is_err());
        }
        let first = rate("r", &resolved(), None, answer(5), at(3)).unwrap();
        assert_eq!(change(&first, answer(3), at(4)).unwrap().answer.rating, 3);
        let late = at(4).after(EDIT_WITHIN);
        assert!(matches!(change(&first, answer(3), late), Err(Refusal::Closed(_))));
    }

    #[test]
    fn a_link_is_good_for_its_resolution_and_its_time_only() {
        let secret = Secret::new(b"shop");
        let link = token(&secret, "c", 2, at(0));
        assert_eq!(verify(&secret, "c", &link, at(9)), Ok(2));
        assert!(matches!(verify(&secret, "d", &link, at(9)), Err(Refusal::NotAllowed(_))));
        let other = link.replacen('2', "3", 1);
        assert!(matches!(verify(&secret, "c", &other, at(9)), Err(Refusal::NotAllowed(_))));
        assert!(matches!(
            verify(&Secret::new(b"x"), "c", &link, at(9)),
            Err(Refusal::NotAllowed(_))
        ));
        let late = at(0).after(LINK_WITHIN);
        assert!(matches!(verify(&secret, "c", &link, late), Err(Refusal::Closed(_))));
        for bad in ["", "1", "1.2", "1.2.zz", "a.b.c", "1.2.3.4"] {
            assert!(verify(&secret, "c", bad, at(9)).is_err(), "{bad}");
        }
    }
}
