//! What agents ask about canned responses.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::store::{Reader, Shelf};
use crate::chat::model::{CannedResponse, Scope};
use crate::chat::rules::canned;
use crate::chat::store::Store;
use crate::role::Role;
use crate::service::{Asker, Host, Problem};

/// The topic on which a response is kept.
pub const PUT: &str = "chat.canned_put";
/// The topic on which a response is removed.
pub const DELETE: &str = "chat.canned_delete";
/// The topic on which responses are asked for.
pub const LIST: &str = "chat.canned_list";
/// The topic on which a response is filled in.
pub const USE: &str = "chat.canned_use";

/// Rows of a page.
const PAGE_MAX: u32 = 100;
/// Responses of one name that an agent may have: its own, its teams' and everybody's.
const NAMESAKES_MAX: u32 = 1_000;
/// Bytes of text from which on a page ends.
const PAGE_BYTES: usize = 256 * 1024;
/// Bytes of an owner's name.
const OWNER_BYTES_MAX: usize = 128;

/// A response to keep. It takes the place of its owner's with the same shortcut.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Put {
    /// Who may use it.
    pub scope: Scope,
    /// Agent or team; the asker, if it is personal and nothing is said.
    #[serde(default)]
    pub owner: String,
    /// What is typed to call it up.
    pub shortcut: String,
    /// The text. `{{name}}` stands for a variable.
    pub text: String,
}

/// Which response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Id.
    pub id: String,
}

/// Whether a response was there, and is no longer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// Whether it was there.
    pub deleted: bool,
}

/// Which responses; those that the asker may use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListWanted {
    /// Those behind this id: `next` of the page before.
    #[serde(default)]
    pub after: Option<String>,
    /// How many at most, up to 100.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// A page of responses, the oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct List {
    /// The responses.
    pub responses: Vec<CannedResponse>,
    /// What the next page is asked with, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A response to fill in: the asker's own before its teams' before everybody's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Use {
    /// What it is called.
    pub shortcut: String,
    /// A value for each of its variables.
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

/// A response with its variables filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Filled {
    /// The response.
    pub id: String,
    /// What is to be sent.
    pub text: String,
}

/// Canned responses, and the chats' store that says which teams an agent is of.
#[derive(Clone, Debug)]
pub struct Canned<S> {
    shelf: Shelf,
    chats: S,
}

impl<S: Store> Canned<S> {
    /// The canned responses of these stores.
    #[must_use]
    pub fn new(shelf: Shelf, chats: S) -> Self {
        Canned { shelf, chats }
    }

    /// Keeps a response in the place of its owner's with the same shortcut.
    ///
    /// # Errors
    /// A problem of the question, or of the database.
    pub async fn put(&self, asker: &Asker, put: Put) -> Result<CannedResponse, Problem> {
        let Put { scope, owner, shortcut, text } = put;
        let is_own = scope == Scope::Personal && owner.is_empty();
        let owner = if is_own { asker.user.clone() } else { owner };
        if owner.len() > OWNER_BYTES_MAX || owner.chars().any(char::is_control) {
            return Err(Problem::field("owner", "at most 128 bytes without control characters"));
        }
        let response = CannedResponse { id: String::new(), scope, owner, shortcut, text };
        let response = canned::check(response)?;
        may_change(asker, &response)?;
        let stored = self.shelf.put(&response).await?;
        stored.ok_or_else(|| Problem::full("the owner has 500 canned responses"))
    }

    /// Removes a response.
    ///
    /// # Errors
    /// A problem of the question, or of the database.
    pub async fn delete(&self, asker: &Asker, id: &str) -> Result<Deleted, Problem> {
        let Some(response) = self.shelf.find(id).await? else {
            return Ok(Deleted { deleted: false });
        };
        may_change(asker, &response)?;
        Ok(Deleted { deleted: self.shelf.delete(id).await? })
    }

    /// A page of what the asker may use.
    ///
    /// # Errors
    /// A problem of the question, or of the database.
    pub async fn list(&self, asker: &Asker, wanted: &ListWanted) -> Result<List, Problem> {
        let max = wanted.limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
        let after = wanted.after.as_deref().unwrap_or("");
        let reader = self.reader(asker).await?;
        // One more shows whether there is a next page.
        let mut responses = self.shelf.list(&reader, None, after, max.saturating_add(1)).await?;
        let fits = room(&responses, usize::try_from(max).unwrap_or(usize::MAX));
        let has_more = fits < responses.len();
        responses.truncate(fits);
        let last = responses.last().map(|last| last.id.clone());
        Ok(List { responses, next: last.filter(|_| has_more) })
    }

    /// Fills a response in.
    ///
    /// # Errors
    /// A problem of the question, or of the database.
    pub async fn fill(&self, asker: &Asker, wanted: &Use) -> Result<Filled, Problem> {
        let teams = self.teams(asker).await?;
        let shortcut = wanted.shortcut.trim().to_lowercase();
        let reader = Reader::Agent(asker.user.clone(), teams.clone());
        let all = self.shelf.list(&reader, Some(&shortcut), "", NAMESAKES_MAX).await?;
        let found = canned::find(&all, &shortcut, &asker.user, &teams);
        let found = found.ok_or_else(|| Problem::not_found("no response is called so"))?;
        Ok(Filled { id: found.id.clone(), text: canned::fill(&found.text, &wanted.variables)? })
    }

    async fn reader(&self, asker: &Asker) -> Result<Reader, Problem> {
        Ok(match asker.role {
            Role::Admin | Role::Service => Reader::Everything,
            _ => Reader::Agent(asker.user.clone(), self.teams(asker).await?),
        })
    }

    async fn teams(&self, asker: &Asker) -> Result<Vec<String>, Problem> {
        let agent = self.chats.agent(&asker.user).await?;
        let skills = agent.map(|agent| agent.skills).unwrap_or_default();
        Ok(skills.iter().map(|skill| canned::team(skill)).collect())
    }
}

/// Agents change their own responses, those who run the shop all of them.
fn may_change(asker: &Asker, response: &CannedResponse) -> Result<(), Problem> {
    let is_own = response.scope == Scope::Personal && response.owner == asker.user;
    if is_own || Role::OPERATORS.contains(&asker.role) {
        return Ok(());
    }
    Err(Problem::not_allowed("agents change their own responses only"))
}

/// How many of these fit in a page; one always does.
fn room(responses: &[CannedResponse], max: usize) -> usize {
    let mut bytes = 0;
    let fits = responses.iter().take_while(|response| {
        let is_room = bytes < PAGE_BYTES;
        bytes += response.text.len();
        is_room
    });
    fits.count().min(max)
}

/// Answers for canned responses.
///
/// # Errors
/// Those of the client.
pub async fn serve<S: Store>(
    host: &mut Host,
    canned: &Canned<S>,
) -> Result<(), sampan_client::Error> {
    host.answer(canned, PUT, Role::STAFF, |its, asker, put: Put| async move {
        its.put(&asker, put).await
    })
    .await?;
    host.answer(canned, DELETE, Role::STAFF, |its, asker, Wanted { id }| async move {
        its.delete(&asker, &id).await
    })
    .await?;
    host.answer(canned, LIST, Role::STAFF, |its, asker, wanted: ListWanted| async move {
        its.list(&asker, &wanted).await
    })
    .await?;
    host.answer(canned, USE, Role::STAFF, |its, asker, wanted: Use| async move {
        its.fill(&asker, &wanted).await
    })
    .await
}
