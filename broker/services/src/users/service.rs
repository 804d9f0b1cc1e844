//! What others ask about users.

use super::model::{Upsert, Wanted, check};
use super::store::Users;
use crate::role::Role;
use crate::service::{Host, Problem};

pub use sampan_client::shop::{USER_GET as GET, USER_UPSERT as UPSERT};

/// Answers for users.
///
/// # Errors
/// Those of the client.
pub async fn serve(host: &mut Host, users: &Users) -> Result<(), sampan_client::Error> {
    host.answer(users, UPSERT, Role::OPERATORS, |store, _, user: Upsert| async move {
        check(&user)?;
        Ok(store.upsert(&user).await?)
    })
    .await?;
    host.answer(users, GET, Role::OPERATORS, |store, _, Wanted { id }| async move {
        let user = store.find(&id).await?;
        user.ok_or_else(|| Problem::not_found("nobody has told of this user"))
    })
    .await
}
