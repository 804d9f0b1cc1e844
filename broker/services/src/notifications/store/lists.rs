//! Addresses that want nothing more, or where nothing arrives.

use super::super::asked::Suppress;
use super::super::model::Channel;
use super::Notifications;
use crate::moment::Moment;
use crate::store::encoding::name;
use crate::store::{Error, Query, Row, Work};

impl Notifications {
    /// Sends nothing more to an address.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn suppress(&self, one: &Suppress) -> Result<(), Error> {
        let mut work = self.0.begin().await?;
        let now = work.now().await?;
        let reason = one.reason.as_deref().unwrap_or("asked");
        add(&mut work, one.channel, &one.address, reason, now).await?;
        work.commit().await
    }

    /// Sends to an address again; whether it was on the list.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn allow(&self, channel: Channel, address: &str) -> Result<bool, Error> {
        let mut work = self.0.begin().await?;
        let query = Query::new("DELETE FROM suppressions WHERE channel = $1 AND address = $2");
        let gone = work.execute(query.bind(name(&channel)?).bind(folded(address))).await? > 0;
        work.commit().await?;
        Ok(gone)
    }

    /// At most `max` addresses of a channel behind one, in their order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn suppressed(
        &self,
        channel: Channel,
        after: &str,
        max: u32,
    ) -> Result<Vec<Suppress>, Error> {
        let query = Query::new(
            "SELECT address, reason FROM suppressions WHERE channel = $1 AND address > $2 \
             ORDER BY address LIMIT $3",
        );
        let query = query.bind(name(&channel)?).bind(folded(after)).bind(i64::from(max));
        let one = |row: &Row| {
            let reason = Some(row.get("reason")?);
            Ok(Suppress { channel, address: row.get("address")?, reason })
        };
        self.0.all(query).await?.iter().map(one).collect()
    }
}

/// Whether an address is on the list of its channel.
pub(super) async fn has(
    work: &mut Work<'_>,
    channel: Channel,
    address: &str,
) -> Result<bool, Error> {
    let query = Query::new("SELECT 1 AS one FROM suppressions WHERE channel = $1 AND address = $2");
    Ok(work.one(query.bind(name(&channel)?).bind(folded(address))).await?.is_some())
}

/// Puts an address on the list of its channel. The first reason stays.
pub(super) async fn add(
    work: &mut Work<'_>,
    channel: Channel,
    address: &str,
    reason: &str,
    now: Moment,
) -> Result<(), Error> {
    let query = Query::new(
        "INSERT INTO suppressions (channel, address, reason, at) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (channel, address) DO NOTHING",
    );
    let query = query.bind(name(&channel)?).bind(folded(address)).bind(reason).bind(now);
    work.execute(query).await.map(|_| ())
}

/// Mailboxes do not tell capitals apart, in practice.
fn folded(address: &str) -> String {
    address.to_lowercase()
}
