//! The tables of orders. What is asked for by a value has a column; the rest is JSON in `body`.
//!
//! Whatever is heard of an order is taken under the lock of its row: the change, the history, the
//! events and the jobs that end by it are one transaction.

mod jobs;
mod pages;
mod schema;

use std::collections::BTreeSet;

pub use self::pages::Whose;
pub(crate) use self::schema::SCHEMA;
use super::asked::{Heard, Upsert};
use super::events;
use super::model::{Checkpoint, Order, StopReason};
use super::rules::polling::{Answer, Job, answered, start, told};
use super::rules::timeline::{Outcome, fingerprint, merge};
use crate::moment::Moment;
use crate::outbox;
use crate::store::encoding::json;
use crate::store::{Database, Error, Query, Work, each};

/// Checkpoints that are kept of one order; what comes beyond moves it and is not kept.
const HISTORY_MAX: usize = 1_000;

/// The orders of a database. Its clock is the clock of all of them.
#[derive(Clone, Debug)]
pub struct Orders(Database);

impl Orders {
    /// The orders of this database.
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Orders(database.clone())
    }

    /// Adds an order or puts what is told in the place of what was told before; how it stands then.
    /// With a new number the carrier is asked about that, and about the old one no more.
    ///
    /// # Errors
    /// `Conflict` if it is another customer's. Those of the database.
    pub async fn upsert(&self, told: &Upsert) -> Result<Order, Error> {
        let mut work = self.0.begin().await?;
        let now = work.now().await?;
        let placed_at = told.placed_at.unwrap_or(now).min(now);
        let fresh = Order {
            id: told.id.clone(),
            customer_id: told.customer_id.clone(),
            status_at: placed_at,
            created_at: placed_at,
            updated_at: now,
            ..Order::default()
        };
        insert(&mut work, &fresh).await?;
        let before = lock(&mut work, &told.id).await?.unwrap_or(fresh);
        if before.customer_id != told.customer_id {
            return Err(Error::Conflict("the order is another customer's".to_owned()));
        }
        let after = Order {
            agent_id: told.agent_id.clone(),
            carrier: told.carrier.clone(),
            tracking_number: told.tracking_number.clone(),
            estimated_delivery: told.estimated_delivery,
            updated_at: now,
            ..before.clone()
        };
        replace(&mut work, &after).await?;
        let is_moved =
            (&before.carrier, &before.tracking_number) != (&after.carrier, &after.tracking_number);
        if is_moved {
            jobs::stop_all(&mut work, &after.id, StopReason::Withdrawn, now).await?;
        }
        jobs::begin(&mut work, start(&after, now), false).await?;
        work.commit().await?;
        Ok(after)
    }

    /// Takes what was heard of an order, each checkpoint once, in the order in which they were so;
    /// `None` if there is no such order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn hear(&self, id: &str, points: Vec<Checkpoint>) -> Result<Option<Heard>, Error> {
        let mut work = self.0.begin().await?;
        let Some(order) = lock(&mut work, id).await? else { return Ok(None) };
        let now = work.now().await?;
        let heard = take(&mut work, order, points, now).await?;
        work.commit().await?;
        Ok(Some(heard))
    }

    /// Takes what a carrier has told by itself of one of its numbers, for the newest order that has
    /// the number now, since carriers use numbers again; `None` if no order has.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn hear_of(
        &self,
        carrier: &str,
        number: &str,
        points: Vec<Checkpoint>,
    ) -> Result<Option<Heard>, Error> {
        let mut work = self.0.begin().await?;
        for id in jobs::orders_of(&mut work, carrier, number).await? {
            let Some(order) = lock(&mut work, &id).await? else { continue };
            let Some((carrier, number)) = parcel(&order, carrier, number) else { continue };
            let now = work.now().await?;
            // Under the shop's spelling it is known what was heard before.
            let spelled = |point| Checkpoint {
                carrier: carrier.clone(),
                tracking_number: number.clone(),
                ..point
            };
            let points = points.into_iter().map(spelled).collect();
            let heard = take(&mut work, order, points, now).await?;
            let status = heard.order.status;
            jobs::change(&mut work, &id, &carrier, &number, |job| told(job, status, now)).await?;
            work.commit().await?;
            return Ok(Some(heard));
        }
        Ok(None)
    }

    /// Takes what the carrier has answered to a poll, and sets the time of the next; `seed` spreads
    /// it. What it says of a job that has ended meanwhile is taken all the same, but of a number that
    /// the order has no longer. Whether the order has a new status.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn answered(
        &self,
        asked: &Job,
        answer: Result<Vec<Checkpoint>, Option<std::time::Duration>>,
        seed: u64,
    ) -> Result<bool, Error> {
        let mut work = self.0.begin().await?;
        let Some(order) = lock(&mut work, &asked.order_id).await? else { return Ok(false) };
        let now = work.now().await?;
        let (points, failure) = match answer {
            Ok(_) if parcel(&order, &asked.carrier, &asked.tracking_number).is_none() => {
                (Vec::new(), None)
            }
            Ok(points) => (points, None),
            Err(retry_after) => (Vec::new(), Some(Answer::Failed(retry_after))),
        };
        let heard = take(&mut work, order, points, now).await?;
        let said = failure.unwrap_or(Answer::Known(heard.order.status));
        let Job { order_id, carrier, tracking_number, .. } = asked;
        let next = |job: &Job| answered(job, said, now, seed);
        jobs::change(&mut work, order_id, carrier, tracking_number, next).await?;
        work.commit().await?;
        Ok(heard.changed)
    }

    /// Begins to ask the carrier about an order, or again; whether its carrier is asked from then
    /// on. `None` if there is no such order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn track(&self, id: &str) -> Result<Option<bool>, Error> {
        let mut work = self.0.begin().await?;
        let Some(order) = lock(&mut work, id).await? else { return Ok(None) };
        let now = work.now().await?;
        let is_tracked = jobs::begin(&mut work, start(&order, now), true).await?;
        work.commit().await?;
        Ok(Some(is_tracked))
    }

    /// Asks the carrier about an order no more; `None` if there is no such order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn untrack(&self, id: &str) -> Result<Option<()>, Error> {
        let mut work = self.0.begin().await?;
        if lock(&mut work, id).await?.is_none() {
            return Ok(None);
        }
        let now = work.now().await?;
        jobs::stop_all(&mut work, id, StopReason::Withdrawn, now).await?;
        work.commit().await?;
        Ok(Some(()))
    }

    /// At most `max` jobs whose time has come, each for this caller alone for a minute.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn due(&self, max: u32) -> Result<Vec<Job>, Error> {
        jobs::due(&self.0, max).await
    }

    /// Ends at most `max` jobs whose seven days are over; how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn expire(&self, max: u32) -> Result<usize, Error> {
        jobs::expire(&self.0, max).await
    }
}

