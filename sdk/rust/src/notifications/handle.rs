//! Asking about notifications, and sending them.

use protocol::Topic;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    Accepted, BULK, BULK_CANCEL, BULK_GET, BULK_REFUSED, BULK_RESUME, BulkPart, BulkWanted, CANCEL,
    Channel, DEVICE_PUT, DEVICE_REMOVE, DEVICES, DeliveryOf, Device, DeviceGone, DevicePut,
    Devices, FAILED, Failed, FailedWanted, GET, INBOX, Inbox, InboxWanted, JobFollower, MARK, Mark,
    Marked, Outcome, PREFERENCES, PREFERENCES_PUT, PREVIEW, Preferences, Preview, PreviewWanted,
    Progress, REPLAY, Refused, RefusedItems, Replay, Report, SEND, SUPPRESS, SUPPRESSIONS,
    Suppress, Suppressions, SuppressionsWanted, TEMPLATE_PUT, TEMPLATES, TRIGGER, Template,
    TemplatePut, Templates, Trigger, UNSUPPRESS, Updated, WEBPUSH_KEY, Wanted, Watcher, WebPushKey,
    WhoseWanted,
};
use crate::error::invalid;
use crate::{Ack, Client, Error, Message};

impl Client {
    /// What users are told, as the shop's services have it.
    #[must_use]
    pub fn notifications(&self) -> Notifications {
        Notifications { client: self.clone() }
    }
}

/// What users are told, as the shop's services have it.
///
/// ```no_run
/// # async fn example(client: sampan_client::Client) -> Result<(), sampan_client::Error> {
/// use sampan_client::notifications::{Marked, News};
///
/// let notifications = client.notifications();
/// let mut watcher = notifications.watch("ann").await?;
/// println!("{} are not read", watcher.inbox().unread);
/// while let Some(news) = watcher.next().await {
///     if let News::New(item) = news {
///         println!("{}: {}", item.title, item.body);
///         notifications.mark(&[&item.notification_id], Marked::Read).await?;
///     }
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// All methods: `Refused` with BAD_FIELD, NOT_GRANTED, BUSY or a code of the services (904 there is
/// no such thing, or not for the asker; 909 it does not go with how things stand; 910 the key was
/// used for something else; 911 it takes no more; 912 no room for one more); as for
/// [`Client::request`].
#[derive(Clone, Debug)]
pub struct Notifications {
    client: Client,
}

