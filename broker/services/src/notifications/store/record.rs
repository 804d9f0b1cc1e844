//! What came of attempts: the next turn of a delivery, or its end.

use std::time::Duration;

use super::super::asked::Outcome;
use super::super::model::{Channel, State};
use super::super::rules::preference::Suppressed;
use super::super::rules::provider::{Class, is_retired};
use super::super::rules::retry::{Next, next};
use super::super::send;
use super::claim::{Claimed, Standing, read};
use super::report::set_aside;
use super::{Last, Notifications, Parcel, devices, lists, open, tell};
use crate::moment::Moment;
use crate::store::encoding::{json, name};
use crate::store::{Error, Query, Row, Work};

/// How long a delivery waits that came above a provider's quota; the provider is left alone for longer.
const FULL: Duration = Duration::from_secs(5);

/// An attempt that was made.
#[derive(Clone, Debug)]
pub struct Attempted {
    /// What was sent.
    pub claimed: Claimed,
    /// Which of the providers of its sort was asked, by its place.
    pub place: usize,
    /// When it began.
    pub at: Moment,
    /// How long it took.
    pub took: Duration,
    /// What came of it.
    pub outcome: send::Outcome,
    /// Spreads what failed together.
    pub seed: u64,
}

/// Where a delivery stands from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ending {
    state: State,
    reason: Option<String>,
    /// When it has its next turn, if it has not ended.
    due_at: Option<Moment>,
}

impl Ending {
    pub(super) fn failed(reason: &str) -> Self {
        Ending { state: State::Failed, reason: Some(reason.to_owned()), due_at: None }
    }

    pub(super) fn suppressed(why: Suppressed) -> Self {
        Ending { state: State::Suppressed, reason: Some(why.name().to_owned()), due_at: None }
    }

    pub(super) fn expired() -> Self {
        Ending { state: State::Expired, reason: None, due_at: None }
    }

    pub(super) fn cancelled(why: Option<&str>) -> Self {
        Ending { state: State::Cancelled, reason: why.map(str::to_owned), due_at: None }
    }

    pub(super) fn put_off(state: State, until: Moment) -> Self {
        Ending { state, reason: None, due_at: Some(until) }
    }

    fn of(attempted: &Attempted, now: Moment) -> Self {
        let Attempted { claimed, outcome, seed, .. } = attempted;
        let expires_at = claimed.row.expires_at;
        let follows =
            next(claimed.attempt, outcome.class, outcome.retry_after, (now, expires_at), *seed);
        let reason = Some(code(outcome));
        match (follows, outcome.class) {
            (Next::Done, _) => Ending { state: State::Sent, reason: None, due_at: None },
            (Next::Again(at), _) => Ending { state: State::Queued, reason, due_at: Some(at) },
            (Next::Expired, _) => Ending { state: State::Expired, reason, due_at: None },
            (Next::Dead, Class::Gone | Class::Recipient) => {
                Ending { state: State::Bounced, reason, due_at: None }
            }
            (Next::Dead, _) => Ending { state: State::Failed, reason, due_at: None },
        }
    }
}

impl Notifications {
    /// Takes what came of attempts. What a caller is told of a delivery that was another's
    /// meanwhile is kept as an attempt and changes nothing else. What came above a provider's quota
    /// is no attempt, and goes back.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn record(&self, attempts: &[Attempted]) -> Result<(), Error> {
        let mut work = self.0.begin().await?;
        let now = work.now().await?;
        for attempted in attempts {
            let Attempted { claimed, outcome, place, .. } = attempted;
            if outcome.class == Class::Quota {
                give_back(&mut work, claimed, now.after(FULL), now).await?;
                continue;
            }
            keep(&mut work, attempted).await?;
            let last = Last::of(*place, outcome, claimed.parcel.last);
            let parcel = Parcel { last: Some(last), ..claimed.parcel.clone() };
            let ending = Ending::of(attempted, now);
            let row = Standing {
                state: State::Sending,
                attempts: claimed.attempt,
                ..claimed.row.clone()
            };
            let message_id = outcome.message_id.as_deref();
            if put(&mut work, &row, &parcel, &ending, message_id, now).await? {
                follow(&mut work, attempted, now).await?;
            }
        }
        work.commit().await?;
        self.hear_early(attempts).await
    }

    /// Ends a delivery of which nothing can be written.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn give_up(&self, claimed: &Claimed, why: &Error) -> Result<(), Error> {
        let mut work = self.0.begin().await?;
        let now = work.now().await?;
        set_aside(&mut work, &claimed.row.id, why, now).await?;
        work.commit().await
    }

    /// Gives deliveries back that were not sent, since whoever sends there is in trouble. It is no
    /// attempt; who may have one already has been waited for then.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn give_back(&self, claimed: &[Claimed], pause: Duration) -> Result<(), Error> {
        let mut work = self.0.begin().await?;
        let now = work.now().await?;
        for one in claimed {
            give_back(&mut work, one, now.after(pause), now).await?;
        }
        work.commit().await
    }
}

