//! The requests of notifications, the group that events come by, and what comes round by itself.

use std::sync::Arc;
use std::time::Duration;

pub use sampan_client::notifications::{
    BULK, BULK_CANCEL, BULK_GET, BULK_REFUSED, BULK_RESUME, CANCEL, DEVICE_PUT, DEVICE_REMOVE,
    DEVICES, FAILED, GET, INBOX, MARK, PREFERENCES, PREFERENCES_PUT, PREVIEW, REPLAY, SEND,
    SUPPRESS, SUPPRESSIONS, TEMPLATE_PUT, TEMPLATES, TRIGGER, UNSUPPRESS, WEBPUSH_KEY,
};
use sampan_client::{Error, Failure, Job, Pattern};

use super::counters::Counters;
use super::desk::Desk;
use super::dispatch::Dispatch;
use super::model::Trigger;
use super::peers::Senders;
use super::store::{Notifications, Sent};
use crate::role::Role;
use crate::service::{Host, Problem};

/// The group of those who work on what is asked for on [`TRIGGER`].
pub const GROUP: &str = "notifications";

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
    let (store, counters, services) = (store.clone(), counters.clone(), senders.services.clone());
    let desk = Desk { store: store.clone(), counters: counters.clone(), services };
    let (all, shop) = (Role::ALL, Role::OPERATORS);
    host.answer(&desk, SEND, shop, Desk::send).await?;
    host.answer(&desk, GET, all, Desk::get).await?;
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
