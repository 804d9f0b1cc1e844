//! The devices of users. A token is one device's, and moves to whoever registers it last.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tracing::warn;

use super::super::asked::{Device, DeviceProvider, DevicePut};
use super::super::send::{Endpoint, public_key};
use super::Notifications;
use crate::id::Id;
use crate::moment::Moment;
use crate::store::encoding::{json, name};
use crate::store::{Error, Query, Row, Work, each};

/// Devices of one user; the one that has been silent longest makes room.
const DEVICES_MAX: i64 = 20;
/// What has told nothing of itself for so long is not asked any more.
const SILENT_MAX: Duration = Duration::from_secs(270 * 86_400);

impl Notifications {
    /// The key that browsers subscribe with, base64url.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn webpush_key(&self) -> Result<String, Error> {
        public_key(&self.0).await
    }

    /// Registers a device, or hears of it again. One that comes from another user is a new device:
    /// what is on its way to the one before goes nowhere.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn register(&self, user: &str, told: &DevicePut) -> Result<Device, Error> {
        let mut work = self.0.begin().await?;
        let now = work.now().await?;
        let query = Query::new(
            "INSERT INTO devices (id, user_id, provider, app, token, registered_at, \
             last_seen_at, body) VALUES ($1, $2, $3, $4, $5, $6, $6, $7) \
             ON CONFLICT (provider, app, token) DO UPDATE SET \
             id = CASE WHEN devices.user_id = excluded.user_id THEN devices.id \
             ELSE excluded.id END, user_id = excluded.user_id, \
             registered_at = excluded.registered_at, last_seen_at = excluded.last_seen_at, \
             disabled_at = NULL, disabled_reason = NULL, body = excluded.body RETURNING *",
        );
        let endpoint = endpoint(told);
        let query = query.bind(Id::new().to_string()).bind(user).bind(name(&told.provider)?);
        let query = query.bind(&told.app).bind(&told.token).bind(now).bind(json(&endpoint)?);
        let row = work.one(query).await?;
        let row = row.ok_or_else(|| Error::Program("a device without a row".to_owned()))?;
        let device = device(&row)?;
        let many = Query::new(
            "DELETE FROM devices WHERE user_id = $1 AND id NOT IN (SELECT id FROM devices \
             WHERE user_id = $1 ORDER BY last_seen_at DESC, id DESC LIMIT $2)",
        );
        work.execute(many.bind(user).bind(DEVICES_MAX)).await?;
        work.commit().await?;
        Ok(device)
    }

    /// The live devices of a user, the newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn devices(&self, user: &str) -> Result<Vec<Device>, Error> {
        let query = Query::new(
            "SELECT * FROM devices WHERE user_id = $1 AND disabled_at IS NULL \
             ORDER BY last_seen_at DESC, id DESC",
        );
        self.0.all(query.bind(user)).await?.iter().map(device).collect()
    }

    /// Forgets a device of a user, by its id or its token; whether there was one.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn forget(&self, user: &str, id_or_token: &str) -> Result<bool, Error> {
        let mut work = self.0.begin().await?;
        let query =
            Query::new("DELETE FROM devices WHERE user_id = $1 AND (id = $2 OR token = $2)");
        let gone = work.execute(query.bind(user).bind(id_or_token)).await? > 0;
        work.commit().await?;
        Ok(gone)
    }
}

/// The live devices of a user, with the name of who sends there.
pub(super) async fn live(
    work: &mut Work<'_>,
    user: &str,
) -> Result<Vec<(String, &'static str)>, Error> {
    let query = Query::new(
        "SELECT id, provider FROM devices WHERE user_id = $1 AND disabled_at IS NULL ORDER BY id",
    );
    let rows = work.all(query.bind(user)).await?;
    let one = |row: &Row| Ok((row.get("id")?, sender(row.named("provider")?)));
    rows.iter().map(one).collect()
}

/// Where these devices are reached, of those that are live. One that cannot be read is nowhere.
pub(super) async fn endpoints(
    work: &mut Work<'_>,
    ids: &BTreeSet<&str>,
) -> Result<BTreeMap<String, Endpoint>, Error> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let text = each(
        "SELECT id, body FROM devices WHERE disabled_at IS NULL \
         AND id IN (SELECT value FROM json_each($1))",
        "SELECT id, body FROM devices WHERE disabled_at IS NULL \
         AND id IN (SELECT jsonb_array_elements_text($1::jsonb))",
    );
    let rows = work.all(Query::new(text).bind(json(ids)?)).await?;
    let endpoint = |row: &Row| {
        let id: String = row.get("id")?;
        Ok(match row.json("body") {
            Ok(endpoint) => Some((id, endpoint)),
            Err(error) => {
                warn!(id, %error, "a device is damaged, and nothing is sent to it");
                None
            }
        })
    };
    rows.iter().map(endpoint).filter_map(Result::transpose).collect()
}

/// Retires a device, if it is to be one that was registered then.
pub(super) async fn retire(
    work: &mut Work<'_>,
    id: &str,
    reason: &str,
    now: Moment,
    is_meant: impl FnOnce(Moment) -> bool,
) -> Result<(), Error> {
    let query = Query::new("SELECT registered_at FROM devices WHERE id = $1").bind(id);
    let Some(row) = work.one(query).await? else { return Ok(()) };
    let registered_at: Moment = row.get("registered_at")?;
    if !is_meant(registered_at) {
        return Ok(());
    }
    let query = Query::new(
        "UPDATE devices SET disabled_at = $2, disabled_reason = $3 \
         WHERE id = $1 AND disabled_at IS NULL AND registered_at = $4",
    );
    let query = query.bind(id).bind(now).bind(reason).bind(registered_at);
    work.execute(query).await.map(|_| ())
}

/// Retires devices that have been silent for too long.
pub(super) async fn retire_silent(work: &mut Work<'_>, now: Moment) -> Result<u64, Error> {
    let query = Query::new(
        "UPDATE devices SET disabled_at = $1, disabled_reason = 'silent' \
         WHERE disabled_at IS NULL AND last_seen_at < $2",
    );
    work.execute(query.bind(now).bind(now.before(SILENT_MAX))).await
}

/// Who sends to a device, as deliveries name it.
const fn sender(provider: DeviceProvider) -> &'static str {
    match provider {
        DeviceProvider::Firebase => "fcm",
        DeviceProvider::Apn => "apns",
        DeviceProvider::WebPush => "webpush",
    }
}

fn endpoint(told: &DevicePut) -> Endpoint {
    let token = told.token.clone();
    match told.provider {
        DeviceProvider::Firebase => Endpoint::Fcm { token },
        DeviceProvider::Apn => Endpoint::Apns { token, app: told.app.clone() },
        DeviceProvider::WebPush => Endpoint::WebPush {
            url: token,
            p256dh: told.p256dh.clone().unwrap_or_default(),
            auth: told.auth.clone().unwrap_or_default(),
        },
    }
}

fn device(row: &Row) -> Result<Device, Error> {
    Ok(Device {
        device_id: row.get("id")?,
        provider: row.named("provider")?,
        app: row.get("app")?,
        last_seen_at: row.get("last_seen_at")?,
    })
}
