//! The tables of notifications. Each delivery to an endpoint is a row of its own, with its own turn
//! and its own end.

mod bulk;
mod claim;
mod devices;
mod inbox;
mod intake;
mod lists;
mod preferences;
mod receipts;
mod record;
mod report;
mod schema;
mod templates;
mod upkeep;

pub(crate) use self::bulk::PART_MAX;
pub use self::claim::{Claimed, Lane, Line};
pub use self::intake::Sent;
pub(super) use self::preferences::quiet;
pub use self::record::Attempted;
pub(crate) use self::schema::SCHEMA;
use super::asked::Outcome;
use super::model::{Channel, Kind, State};
use super::send::Content;
use crate::outbox::{self, Event};
use crate::store::encoding::name;
use crate::store::{Database, Error, Work};

/// The notifications of a database. Its clock is the clock of all of them.
#[derive(Clone, Debug)]
pub struct Notifications(Database);

impl Notifications {
    /// The notifications of this database.
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Notifications(database.clone())
    }
}

/// What of a delivery nobody looks for, as JSON in its row.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Parcel {
    kind: Kind,
    priority: super::model::Priority,
    content: Content,
    collapse: Option<String>,
    /// The attempt before, for the choice of the next provider.
    #[serde(default)]
    last: Option<Last>,
}

/// What came of the attempt before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Last {
    place: usize,
    is_in_trouble: bool,
    is_ambiguous: bool,
    in_a_row: u32,
}

/// Tells what has become of a delivery, whose row this transaction has: those who watch its channel,
/// and analytics.
async fn tell(work: &mut Work<'_>, outcome: &Outcome) -> Result<(), Error> {
    let state = name(&outcome.state)?;
    let topic = format!("notify.delivery.{}", name(&outcome.channel)?);
    for topic in [topic.as_str(), "analytics.events"] {
        let event = Event::of(topic, &format!("notification:{state}"), outcome.at, outcome)?;
        let event = event.producer("notifications").key(&outcome.delivery_id);
        outbox::add_of_row(work, &event).await?;
    }
    Ok(())
}

/// Whether a channel's address has to be looked up in the list of those who want nothing more.
fn is_listed(channel: Channel) -> bool {
    matches!(channel, Channel::Email | Channel::Sms)
}

/// What a delivery's row says that has come to an end, or has not.
fn open(state: State) -> i64 {
    i64::from(!state.is_over())
}
