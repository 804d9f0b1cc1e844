//! What is told of stock, as the outbox takes it.

use sampan_client::{Topic, topic_token};
use serde::Serialize;

use crate::inventory::model::{InventoryUpdate, Item, LowStock, Reservation, ViewerUpdate};
use crate::inventory::rules::edge::Edge;
use crate::moment::Moment;
use crate::outbox::{DASHBOARD, Event};
use crate::refusal::Refusal;
use crate::store::Error;

/// What becomes of a reservation, in the names of its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Held,
    Extended,
    PaymentPending,
    PaymentFailed,
    Committed,
    Released,
    Expired,
    CommitFailed,
}

impl Fate {
    fn name(self) -> &'static str {
        match self {
            Fate::Held => "reservation:held",
            Fate::Extended => "reservation:extended",
            Fate::PaymentPending => "reservation:payment_pending",
            Fate::PaymentFailed => "reservation:payment_failed",
            Fate::Committed => "reservation:committed",
            Fate::Released => "reservation:released",
            Fate::Expired => "reservation:expired",
            Fate::CommitFailed => "reservation:commit_failed",
        }
    }
}

/// Whether a product's viewers can have a topic.
///
/// # Errors
/// A refusal of `product_id` if it is too long for one.
pub(super) fn check(product_id: &str) -> Result<(), Refusal> {
    let topic = Topic::parse(&viewers(product_id));
    topic.map(drop).map_err(|_| Refusal::field("product_id", "too long for a topic"))
}

/// For those who look: the newest holds, also for who comes later.
pub(super) fn viewed(item: &Item, view: &ViewerUpdate, at: Moment) -> Result<Event, Error> {
    let event = of_product(item, "inventory_update", view, at)?;
    Ok(event.key(&format!("stock:{}", item.variant_id)).version(view.version))
}

/// The edge beside it, under a key of its own: it takes nothing from the quantity.
pub(super) fn edge(
    item: &Item,
    edge: Edge,
    view: &ViewerUpdate,
    at: Moment,
) -> Result<Event, Error> {
    let name = match edge {
        Edge::OutOfStock => "out_of_stock",
        Edge::BackInStock => "back_in_stock",
    };
    let event = of_product(item, name, view, at)?;
    Ok(event.key(&format!("edge:{}", item.variant_id)).version(view.version))
}

/// For the shop: a level has changed.
pub(super) fn changed(update: &InventoryUpdate) -> Result<Event, Error> {
    let event = made(DASHBOARD, "inventory_alert", update, update.timestamp)?;
    Ok(event.key(&update.product_id))
}

/// For the shop: a level is low.
pub(super) fn low(low: &LowStock, at: Moment) -> Result<Event, Error> {
    Ok(made(DASHBOARD, "low_stock_alert", low, at)?.key(&low.key.product_id))
}

/// For the shop's programs: what becomes of a reservation.
pub(super) fn reservation(fate: Fate, it: &Reservation, at: Moment) -> Result<Event, Error> {
    Ok(made("inventory.reservation", fate.name(), it, at)?.key(&it.reservation_id))
}

fn of_product(item: &Item, name: &str, view: &ViewerUpdate, at: Moment) -> Result<Event, Error> {
    made(&viewers(&item.product_id), name, view, at)
}

/// Where the viewers of a product are told.
fn viewers(product_id: &str) -> String {
    format!("inventory.product.{}", topic_token(product_id))
}

fn made(topic: &str, name: &str, payload: &impl Serialize, at: Moment) -> Result<Event, Error> {
    Ok(Event::of(topic, name, at, payload)?.producer("inventory"))
}
