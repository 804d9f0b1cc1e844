//! Looking after groups: how they stand, where they read, and what became of dead letters.

use std::time::Duration;

use bytes::Bytes;
use protocol::Topic;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::admin::{
    self, Count, DeadLetter, DiscardQuestion, GroupQuestion, GroupStatus, GroupsAnswer,
    GroupsQuestion, LetterQuestion, Letters, ListAnswer, ListQuestion, Outcome, RetryQuestion,
    SeekQuestion, SeekTo,
};
use crate::error::invalid;
use crate::{Client, Error};

/// How long the broker may take. Most it answers from memory; many letters take a while.
const TIMEOUT: Duration = Duration::from_secs(60);

impl Client {
    /// How all groups stand, without their topics.
    ///
    /// # Errors
    /// As for [`Client::request`].
    pub async fn groups(&self) -> Result<Vec<GroupStatus>, Error> {
        let answer: GroupsAnswer = self.question(admin::GROUPS, &GroupsQuestion::default()).await?;
        Ok(answer.groups)
    }

    /// How one group stands, with its topics.
    ///
    /// # Errors
    /// `Refused` with UNKNOWN_GROUP; as for [`Client::request`].
    pub async fn group(&self, name: &str) -> Result<GroupStatus, Error> {
        let question = GroupsQuestion { group: Some(name.to_owned()) };
        let answer: GroupsAnswer = self.question(admin::GROUPS, &question).await?;
        let group = answer.groups.into_iter().next();
        group.ok_or_else(|| Error::Invalid("the broker has answered without the group".to_owned()))
    }

    /// Lets a group read a topic from another place on. What its consumers hold of the topic comes
    /// again if it lies behind that place.
    ///
    /// # Errors
    /// `Refused` with UNKNOWN_GROUP or UNKNOWN_TOPIC; as for [`Client::request`].
    pub async fn seek(&self, group: &str, topic: &Topic, to: SeekTo) -> Result<(), Error> {
        let topic = topic.as_str().to_owned();
        let question = SeekQuestion { group: group.to_owned(), topic, to };
        self.question::<Count>(admin::SEEK, &question).await.map(|_| ())
    }

    /// Ends a group with its places and its dead letters. Its consumers end with UNKNOWN_GROUP.
    ///
    /// # Errors
    /// `Refused` with UNKNOWN_GROUP; as for [`Client::request`].
    pub async fn delete_group(&self, name: &str) -> Result<(), Error> {
        let question = GroupQuestion { group: name.to_owned() };
        self.question::<Count>(admin::DELETE, &question).await.map(|_| ())
    }

    /// The dead letters of a group.
    #[must_use]
    pub fn dead_letters(&self, group: &str) -> DeadLetters {
        DeadLetters { client: self.clone(), group: group.to_owned() }
    }

    pub(crate) async fn question<T: DeserializeOwned>(
        &self,
        topic: &str,
        question: &impl Serialize,
    ) -> Result<T, Error> {
        let answer = self.bytes_of(topic, question).await?;
        serde_json::from_slice(&answer).map_err(|error| {
            Error::Invalid(format!("the answer on {topic} is not understood: {error}"))
        })
    }

    async fn bytes_of(&self, topic: &str, question: &impl Serialize) -> Result<Bytes, Error> {
        let question = serde_json::to_vec(question).map_err(invalid)?;
        let topic = Topic::parse(topic).map_err(invalid)?;
        Ok(self.request(topic, question, TIMEOUT).await?.payload())
    }
}

/// The dead letters of one group: messages that it has given up, each with its payload, headers,
/// reason and attempts.
///
/// # Errors
/// All methods: `Refused` with UNKNOWN_GROUP; as for [`Client::request`]. `peek`: UNKNOWN_DEAD_LETTER,
/// or MALFORMED if its stored form cannot be read.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    client: Client,
    group: String,
}

impl DeadLetters {
    /// A page of letters with ids above `after`, at most `max`; the answer says whether there are
    /// more, and after which id.
    ///
    /// # Errors
    /// See [`DeadLetters`].
    pub async fn list(&self, after: Option<u64>, max: u32) -> Result<ListAnswer, Error> {
        let question = ListQuestion { group: self.group.clone(), after, max };
        self.client.question(admin::LIST, &question).await
    }

    /// One letter, and its payload.
    ///
    /// # Errors
    /// See [`DeadLetters`].
    pub async fn peek(&self, id: u64) -> Result<(DeadLetter, Bytes), Error> {
        let question = LetterQuestion { group: self.group.clone(), id };
        let letter = self.client.question(admin::PEEK, &question).await?;
        Ok((letter, self.client.bytes_of(admin::PAYLOAD, &question).await?))
    }

    /// Puts letters back: each is due at once, with all its attempts before it. One that cannot go
    /// back keeps no other from it.
    ///
    /// # Errors
    /// See [`DeadLetters`].
    pub async fn retry(&self, letters: Letters) -> Result<Outcome, Error> {
        self.back(letters, None).await
    }

    /// Publishes letters to another topic, each once, and removes them. One that is refused there
    /// stays, and keeps no other from it.
    ///
    /// # Errors
    /// As for [`DeadLetters::retry`].
    pub async fn retry_to(&self, letters: Letters, topic: &Topic) -> Result<Outcome, Error> {
        self.back(letters, Some(topic.as_str().to_owned())).await
    }

    /// Removes letters.
    ///
    /// # Errors
    /// As for [`DeadLetters::retry`].
    pub async fn discard(&self, letters: Letters) -> Result<Outcome, Error> {
        let question = DiscardQuestion { group: self.group.clone(), letters };
        self.client.question(admin::DISCARD, &question).await
    }

    async fn back(&self, letters: Letters, to: Option<String>) -> Result<Outcome, Error> {
        let question = RetryQuestion { group: self.group.clone(), letters, to };
        self.client.question(admin::RETRY, &question).await
    }
}