async fn give_back(
    work: &mut Work<'_>,
    one: &Claimed,
    due_at: Moment,
    now: Moment,
) -> Result<(), Error> {
    let last = one.parcel.last.map(|last| Last { is_ambiguous: false, ..last });
    let parcel = Parcel { last, ..one.parcel.clone() };
    let query = Query::new(
        "UPDATE deliveries SET state = 'queued', attempts = $2, due_at = $3, updated_at = $4, \
         body = $6 WHERE id = $1 AND state = 'sending' AND attempts = $5",
    );
    let query = query.bind(&one.row.id).bind(i64::from(one.row.attempts)).bind(due_at).bind(now);
    work.execute(query.bind(i64::from(one.attempt)).bind(json(&parcel)?)).await.map(|_| ())
}

/// Ends a delivery that is not sent, or puts it off.
pub(super) async fn end(
    work: &mut Work<'_>,
    row: &Standing,
    parcel: &Parcel,
    ending: Ending,
    now: Moment,
) -> Result<(), Error> {
    put(work, row, parcel, &ending, None, now).await.map(|_| ())
}

/// Ends a delivery that is not sent any more.
pub(super) async fn cancel(
    work: &mut Work<'_>,
    row: &Row,
    why: Option<&str>,
    now: Moment,
) -> Result<(), Error> {
    match read(row) {
        Ok((standing, parcel)) => end(work, &standing, &parcel, Ending::cancelled(why), now).await,
        Err(error) => set_aside(work, &row.get::<String>("id")?, &error, now).await,
    }
}

/// Writes how a delivery stands, and tells of its end; false if it was another's meanwhile.
async fn put(
    work: &mut Work<'_>,
    row: &Standing,
    parcel: &Parcel,
    ending: &Ending,
    message_id: Option<&str>,
    now: Moment,
) -> Result<bool, Error> {
    let query = Query::new(
        "UPDATE deliveries SET state = $2, is_open = $3, due_at = COALESCE($4, due_at), \
         reason = $5, message_id = COALESCE($6, message_id), updated_at = $7, body = $8 \
         WHERE id = $1 AND is_open = 1 AND state = $9 AND attempts = $10",
    );
    let query = query.bind(&row.id).bind(name(&ending.state)?).bind(open(ending.state));
    let query = query.bind(ending.due_at).bind(ending.reason.clone()).bind(message_id);
    let query = query.bind(now).bind(json(parcel)?).bind(name(&row.state)?);
    if work.execute(query.bind(i64::from(row.attempts))).await? == 0 {
        return Ok(false);
    }
    if ending.state.is_over() {
        let stands = (ending.state, ending.reason.clone());
        tell(work, &outcome(row, parcel, stands, now)).await?;
    }
    Ok(true)
}

/// What is told of a delivery that stands so.
pub(super) fn outcome(
    row: &Standing,
    parcel: &Parcel,
    (state, reason): (State, Option<String>),
    at: Moment,
) -> Outcome {
    Outcome {
        delivery_id: row.id.clone(),
        notification_id: row.notification_id.clone(),
        user_id: row.user_id.clone(),
        kind: parcel.kind,
        channel: row.channel,
        provider: row.provider.clone(),
        state,
        reason,
        attempts: row.attempts,
        job: row.job.clone(),
        at,
    }
}

/// What an attempt means for the endpoint: a device that is gone is retired, an address where
/// nothing arrives gets nothing more.
async fn follow(work: &mut Work<'_>, attempted: &Attempted, now: Moment) -> Result<(), Error> {
    let Attempted { claimed, outcome, .. } = attempted;
    let row = &claimed.row;
    match (outcome.class, row.channel) {
        (Class::Gone, Channel::Push) => {
            let retired = |registered_at| is_retired(registered_at, outcome.gone_since);
            devices::retire(work, &row.endpoint, &code(outcome), now, retired).await
        }
        (Class::Recipient, Channel::Email | Channel::Sms) => {
            lists::add(work, row.channel, &row.endpoint, &code(outcome), now).await
        }
        _ => Ok(()),
    }
}

async fn keep(work: &mut Work<'_>, attempted: &Attempted) -> Result<(), Error> {
    let Attempted { claimed, outcome, at, took, .. } = attempted;
    let query = Query::new(
        "INSERT INTO delivery_attempts (delivery_id, n, at, ms, provider, class, status, code) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (delivery_id, n) DO NOTHING",
    );
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let query = query.bind(&claimed.row.id).bind(i64::from(claimed.attempt)).bind(*at).bind(ms);
    let query = query.bind(claimed.line.provider.name()).bind(outcome.class.name());
    work.execute(query.bind(i64::from(outcome.status)).bind(&outcome.code)).await.map(|_| ())
}

/// The provider's own code, or its status where it gave none.
fn code(outcome: &send::Outcome) -> String {
    if outcome.code.is_empty() { outcome.status.to_string() } else { outcome.code.clone() }
}
