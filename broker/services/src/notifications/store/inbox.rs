//! The inbox of a user: what the shop's own pages show.

use super::super::asked::{Inbox, Item, Marked, Updated};
use super::super::model::{Channel, State};
use super::Notifications;
use crate::moment::Moment;
use crate::outbox::{self, Event};
use crate::store::encoding::{json, name};
use crate::store::{Error, Query, Row, Work, both, each};

/// Events of a user that are remembered as taken, the newest; a push waits for them for seconds only.
const TAKEN_MAX: i64 = 1_000;
/// Notifications that one mark without ids takes in.
const ALL_MAX: i64 = 1_000;

impl Notifications {
    /// At most `max` notifications of a user, the newest first: of the archive or not of it, older
    /// than that one, if it is said.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn inbox(
        &self,
        user: &str,
        is_archived: bool,
        before: Option<&str>,
        max: u32,
    ) -> Result<Inbox, Error> {
        macro_rules! text {
            ($archived:literal) => {
                both(concat!(
                    "SELECT * FROM inbox WHERE user_id = $1 AND archived_at IS ",
                    $archived,
                    " AND ($2 = '' OR (created_at, notification_id) < (SELECT created_at, \
                     notification_id FROM inbox WHERE notification_id = $2 AND user_id = $1)) \
                     ORDER BY created_at DESC, notification_id DESC LIMIT $3"
                ))
            };
        }
        let text = if is_archived { text!("NOT NULL") } else { text!("NULL") };
        let query = Query::new(text).bind(user).bind(before.unwrap_or_default());
        let rows = self.0.all(query.bind(i64::from(max))).await?;
        let items = rows.iter().map(item).collect::<Result<_, Error>>()?;
        let mut work = self.0.begin().await?;
        Ok(Inbox { items, unread: unread(&mut work, user).await? })
    }

    /// Takes what a user says of notifications, or of all in the inbox; what has changed by it. An
    /// id that is none of the user's notifications is noted as that of an event.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn mark(
        &self,
        user: &str,
        ids: Option<&[String]>,
        mark: Marked,
    ) -> Result<Updated, Error> {
        let mut work = self.0.begin().await?;
        let now = work.now().await?;
        if let Some(ids) = ids.filter(|_| mark != Marked::Unread) {
            for id in ids {
                let query = Query::new(
                    "INSERT INTO notification_taken (user_id, event_id, at) VALUES ($1, $2, $3) \
                     ON CONFLICT (user_id, event_id) DO NOTHING",
                );
                work.execute(query.bind(user).bind(id).bind(now)).await?;
            }
            let surplus = Query::new(
                "DELETE FROM notification_taken WHERE user_id = $1 AND at < (SELECT at FROM \
                 notification_taken WHERE user_id = $1 ORDER BY at DESC LIMIT 1 OFFSET $2)",
            );
            work.execute(surplus.bind(user).bind(TAKEN_MAX - 1)).await?;
        }
        let wanted = match ids {
            Some(ids) => ids.to_vec(),
            None => all(&mut work, user, mark).await?,
        };
        let notification_ids = change(&mut work, user, &wanted, mark, now).await?;
        let unread = unread(&mut work, user).await?;
        deliveries(&mut work, user, &wanted, mark, now).await?;
        let updated = Updated { notification_ids, mark, unread };
        if !updated.notification_ids.is_empty() {
            let topic = format!("user.{}", sampan_client::topic_token(user));
            let event = Event::of(&topic, "notification:updated", now, &updated)?;
            outbox::add(&mut work, &event.producer("notifications").key(user)).await?;
        }
        work.commit().await?;
        Ok(updated)
    }
}

/// Puts a notification in.
pub(super) async fn put(work: &mut Work<'_>, user: &str, item: &Item) -> Result<(), Error> {
    let query = Query::new(
        "INSERT INTO inbox (notification_id, user_id, created_at, body) VALUES ($1, $2, $3, $4)",
    );
    let query = query.bind(&item.notification_id).bind(user).bind(item.created_at);
    work.execute(query.bind(json(item)?)).await.map(|_| ())
}

