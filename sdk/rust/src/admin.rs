//! What the broker itself answers about groups and dead letters: the topics to ask on, questions
//! and answers, JSON both ways. [`Client`](crate::Client) has a method for each.
//!
//! The grants that ship leave `sys.` to admins and services.

use serde::{Deserialize, Serialize};

/// How groups stand: [`GroupsQuestion`], answered by [`GroupsAnswer`].
pub const GROUPS: &str = "sys.groups";
/// Moves a group to another place in a topic: [`SeekQuestion`], answered by [`Count`].
pub const SEEK: &str = "sys.groups.seek";
/// Ends a group: [`GroupQuestion`], answered by [`Count`].
pub const DELETE: &str = "sys.groups.delete";
/// A page of dead letters: [`ListQuestion`], answered by [`ListAnswer`].
pub const LIST: &str = "sys.dlq.list";
/// One dead letter: [`LetterQuestion`], answered by [`DeadLetter`].
pub const PEEK: &str = "sys.dlq.peek";
/// The payload of one dead letter as it is: [`LetterQuestion`].
pub const PAYLOAD: &str = "sys.dlq.payload";
/// Puts dead letters back, or publishes them elsewhere: [`RetryQuestion`], answered by [`Outcome`].
pub const RETRY: &str = "sys.dlq.retry";
/// Removes dead letters: [`DiscardQuestion`], answered by [`Outcome`].
pub const DISCARD: &str = "sys.dlq.discard";

/// Which groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GroupsQuestion {
    /// This one, with its topics; all of them, without, if it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// How groups stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GroupsAnswer {
    /// Groups in name order.
    pub groups: Vec<GroupStatus>,
}

/// How a group stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GroupStatus {
    /// Name.
    pub group: String,
    /// What it reads.
    pub pattern: String,
    /// `any` or `key`.
    pub order: String,
    /// Consumers.
    pub members: u64,
    /// Messages that are kept and not settled.
    pub lag: u64,
    /// Messages that consumers hold.
    pub in_flight: u64,
    /// Messages that wait to come again.
    pub parked: u64,
    /// Dead letters.
    pub dead: u64,
    /// Topics in name order, if one group was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub topics: Vec<GroupTopic>,
    /// How many more topics there are.
    #[serde(default)]
    pub more_topics: u64,
}

/// How a group stands in one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GroupTopic {
    /// Topic.
    pub topic: String,
    /// Epoch of the offsets.
    pub epoch: u64,
    /// Everything up to this offset is settled.
    pub done: u64,
    /// Offset that the topic's next message will get.
    pub next: u64,
    /// Messages between the two that are not settled.
    pub lag: u64,
}

/// A group by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GroupQuestion {
    /// Name.
    pub group: String,
}

/// Where a group is to read on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SeekQuestion {
    /// Name of the group.
    pub group: String,
    /// Topic.
    pub topic: String,
    /// Place in the topic.
    pub to: SeekTo,
}

/// A place in a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SeekTo {
    /// This offset.
    Offset(u64),
    /// The first message at or after this Unix time in milliseconds.
    TimeMs(u64),
}

/// Which page of dead letters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ListQuestion {
    /// Name of the group.
    pub group: String,
    /// Letters above this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// How many at most.
    pub max: u32,
}

/// One page of dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListAnswer {
    /// Letters, by id.
    pub letters: Vec<DeadLetter>,
    /// Ids of those whose stored form cannot be read. They can only be discarded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<u64>,
    /// The highest id that the page accounts for: the next page is asked for after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<u64>,
    /// Whether there are more above it.
    pub more: bool,
}

/// One dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LetterQuestion {
    /// Name of the group.
    pub group: String,
    /// The letter.
    pub id: u64,
}

/// A message that a group has given up, without its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeadLetter {
    /// Id within the group; later ones are larger.
    pub id: u64,
    /// Topic.
    pub topic: String,
    /// Epoch of the offset.
    pub epoch: u64,
    /// The message's offset.
    pub offset: u64,
    /// When the broker took the message, Unix milliseconds.
    pub time: u64,
    /// When the group gave it up, Unix milliseconds.
    pub moved: u64,
    /// How often it was handed out.
    pub attempts: u64,
    /// Why it was given up.
    pub reason: String,
    /// The last failed attempts, oldest first.
    pub failures: Vec<FailedAttempt>,
    /// Event name.
    pub event: Option<String>,
    /// Key.
    pub key: Option<String>,
    /// Content type of the payload.
    pub content_type: Option<String>,
    /// Headers of the application; what is no UTF-8 in them is replaced.
    pub headers: Vec<(String, String)>,
    /// Bytes of the payload.
    pub payload_bytes: u64,
}

/// One failed attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FailedAttempt {
    /// When it failed, Unix milliseconds.
    pub time: u64,
    /// User whose consumer it was.
    pub user: String,
    /// Why.
    pub reason: String,
}

/// Which dead letters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Letters {
    /// Every one of the group.
    All,
    /// Those with these ids.
    Ids(Vec<u64>),
}

/// Dead letters that are to be tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RetryQuestion {
    /// Name of the group.
    pub group: String,
    /// Which ones.
    pub letters: Letters,
    /// Topic that they are published to instead of going back to the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// Dead letters that are not wanted any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DiscardQuestion {
    /// Name of the group.
    pub group: String,
    /// Which ones.
    pub letters: Letters,
}

/// What has become of dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Outcome {
    /// For how many it was done.
    pub count: u64,
    /// Those for which it was not; 1,000 of them at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<FailedLetter>,
    /// How many more those are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_failed: u64,
}

/// A dead letter for which something could not be done; it is where it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FailedLetter {
    /// The letter.
    pub id: u64,
    /// Why, as a code of `spec/codes.md`.
    pub code: u16,
    /// The same in words.
    pub reason: String,
}

impl Outcome {
    /// Letters for which it was not done.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failed.len() as u64 + self.more_failed
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// For how many it was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Count {
    /// How many.
    pub count: u64,
}
