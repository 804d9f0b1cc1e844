//! Ids: of what the services make, unique everywhere and in the order of their making; and those
//! that a shop gives to what it has.

use std::fmt;

use sampan_client::topic_token;

use uuid::Uuid;

use crate::refusal::Refusal;

/// Bytes of an id that a shop gives.
const BYTES_MAX: usize = 128;
/// Bytes of such an id as a token, so that every topic of it fits into 255.
const TOKEN_BYTES_MAX: usize = 230;

/// Refuses what cannot be the id of something of the shop's.
///
/// # Errors
/// A refusal of the field.
pub fn check_id(field: &'static str, id: &str) -> Result<(), Refusal> {
    let is_text =
        !id.trim().is_empty() && id.len() <= BYTES_MAX && !id.chars().any(char::is_control);
    let why = "1 to 128 bytes without control characters, and 230 with each but A-Z a-z 0-9 _ - ~ : @ + \
               counted three times";
    match is_text && topic_token(id).len() <= TOKEN_BYTES_MAX {
        true => Ok(()),
        false => Err(Refusal::field(field, why)),
    }
}

/// A new id. Its text has 36 characters and is one token of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(Uuid);

impl Id {
    /// An id that nothing has had before.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a default that differs each time is none")]
    pub fn new() -> Self {
        Id(Uuid::now_v7())
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_of_a_shop_is_a_token_of_its_topics() {
        for good in ["o/1", "ชามะลิ", ">", "a b", &"x".repeat(128), &"ก".repeat(25)] {
            assert_eq!(check_id("id", good), Ok(()), "{good}");
            let topic = format!("chat.conversation.{}", topic_token(good));
            assert!(sampan_client::Topic::parse(&topic).is_ok(), "{topic}");
        }
        for bad in ["", " ", "a\nb", &"x".repeat(129), &"ก".repeat(42)] {
            assert!(check_id("id", bad).is_err(), "{bad:?}");
        }
    }
}
