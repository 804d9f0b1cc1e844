//! The requests of notifications, the group that events come by, and what comes round by itself.

use std::sync::Arc;
use std::time::Duration;

use sampan_client::{Error, Failure, Job, Pattern};

use super::counters::Counters;
use super::desk::Desk;
use super::dispatch::{Dispatch, Senders};
use super::model::Trigger;
use super::store::{Notifications, Sent};
use crate::role::Role;
use crate::service::{Host, Problem};

/// The topic on which a service asks for a notification, and the group that works on it.
pub const TRIGGER: &str = "notify.trigger";
/// The group of those who work on what is asked for on [`TRIGGER`].
pub const GROUP: &str = "notifications";

macro_rules! topics {
    ($($name:ident = $topic:literal, $text:literal;)*) => {
        $(#[doc = $text]
        pub const $name: &str = $topic;)*
    };
}

topics! {
    SEND = "notify.send", "The topic on which a notification is sent.";
    GET_SENT = "notify.get", "The topic on which it is asked what came of one.";
    CANCEL = "notify.cancel", "The topic on which one is taken back.";
    REPLAY = "notify.replay", "The topic on which a delivery is tried anew.";
    FAILED = "notify.failed", "The topic on which deliveries are asked for that were given up.";
    INBOX = "notify.inbox", "The topic on which a user reads its inbox.";
    MARK = "notify.mark", "The topic on which a user says what it has seen and read.";
    DEVICE_PUT = "notify.device_put", "The topic on which a device registers.";
    DEVICE_REMOVE = "notify.device_remove", "The topic on which a device is forgotten.";
    DEVICES = "notify.devices", "The topic on which a user's devices are asked for.";
    PREFERENCES = "notify.preferences", "The topic on which it is asked what a user has chosen.";
    PREFERENCES_PUT = "notify.preferences_put", "The topic on which a user chooses.";
    TEMPLATES = "notify.templates", "The topic on which the templates are asked for.";
    TEMPLATE_PUT = "notify.template_put", "The topic on which a template is written.";
    PREVIEW = "notify.preview", "The topic on which a template is tried.";
    SUPPRESS = "notify.suppress", "The topic on which an address gets nothing more.";
    UNSUPPRESS = "notify.unsuppress", "The topic on which it gets something again.";
    SUPPRESSIONS = "notify.suppressions", "The topic on which such addresses are asked for.";
    WEBPUSH_KEY = "notify.webpush_key", "The topic on which a browser asks whom it subscribes for.";
    BULK = "notify.bulk_part", "The topic on which a part of a bulk job is told.";
    BULK_GET = "notify.bulk_get", "The topic on which it is asked how far a job is.";
    BULK_REFUSED = "notify.bulk_refused", "The topic on which its refused items are asked for.";
    BULK_CANCEL = "notify.bulk_cancel", "The topic on which a job is stopped.";
    BULK_RESUME = "notify.bulk_resume", "The topic on which a stopped job goes on.";
}

/// Jobs of the group that are asked for at once.
const BATCH: u32 = 100;
/// Of these, those that are worked on at the same time.
const AT_ONCE: usize = 16;
/// Time between two looks at the bulk jobs.
const BULK_SWEEP: Duration = Duration::from_secs(1);
/// Time between two looks for what is old.
const UPKEEP: Duration = Duration::from_secs(600);

/// Answers about notifications, takes those that events ask for, and sends.
///
/// # Errors
/// Those of the client.
pub async fn serve(
    host: &mut Host,
    store: &Notifications,
    senders: Senders,
    counters: &Arc<Counters>,
) -> Result<(), Error> {
    let (store, counters, reach) = (store.clone(), counters.clone(), senders.reach);
    let desk = Desk { store: store.clone(), counters: counters.clone(), reach };
    let (all, shop) = (Role::ALL, Role::OPERATORS);
    host.answer(&desk, SEND, shop, Desk::send).await?;
    host.answer(&desk, GET_SENT, all, Desk::get).await?;
    host.answer(&desk, CANCEL, shop, Desk::cancel).await?;
    host.answer(&desk, REPLAY, shop, Desk::replay).await?;
    host.answer(&desk, FAILED, shop, Desk::failed).await?;
    host.answer(&desk, INBOX, all, Desk::inbox).await?;
    host.answer(&desk, MARK, all, Desk::mark).await?;
    host.answer(&desk, DEVICE_PUT, all, Desk::register).await?;
    host.answer(&desk, DEVICE_REMOVE, all, Desk::forget).await?;
    host.answer(&desk, DEVICES, all, Desk::devices).await?;
    host.answer(&desk, WEBPUSH_KEY, all, Desk::webpush_key).await?;
    host.answer(&desk, PREFERENCES, all, Desk::preferences).await?;
    host.answer(&desk, PREFERENCES_PUT, all, Desk::choose).await?;
    host.answer(&desk, TEMPLATES, shop, Desk::templates).await?;
    host.answer(&desk, TEMPLATE_PUT, shop, Desk::put_template).await?;
    host.answer(&desk, PREVIEW, shop, Desk::preview).await?;
    host.answer(&desk, SUPPRESS, shop, Desk::suppress).await?;
    host.answer(&desk, UNSUPPRESS, shop, Desk::allow).await?;
    host.answer(&desk, SUPPRESSIONS, shop, Desk::suppressions).await?;
    host.answer(&desk, BULK, shop, Desk::bulk).await?;
    host.answer(&desk, BULK_GET, shop, Desk::bulk_get).await?;
    host.answer(&desk, BULK_REFUSED, shop, Desk::bulk_refused).await?;
    host.answer(&desk, BULK_CANCEL, shop, Desk::bulk_cancel).await?;
    host.answer(&desk, BULK_RESUME, shop, Desk::bulk_resume).await?;
    triggers(host, &desk).await?;
    host.sweep(
        &store,
        "notify.bulk",
        BULK_SWEEP,
        |store| async move { store.make_batches().await },
    );
    host.sweep(&store, "notify.upkeep", UPKEEP, |store| async move {
        store.keep_up().await.map(|_| ())
    });
    let dispatch = Dispatch::new(&store, senders, &counters);
    host.beside_to_its_end("the sending of notifications", |stop| dispatch.run(stop));
    Ok(())
}

/// What events ask for. An event is taken once, by its key or its place in the topic.
async fn triggers(host: &mut Host, desk: &Desk) -> Result<(), Error> {
    let topic = Pattern::parse(TRIGGER).map_err(sampan_client::invalid)?;
    let group = host.client().consume(GROUP, topic).batch(BATCH);
    let desk = desk.clone();
    host.consume(group, AT_ONCE, move |job: Arc<Job>, trigger: Trigger| {
        let desk = desk.clone();
        async move {
            Counters::add(&desk.counters.triggers);
            let place = || format!("{}:{}", job.epoch(), job.offset());
            let key = trigger.idempotency_key.clone().unwrap_or_else(place);
            let trigger = Trigger { idempotency_key: Some(key), ..trigger };
            let taken = desk.store.accept(&trigger, Sent { caller: GROUP, job: None }).await;
            taken.map(|_| ()).map_err(|problem| failure(&desk.counters, &problem))
        }
    })
    .await
}

/// What the database says passes; all else makes it a dead letter.
fn failure(counters: &Counters, problem: &Problem) -> Failure {
    if problem.is_ours() {
        return Failure::retry(problem);
    }
    Counters::add(&counters.triggers_refused);
    Failure::reject(problem)
}
