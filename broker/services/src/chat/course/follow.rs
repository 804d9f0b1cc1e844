//! What is heard of a conversation, taken once each and in order.

use serde_json::json;

use super::promises::{DEFAULT, find, measure};
use super::store::{Counters, Courses, Kept, Place, begin, count, lock, put};
use crate::chat::model::{Kind, Message, ReceiptEvent, Sender};
use crate::chat::rules::course::Heard;
use crate::moment::Moment;
use crate::notifications::model::{Channel, Kind as Notified, Trigger};
use crate::outbox::{self, Event};
use crate::store::encoding::json as text;
use crate::store::{Error, Query, Work, each};

/// Characters of a message that a notification shows.
const SHOWN_MAX: usize = 200;
/// Messages of one receipt for which a push may still wait.
const TAKEN_MAX: u64 = 20;

/// What was told on the topic of a conversation.
#[derive(Clone, Debug)]
pub(super) enum Told {
    /// Something of its course.
    Heard(Heard),
    /// Messages are on a page of somebody's.
    Taken(ReceiptEvent),
}

/// What is needed to tell a customer who is not there.
pub(super) struct Context {
    pub(super) conversation_id: String,
    pub(super) customer_id: String,
    /// What the customer sees as the name of who wrote.
    pub(super) sender_name: String,
}

impl Courses {
    /// Whether a course is known.
    pub(super) async fn customer(&self, id: &str) -> Result<Option<String>, Error> {
        let query = Query::new("SELECT customer_id FROM courses WHERE conversation_id = $1");
        self.0.one(query.bind(id)).await?.map(|row| row.get("customer_id")).transpose()
    }

    /// Takes what was told at a place of a conversation's topic. What comes again changes nothing.
    pub(super) async fn follow(
        &self,
        context: &Context,
        place: Place,
        told: &Told,
        counters: &Counters,
    ) -> Result<(), Error> {
        let id = &context.conversation_id;
        let mut work = self.0.begin().await?;
        let now = work.now().await?;
        begin(&mut work, id, &context.customer_id).await?;
        let before = lock(&mut work, id).await?;
        let before = before.ok_or_else(|| Error::Program("a course without a row".to_owned()))?;
        if before.place.is_some_and(|last| place <= last) {
            return Ok(());
        }
        let before = Kept { place: Some(place), ..before };
        let (after, counted) = match told {
            Told::Taken(receipt) => (take(&mut work, before, receipt, now).await?, Vec::new()),
            Told::Heard(heard) => {
                let (course, counted) = before.course.hear(heard);
                if let Heard::Said(message) = heard
                    && message.seq > before.course.last_seq
                {
                    notify(&mut work, context, message, now).await?;
                }
                let is_new = before.course.began.is_none();
                let policy_id = match before.policy_id.clone() {
                    None if is_new && course.began.is_some() => {
                        find(&mut work, DEFAULT).await?.map(|policy| policy.id)
                    }
                    known => known,
                };
                let after = Kept { course, policy_id, ..before };
                (measure(&mut work, after, now).await?, counted)
            }
        };
        count(&mut work, &counted).await?;
        put(&mut work, &after).await?;
        work.commit().await?;
        counters.count(&counted);
        Ok(())
    }
}

/// Asks for a push about a message to a customer. It waits for the pages, which spare it.
async fn notify(
    work: &mut Work<'_>,
    context: &Context,
    message: &Message,
    now: Moment,
) -> Result<(), Error> {
    if message.sender_type != Sender::Agent || message.private || message.deleted_at.is_some() {
        return Ok(());
    }
    let id = &context.conversation_id;
    let said = message.content.text.as_deref().map_or_else(
        || if message.message_type == Kind::Image { "🖼" } else { "📎" }.to_owned(),
        |text| text.chars().take(SHOWN_MAX).collect(),
    );
    let event_id = event_id(id, message.seq);
    let trigger = Trigger {
        user_id: context.customer_id.clone(),
        kind: Notified::ChatMessage,
        data: json!({
            "conversation_id": id, "message_id": message.id,
            "sender_name": context.sender_name, "text": said,
        })
        .into(),
        channels: Some(vec![Channel::Push]),
        priority: None,
        ttl: None,
        idempotency_key: Some(event_id.clone()),
        event_id: Some(event_id),
    };
    let event = Event::of("notify.trigger", "notification:trigger", now, &trigger)?;
    outbox::add(work, &event.producer("chat").key(id)).await
}

/// Notes that messages are on a page of the customer's, so that no push is sent for them.
async fn take(
    work: &mut Work<'_>,
    before: Kept,
    receipt: &ReceiptEvent,
    now: Moment,
) -> Result<Kept, Error> {
    let to = receipt.up_to_seq;
    if receipt.user_id != before.customer_id || to <= before.taken_seq {
        return Ok(before);
    }
    let from = (before.taken_seq + 1).max(to.saturating_sub(TAKEN_MAX - 1));
    let ids: Vec<String> = (from..=to).map(|seq| event_id(&before.conversation_id, seq)).collect();
    let query = each(
        "INSERT INTO notification_taken (user_id, event_id, at) SELECT $1, value, $2 \
         FROM json_each($3) WHERE true ON CONFLICT (user_id, event_id) DO NOTHING",
        "INSERT INTO notification_taken (user_id, event_id, at) SELECT $1, value, $2 \
         FROM jsonb_array_elements_text($3::jsonb) AS ids (value) \
         ON CONFLICT (user_id, event_id) DO NOTHING",
    );
    let query = Query::new(query).bind(&before.customer_id).bind(now).bind(text(&ids)?);
    work.execute(query).await?;
    Ok(Kept { taken_seq: to, ..before })
}

/// What a message is to notifications. Ids of conversations may be long; a key has 255 bytes.
fn event_id(conversation: &str, seq: u64) -> String {
    format!("chat:{conversation}:{seq}")
}
