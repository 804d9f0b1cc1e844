//! What others ask about stock, and what comes round by itself.

use std::sync::Arc;
use std::time::Duration;

use sampan_client::inventory as topics;

use super::counters::Counters;
use super::desk::Desk;
use super::rules::hold::Event;
use super::store::Stock;
use crate::role::Role;
use crate::service::Host;

/// Time between two looks for what is over, and for what viewers are to be told beside changes of
/// stock.
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
    host.answer(&desk, topics::RESERVE, all, Desk::reserve).await?;
    host.answer(&desk, topics::RELEASE, all, |desk, asker, wanted| {
        desk.step(asker, wanted, Event::Release)
    })
    .await?;
    host.answer(&desk, topics::EXTEND, all, |desk, asker, wanted| {
        desk.step(asker, wanted, Event::Extend)
    })
    .await?;
    host.answer(&desk, topics::GET_RESERVATION, all, Desk::reservation).await?;
    host.answer(&desk, topics::RESERVATIONS, all, Desk::reservations).await?;
    host.answer(&desk, topics::GET, all, Desk::product).await?;
    let shop = Role::OPERATORS;
    host.answer(&desk, topics::PAYMENT_PENDING, shop, |desk, asker, wanted| {
        desk.step(asker, wanted, Event::PaymentStarted)
    })
    .await?;
    host.answer(&desk, topics::PAYMENT_FAILED, shop, |desk, asker, wanted| {
        desk.step(asker, wanted, Event::PaymentFailed)
    })
    .await?;
    host.answer(&desk, topics::COMMIT, shop, Desk::commit).await?;
    host.answer(&desk, topics::RESTOCK, shop, Desk::restock).await?;
    host.answer(&desk, topics::ADJUST, shop, Desk::adjust).await?;
    host.answer(&desk, topics::SET_THRESHOLD, shop, Desk::set_threshold).await?;
    host.answer(&desk, topics::SET_LOCATION, shop, Desk::set_location).await?;
    host.answer(&desk, topics::TELL, shop, Desk::tell).await?;
    host.sweep(&desk, "inventory", SWEEP, Desk::sweep);
    host.sweep(&desk, "inventory's views", SWEEP, Desk::refresh);
    host.sweep(&desk, "inventory's upkeep", UPKEEP, Desk::keep_up);
    Ok(())
}
