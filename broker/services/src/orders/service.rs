//! What others ask about orders, and who may see one.

use std::sync::Arc;
use std::time::Duration;

use sampan_client::orders::{GET, HISTORY, LIST, STATUS, SUMMARY, TRACK, UNTRACK, UPSERT};
use sampan_client::{Action, Error, Pattern, topic_token_to_id};

use super::asked::{
    Checked, Heard, History, HistoryWanted, List, ListWanted, PAGE_MAX, StatusTold, Summary,
    Upsert, Wanted,
};
use super::carriers::Counters;
use super::model::Order;
use super::store::{Orders, Whose};
use crate::role::Role;
use crate::service::{Asker, Host, Problem, Verdict};

/// Time between two looks for jobs whose seven days are over.
const SWEEP: Duration = Duration::from_secs(5);
/// Jobs that are ended at once.
const EXPIRED_MAX: u32 = 100;
/// How long the broker goes by a yes or a no: so long an agent hears of an order that it has no more.
const TTL: Duration = Duration::from_secs(60);

/// Answers for orders, and says who may see one.
///
/// # Errors
/// Those of the client.
pub async fn serve(
    host: &mut Host,
    orders: &Orders,
    counters: &Arc<Counters>,
) -> Result<(), Error> {
    tell(host, orders, counters).await?;
    read(host, orders).await?;
    host.sweep(orders, "orders.expired", SWEEP, |store| async move {
        while store.expire(EXPIRED_MAX).await? > 0 {}
        Ok(())
    });
    host.authorize(orders, "order.*", |store, asker, action, topic| async move {
        verdict(&store, &asker, action, &topic).await
    })
    .await
}

/// What the shop tells.
async fn tell(host: &mut Host, orders: &Orders, counters: &Arc<Counters>) -> Result<(), Error> {
    host.answer(orders, UPSERT, Role::OPERATORS, |store, _, told: Upsert| async move {
        Ok(store.upsert(&told.checked()?).await?)
    })
    .await?;
    let counted = (orders.clone(), counters.clone());
    host.answer(&counted, STATUS, Role::OPERATORS, |(store, counters), _, told| async move {
        let told: StatusTold = told;
        let id = told.id.clone();
        let heard: Option<Heard> = store.hear(&id, vec![told.checked()?]).await?;
        let heard = heard.ok_or_else(unknown)?;
        counters.heard(heard.changed);
        Ok(heard)
    })
    .await?;
    host.answer(orders, TRACK, Role::OPERATORS, |store, _, Wanted { id }| async move {
        match store.track(&id).await?.ok_or_else(unknown)? {
            true => order(&store, &id).await,
            false => {
                Err(Problem::conflict("the order has no carrier and number, or is at its end"))
            }
        }
    })
    .await?;
    host.answer(orders, UNTRACK, Role::OPERATORS, |store, _, Wanted { id }| async move {
        store.untrack(&id).await?.ok_or_else(unknown)?;
        order(&store, &id).await
    })
    .await
}

/// What is read.
async fn read(host: &mut Host, orders: &Orders) -> Result<(), Error> {
    host.answer(orders, GET, Role::ALL, |store, asker, Wanted { id }| async move {
        seen(&store, &asker, &id).await
    })
    .await?;
    host.answer(orders, LIST, Role::ALL, |store, asker, wanted: ListWanted| async move {
        let whose = match (asker.role, wanted.customer_id) {
            (Role::Customer, Some(id)) if id != asker.user => return Err(not_yours()),
            (Role::Customer, _) => Whose::Customer(asker.user),
            (Role::Agent, None) => Whose::Agent(asker.user),
            (Role::Agent, Some(_)) => return Err(not_yours()),
            (_, Some(id)) => Whose::Customer(id),
            (_, None) => Whose::All,
        };
        let max = wanted.limit.unwrap_or(PAGE_MAX).min(PAGE_MAX);
        let orders = store.list(&whose, wanted.status, wanted.before.as_deref(), max).await?;
        Ok(List { orders: orders.ok_or_else(unknown)? })
    })
    .await?;
    host.answer(
        orders,
        HISTORY,
        Role::ALL,
        |store, asker, HistoryWanted { id, limit }| async move {
            seen(&store, &asker, &id).await?;
            let max = limit.unwrap_or(PAGE_MAX).min(PAGE_MAX);
            Ok(History { checkpoints: store.history(&id, max).await? })
        },
    )
    .await?;
    host.answer(orders, SUMMARY, Role::OPERATORS, |store, _, Nothing {}| async move {
        let summary: Summary = store.summary().await?;
        Ok(summary)
    })
    .await
}

/// A question without members.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Whether an order is there for this asker.
fn may_see(asker: &Asker, order: &Order) -> bool {
    match asker.role {
        Role::Admin | Role::Service => true,
        Role::Agent => order.agent_id.as_ref() == Some(&asker.user),
        Role::Customer => order.customer_id == asker.user,
    }
}

/// The order, if it is there for this asker: of another's nobody learns that there is one.
async fn seen(store: &Orders, asker: &Asker, id: &str) -> Result<Order, Problem> {
    let order = order(store, id).await?;
    if may_see(asker, &order) { Ok(order) } else { Err(unknown()) }
}

async fn order(store: &Orders, id: &str) -> Result<Order, Problem> {
    store.find(id).await?.ok_or_else(unknown)
}

fn unknown() -> Problem {
    Problem::not_found("there is no such order, or not for you")
}

fn not_yours() -> Problem {
    Problem::not_allowed("these are the orders of another")
}

/// An order's topic is read by those who may see it, and written by nobody but the service.
async fn verdict(
    store: &Orders,
    asker: &Asker,
    action: Action,
    topic: &Pattern,
) -> Result<Verdict, Problem> {
    let no = Ok(Verdict::no(TTL));
    let Some(token) = topic.as_str().strip_prefix("order.") else { return no };
    let Some(id) = topic_token_to_id(token) else { return no };
    if !matches!(action, Action::Subscribe | Action::History | Action::Presence) {
        return no;
    }
    match store.find(&id).await? {
        Some(order) if may_see(asker, &order) => Ok(Verdict::yes(TTL)),
        _ => no,
    }
}
