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
    let store = users.clone();
    host.answer(UPSERT, Role::OPERATORS, move |_, user: Upsert| {
        let store = store.clone();
        async move {
            user.check()?;
            Ok(store.upsert(&user).await?)
        }
    })
    .await?;
    let store = users.clone();
    host.answer(GET, Role::OPERATORS, move |_, Wanted { id }| {
        let store = store.clone();
        async move {
            let user = store.find(&id).await?;
            user.ok_or_else(|| Problem::not_found("nobody has told of this user"))
        }
    })
    .await
}
