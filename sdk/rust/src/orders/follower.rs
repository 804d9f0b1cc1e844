//! Following one order.

use serde::de::DeserializeOwned;

use super::{Order, OrderStatusUpdate, TrackingEvent, TrackingStopped};
use crate::notifications::Marks;
use crate::{Client, Delivery, Error, Gap, Received, Subscription};

/// What is told of an order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum News {
    /// It has a new status. Each is told once, in order.
    Status(OrderStatusUpdate),
    /// Something was heard of it, which may change nothing.
    Heard(TrackingEvent),
    /// Its carrier is asked no more.
    Stopped(TrackingStopped),
    /// Something that was told is lost: [`Orders::order`](super::Orders::order) says how it stands.
    Lost(Gap),
}

/// Somebody who follows an order. What its customer has been told by this gets no push.
#[derive(Debug)]
pub struct Follower {
    order: Order,
    told: Subscription,
    /// The last version that is known.
    version: u64,
    /// For the customer whose order it is.
    marks: Option<Marks>,
}

impl Follower {
    pub(super) fn new(client: &Client, order: Order, told: Subscription) -> Self {
        let is_own = client.status().user == order.customer_id;
        let marks = is_own.then(|| Marks::of(client));
        Follower { version: order.version, order, told, marks }
    }

    /// How the order stood when it was first asked for.
    #[must_use]
    pub fn order(&self) -> &Order {
        &self.order
    }

    /// What is told next; none when the subscription has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<News> {
        loop {
            let news = match self.told.next().await? {
                Delivery::Message(message) => read(&message),
                Delivery::Gap(gap) => gap.is_loss().then_some(News::Lost(gap)),
            };
            match news {
                Some(News::Status(update)) if update.version <= self.version => {}
                Some(News::Status(update)) => {
                    self.version = update.version;
                    if let Some(marks) = &self.marks {
                        marks.delivered(&update.event_id);
                    }
                    return Some(News::Status(update));
                }
                Some(news) => return Some(news),
                None => {}
            }
        }
    }

    /// Why there is no more, once there is not.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        self.told.error()
    }
}

/// What a message tells; nothing if it is of a kind that is not known here.
fn read(message: &Received) -> Option<News> {
    match message.event()? {
        "order_status_update" => json(message).map(News::Status),
        "order:tracking_event" => json(message).map(News::Heard),
        "order:tracking_stopped" => json(message).map(News::Stopped),
        _ => None,
    }
}

fn json<T: DeserializeOwned>(message: &Received) -> Option<T> {
    serde_json::from_slice(message.payload_bytes()).ok()
}
