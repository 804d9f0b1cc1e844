//! What is asked about ratings, with a login or by a signed link.

use sampan_client::chat as told;
pub use sampan_client::chat::{
    RATE, RATING_ASK as ASK, RATING_EDIT as EDIT, RATINGS as LIST, Rate, RatingAsk as Ask,
    RatingsWanted as ListWanted,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::store::Answers;
use crate::chat::access::{find, seen, unknown};
use crate::chat::model::{Answer, Conversation, Rating};
use crate::chat::rules::{averages, rating};
use crate::chat::store::Store;
use crate::id::Id;
use crate::moment::Moment;
use crate::refusal::Refusal;
use crate::role::Role;
use crate::secret::secret;
use crate::service::{Asker, Host, Problem};
use crate::signature::Secret;
use crate::store::{self, Database};

/// Ratings of a page.
const PAGE_MAX: u32 = 100;
/// Ratings of one agent that a mean is made of.
const MEAN_MAX: u32 = 10_000;
/// Times that a change is tried while others are faster.
const TRIES: u32 = 5;

/// A link that rates one resolution without a login.
pub type Asked = told::RatingLink<Moment>;
/// Ratings, the newest first.
pub type List = told::Ratings<Moment>;

/// What is answered by a link; it may be answered again for a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Linked {
    /// 1, the worst, to 5, the best.
    pub rating: u8,
    /// In the customer's words.
    #[serde(default)]
    pub comment: Option<String>,
}

/// Ratings, and the chats that they are about.
#[derive(Clone, Debug)]
pub struct Ratings<S> {
    database: Database,
    answers: Answers,
    chats: S,
}

impl<S: Store> Ratings<S> {
    /// The ratings of a database, about the chats of a store.
    #[must_use]
    pub fn new(database: &Database, chats: S) -> Self {
        Ratings { database: database.clone(), answers: Answers::new(database), chats }
    }

    /// A customer rates. The same again is the same rating.
    ///
    /// # Errors
    /// A problem of the question, or of the database.
    pub async fn rate(&self, asker: &Asker, asked: Rate) -> Result<Rating, Problem> {
        let chat = self.own(asker, &asked.conversation_id).await?;
        let answer = Answer { rating: asked.rating, comment: asked.comment };
        self.add(&chat, answer, Moment::now()).await
    }

    /// A customer rates otherwise than before.
    ///
    /// # Errors
    /// A problem of the question, or of the database.
    pub async fn edit(&self, asker: &Asker, asked: Rate) -> Result<Rating, Problem> {
        let chat = self.own(asker, &asked.conversation_id).await?;
        let answer = Answer { rating: asked.rating, comment: asked.comment };
        self.change(&chat, answer, Moment::now()).await
    }

    /// A link for whoever had the conversation's last resolution; the same one if it is asked for
    /// again.
    ///
    /// # Errors
    /// A problem of the question, or of the database.
    pub async fn ask(&self, asked: &Ask) -> Result<Asked, Problem> {
        let chat = self.chat(&asked.conversation_id).await?;
        let now = Moment::now();
        if chat.resolved_at.is_none() {
            return Err(Refusal::Conflict("only a resolved conversation is rated").into());
        }
        if self.answers.find(&chat.id, chat.resolution_no).await?.is_some() {
            return Err(Refusal::Conflict("the resolution is rated already").into());
        }
        let (about, quiet) = ((chat.id.as_str(), chat.resolution_no), now.before(rating::COOLDOWN));
        let asked_at = self.answers.ask(&chat.customer_id, about, now, quiet).await?;
        let asked_at =
            asked_at.ok_or(Refusal::Conflict("the customer was asked less than a week ago"))?;
        let token = rating::token(&self.secret().await?, &chat.id, chat.resolution_no, asked_at);
        let path = format!("/v1/chat/ratings/{}/{token}", sampan_client::topic_token(&chat.id));
        Ok(Asked { path, expires_at: asked_at.after(rating::LINK_WITHIN) })
    }

