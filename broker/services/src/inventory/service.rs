//! What others ask about stock, and what comes round by itself.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sampan_client::inventory as topics;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::counters::Counters;
use super::desk::Desk;
use super::rules::hold::Event;
use super::store::Stock;
use crate::role::Role;
use crate::service::{Asker, Host, Problem};

/// Time between two looks for what is over.
const SWEEP: Duration = Duration::from_secs(5);
/// Time between two comparisons of what is counted as held with the holds.
const UPKEEP: Duration = Duration::from_secs(600);

/// Answers about stock, and ends what is over.
///
/// # Errors
/// Those of the client.
pub async fn serve(
    host: &mut Host,
    stock: &Stock,
    counters: &Arc<Counters>,
) -> Result<(), sampan_client::Error> {
    let desk = Desk { stock: stock.clone(), counters: counters.clone() };
    let all = Role::ALL;
    answer(host, &desk, topics::RESERVE, all, Desk::reserve).await?;
    answer(host, &desk, topics::RELEASE, all, |desk, asker, wanted| {
        desk.step(asker, wanted, Event::Release)
    })
    .await?;
    answer(host, &desk, topics::EXTEND, all, |desk, asker, wanted| {
        desk.step(asker, wanted, Event::Extend)
    })
    .await?;
    answer(host, &desk, topics::GET_RESERVATION, all, Desk::reservation).await?;
    answer(host, &desk, topics::RESERVATIONS, all, Desk::reservations).await?;
    answer(host, &desk, topics::GET, all, Desk::product).await?;
    let shop = Role::OPERATORS;
    answer(host, &desk, topics::PAYMENT_PENDING, shop, |desk, asker, wanted| {
        desk.step(asker, wanted, Event::PaymentStarted)
    })
    .await?;
    answer(host, &desk, topics::PAYMENT_FAILED, shop, |desk, asker, wanted| {
        desk.step(asker, wanted, Event::PaymentFailed)
    })
    .await?;
    answer(host, &desk, topics::COMMIT, shop, Desk::commit).await?;
    answer(host, &desk, topics::RESTOCK, shop, Desk::restock).await?;
    answer(host, &desk, topics::ADJUST, shop, Desk::adjust).await?;
    answer(host, &desk, topics::SET_THRESHOLD, shop, Desk::set_threshold).await?;
    answer(host, &desk, topics::SET_LOCATION, shop, Desk::set_location).await?;
    let sweeper = desk.clone();
    host.sweep("inventory", SWEEP, move || sweeper.clone().sweep());
    host.sweep("inventory's upkeep", UPKEEP, move || desk.clone().keep_up());
    Ok(())
}

/// Answers on a topic with what the desk does.
async fn answer<T, A, W, R>(
    host: &mut Host,
    desk: &Desk,
    topic: &str,
    roles: &'static [Role],
    work: W,
) -> Result<(), sampan_client::Error>
where
    T: DeserializeOwned + Send + 'static,
    A: Serialize + Send + 'static,
    W: Fn(Desk, Asker, T) -> R + Send + Sync + 'static,
    R: Future<Output = Result<A, Problem>> + Send + 'static,
{
    let desk = desk.clone();
    host.answer(topic, roles, move |asker, question| work(desk.clone(), asker, question)).await
}
