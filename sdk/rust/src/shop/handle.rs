//! Telling of users, and asking for figures.

use super::{FIGURES, Shown, USER_GET, USER_UPSERT, User, UserTold, UserWanted, Wanted};
use crate::{Client, Error};

impl Client {
    /// The shop itself: its users and its figures.
    #[must_use]
    pub fn shop(&self) -> Shop {
        Shop { client: self.clone() }
    }
}

/// The shop itself, for those who run it.
///
/// # Errors
/// All methods: `Refused` with BAD_FIELD, NOT_GRANTED, BUSY or a code of the services (904 there is
/// no such thing); as for [`Client::request`].
#[derive(Clone, Debug)]
pub struct Shop {
    client: Client,
}

impl Shop {
    /// Tells of a user, in the place of all that was told before.
    ///
    /// # Errors
    /// See [`Shop`].
    pub async fn upsert_user(&self, told: &UserTold) -> Result<User, Error> {
        self.client.question(USER_UPSERT, told).await
    }

    /// A user that somebody has told of.
    ///
    /// # Errors
    /// See [`Shop`].
    pub async fn user(&self, id: &str) -> Result<User, Error> {
        self.client.question(USER_GET, &UserWanted { id: id.to_owned() }).await
    }

    /// The figures of these days, of which `from` and `to` are the first and the last, such as
    /// `2026-11-01`, of UTC; at most 400.
    ///
    /// # Errors
    /// See [`Shop`].
    pub async fn figures(&self, from: &str, to: &str) -> Result<Shown, Error> {
        let wanted = Wanted { from: from.to_owned(), to: to.to_owned() };
        self.client.question(FIGURES, &wanted).await
    }
}