/// The carrier and the number of an order, as the shop writes them, if they are these.
fn parcel(order: &Order, carrier: &str, number: &str) -> Option<(String, String)> {
    let own = (order.carrier.clone()?, order.tracking_number.clone()?);
    let is_same = own.0.eq_ignore_ascii_case(carrier) && own.1.eq_ignore_ascii_case(number);
    is_same.then_some(own)
}

/// What becomes of an order by what was heard. Its row is locked.
async fn take(
    work: &mut Work<'_>,
    order: Order,
    points: Vec<Checkpoint>,
    now: Moment,
) -> Result<Heard, Error> {
    let points = points.into_iter().map(|point| Checkpoint {
        // What gives no time is so now.
        event_time: if point.event_time == Moment::default() { now } else { point.event_time },
        observed_at: now,
        ..point
    });
    let known = known(work, &order.id).await?;
    let mut room = HISTORY_MAX.saturating_sub(known.len());
    let before = order.version;
    let mut stands = order.clone();
    for (point, outcome) in merge(&order, points.collect(), &known) {
        let print = fingerprint(&point);
        match &outcome {
            Outcome::Duplicate | Outcome::Foreign => continue,
            Outcome::Unknown if room == 0 => continue,
            Outcome::Unknown => {
                outbox::add(work, &events::unknown(&order, &point, &print)?).await?
            }
            Outcome::Late => {}
            Outcome::Same(next) => stands = next.clone(),
            Outcome::Changed(next, update) => {
                stands = next.clone();
                for event in events::changed(update)? {
                    outbox::add(work, &event).await?;
                }
            }
        }
        // An order goes on where its history has ended.
        if room == 0 {
            continue;
        }
        room -= 1;
        keep(work, &stands, &point, &print).await?;
        outbox::add(work, &events::heard(&order, &point, &print)?).await?;
    }
    if stands != order {
        replace(work, &stands).await?;
    }
    if stands.status.is_terminal() {
        jobs::stop_all(work, &stands.id, StopReason::Terminal, now).await?;
    }
    Ok(Heard { changed: stands.version != before, order: stands })
}

/// The order of this id, which nobody else changes until the transaction ends.
async fn lock(work: &mut Work<'_>, id: &str) -> Result<Option<Order>, Error> {
    let text = each(
        "SELECT body FROM orders WHERE id = $1",
        "SELECT body FROM orders WHERE id = $1 FOR UPDATE",
    );
    work.one(Query::new(text).bind(id)).await?.map(|row| row.json("body")).transpose()
}

async fn insert(work: &mut Work<'_>, order: &Order) -> Result<(), Error> {
    let query = Query::new(
        "INSERT INTO orders (id, customer_id, agent_id, status, estimated_delivery, placed_at, \
         body) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING",
    );
    work.execute(columns(query, order)?).await.map(|_| ())
}

async fn replace(work: &mut Work<'_>, order: &Order) -> Result<(), Error> {
    let query = Query::new(
        "UPDATE orders SET customer_id = $2, agent_id = $3, status = $4, \
         estimated_delivery = $5, placed_at = $6, body = $7 WHERE id = $1",
    );
    work.execute(columns(query, order)?).await.map(|_| ())
}

fn columns(query: Query, order: &Order) -> Result<Query, Error> {
    let query = query.bind(&order.id).bind(&order.customer_id).bind(order.agent_id.clone());
    let query = query.bind(order.status.name());
    let query = query.bind(order.estimated_delivery.map(Moment::as_ms));
    Ok(query.bind(order.created_at.as_ms()).bind(json(order)?))
}

/// The fingerprints of an order's history.
async fn known(work: &mut Work<'_>, id: &str) -> Result<BTreeSet<String>, Error> {
    let query = Query::new("SELECT fingerprint FROM order_events WHERE order_id = $1").bind(id);
    work.all(query).await?.iter().map(|row| row.get("fingerprint")).collect()
}

/// Adds to an order's history.
async fn keep(
    work: &mut Work<'_>,
    order: &Order,
    point: &Checkpoint,
    print: &str,
) -> Result<(), Error> {
    let query = Query::new(
        "INSERT INTO order_events (order_id, fingerprint, event_time, body) \
         VALUES ($1, $2, $3, $4)",
    );
    let query = query.bind(&order.id).bind(print).bind(point.event_time.as_ms());
    work.execute(query.bind(json(point)?)).await.map(|_| ())
}
