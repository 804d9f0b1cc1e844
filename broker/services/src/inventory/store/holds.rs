//! The rows of holds.

use crate::inventory::model::{Hold, Item, Key};
use crate::moment::Moment;
use crate::store::{Database, Error, Query, Row, Work};

/// The holds of a reservation, in the order of their keys, outside of a transaction.
pub(super) async fn of(database: &Database, id: &str) -> Result<Vec<Hold>, Error> {
    database.all(query_of(id)).await?.iter().map(read).collect()
}

/// As [`of`], as the transaction sees them.
pub(super) async fn within(work: &mut Work<'_>, id: &str) -> Result<Vec<Hold>, Error> {
    work.all(query_of(id)).await?.iter().map(read).collect()
}

fn query_of(id: &str) -> Query {
    let text = "SELECT * FROM reservations WHERE id = $1 ORDER BY product_id, variant_id, location";
    Query::new(text).bind(id)
}

/// The live holds of a customer, outside of a transaction.
pub(super) async fn live_of(database: &Database, customer: &str) -> Result<Vec<Hold>, Error> {
    let query = Query::new(
        "SELECT * FROM reservations \
         WHERE customer_id = $1 AND status IN ('held', 'payment_pending') \
         ORDER BY created_at, id, product_id, variant_id, location",
    );
    database.all(query.bind(customer)).await?.iter().map(read).collect()
}

/// How many lines a customer holds.
pub(super) async fn count_of(work: &mut Work<'_>, customer: &str) -> Result<i64, Error> {
    let query = Query::new(
        "SELECT COUNT(*) AS lines FROM reservations \
         WHERE customer_id = $1 AND status IN ('held', 'payment_pending')",
    );
    work.one(query.bind(customer)).await?.map_or(Ok(0), |row| row.get("lines"))
}

/// What a customer holds of an item and does not pay for yet.
pub(super) async fn own(
    work: &mut Work<'_>,
    customer: &str,
    item: &Item,
) -> Result<Vec<Hold>, Error> {
    let query = Query::new(
        "SELECT * FROM reservations WHERE customer_id = $1 AND product_id = $2 \
         AND variant_id = $3 AND status = 'held' ORDER BY id, location",
    );
    let query = query.bind(customer).bind(&item.product_id).bind(&item.variant_id);
    work.all(query).await?.iter().map(read).collect()
}

/// Reservations whose time is over, those that are over longest first.
pub(super) async fn overdue(
    database: &Database,
    now: Moment,
    max: i64,
) -> Result<Vec<String>, Error> {
    let query = Query::new(
        "SELECT id, MIN(expires_at) AS since FROM reservations \
         WHERE status IN ('held', 'payment_pending') AND expires_at <= $1 \
         GROUP BY id ORDER BY since LIMIT $2",
    );
    let rows = database.all(query.bind(now.as_ms()).bind(max)).await?;
    rows.iter().map(|row| row.get("id")).collect()
}

/// As [`overdue`], of one item.
pub(super) async fn overdue_of(
    database: &Database,
    item: &Item,
    now: Moment,
) -> Result<Vec<String>, Error> {
    let query = Query::new(
        "SELECT DISTINCT id FROM reservations WHERE product_id = $1 AND variant_id = $2 \
         AND status IN ('held', 'payment_pending') AND expires_at <= $3 ORDER BY id",
    );
    let query = query.bind(&item.product_id).bind(&item.variant_id).bind(now.as_ms());
    let rows = database.all(query).await?;
    rows.iter().map(|row| row.get("id")).collect()
}

pub(super) async fn insert(work: &mut Work<'_>, hold: &Hold) -> Result<(), Error> {
    let query = Query::new(
        "INSERT INTO reservations (id, product_id, variant_id, location, quantity, customer_id, \
         status, expires_at, is_extended, order_id, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    );
    let Key { product_id, variant_id, location } = &hold.key;
    let query = query.bind(&hold.id).bind(product_id).bind(variant_id).bind(location);
    let query = query.bind(hold.quantity).bind(&hold.customer_id).bind(hold.status.name());
    let query = query.bind(hold.expires_at.as_ms()).bind(hold.is_extended);
    let query = query.bind(hold.order_id.clone()).bind(hold.created_at.as_ms());
    work.execute(query).await.map(|_| ())
}

/// Puts a hold in the place of `before`, if it still stands so.
///
/// # Errors
/// `Contended` if it does not; those of the database.
pub(super) async fn replace(work: &mut Work<'_>, before: &Hold, after: &Hold) -> Result<(), Error> {
    let query = Query::new(
        "UPDATE reservations SET status = $5, expires_at = $6, is_extended = $7, order_id = $8 \
         WHERE id = $1 AND product_id = $2 AND variant_id = $3 AND location = $4 \
         AND status = $9 AND expires_at = $10",
    );
    let Key { product_id, variant_id, location } = &before.key;
    let query = query.bind(&before.id).bind(product_id).bind(variant_id).bind(location);
    let query = query.bind(after.status.name()).bind(after.expires_at.as_ms());
    let query = query.bind(after.is_extended).bind(after.order_id.clone());
    let query = query.bind(before.status.name()).bind(before.expires_at.as_ms());
    match work.execute(query).await? {
        1 => Ok(()),
        _ => Err(Error::Contended("a hold was changed meanwhile".to_owned())),
    }
}

fn read(row: &Row) -> Result<Hold, Error> {
    Ok(Hold {
        id: row.get("id")?,
        key: Key {
            product_id: row.get("product_id")?,
            variant_id: row.get("variant_id")?,
            location: row.get("location")?,
        },
        quantity: row.get("quantity")?,
        customer_id: row.get("customer_id")?,
        status: row.named("status")?,
        expires_at: Moment::from_ms(row.get("expires_at")?),
        is_extended: row.get("is_extended")?,
        order_id: row.get("order_id")?,
        created_at: Moment::from_ms(row.get("created_at")?),
    })
}
