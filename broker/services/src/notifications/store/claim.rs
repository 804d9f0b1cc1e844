//! Whose turn it is: deliveries that are due, for whoever sends them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::model::{Channel, State};
use super::super::rules::breaker;
use super::super::rules::preference::{Suppressed, is_live, wants};
use super::super::rules::provider::{Class, Provider};
use super::super::rules::quiet::{Verdict, decide};
use super::super::send::{Endpoint, Outcome, Outgoing};
use super::preferences::Choices;
use super::record::Ending;
use super::report::set_aside;
use super::{Last, Notifications, Parcel, devices, intake, lists};
use crate::moment::Moment;
use crate::store::encoding::json;
use crate::store::{Error, Query, Row, Work, each};
use crate::users::Users;

/// The provider of the inbox, which nobody sends to.
pub(super) const INBOX: &str = "inbox";
/// How long a delivery is one process's. An attempt takes less.
const LEASE: Duration = Duration::from_secs(60);
/// A first attempt may come so late, whatever the time to live: 0 is now or never, and nothing is
/// sent in no time.
const GRACE: Duration = Duration::from_secs(10);

/// Who goes before whom. Each lane has its own room, so that none waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// What is critical or of high priority.
    Urgent,
    /// All else.
    Normal,
    /// Jobs and offers.
    Bulk,
}

impl Lane {
    /// Every lane, the first first.
    pub const ALL: [Lane; 3] = [Lane::Urgent, Lane::Normal, Lane::Bulk];

    /// As it is stored.
    pub(super) const fn number(self) -> i64 {
        match self {
            Lane::Urgent => 0,
            Lane::Normal => 1,
            Lane::Bulk => 2,
        }
    }
}

/// A lane to one provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Line {
    /// The lane.
    pub lane: Lane,
    /// Who sends.
    pub provider: Provider,
}

/// A delivery that its claimer sends.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// What is sent, and where to.
    pub outgoing: Outgoing,
    /// Which attempt it is, the first being 1.
    pub attempt: u32,
    /// The attempt before.
    pub last: Option<breaker::Last>,
    /// The line that it came by.
    pub line: Line,
    pub(super) parcel: Parcel,
    pub(super) row: Standing,
}

/// A delivery as its row has it.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    pub(super) id: String,
    pub(super) notification_id: String,
    pub(super) user_id: String,
    pub(super) channel: Channel,
    pub(super) endpoint: String,
    pub(super) provider: String,
    pub(super) state: State,
    pub(super) attempts: u32,
    pub(super) created_at: Moment,
    pub(super) expires_at: Moment,
    pub(super) job: Option<String>,
}

impl Standing {
    pub(super) fn of(row: &Row) -> Result<Self, Error> {
        Ok(Standing {
            id: row.get("id")?,
            notification_id: row.get("notification_id")?,
            user_id: row.get("user_id")?,
            channel: row.named("channel")?,
            endpoint: row.get("endpoint")?,
            provider: row.get("provider")?,
            state: row.named("state")?,
            attempts: u32::try_from(row.get::<u64>("attempts")?).unwrap_or(u32::MAX),
            created_at: row.get("created_at")?,
            expires_at: row.get("expires_at")?,
            job: row.get("job")?,
        })
    }

    /// Whether it is worth nothing any more.
    fn is_over(&self, now: Moment) -> bool {
        let is_first = self.attempts == 0 && self.state == State::Queued;
        let grace = if is_first { self.created_at.after(GRACE) } else { self.expires_at };
        now > self.expires_at.max(grace)
    }
}

/// What is known of claimed deliveries beside their rows.
struct Known {
    endpoints: BTreeMap<String, Endpoint>,
    taken: BTreeMap<String, Moment>,
    listed: BTreeSet<(String, String)>,
}

