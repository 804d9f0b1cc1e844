//! Reservations: all lines are held, or none.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::books::{Books, places};
use super::events::{self, Fate};
use super::{Error, Stock, holds, requests};
use crate::id::Id;
use crate::inventory::model::{Hold, Item, Key, ONLINE, Reason, Reservation, reservation};
use crate::inventory::rules::allocation;
use crate::inventory::rules::hold::{self, Delta, Event, HOLD, Line};
use crate::moment::Moment;
use crate::refusal::Refusal;
use crate::store;

/// What a customer wants to hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// The customer.
    pub customer_id: String,
    /// What of, and how much; at [`ONLINE`], wherever there is some.
    pub lines: Vec<Line>,
    /// Under which it takes effect once.
    #[serde(skip)]
    pub idempotency_key: Option<String>,
    /// Lines that the customer may hold at the same time.
    #[serde(skip)]
    pub held_max: Option<i64>,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is held.
    Held(Reservation),
    /// It was held before, under the same key, and stands so.
    Known(Reservation),
    /// There is not enough of this. Nothing is held that was not before.
    Short {
        /// Of what, and where.
        key: Key,
        /// How much this customer could hold.
        available: i64,
    },
}

/// Holds all lines or none. What the customer held of the same items is given up for it. Where
/// there is not enough, holds whose time is over are ended, and it is tried once more.
pub(super) async fn reserve(stock: &Stock, wanted: &Wanted) -> Result<Outcome, Error> {
    let wanted = Wanted { lines: hold::lines(&wanted.lines)?, ..wanted.clone() };
    let items: BTreeSet<Item> = wanted.lines.iter().map(|line| line.key.item()).collect();
    let first = attempt(stock, &wanted, &items).await?;
    if matches!(first, Outcome::Short { .. }) && stock.expire_of(&items).await? > 0 {
        return attempt(stock, &wanted, &items).await;
    }
    Ok(first)
}

async fn attempt(stock: &Stock, wanted: &Wanted, items: &BTreeSet<Item>) -> Result<Outcome, Error> {
    // Whatever returns early takes everything back.
    let mut work = stock.database.begin().await?;
    let (id, customer) = (Id::new().to_string(), wanted.customer_id.as_str());
    if let Some(key) = &wanted.idempotency_key {
        let scope = format!("reserve {customer}");
        if let Some(id) = requests::once(&mut work, (&scope, key), wanted, &id).await? {
            let first = reservation(&holds::within(&mut work, &id).await?);
            let gone = || store::Error::Damaged(format!("{id}: a reservation without holds"));
            return Ok(Outcome::Known(first.ok_or_else(gone)?));
        }
    }
    let mut books = Books::open(work, items).await?;
    end_own(&mut books, customer, items).await?;
    let mut taken = BTreeMap::new();
    for line in &wanted.lines {
        if let Err(available) = take(stock, &mut books, line, &id, &mut taken).await? {
            return Ok(Outcome::Short { key: line.key.clone(), available });
        }
    }
    let now = books.now;
    let mut made = Vec::new();
    for (key, quantity) in taken {
        let hold = Hold {
            id: id.clone(),
            key,
            quantity,
            customer_id: customer.to_owned(),
            expires_at: now.after(HOLD),
            created_at: now,
            ..Hold::default()
        };
        holds::insert(&mut books.work, &hold).await?;
        made.push(hold);
    }
    let held_max = wanted.held_max.unwrap_or(i64::MAX);
    if holds::count_of(&mut books.work, customer).await? > held_max {
        return Err(Refusal::Full("the customer holds as much as may be").into());
    }
    let reservation = told(&mut books, Fate::Held, &made, now)?;
    books.commit().await?;
    Ok(Outcome::Held(reservation))
}

/// Ends what the customer holds of these items and does not pay for yet.
async fn end_own(
    books: &mut Books<'_>,
    customer: &str,
    items: &BTreeSet<Item>,
) -> Result<(), Error> {
    let mut ended: BTreeMap<String, (Fate, Vec<Hold>)> = BTreeMap::new();
    for item in items {
        for own in holds::own(&mut books.work, customer, item).await? {
            let (event, fate) = match books.now >= own.expires_at {
                true => (Event::Expire, Fate::Expired),
                false => (Event::Release, Fate::Released),
            };
            let step = hold::step(&own, &event, books.now)?;
            books.follow(&own, &step, None).await?;
            ended.entry(own.id).or_insert((fate, Vec::new())).1.push(step.0);
        }
    }
    let now = books.now;
    for (fate, holds) in ended.values() {
        told(books, *fate, holds, now)?;
    }
    Ok(())
}

/// Takes what a line wants from where it is, and adds it to what is taken; what is available, if
/// that is not enough.
async fn take(
    stock: &Stock,
    books: &mut Books<'_>,
    Line { key, quantity }: &Line,
    id: &str,
    taken: &mut BTreeMap<Key, i64>,
) -> Result<Result<(), i64>, Error> {
    let item = key.item();
    let mut places = places(&mut books.work, &item).await?;
    if key.location != ONLINE {
        places.retain(|place| place.location == key.location && place.is_sellable);
        if places.is_empty() {
            return Err(Refusal::NotFound("nothing of it is sold at this location").into());
        }
    }
    let given = match allocation::allocate(&places, *quantity, stock.order) {
        Ok(given) => given,
        Err(available) => return Ok(Err(available)),
    };
    for (location, quantity) in given {
        let key = item.at(location);
        let delta = Delta { on_hand: 0, reserved: quantity, reason: Some(Reason::Reserved) };
        if !books.change(&key, &delta, Some(quantity), id).await? {
            return Ok(Err(allocation::online(&places)));
        }
        *taken.entry(key).or_default() += quantity;
    }
    Ok(Ok(()))
}

/// Tells what becomes of these holds of one reservation, and answers it.
pub(super) fn told(
    books: &mut Books<'_>,
    fate: Fate,
    holds: &[Hold],
    at: Moment,
) -> Result<Reservation, store::Error> {
    let none = || store::Error::Program("a reservation without holds".to_owned());
    let reservation = reservation(holds).ok_or_else(none)?;
    books.tell(events::reservation(fate, &reservation, at)?);
    Ok(reservation)
}
