//! The receiving side: one task per subscription, which counts whole batches.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sampan_client::{Delivery, Subscription};

use crate::layout::Room;
use crate::tally::Meter;
use crate::{clock, stamp};

/// Counts what arrives until the subscription ends.
pub(crate) async fn receive(mut subscription: Subscription, room: Arc<Room>, meter: Arc<Meter>) {
    let mut batch = Vec::new();
    let mut seen = room.base();
    while subscription.next_many(&mut batch).await > 0 {
        // All of a batch is handed over at one moment.
        let now = clock::nanos();
        let before = seen;
        let mut received = 0;
        let mut tally = meter.tally();
        for delivery in &batch {
            match delivery {
                Delivery::Message(message) => {
                    received += 1;
                    seen = seen.max(message.offset());
                    tally.delivered(stamp::binary(message.payload_bytes()), now);
                }
                Delivery::Gap(gap) if gap.is_loss() => {
                    tally.lost += gap.to.saturating_sub(gap.from) + 1;
                    seen = seen.max(gap.to);
                }
                Delivery::Gap(_) => {}
            }
        }
        drop(tally);
        batch.clear();
        meter.received.fetch_add(received, Ordering::Relaxed);
        if let Some(window) = &room.window {
            window.received(before - room.base(), seen - room.base());
        }
    }
}
