//! What agents ask about canned responses.

use super::store::{Reader, Shelf};
use super::{DELETE, Deleted, Filled, LIST, List, ListWanted, PUT, Put, USE, Use, Wanted};
use crate::chat::model::{CannedResponse, Scope};
use crate::chat::rules::canned;
use crate::chat::rules::page::fit;
use crate::chat::store::Store;
use crate::role::Role;
use crate::service::{Asker, Host, Problem};

/// Rows of a page.
const PAGE_MAX: u32 = 100;
/// Responses of one name that an agent may have: its own, its teams' and everybody's.
const NAMESAKES_MAX: u32 = 1_000;
/// Bytes of an owner's name.
const OWNER_BYTES_MAX: usize = 128;

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
        let fits = fit(&responses).min(usize::try_from(max).unwrap_or(usize::MAX));
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
