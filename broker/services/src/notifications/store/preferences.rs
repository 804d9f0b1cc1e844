//! What users have chosen.

use super::super::asked;
use super::super::rules::preference;
use super::super::rules::quiet::Quiet;
use super::Notifications;
use crate::refusal::Refusal;
use crate::store::encoding::json;
use crate::store::{Error, Query, Work};
use crate::users::Upsert;

/// The time zone of those of whom nobody has said one.
const ZONE: &str = "UTC";

/// What a user has chosen, as the rules have it.
pub(super) struct Choices {
    pub(super) preferences: preference::Preferences,
    pub(super) quiet: Option<Quiet>,
}

impl Choices {
    pub(super) async fn find(work: &mut Work<'_>, user: &Upsert) -> Result<Self, Error> {
        let query = Query::new("SELECT body FROM notification_preferences WHERE user_id = $1");
        let row = work.one(query.bind(&user.id)).await?;
        let chosen: asked::Preferences =
            row.map_or(Ok(asked::Preferences::default()), |row| row.json("body"))?;
        let kinds = chosen.types.iter().flat_map(|(kind, channels)| {
            channels.iter().map(|(channel, wanted)| ((*kind, *channel), *wanted))
        });
        let kinds = kinds.collect();
        let preferences = preference::Preferences { kinds, channels: chosen.channels.clone() };
        // A zone that is not known any more leaves nobody without quiet hours.
        let quiet = chosen.quiet_hours.as_ref().and_then(|hours| {
            let theirs = hours.tz.as_deref().or(user.time_zone.as_deref()).unwrap_or(ZONE);
            [theirs, ZONE].iter().find_map(|zone| quiet(hours, zone).ok())
        });
        Ok(Choices { preferences, quiet })
    }
}

/// A user's hours in a time zone.
///
/// # Errors
/// A refusal of the field that is not valid.
pub(in super::super) fn quiet(hours: &asked::QuietHours, zone: &str) -> Result<Quiet, Refusal> {
    Quiet::new(zone, hours.from, hours.to, hours.days)
}

impl Notifications {
    /// What a user has chosen.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn preferences(&self, user: &str) -> Result<asked::Preferences, Error> {
        let query = Query::new("SELECT body FROM notification_preferences WHERE user_id = $1");
        let row = self.0.one(query.bind(user)).await?;
        let chosen: asked::Preferences =
            row.map_or(Ok(asked::Preferences::default()), |row| row.json("body"))?;
        Ok(asked::Preferences { user_id: Some(user.to_owned()), ..chosen })
    }

    /// Puts what a user chooses in the place of what was chosen before.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn choose(&self, user: &str, chosen: &asked::Preferences) -> Result<(), Error> {
        let mut work = self.0.begin().await?;
        let now = work.now().await?;
        let query = Query::new(
            "INSERT INTO notification_preferences (user_id, body, updated_at) \
             VALUES ($1, $2, $3) ON CONFLICT (user_id) DO UPDATE SET body = excluded.body, \
             updated_at = excluded.updated_at",
        );
        let chosen = asked::Preferences { user_id: None, ..chosen.clone() };
        work.execute(query.bind(user).bind(json(&chosen)?).bind(now)).await?;
        work.commit().await
    }
}