/// How many notifications of a user are not read.
pub(super) async fn unread(work: &mut Work<'_>, user: &str) -> Result<u64, Error> {
    let query = Query::new(
        "SELECT COUNT(*) AS n FROM inbox WHERE user_id = $1 AND read_at IS NULL \
         AND archived_at IS NULL",
    );
    work.one(query.bind(user)).await?.map_or(Ok(0), |row| row.get("n"))
}

/// The newest of an inbox of which a mark is news.
async fn all(work: &mut Work<'_>, user: &str, mark: Marked) -> Result<Vec<String>, Error> {
    macro_rules! text {
        ($when:literal) => {
            both(concat!(
                "SELECT notification_id FROM inbox WHERE user_id = $1 AND archived_at IS NULL AND ",
                $when,
                " ORDER BY created_at DESC LIMIT $2"
            ))
        };
    }
    let text = match mark {
        Marked::Delivered => return Ok(Vec::new()),
        Marked::Seen => text!("seen_at IS NULL"),
        Marked::Read => text!("read_at IS NULL"),
        Marked::Unread => text!("read_at IS NOT NULL"),
        Marked::Clicked | Marked::Archived => text!("1 = 1"),
    };
    let rows = work.all(Query::new(text).bind(user).bind(ALL_MAX)).await?;
    rows.iter().map(|row| row.get("notification_id")).collect()
}

/// Writes a mark; which notifications have changed. What was read was seen.
async fn change(
    work: &mut Work<'_>,
    user: &str,
    ids: &[String],
    mark: Marked,
    now: Moment,
) -> Result<Vec<String>, Error> {
    macro_rules! text {
        ($set:literal, $when:literal) => {
            each(
                concat!(
                    "UPDATE inbox SET ",
                    $set,
                    " WHERE user_id = $1 AND ",
                    $when,
                    " AND notification_id IN (SELECT value FROM json_each($2)) \
                     AND created_at <= $3 RETURNING notification_id"
                ),
                concat!(
                    "UPDATE inbox SET ",
                    $set,
                    " WHERE user_id = $1 AND ",
                    $when,
                    " AND notification_id IN (SELECT jsonb_array_elements_text($2::jsonb)) \
                     AND created_at <= $3 RETURNING notification_id"
                ),
            )
        };
    }
    let text = match mark {
        Marked::Delivered => return Ok(Vec::new()),
        Marked::Seen => text!("seen_at = $3", "seen_at IS NULL"),
        Marked::Read | Marked::Clicked => {
            text!("read_at = $3, seen_at = COALESCE(seen_at, $3)", "read_at IS NULL")
        }
        Marked::Unread => text!("read_at = NULL", "read_at IS NOT NULL"),
        Marked::Archived => text!("archived_at = $3", "archived_at IS NULL"),
    };
    let query = Query::new(text).bind(user).bind(json(ids)?).bind(now);
    work.all(query).await?.iter().map(|row| row.get("notification_id")).collect()
}

/// Notes at the deliveries what the user said, never less than before.
async fn deliveries(
    work: &mut Work<'_>,
    user: &str,
    ids: &[String],
    mark: Marked,
    now: Moment,
) -> Result<(), Error> {
    let state = match mark {
        Marked::Clicked => State::Clicked,
        Marked::Seen | Marked::Read => State::Seen,
        Marked::Delivered | Marked::Unread | Marked::Archived => return Ok(()),
    };
    let text = each(
        "UPDATE deliveries SET state = $1, updated_at = $2 WHERE user_id = $3 AND channel = $4 \
         AND state IN ('sent', 'delivered', 'seen') \
         AND notification_id IN (SELECT value FROM json_each($5))",
        "UPDATE deliveries SET state = $1, updated_at = $2 WHERE user_id = $3 AND channel = $4 \
         AND state IN ('sent', 'delivered', 'seen') \
         AND notification_id IN (SELECT jsonb_array_elements_text($5::jsonb))",
    );
    let query = Query::new(text).bind(name(&state)?).bind(now).bind(user);
    let query = query.bind(name(&Channel::Websocket)?);
    work.execute(query.bind(json(ids)?)).await.map(|_| ())
}

fn item(row: &Row) -> Result<Item, Error> {
    Ok(Item {
        seen_at: row.get("seen_at")?,
        read_at: row.get("read_at")?,
        archived_at: row.get("archived_at")?,
        ..row.json("body")?
    })
}
