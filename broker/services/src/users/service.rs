//! What others ask about users.

use super::model::{Upsert, Wanted};
use super::store::Users;
use crate::role::Role;
use crate::service::{Host, Problem};

/// The topic on which a backend tells of a user.
pub const UPSERT: &str = "users.upsert";
/// The topic on which a user is asked for.
pub const GET: &str = "users.get";

/// Answers for users.
///
/// # Errors
/// Those of the client.
pub async fn serve(host: &mut Host, users: &Users) -> Result<(), sampan_client::Error> {
    host.answer(users, UPSERT, Role::OPERATORS, |store, _, user: Upsert| async move {
        user.check()?;
        Ok(store.upsert(&user).await?)
    })
    .await?;
    host.answer(users, GET, Role::OPERATORS, |store, _, Wanted { id }| async move {
        let user = store.find(&id).await?;
        user.ok_or_else(|| Problem::not_found("nobody has told of this user"))
    })
    .await
}
