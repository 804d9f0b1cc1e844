//! What is read of orders, in pages.

use super::Orders;
use crate::orders::asked::Summary;
use crate::orders::model::{Checkpoint, Order, Status};
use crate::store::{Error, Query, Row, both};

/// Failures in a row from which a job counts as stuck.
const STUCK: i64 = 4;

/// Whose orders are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Anybody's.
    All,
    /// A customer's.
    Customer(String),
    /// Those that an agent looks after.
    Agent(String),
}

impl Orders {
    /// The order of this id.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(&self, id: &str) -> Result<Option<Order>, Error> {
        let query = Query::new("SELECT body FROM orders WHERE id = $1").bind(id);
        self.0.one(query).await?.map(|row| row.json("body")).transpose()
    }

    /// At most `max` orders, the newest first: those that stand there, and were placed before that
    /// order, if it is said; `None` if there is no such order among them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn list(
        &self,
        whose: &Whose,
        status: Option<Status>,
        before: Option<&str>,
        max: u32,
    ) -> Result<Option<Vec<Order>>, Error> {
        if let Some(before) = before {
            let is_among = |order: &Order| match whose {
                Whose::All => true,
                Whose::Customer(id) => order.customer_id == *id,
                Whose::Agent(id) => order.agent_id.as_ref() == Some(id),
            };
            if !self.find(before).await?.as_ref().is_some_and(is_among) {
                return Ok(None);
            }
        }
        macro_rules! text {
            ($whose:literal) => {
                both(concat!(
                    "SELECT body FROM orders WHERE ",
                    $whose,
                    " AND ($2 = '' OR status = $2) AND ($3 = '' OR (placed_at, id) < \
                     (SELECT placed_at, id FROM orders WHERE id = $3)) \
                     ORDER BY placed_at DESC, id DESC LIMIT $4"
                ))
            };
        }
        let (text, id) = match whose {
            Whose::All => (text!("$1 = ''"), ""),
            Whose::Customer(id) => (text!("customer_id = $1"), id.as_str()),
            Whose::Agent(id) => (text!("agent_id = $1"), id.as_str()),
        };
        let query = Query::new(text).bind(id).bind(status.map_or("", Status::name));
        let query = query.bind(before.unwrap_or_default()).bind(i64::from(max));
        self.0
            .all(query)
            .await?
            .iter()
            .map(|row| row.json("body"))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// The newest of what was heard of an order, at most `max`, in the order in which it was so.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn history(&self, id: &str, max: u32) -> Result<Vec<Checkpoint>, Error> {
        let query = Query::new(
            "SELECT body FROM order_events WHERE order_id = $1 \
             ORDER BY event_time DESC, fingerprint LIMIT $2",
        );
        let rows = self.0.all(query.bind(id).bind(i64::from(max))).await?;
        rows.iter().rev().map(|row| row.json("body")).collect()
    }

    /// How all orders stand.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn summary(&self) -> Result<Summary, Error> {
        let by_status = Query::new("SELECT status, COUNT(*) AS n FROM orders GROUP BY status");
        let rows = self.0.all(by_status).await?;
        let pair = |row: &Row| Ok((row.get("status")?, row.get("n")?));
        let by_status = rows.iter().map(pair).collect::<Result<_, Error>>()?;
        let late = Query::new(
            "SELECT COUNT(*) AS n FROM orders WHERE estimated_delivery < $1 \
             AND status NOT IN ('delivered', 'returned', 'cancelled')",
        );
        let late = late.bind(self.0.begin().await?.now().await?);
        let tracked = Query::new("SELECT COUNT(*) AS n FROM tracking_jobs WHERE is_over = 0");
        let stuck = Query::new(
            "SELECT COUNT(*) AS n FROM tracking_jobs WHERE is_over = 0 AND errors >= $1",
        );
        let mut counts = [0; 3];
        for (at, query) in counts.iter_mut().zip([late, tracked, stuck.bind(STUCK)]) {
            *at = self.0.one(query).await?.as_ref().map_or(Ok(0), |row| row.get("n"))?;
        }
        let [late, tracked, stuck] = counts;
        Ok(Summary { by_status, late, tracked, stuck })
    }
}
