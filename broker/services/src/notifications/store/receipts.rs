//! What gateways say later of text messages.

use super::super::model::{Channel, State};
use super::super::rules::provider::Class;
use super::super::send::Receipt;
use super::claim::read;
use super::record::{Attempted, outcome};
use super::{Notifications, lists, tell};
use crate::store::encoding::name;
use crate::store::{Error, Query, each};

impl Notifications {
    /// Takes what a gateway says has become of a message; whether it is news of one. A gateway may be
    /// faster than whoever sent the message: what nobody knows is kept until the attempt is stored.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn heard(&self, receipt: &Receipt) -> Result<bool, Error> {
        let known =
            Query::new("SELECT 1 AS one FROM deliveries WHERE channel = 'sms' AND message_id = $1");
        if self.0.one(known.bind(&receipt.message_id)).await?.is_some() {
            return self.settle(receipt).await;
        }
        let mut work = self.0.begin().await?;
        let now = work.now().await?;
        let query = Query::new(
            "INSERT INTO early_receipts (message_id, code, is_of_recipient, at) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (message_id) DO NOTHING",
        );
        let lost = receipt.lost.as_ref();
        let is_of_recipient = lost.is_some_and(|(_, class)| *class == Class::Recipient);
        let code = lost.map(|(code, _)| code.as_str());
        let query = query.bind(&receipt.message_id).bind(code).bind(is_of_recipient);
        work.execute(query.bind(now)).await?;
        work.commit().await?;
        // Whoever has stored the attempt meanwhile may not have seen it.
        self.settle(receipt).await
    }

    /// Takes what gateways have said already of these attempts, which are stored.
    pub(super) async fn hear_early(&self, attempts: &[Attempted]) -> Result<(), Error> {
        let of_text = |one: &&Attempted| one.claimed.row.channel == Channel::Sms;
        let ids = attempts.iter().filter(of_text).filter_map(|one| one.outcome.message_id.as_ref());
        for id in ids {
            let query = Query::new(
                "SELECT code, is_of_recipient FROM early_receipts WHERE message_id = $1",
            );
            let Some(row) = self.0.one(query.bind(id)).await? else { continue };
            let class = if row.get("is_of_recipient")? { Class::Recipient } else { Class::Ours };
            let lost = row.get::<Option<String>>("code")?.map(|code| (code, class));
            self.settle(&Receipt { message_id: id.clone(), lost }).await?;
        }
        Ok(())
    }

    /// Notes at a delivery that was sent what has become of it; false if there is no such one.
    async fn settle(&self, receipt: &Receipt) -> Result<bool, Error> {
        let mut work = self.0.begin().await?;
        let now = work.now().await?;
        let text = each(
            "SELECT * FROM deliveries WHERE channel = 'sms' AND message_id = $1 \
             AND state = 'sent'",
            "SELECT * FROM deliveries WHERE channel = 'sms' AND message_id = $1 \
             AND state = 'sent' FOR UPDATE",
        );
        let Some(row) = work.one(Query::new(text).bind(&receipt.message_id)).await? else {
            return Ok(false);
        };
        let (row, parcel) = read(&row)?;
        let (state, reason) = match &receipt.lost {
            None => (State::Delivered, None),
            Some((code, Class::Recipient)) => (State::Bounced, Some(code.clone())),
            Some((code, _)) => (State::Failed, Some(code.clone())),
        };
        let query = Query::new(
            "UPDATE deliveries SET state = $2, reason = $3, updated_at = $4 WHERE id = $1",
        );
        let query = query.bind(&row.id).bind(name(&state)?).bind(reason.clone()).bind(now);
        work.execute(query).await?;
        if let (State::Bounced, Some(code)) = (state, &reason) {
            lists::add(&mut work, row.channel, &row.endpoint, code, now).await?;
        }
        tell(&mut work, &outcome(&row, &parcel, (state, reason), now)).await?;
        work.commit().await?;
        Ok(true)
    }
}
