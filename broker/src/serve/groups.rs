//! What the broker answers about groups and dead letters.

use std::sync::Arc;

use sampan_client::admin::{
    self, Count, DELETE, DISCARD, DeadLetter, DiscardQuestion, FailedAttempt, FailedLetter, GROUPS,
    GroupQuestion, GroupStatus, GroupTopic, GroupsAnswer, GroupsQuestion, LIST, LetterQuestion,
    Letters, ListAnswer, ListQuestion, PAYLOAD, PEEK, RETRY, RetryQuestion, SEEK, SeekQuestion,
    SeekTo,
};
use sampan_client::{Code, Topic};
use sampan_core::group::{Letter, Seek, Status};
use sampan_core::shard::{LetterPage, Manage, Managed, Outcome, Which};
use sampan_protocol::attribute::Attributes;
use serde::de::DeserializeOwned;
use tracing::info;

use super::answers::{Refusal, json};
use crate::shard::Broker;

/// Topics of a group that one answer lists; with the longest names it still fits a payload.
const TOPICS_MAX: usize = 2000;
/// Dead letters that one answer lists.
const LETTERS_MAX: u32 = 1000;
/// What is said of a dead letter whose stored form is not as it was written.
const UNREADABLE: &str = "What is stored of the dead letter cannot be read.";

/// Whether a question is one of these.
pub(super) fn is_about_groups(topic: &str) -> bool {
    topic == GROUPS || topic.starts_with("sys.groups.") || topic.starts_with("sys.dlq.")
}

/// Answers one question.
pub(super) async fn answer(
    broker: &Arc<Broker>,
    topic: &str,
    user: &str,
    payload: &[u8],
) -> Result<Vec<u8>, Refusal> {
    let manage = match topic {
        GROUPS => {
            let question: GroupsQuestion = read(payload)?;
            let group = question.group.as_deref().map(name).transpose()?;
            let is_one = group.is_some();
            let Managed::Groups(groups) = ask(broker, Manage::Groups(group)).await? else {
                return Err(unexpected());
            };
            let groups = groups.into_iter().map(|group| status(group, is_one)).collect();
            return json(&GroupsAnswer { groups });
        }
        LIST => {
            let ListQuestion { group, after, max } = read(payload)?;
            let max = usize::try_from(max.clamp(1, LETTERS_MAX)).unwrap_or(1);
            let LetterPage { letters, unreadable, through, more } =
                letters(broker, &group, after, max).await?;
            let letters = letters.into_iter().map(|(id, letter)| shown(id, &letter)).collect();
            return json(&ListAnswer { letters, unreadable, through, more });
        }
        PEEK | PAYLOAD => {
            let LetterQuestion { group, id } = read(payload)?;
            let letter = letter(broker, &group, id).await?;
            return match topic {
                PEEK => json(&shown(id, &letter)),
                _ => Ok(letter.payload.to_vec()),
            };
        }
        SEEK => {
            let SeekQuestion { group, topic, to } = read(payload)?;
            let to = match to {
                SeekTo::Offset(offset) => Seek::Offset(offset),
                SeekTo::TimeMs(ms) => Seek::Since(ms),
            };
            Manage::Seek { group: name(&group)?, topic: name(&topic)?, to }
        }
        DELETE => {
            let GroupQuestion { group } = read(payload)?;
            Manage::Delete(name(&group)?)
        }
        RETRY => {
            let RetryQuestion { group, letters, to } = read(payload)?;
            let target = to.as_deref().map(name).transpose()?;
            Manage::Retry { group: name(&group)?, which: which(letters), target }
        }
        DISCARD => {
            let DiscardQuestion { group, letters } = read(payload)?;
            Manage::Discard { group: name(&group)?, which: which(letters) }
        }
        _ => return Err(Refusal(Code::UNKNOWN_TOPIC, format!("nothing answers on {topic}"))),
    };
    info!(by = user, ?manage, "a group is looked after");
    match ask(broker, manage).await? {
        Managed::Done(count) => json(&Count { count }),
        Managed::Each(outcome) => json(&told(outcome)),
        _ => Err(unexpected()),
    }
}

