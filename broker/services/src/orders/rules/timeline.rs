//! What a checkpoint does to an order: by the time at which it was so, not at which it was heard.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::moment::Moment;
use crate::orders::model::{Checkpoint, Order, OrderStatusUpdate, Source, Status};
use crate::signature::{digest_of, id_of};

/// A carrier corrects how an order has ended within so long. Later it uses the number again.
pub const CORRECTED_WITHIN: Duration = Duration::from_secs(30 * 86_400);

/// What a checkpoint does.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It was heard before; nothing is kept.
    Duplicate,
    /// It is older than the order: the carrier has used the number before. Nothing is kept.
    Foreign,
    /// Its code is not known: it is kept, and the shop is told.
    Unknown,
    /// It is older than what the order stands on, or what stands is final: it is kept.
    Late,
    /// The order stands there already; what stands is as new as the checkpoint.
    Same(Order),
    /// The order stands there from then on.
    Changed(Order, Box<OrderStatusUpdate>),
}

/// What makes a checkpoint the same as another, whoever brings it. Where a carrier gives a place no
/// coordinates, its notes name it.
#[must_use]
pub fn fingerprint(point: &Checkpoint) -> String {
    let notes = point.notes.as_deref().unwrap_or_default();
    let place = point.location.as_ref().map_or(notes, |location| &location.address);
    let time = point.event_time.as_ms().to_string();
    digest_of(&[&point.carrier, &point.tracking_number, &time, &point.raw_code, place])
}

/// What each checkpoint does, in the order in which they were so. `known` are the fingerprints of
/// the order's history. The order of the last outcome that has one is how it stands.
#[must_use]
pub fn merge(
    order: &Order,
    mut points: Vec<Checkpoint>,
    known: &BTreeSet<String>,
) -> Vec<(Checkpoint, Outcome)> {
    points.sort_by_key(|point| (when(point), point.status));
    let (mut order, mut heard) = (order.clone(), BTreeSet::new());
    let mut out = Vec::new();
    for point in points {
        let print = fingerprint(&point);
        let outcome = if known.contains(&print) || !heard.insert(print) {
            Outcome::Duplicate
        } else {
            apply(&order, &point)
        };
        if let Outcome::Same(next) | Outcome::Changed(next, _) = &outcome {
            order = next.clone();
        }
        out.push((point, outcome));
    }
    out
}

/// What a checkpoint that was not heard before does.
#[must_use]
pub fn apply(order: &Order, point: &Checkpoint) -> Outcome {
    let at = when(point);
    if point.source != Source::Admin && at < order.created_at {
        return Outcome::Foreign;
    }
    let Some(status) = point.status else { return Outcome::Unknown };
    // Of two at the same time the later stage counts.
    if (at, status) < (order.status_at, order.status) && point.source != Source::Admin {
        return Outcome::Late;
    }
    let after = Order {
        status,
        status_at: at,
        estimated_delivery: point.estimated_delivery.or(order.estimated_delivery),
        updated_at: point.observed_at,
        ..order.clone()
    };
    if status == order.status {
        return Outcome::Same(after);
    }
    let is_over = order.status.is_terminal() && at.since(order.status_at) > CORRECTED_WITHIN;
    if !may_follow(order.status, status, point.source) || is_over && point.source != Source::Admin {
        return Outcome::Late;
    }
    let after = Order { version: order.version.saturating_add(1), ..after };
    let update = told(order, &after, point);
    Outcome::Changed(after, Box::new(update))
}

/// Whether a status may follow another. What is final is left by a correction only: a carrier may
/// find that a parcel was not delivered, or brings it back; the shop may say anything.
#[must_use]
pub fn may_follow(from: Status, to: Status, source: Source) -> bool {
    match (from, source) {
        _ if from == to => false,
        (_, Source::Admin) => true,
        (Status::Delivered, _) => matches!(to, Status::Exception | Status::Returning),
        (Status::Returned | Status::Cancelled, _) => false,
        // What comes before the parcel is the shop's to say.
        _ => to > Status::Packed || (to == Status::Packed && from < Status::Packed),
    }
}

/// The carrier's time; one that is still to come counts as that of the hearing, so that a wrong
/// clock does not stop the order where it is.
fn when(point: &Checkpoint) -> Moment {
    point.event_time.min(point.observed_at)
}

fn told(before: &Order, after: &Order, point: &Checkpoint) -> OrderStatusUpdate {
    OrderStatusUpdate {
        order_id: after.id.clone(),
        customer_id: after.customer_id.clone(),
        previous_status: before.status,
        current_status: after.status,
        timestamp: after.status_at,
        location: point.location.clone(),
        estimated_delivery: after.estimated_delivery,
        tracking_number: after.tracking_number.clone(),
        notes: point.notes.clone(),
        version: after.version,
        event_id: id_of(&["order", &after.id, &after.version.to_string()]),
        carrier: after.carrier.clone(),
        event_time: after.status_at,
        observed_at: point.observed_at,
    }
}

#[cfg(test)]
#[path = "timeline_tests.rs"]
mod tests;
