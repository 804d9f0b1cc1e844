//! What stands inside control bodies: starts, positions, members.

use rkyv::{Archive, Deserialize, Serialize};

use super::check::{list, numbers, text};
use crate::error::Error;
use crate::limits::{LAST_MAX, POSITIONS_MAX, TOPIC_BYTES_MAX, USER_BYTES_MAX};

/// Where the delivery of a subscription or a new group starts.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the next message (and the kept values of a `latest` topic).
    Now,
    /// With the last so many messages of each topic.
    Last(u32),
    /// With the first message at or after this time, Unix milliseconds.
    Since(u64),
    /// After these positions; topics without one start at `joined_ms`.
    Resume {
        /// The join time that SUBSCRIBED gave, Unix milliseconds; 0 means now.
        joined_ms: u64,
        /// Last message seen of each topic.
        positions: Vec<TopicPosition>,
    },
}

impl Start {
    pub(super) fn check(&self) -> Result<(), Error> {
        match self {
            Start::Now => Ok(()),
            Start::Last(count) if *count > LAST_MAX => {
                Err(Error::TooLarge { field: "last", max: LAST_MAX as usize, had: (*count).into() })
            }
            Start::Last(_) => Ok(()),
            Start::Since(ms) => numbers("since", &[*ms]),
            Start::Resume { joined_ms, positions } => {
                numbers("joined", &[*joined_ms])?;
                list("positions", positions, POSITIONS_MAX)?;
                positions.iter().try_for_each(TopicPosition::check)
            }
        }
    }
}

/// The last message seen of one topic.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct TopicPosition {
    /// Topic name.
    pub topic: String,
    /// Epoch of the offset.
    pub epoch: u64,
    /// Offset of the last message seen; 0 for none.
    pub offset: u64,
}

impl TopicPosition {
    pub(super) fn check(&self) -> Result<(), Error> {
        text("topic", &self.topic, TOPIC_BYTES_MAX)?;
        numbers("position", &[self.epoch, self.offset])
    }
}

/// Where a page of history starts.
#[derive(Archive, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// At this offset, or the first kept after it.
    Offset(u64),
    /// With the last so many messages.
    Last(u32),
    /// With the first message at or after this time, Unix milliseconds.
    Since(u64),
}

/// One user in a topic's presence.
#[derive(Archive, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// User id.
    pub user: String,
    /// Role of the user.
    pub role: String,
    /// Live sessions; 0 while the user's grace runs.
    pub sessions: u32,
    /// When the user came, Unix milliseconds.
    pub since_ms: u64,
}

impl Member {
    pub(super) fn check(&self) -> Result<(), Error> {
        text("user", &self.user, USER_BYTES_MAX)?;
        text("role", &self.role, USER_BYTES_MAX)?;
        numbers("since", &[self.since_ms])
    }
}
