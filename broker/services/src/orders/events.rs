//! The events of an order, for all who wait for them. Each is named by its order and what it tells,
//! so that it is taken once however often it is sent.

use sampan_client::topic_token;
use serde::Serialize;
use serde_json::json;

use super::model::{
    Checkpoint, Order, OrderStatusUpdate, StatusChange, StopReason, TrackingEvent, TrackingStopped,
};
use super::rules::polling::Job;
use crate::moment::Moment;
use crate::notifications::model::{Channel, Kind, Trigger};
use crate::outbox::{DASHBOARD, Event};
use crate::store::Error;

/// What follows from a new status. The customer is told at once on every page, so that the
/// notification goes by push alone.
pub(super) fn changed(update: &OrderStatusUpdate) -> Result<Vec<Event>, Error> {
    let lag = update.observed_at.since(update.event_time).as_millis();
    let change = StatusChange {
        order_id: update.order_id.clone(),
        status: update.current_status,
        customer_id: update.customer_id.clone(),
        previous_status: update.previous_status,
        carrier: update.carrier.clone(),
        lag_ms: u64::try_from(lag).unwrap_or(u64::MAX),
    };
    let trigger = Trigger {
        user_id: update.customer_id.clone(),
        kind: Kind::OrderStatusUpdate,
        data: json!(update).into(),
        channels: Some(vec![Channel::Push]),
        priority: None,
        ttl: None,
        idempotency_key: Some(update.event_id.clone()),
        event_id: Some(update.event_id.clone()),
    };
    let user = format!("user.{}", topic_token(&update.customer_id));
    let about = About { order_id: &update.order_id, what: &update.version.to_string() };
    let at = update.observed_at;
    Ok(vec![
        about.event(&about.topic(), "order_status_update", at, update)?,
        about.event(&user, "order_status_update", at, update)?,
        about.event(DASHBOARD, "order_tracking_update", at, update)?,
        about.event("notify.trigger", "notification:trigger", at, &trigger)?,
        about.event("analytics.events", "order_status_change", at, &change)?,
    ])
}

/// What was heard of an order, for those who look at it; `print` tells it from all others.
pub(super) fn heard(order: &Order, checkpoint: &Checkpoint, print: &str) -> Result<Event, Error> {
    let about = About { order_id: &order.id, what: print };
    let told = TrackingEvent { order_id: order.id.clone(), checkpoint: checkpoint.clone() };
    about.event(&about.topic(), "order:tracking_event", checkpoint.observed_at, &told)
}

/// A code that nobody has told of, for the operators.
pub(super) fn unknown(order: &Order, checkpoint: &Checkpoint, print: &str) -> Result<Event, Error> {
    let about = About { order_id: &order.id, what: print };
    let told = TrackingEvent { order_id: order.id.clone(), checkpoint: checkpoint.clone() };
    about.event(DASHBOARD, "order_tracking_alert", checkpoint.observed_at, &told)
}

/// The carrier is asked no more. Operators are told where that is not the usual end.
pub(super) fn stopped(job: &Job, reason: StopReason, at: Moment) -> Result<Vec<Event>, Error> {
    let told = TrackingStopped {
        order_id: job.order_id.clone(),
        carrier: job.carrier.clone(),
        tracking_number: job.tracking_number.clone(),
        reason,
    };
    let what = format!("{}:{}", job.tracking_number, job.started_at.as_ms());
    let about = About { order_id: &job.order_id, what: &what };
    let mut events = vec![about.event(&about.topic(), "order:tracking_stopped", at, &told)?];
    if reason == StopReason::Expired {
        events.push(about.event(DASHBOARD, "order:tracking_stopped", at, &told)?);
    }
    Ok(events)
}

/// What events are about.
struct About<'a> {
    order_id: &'a str,
    /// What of the order they tell.
    what: &'a str,
}

impl About<'_> {
    fn topic(&self) -> String {
        format!("order.{}", topic_token(self.order_id))
    }

    fn event(
        &self,
        topic: &str,
        name: &str,
        at: Moment,
        payload: &impl Serialize,
    ) -> Result<Event, Error> {
        let event = Event::of(topic, name, at, payload)?.producer("orders").key(self.order_id);
        Ok(event.named(&["order", self.order_id, self.what, name, kind(topic)]))
    }
}

/// The first token, which tells the topics of an order apart.
fn kind(topic: &str) -> &str {
    topic.split('.').next().unwrap_or_default()
}