impl Notifications {
    /// Sends a notification; for the shop. With an idempotency key the same again is the same
    /// notification for 24 h.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn send(&self, told: &Trigger) -> Result<Accepted, Error> {
        self.ask(SEND, told).await
    }

    /// Asks for a notification without waiting until it is taken; for the shop. It is kept until the
    /// services take it, once for each idempotency key; what they refuse is a dead letter of the
    /// group `notifications`.
    ///
    /// # Errors
    /// As for [`Client::publish`].
    pub async fn trigger(&self, told: &Trigger) -> Result<Ack, Error> {
        let payload = serde_json::to_vec(told).map_err(invalid)?;
        let topic = Topic::parse(TRIGGER).map_err(invalid)?;
        let message = Message::new(topic, payload).event("notification:trigger");
        self.client.publish(message.content_type("application/json")).await
    }

    /// A notification with its deliveries and every attempt at them.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn report(&self, notification_id: &str) -> Result<Report, Error> {
        self.of(GET, notification_id).await
    }

    /// Takes back what of a notification has not been sent; for the shop.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn cancel(&self, notification_id: &str) -> Result<Report, Error> {
        self.of(CANCEL, notification_id).await
    }

    /// Deliveries that were given up, the newest first, up to 100; for the shop.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn failed(&self, limit: Option<u32>) -> Result<Vec<Outcome>, Error> {
        Ok(self.ask::<Failed>(FAILED, &FailedWanted { limit }).await?.deliveries)
    }

    /// Tries a delivery anew that was given up, eight more times; for the shop. `ttl` says for how
    /// many seconds from now on it is worth sending; for what is left, if nothing is said.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn replay(&self, delivery_id: &str, ttl: Option<u32>) -> Result<DeliveryOf, Error> {
        self.ask(REPLAY, &Replay { delivery_id: delivery_id.to_owned(), ttl }).await
    }

    /// A part of an inbox, the newest first, and how many are not read.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn inbox(&self, wanted: &InboxWanted) -> Result<Inbox, Error> {
        self.ask(INBOX, wanted).await
    }

    /// Says of up to 100 of the asker's notifications, or of events that tell the same, what has
    /// become of them. The same again changes nothing.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn mark(&self, ids: &[&str], mark: Marked) -> Result<Updated, Error> {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        self.ask(MARK, &Mark { ids: Some(ids), mark }).await
    }

    /// Says the same of all in the asker's inbox, the newest thousand at once.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn mark_all(&self, mark: Marked) -> Result<Updated, Error> {
        self.ask(MARK, &Mark { ids: None, mark }).await
    }

    /// Looks at the inbox of the asker, by the id in its token: what is there, and then all that
    /// comes, without a hole between and each once, over every loss of the connection. What comes is
    /// marked as delivered by itself when it is handed out, which spares its push.
    ///
    /// # Errors
    /// See [`Notifications`]; as for [`Client::subscribe`].
    pub async fn watch(&self, user: &str) -> Result<Watcher, Error> {
        Watcher::new(&self.client, user).await
    }

    /// Registers a device, or hears of it again. A token is the device's that registered it last,
    /// and a user has 20 devices at most: the one that was silent for longest makes room.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn put_device(&self, told: &DevicePut) -> Result<Device, Error> {
        self.ask(DEVICE_PUT, told).await
    }

    /// Forgets a device, as at a log-out.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn remove_device(&self, gone: &DeviceGone) -> Result<(), Error> {
        self.ask::<Value>(DEVICE_REMOVE, gone).await.map(drop)
    }

    /// A user's devices; those of the asker, if nobody is named.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn devices(&self, user: Option<&str>) -> Result<Vec<Device>, Error> {
        Ok(self.ask::<Devices>(DEVICES, &whose(user)).await?.devices)
    }

    /// What browsers subscribe with, as `applicationServerKey`: base64url.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn webpush_key(&self) -> Result<String, Error> {
        Ok(self.ask::<WebPushKey>(WEBPUSH_KEY, &Map::new()).await?.key)
    }

    /// What a user has chosen; the asker, if nobody is named.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn preferences(&self, user: Option<&str>) -> Result<Preferences, Error> {
        self.ask(PREFERENCES, &whose(user)).await
    }

    /// Chooses, in the place of all that was chosen before; what stands since.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn choose(&self, chosen: &Preferences) -> Result<Preferences, Error> {
        self.ask(PREFERENCES_PUT, chosen).await
    }

    /// The newest template of each type, channel and language; for the shop.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn templates(&self) -> Result<Vec<Template>, Error> {
        Ok(self.ask::<Templates>(TEMPLATES, &Map::new()).await?.templates)
    }

    /// Writes the next version of a template; for the shop.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn put_template(&self, told: &TemplatePut) -> Result<Template, Error> {
        self.ask(TEMPLATE_PUT, told).await
    }

    /// What a user would read; for the shop.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn preview(&self, wanted: &PreviewWanted) -> Result<Preview, Error> {
        self.ask(PREVIEW, wanted).await
    }

    /// Sends nothing more to an address or number; for the shop.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn suppress(&self, told: &Suppress) -> Result<(), Error> {
        self.ask::<Value>(SUPPRESS, told).await.map(drop)
    }

    /// Sends to an address or number again; for the shop.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn unsuppress(&self, channel: Channel, address: &str) -> Result<(), Error> {
        let told = Suppress { channel, address: address.to_owned(), reason: None };
        self.ask::<Value>(UNSUPPRESS, &told).await.map(drop)
    }

    /// Addresses that get nothing, in their order, up to 100; for the shop.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn suppressions(&self, wanted: &SuppressionsWanted) -> Result<Vec<Suppress>, Error> {
        Ok(self.ask::<Suppressions>(SUPPRESSIONS, wanted).await?.suppressions)
    }

    /// Tells a part of a bulk job, and begins it with the last one; for the shop. Parts come in
    /// order, and one that is told again counts once.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn put_part(&self, part: &BulkPart) -> Result<Progress, Error> {
        self.ask(BULK, part).await
    }

    /// How far a bulk job is; for the shop.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn progress(&self, job_id: &str) -> Result<Progress, Error> {
        self.job(BULK_GET, job_id).await
    }

    /// The first 100 items of a bulk job that were refused; for the shop.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn refused(&self, job_id: &str) -> Result<Vec<Refused>, Error> {
        Ok(self.job::<RefusedItems>(BULK_REFUSED, job_id).await?.items)
    }

    /// Stops a bulk job: what has not been sent is not; for the shop.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn cancel_job(&self, job_id: &str) -> Result<Progress, Error> {
        self.job(BULK_CANCEL, job_id).await
    }

    /// Goes on with a bulk job that was stopped; for the shop.
    ///
    /// # Errors
    /// See [`Notifications`].
    pub async fn resume_job(&self, job_id: &str) -> Result<Progress, Error> {
        self.job(BULK_RESUME, job_id).await
    }

    /// Follows a bulk job: how far it is, and then each step that it comes further; for the shop.
    ///
    /// # Errors
    /// See [`Notifications`]; as for [`Client::subscribe`].
    pub async fn follow_job(&self, job_id: &str) -> Result<JobFollower, Error> {
        JobFollower::new(&self.client, job_id).await
    }

    async fn of<T: DeserializeOwned>(&self, topic: &str, id: &str) -> Result<T, Error> {
        self.ask(topic, &Wanted { notification_id: id.to_owned() }).await
    }

    async fn job<T: DeserializeOwned>(&self, topic: &str, id: &str) -> Result<T, Error> {
        self.ask(topic, &BulkWanted { job_id: id.to_owned() }).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        topic: &str,
        question: &impl Serialize,
    ) -> Result<T, Error> {
        self.client.question(topic, question).await
    }
}

fn whose(user: Option<&str>) -> WhoseWanted {
    WhoseWanted { user_id: user.map(str::to_owned) }
}