impl Notifications {
    /// Lines on which something is due.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn due(&self) -> Result<Vec<Line>, Error> {
        let now = self.0.now().await?;
        let query = Query::new(
            "SELECT l.lane AS lane, p.provider AS provider FROM \
             (SELECT 0 AS lane UNION ALL SELECT 1 UNION ALL SELECT 2) AS l CROSS JOIN \
             (SELECT 'fcm' AS provider UNION ALL SELECT 'apns' UNION ALL SELECT 'webpush' \
             UNION ALL SELECT 'smtp' UNION ALL SELECT 'sms') AS p WHERE EXISTS (SELECT 1 FROM \
             deliveries AS d WHERE d.is_open = 1 AND d.lane = l.lane \
             AND d.provider = p.provider AND d.due_at <= $1) ORDER BY l.lane",
        );
        let rows = self.0.all(query.bind(now)).await?;
        let line = |row: &Row| {
            let number: i64 = row.get("lane")?;
            let lane = Lane::ALL.into_iter().find(|lane| lane.number() == number);
            let provider = Provider::of(&row.get::<String>("provider")?);
            Ok(lane.zip(provider).map(|(lane, provider)| Line { lane, provider }))
        };
        rows.iter().map(line).filter_map(Result::transpose).collect()
    }

    /// At most `max` deliveries of a line, each for this caller alone for a minute. What is not to
    /// be sent after all ends here. What was on its way when its process ended is sent again, but
    /// for jobs and offers: those end as `failed` for `interrupted`, since a second one is worse
    /// than none.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn claim(&self, line: Line, max: u32) -> Result<Vec<Claimed>, Error> {
        let mut work = self.0.begin().await?;
        let now = work.now().await?;
        let text = each(
            "SELECT * FROM deliveries WHERE is_open = 1 AND lane = $1 AND provider = $2 \
             AND due_at <= $3 ORDER BY due_at LIMIT $4",
            "SELECT * FROM deliveries WHERE is_open = 1 AND lane = $1 AND provider = $2 \
             AND due_at <= $3 ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED",
        );
        let query = Query::new(text).bind(line.lane.number()).bind(line.provider.name());
        let rows = work.all(query.bind(now).bind(i64::from(max))).await?;
        let mut readable: Vec<(Standing, Parcel)> = Vec::new();
        for row in &rows {
            match read(row) {
                Ok(read) => readable.push(read),
                // It holds up nobody else.
                Err(error) => set_aside(&mut work, &row.get::<String>("id")?, &error, now).await?,
            }
        }
        let rows = readable;
        let known = Known::find(&mut work, &rows).await?;
        let mut claimed = Vec::new();
        for (row, parcel) in rows {
            let ending = match known.verdict(&row, line.lane, now) {
                Some(ending) => Some(ending),
                None if row.state == State::Deferred => {
                    match again(&mut work, &row, &parcel, now).await {
                        // What its user has chosen cannot be read: it holds up nobody else either.
                        Err(error @ Error::Damaged(_)) => {
                            set_aside(&mut work, &row.id, &error, now).await?;
                            continue;
                        }
                        ending => ending?,
                    }
                }
                None => None,
            };
            if let Some(ending) = ending {
                super::record::end(&mut work, &row, &parcel, ending, now).await?;
                continue;
            }
            let Some(endpoint) = known.endpoints.get(&row.id).cloned() else { continue };
            lease(&mut work, &row, now).await?;
            claimed.push(Claimed::new(row, parcel, endpoint, line));
        }
        work.commit().await?;
        Ok(claimed)
    }
}

pub(super) fn read(row: &Row) -> Result<(Standing, Parcel), Error> {
    Ok((Standing::of(row)?, row.json("body")?))
}

impl Claimed {
    fn new(row: Standing, parcel: Parcel, endpoint: Endpoint, line: Line) -> Self {
        let outgoing = Outgoing {
            delivery_id: row.id.clone(),
            endpoint,
            content: parcel.content.clone(),
            priority: parcel.priority,
            // What has grace is worth something for that long.
            expires_at: row.expires_at,
            collapse: parcel.collapse.clone(),
        };
        let last = parcel.last.map(|last| breaker::Last {
            provider: last.place,
            class: if last.is_in_trouble { Class::Retry } else { Class::Wait },
            is_ambiguous: last.is_ambiguous,
            attempts: last.in_a_row,
        });
        Claimed { outgoing, attempt: row.attempts + 1, last, line, parcel, row }
    }
}