async fn ask(broker: &Arc<Broker>, manage: Manage) -> Result<Managed, Refusal> {
    let asked = broker.manage(manage).await;
    asked.map_err(|code| Refusal(code, code.text().to_owned()))
}

async fn letters(
    broker: &Arc<Broker>,
    group: &str,
    after: Option<u64>,
    max: usize,
) -> Result<LetterPage, Refusal> {
    match ask(broker, Manage::Letters { group: name(group)?, after, max }).await? {
        Managed::Letters(page) => Ok(page),
        _ => Err(unexpected()),
    }
}

/// The dead letter with this id.
async fn letter(broker: &Arc<Broker>, group: &str, id: u64) -> Result<Letter, Refusal> {
    let page = letters(broker, group, id.checked_sub(1), 1).await?;
    let found = page.letters.into_iter().find(|(found, _)| *found == id);
    let missing = match page.unreadable.contains(&id) {
        true => Refusal(Code::MALFORMED, UNREADABLE.to_owned()),
        false => Refusal(Code::UNKNOWN_DEAD_LETTER, Code::UNKNOWN_DEAD_LETTER.text().to_owned()),
    };
    found.map(|(_, letter)| letter).ok_or(missing)
}

fn told(outcome: Outcome) -> admin::Outcome {
    let failed = |(id, code): (u64, Code)| {
        let reason = if code == Code::MALFORMED { UNREADABLE } else { code.text() };
        FailedLetter { id, code: code.0, reason: reason.to_owned() }
    };
    let Outcome { count, failed: list, more_failed } = outcome;
    admin::Outcome { count, failed: list.into_iter().map(failed).collect(), more_failed }
}

fn which(letters: Letters) -> Which {
    match letters {
        Letters::All => Which::All,
        Letters::Ids(ids) => Which::Ids(ids),
    }
}

fn status(status: Status, with_topics: bool) -> GroupStatus {
    let of = |topic: sampan_core::group::TopicStatus| GroupTopic {
        topic: topic.topic.to_string(),
        epoch: topic.epoch,
        done: topic.done,
        next: topic.end,
        lag: topic.lag,
    };
    let count = status.topics.len();
    let listed = if with_topics { count.min(TOPICS_MAX) } else { 0 };
    GroupStatus {
        group: status.name.to_string(),
        pattern: status.pattern.to_string(),
        order: status.order.name().to_owned(),
        members: status.members,
        lag: status.lag,
        in_flight: status.in_flight,
        parked: status.parked,
        dead: status.dead,
        topics: status.topics.into_iter().take(listed).map(of).collect(),
        more_topics: (count - listed) as u64,
    }
}

fn shown(id: u64, letter: &Letter) -> DeadLetter {
    let attributes = Attributes::parse(&letter.attributes).unwrap_or_default();
    let text = |text: Option<&str>| text.map(str::to_owned);
    let header = |(name, value): &(&str, &[u8])| {
        ((*name).to_owned(), String::from_utf8_lossy(value).into_owned())
    };
    let failure = |failure: &sampan_core::group::Failure| FailedAttempt {
        time: failure.at_ms,
        user: failure.user.to_string(),
        reason: failure.reason.to_string(),
    };
    DeadLetter {
        id,
        topic: letter.topic.to_string(),
        epoch: letter.epoch,
        offset: letter.offset,
        time: letter.time_ms,
        moved: letter.moved_ms,
        attempts: letter.attempts.into(),
        reason: letter.reason.to_string(),
        failures: letter.failures.iter().map(failure).collect(),
        event: text(attributes.event),
        key: text(attributes.key),
        content_type: text(attributes.content_type),
        headers: attributes.headers.iter().map(header).collect(),
        payload_bytes: letter.payload.len() as u64,
    }
}

fn read<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Refusal> {
    let wrong = |error: serde_json::Error| Refusal(Code::BAD_FIELD, error.to_string());
    serde_json::from_slice(payload).map_err(wrong)
}

fn name(name: &str) -> Result<Topic, Refusal> {
    Topic::parse(name).map_err(|error| Refusal(Code::BAD_TOPIC, format!("{name:?}: {error}")))
}

/// A shard answers with what it was asked, so nobody meets this.
fn unexpected() -> Refusal {
    Refusal(Code::BUSY, "the shard has answered something else".to_owned())
}
