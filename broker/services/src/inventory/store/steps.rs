//! What happens to reservations: each step is done to all lines, or to none.

use std::collections::BTreeSet;

use super::books::Books;
use super::events::Fate;
use super::reserve::told;
use super::{Error, Stock, holds};
use crate::inventory::model::{Hold, HoldStatus, Item, Reservation, reservation};
use crate::inventory::rules::hold::{self, Delta, Event};
use crate::refusal::Refusal;

const UNKNOWN: Refusal = Refusal::NotFound("there is no such reservation, or not for the asker");
const ENDED: Refusal = Refusal::Closed("the reservation has ended");

/// Does to a reservation what happens to it; whether that changes it. Ended lines are no matter for what ends a reservation,
/// and stand in the way of all else.
pub(super) async fn step(
    stock: &Stock,
    id: &str,
    event: &Event,
) -> Result<(Reservation, bool), Error> {
    let (mut books, found) = locked(stock, id).await?;
    let ends = matches!(event, Event::Release | Event::Expire);
    let is_over = |hold: &Hold| ends && !hold.status.is_live();
    if found.iter().all(is_over) {
        let is_repeated = *event == Event::Release
            && found.iter().all(|hold| hold.status == HoldStatus::Released);
        return if is_repeated { Ok((whole(&found)?, false)) } else { Err(ENDED.into()) };
    }
    let (mut stand, mut changed) = (Vec::new(), Vec::new());
    for before in found {
        if is_over(&before) {
            stand.push(before);
            continue;
        }
        let step = hold::step(&before, event, books.now)?;
        if step.0 != before {
            books.follow(&before, &step, None).await?;
            changed.push(step.0.clone());
        }
        stand.push(step.0);
    }
    let is_changed = !changed.is_empty();
    if is_changed {
        let now = books.now;
        told(&mut books, fate(event), &changed, now)?;
        books.commit().await?;
    }
    Ok((whole(&stand)?, is_changed))
}

/// Sells what a reservation held whose payment came when its time was over, if all of it can be had
/// again.
///
/// # Errors
/// `Closed` if not, which is told once as `reservation:commit_failed`.
pub(super) async fn commit_late(
    stock: &Stock,
    id: &str,
    order: &str,
) -> Result<Reservation, Error> {
    let (mut books, found) = locked(stock, id).await?;
    let mut sold = Vec::new();
    for before in &found {
        let step = hold::late(before, order, books.now)?;
        // What nobody has ended is still there; all else must be available again.
        let available_min = (step.1.reserved == 0).then_some(before.quantity);
        if !books.follow(before, &step, available_min).await? {
            drop(books);
            return fail(stock, id, order).await;
        }
        sold.push(step.0);
    }
    let now = books.now;
    let reservation = told(&mut books, Fate::Committed, &sold, now)?;
    books.commit().await?;
    Ok(reservation)
}

/// Ends a reservation whose payment came too late, for good.
async fn fail(stock: &Stock, id: &str, order: &str) -> Result<Reservation, Error> {
    let (mut books, found) = locked(stock, id).await?;
    let mut failed = Vec::new();
    for before in &found {
        hold::late(before, order, books.now)?;
        let mut step = match before.status.is_live() {
            true => hold::step(before, &Event::Expire, books.now)?,
            false => (before.clone(), Delta::NONE),
        };
        step.0.order_id = Some(order.to_owned());
        books.follow(before, &step, None).await?;
        failed.push(step.0);
    }
    let now = books.now;
    told(&mut books, Fate::CommitFailed, &failed, now)?;
    books.commit().await?;
    Err(Refusal::Closed("its time was over, and others have the stock: pay the money back").into())
}

/// The holds of a reservation, under the locks of their items.
async fn locked<'d>(stock: &'d Stock, id: &str) -> Result<(Books<'d>, Vec<Hold>), Error> {
    let items: BTreeSet<Item> =
        holds::of(&stock.database, id).await?.iter().map(|hold| hold.key.item()).collect();
    if items.is_empty() {
        return Err(UNKNOWN.into());
    }
    let mut books = Books::open(stock.database.begin().await?, &items).await?;
    let found = holds::within(&mut books.work, id).await?;
    Ok((books, found))
}

fn whole(holds: &[Hold]) -> Result<Reservation, Error> {
    reservation(holds).ok_or_else(|| UNKNOWN.into())
}

fn fate(event: &Event) -> Fate {
    match event {
        Event::Extend => Fate::Extended,
        Event::PaymentStarted => Fate::PaymentPending,
        Event::PaymentFailed => Fate::PaymentFailed,
        Event::Commit(_) => Fate::Committed,
        Event::Release => Fate::Released,
        Event::Expire => Fate::Expired,
    }
}