impl Known {
    async fn find(work: &mut Work<'_>, rows: &[(Standing, Parcel)]) -> Result<Self, Error> {
        let of = |wanted: Channel| rows.iter().filter(move |(row, _)| row.channel == wanted);
        let ids: BTreeSet<&str> = of(Channel::Push).map(|(row, _)| row.endpoint.as_str()).collect();
        let devices = devices::endpoints(work, &ids).await?;
        let endpoints = rows.iter().filter_map(|(row, _)| {
            let endpoint = match row.channel {
                Channel::Push => devices.get(&row.endpoint).cloned(),
                channel => intake::endpoint(channel, &row.endpoint),
            };
            Some((row.id.clone(), endpoint?))
        });
        let endpoints = endpoints.collect();
        let held: Vec<&str> = of(Channel::Push).map(|(row, _)| row.id.as_str()).collect();
        let mut listed = BTreeSet::new();
        for (row, _) in rows.iter().filter(|(row, _)| super::is_listed(row.channel)) {
            if lists::has(work, row.channel, &row.endpoint).await? {
                listed.insert((row.id.clone(), row.endpoint.clone()));
            }
        }
        Ok(Known { endpoints, taken: taken(work, &held).await?, listed })
    }

    /// How a delivery ends before it is sent, if it does.
    fn verdict(&self, row: &Standing, lane: Lane, now: Moment) -> Option<Ending> {
        let at = self.taken.get(&row.id).copied();
        if row.state == State::Sending && lane == Lane::Bulk {
            return Some(Ending::failed("interrupted"));
        }
        if is_live(row.created_at, at) {
            return Some(Ending::suppressed(Suppressed::Live));
        }
        if self.listed.contains(&(row.id.clone(), row.endpoint.clone())) {
            return Some(Ending::suppressed(Suppressed::Listed));
        }
        if !self.endpoints.contains_key(&row.id) {
            return Some(Ending::suppressed(Suppressed::NoAddress));
        }
        row.is_over(now).then_some(Ending::expired())
    }
}

/// What becomes of a delivery that was put off: the user may have chosen otherwise meanwhile.
async fn again(
    work: &mut Work<'_>,
    row: &Standing,
    parcel: &Parcel,
    now: Moment,
) -> Result<Option<Ending>, Error> {
    let user = Users::known_or_plain_in(work, &row.user_id).await?;
    let choices = Choices::find(work, &user.user).await?;
    let is_critical = parcel.kind.is_critical();
    if !wants(&choices.preferences, parcel.kind, row.channel, is_critical) {
        return Ok(Some(Ending::suppressed(Suppressed::Preference)));
    }
    let quiet = choices.quiet.as_ref();
    Ok(match decide(quiet, parcel.priority, is_critical, now, row.expires_at) {
        Verdict::Send => None,
        Verdict::Defer(until) => Some(Ending::put_off(State::Deferred, until)),
        Verdict::Expire => Some(Ending::expired()),
    })
}

/// Makes a delivery this caller's.
async fn lease(work: &mut Work<'_>, row: &Standing, now: Moment) -> Result<(), Error> {
    let query = Query::new(
        "UPDATE deliveries SET state = 'sending', attempts = $2, due_at = $3, updated_at = $4 \
         WHERE id = $1",
    );
    let query = query.bind(&row.id).bind(i64::from(row.attempts) + 1);
    work.execute(query.bind(now.after(LEASE)).bind(now)).await.map(|_| ())
}

/// When the users of these deliveries said that a page has the same.
async fn taken(work: &mut Work<'_>, ids: &[&str]) -> Result<BTreeMap<String, Moment>, Error> {
    macro_rules! text {
        ($ids:literal) => {
            concat!(
                "SELECT d.id AS id, t.at AS at FROM deliveries AS d JOIN notification_taken AS t \
                 ON t.user_id = d.user_id AND t.event_id = d.event_id WHERE d.id IN (",
                $ids,
                ")"
            )
        };
    }
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let text = each(
        text!("SELECT value FROM json_each($1)"),
        text!("SELECT jsonb_array_elements_text($1::jsonb)"),
    );
    let rows = work.all(Query::new(text).bind(json(ids)?)).await?;
    rows.iter().map(|row| Ok((row.get("id")?, row.get("at")?))).collect()
}

impl Last {
    /// What is kept of an attempt for the next.
    pub(super) fn of(place: usize, outcome: &Outcome, before: Option<Last>) -> Self {
        let in_a_row = match before {
            Some(before) if before.place == place => before.in_a_row + 1,
            _ => 1,
        };
        let (is_in_trouble, is_ambiguous) = (outcome.class == Class::Retry, outcome.is_ambiguous);
        Last { place, is_in_trouble, is_ambiguous, in_a_row }
    }
}