    /// Whoever has the link rates, or changes what was rated.
    ///
    /// # Errors
    /// A problem of the link, the answer, or the database.
    pub async fn rate_by_link(
        &self,
        conversation_id: &str,
        token: &str,
        linked: Linked,
    ) -> Result<Rating, Problem> {
        let now = Moment::now();
        let no = rating::verify(&self.secret().await?, conversation_id, token, now)?;
        let chat = self.chat(conversation_id).await?;
        let answer = Answer { rating: linked.rating, comment: linked.comment };
        if self.answers.find(conversation_id, no).await?.is_some() {
            return self.change(&Conversation { resolution_no: no, ..chat }, answer, now).await;
        }
        if chat.resolution_no != no {
            return Err(Refusal::Closed("the conversation has gone on since").into());
        }
        self.add(&chat, answer, now).await
    }

    async fn add(
        &self,
        chat: &Conversation,
        answer: Answer,
        now: Moment,
    ) -> Result<Rating, Problem> {
        let fresh = rating::rate(&Id::new().to_string(), chat, None, answer, now)?;
        if self.answers.add(&chat.customer_id, &fresh).await? {
            return Ok(fresh);
        }
        let before = self.answers.find(&chat.id, chat.resolution_no).await?;
        match before {
            Some(before) if before.answer == fresh.answer => Ok(before),
            _ => Err(Refusal::Conflict("the resolution is rated already").into()),
        }
    }

    async fn change(
        &self,
        chat: &Conversation,
        answer: Answer,
        now: Moment,
    ) -> Result<Rating, Problem> {
        for _ in 0..TRIES {
            let before = self.answers.find(&chat.id, chat.resolution_no).await?;
            let before = before.ok_or_else(|| Problem::not_found("there is no rating yet"))?;
            let after = rating::change(&before, answer.clone(), now)?;
            if self.answers.change(&before, &after).await? {
                return Ok(after);
            }
        }
        Err(Problem::new(sampan_client::Code::BUSY, "others change the rating; try again"))
    }

    /// Ratings of a conversation or an agent.
    ///
    /// # Errors
    /// A problem of the question, or of the database.
    pub async fn list(&self, asker: &Asker, wanted: &ListWanted) -> Result<List, Problem> {
        match (&wanted.conversation_id, &wanted.agent_id) {
            (Some(id), None) => {
                seen(&self.chats, id, asker).await?;
                let ratings = self.answers.of_conversation(id, PAGE_MAX).await?;
                Ok(List { ratings, satisfaction: None })
            }
            (None, Some(id)) => {
                let is_own = asker.role == Role::Agent && *id == asker.user;
                if !is_own && !Role::OPERATORS.contains(&asker.role) {
                    return Err(Problem::not_allowed("these are the ratings of another"));
                }
                let now = Moment::now();
                let since = now.before(averages::RATINGS);
                let mut ratings = self.answers.of_agent(id, since, MEAN_MAX).await?;
                let numbers = ratings.iter().map(|one| (one.created_at, one.answer.rating));
                let satisfaction = averages::satisfaction(numbers, now);
                ratings.truncate(usize::try_from(PAGE_MAX).unwrap_or(usize::MAX));
                Ok(List { ratings, satisfaction })
            }
            _ => Err(Problem::field("conversation_id", "this or agent_id")),
        }
    }

    async fn own(&self, asker: &Asker, id: &str) -> Result<Conversation, Problem> {
        let chat = self.chat(id).await?;
        if chat.customer_id == asker.user { Ok(chat) } else { Err(unknown()) }
    }

    async fn chat(&self, id: &str) -> Result<Conversation, Problem> {
        find(&self.chats, id).await
    }

    async fn secret(&self) -> Result<Secret, store::Error> {
        secret(&self.database, "ratings").await
    }
}

/// Answers for ratings.
///
/// # Errors
/// Those of the client.
pub async fn serve<S: Store>(
    host: &mut Host,
    ratings: &Ratings<S>,
) -> Result<(), sampan_client::Error> {
    host.answer(ratings, RATE, &[Role::Customer], |its, asker, asked: Rate| async move {
        its.rate(&asker, asked).await
    })
    .await?;
    host.answer(ratings, EDIT, &[Role::Customer], |its, asker, asked: Rate| async move {
        its.edit(&asker, asked).await
    })
    .await?;
    host.answer(ratings, ASK, Role::OPERATORS, |its, _, asked: Ask| async move {
        its.ask(&asked).await
    })
    .await?;
    host.answer(ratings, LIST, Role::ALL, |its, asker, wanted: ListWanted| async move {
        its.list(&asker, &wanted).await
    })
    .await
}
