//! The tables of courses and figures. They are in the SQL database, whatever chats are in: they
//! follow from what chats have told, and could be made anew of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::chat::rules::averages::{RATINGS, RATINGS_MIN, REPLIES};
use crate::chat::rules::course::{Counted, Course};
use crate::chat::rules::figures::{Book, Fact, Figures, Times, add};
use crate::chat::rules::sla::Applied;
use crate::days::{self, Days};
use crate::moment::Moment;
use crate::store::encoding::json;
use crate::store::{Database, Error, Query, Row, Schema, Work, both, each};

pub(crate) const SCHEMA: Schema = Schema {
    name: "chat_course",
    steps: &[&[
        both(
            "CREATE TABLE courses (conversation_id TEXT PRIMARY KEY, customer_id TEXT NOT NULL, \
             epoch BIGINT NOT NULL, place BIGINT NOT NULL, taken_seq BIGINT NOT NULL, \
             policy_id TEXT, due_at BIGINT, applied TEXT NOT NULL, body TEXT NOT NULL)",
        ),
        both("CREATE INDEX courses_due ON courses (due_at) WHERE due_at IS NOT NULL"),
        both(
            "CREATE TABLE chat_figures (day TEXT NOT NULL, agent_id TEXT NOT NULL, \
             conversations BIGINT NOT NULL, customer_messages BIGINT NOT NULL, \
             firsts BIGINT NOT NULL, firsts_ms BIGINT NOT NULL, firsts_max BIGINT NOT NULL, \
             firsts_in_goal BIGINT NOT NULL, replies BIGINT NOT NULL, replies_ms BIGINT NOT NULL, \
             replies_max BIGINT NOT NULL, resolutions BIGINT NOT NULL, \
             resolutions_ms BIGINT NOT NULL, resolutions_max BIGINT NOT NULL, \
             PRIMARY KEY (day, agent_id))",
        ),
        both("CREATE TABLE sla_policies (id TEXT PRIMARY KEY, body TEXT NOT NULL)"),
        both(
            "CREATE TABLE sla_events (conversation_id TEXT NOT NULL, policy_id TEXT NOT NULL, \
             target TEXT NOT NULL, since BIGINT NOT NULL, due BIGINT NOT NULL, at BIGINT NOT NULL, \
             PRIMARY KEY (conversation_id, policy_id, target, since))",
        ),
    ]],
};

/// What this process has heard of chats.
#[derive(Debug, Default)]
pub struct Counters {
    conversations: AtomicU64,
    customer_messages: AtomicU64,
    first_responses: AtomicU64,
    first_response_ms: AtomicU64,
    first_responses_in_goal: AtomicU64,
    replies: AtomicU64,
    reply_ms: AtomicU64,
    resolutions: AtomicU64,
    resolution_ms: AtomicU64,
    pub(super) sla_misses: AtomicU64,
    pub(super) unread: AtomicU64,
}

impl Counters {
    /// Each count with its name and what it is.
    #[must_use]
    pub fn all(&self) -> [(&'static str, &'static str, u64); 11] {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [
            (
                "chat_conversations",
                "Conversations begun, or come back to",
                read(&self.conversations),
            ),
            ("chat_customer_messages", "Messages of customers", read(&self.customer_messages)),
            ("chat_first_responses", "First responses", read(&self.first_responses)),
            ("chat_first_response_ms", "Milliseconds to them", read(&self.first_response_ms)),
            (
                "chat_first_responses_in_goal",
                "Of these within two minutes",
                read(&self.first_responses_in_goal),
            ),
            ("chat_replies", "Replies of agents", read(&self.replies)),
            ("chat_reply_ms", "Milliseconds to them", read(&self.reply_ms)),
            ("chat_resolutions", "Conversations resolved", read(&self.resolutions)),
            ("chat_resolution_ms", "Milliseconds to that", read(&self.resolution_ms)),
            ("chat_sla_misses", "Promises that were missed", read(&self.sla_misses)),
            ("chat_course_unread", "Events of chats that make no sense", read(&self.unread)),
        ]
    }

    pub(super) fn add(count: &AtomicU64, more: u64) {
        count.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn count(&self, all: &[Counted]) {
        let mut sum = Figures::default();
        for (_, fact, _) in all {
            add(&mut sum, *fact);
        }
        for (count, more) in [
            (&self.conversations, sum.conversations),
            (&self.customer_messages, sum.customer_messages),
            (&self.first_responses, sum.first_response.count),
            (&self.first_response_ms, sum.first_response.sum_ms),
            (&self.first_responses_in_goal, sum.first_response_in_goal),
            (&self.replies, sum.reply.count),
            (&self.reply_ms, sum.reply.sum_ms),
            (&self.resolutions, sum.resolution.count),
            (&self.resolution_ms, sum.resolution.sum_ms),
        ] {
            Counters::add(count, more);
        }
    }
}

/// A place in the topic of a conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Epoch of the topic.
    pub epoch: u64,
    /// Offset there.
    pub offset: u64,
}

/// A course as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) conversation_id: String,
    pub(super) customer_id: String,
    /// The last that was heard; `None` if nothing was yet.
    pub(super) place: Option<Place>,
    /// Messages up to this one are on a page of the customer's.
    pub(super) taken_seq: u64,
    pub(super) course: Course,
    pub(super) policy_id: Option<String>,
    pub(super) applied: Applied,
    pub(super) due_at: Option<Moment>,
}

/// The courses of a database.
#[derive(Clone, Debug)]
pub struct Courses(pub(super) Database);

impl Courses {
    /// The courses of this database.
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Courses(database.clone())
    }

    /// Mean seconds of an agent's replies of the last 30 days, and its mean rating of the last 90,
    /// by agent.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn averages(&self) -> Result<BTreeMap<String, Averages>, Error> {
        let now = Moment::now();
        let mut all: BTreeMap<String, Averages> = BTreeMap::new();
        let query = Query::new(
            "SELECT agent_id, CAST(SUM(replies) AS BIGINT) AS n, \
             CAST(SUM(replies_ms) AS BIGINT) AS ms FROM chat_figures \
             WHERE day > $1 AND agent_id <> '' GROUP BY agent_id HAVING SUM(replies) > 0",
        );
        for row in self.0.all(query.bind(days::of(now.before(REPLIES)))).await? {
            let times = Times { count: row.get("n")?, sum_ms: row.get("ms")?, max_ms: 0 };
            all.entry(row.get("agent_id")?).or_default().response_s = times.mean_s();
        }
        let query = Query::new(
            "SELECT agent_id, COUNT(*) AS n, CAST(SUM(rating) AS BIGINT) AS sum FROM ratings \
             WHERE created_at >= $1 AND agent_id IS NOT NULL GROUP BY agent_id",
        );
        for row in self.0.all(query.bind(now.before(RATINGS))).await? {
            let (count, sum): (u64, u64) = (row.get("n")?, row.get("sum")?);
            if count >= RATINGS_MIN as u64 {
                // The mean of whole numbers, as times have it.
                let mean = Times { count, sum_ms: sum.saturating_mul(1_000), max_ms: 0 }.mean_s();
                all.entry(row.get("agent_id")?).or_default().satisfaction = mean;
            }
        }
        Ok(all)
    }

    /// The figures from one day to another, both included, of one agent or of all.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn figures(&self, days: Days, agent: Option<&str>) -> Result<Book, Error> {
        let mut book = Book::default();
        let (first, end) = days.moments();
        let query = Query::new(
            "SELECT * FROM chat_figures WHERE day >= $1 AND day < $2 \
             AND ($3 = '' OR agent_id = $3) ORDER BY day, agent_id",
        );
        let query = query.bind(days::of(first)).bind(days::of(end));
        let query = query.bind(agent.unwrap_or_default());
        for row in self.0.all(query).await? {
            let (day, agent): (String, String) = (row.get("day")?, row.get("agent_id")?);
            book.join(&day, &agent, &figures(&row)?);
        }
        let text = each(
            "SELECT date(created_at / 1000, 'unixepoch') AS day, COALESCE(agent_id, '') AS agent, \
             rating, COUNT(*) AS n FROM ratings WHERE created_at >= $1 AND created_at < $2 \
             AND ($3 = '' OR agent_id = $3) GROUP BY 1, 2, 3",
            "SELECT to_char(to_timestamp(created_at / 1000) AT TIME ZONE 'UTC', 'YYYY-MM-DD') \
             AS day, COALESCE(agent_id, '') AS agent, rating, COUNT(*) AS n FROM ratings \
             WHERE created_at >= $1 AND created_at < $2 \
             AND ($3 = '' OR agent_id = $3) GROUP BY 1, 2, 3",
        );
        let query = Query::new(text).bind(first).bind(end).bind(agent.unwrap_or_default());
        for row in self.0.all(query).await? {
            let (day, agent): (String, String) = (row.get("day")?, row.get("agent")?);
            let mut figures = Figures::default();
            let at = row.get::<u64>("rating")?.wrapping_sub(1);
            if let Some(count) = figures.ratings.get_mut(usize::try_from(at).unwrap_or(usize::MAX))
            {
                *count = row.get("n")?;
            }
            book.join(&day, &agent, &figures);
        }
        Ok(book)
    }
}

/// What an agent's record says of the agent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Averages {
    /// Mean seconds of a reply.
    pub response_s: Option<f64>,
    /// Mean rating; none below five.
    pub satisfaction: Option<f64>,
}

fn figures(row: &Row) -> Result<Figures, Error> {
    let times = |count, sum, max| -> Result<Times, Error> {
        Ok(Times { count: row.get(count)?, sum_ms: row.get(sum)?, max_ms: row.get(max)? })
    };
    Ok(Figures {
        conversations: row.get("conversations")?,
        customer_messages: row.get("customer_messages")?,
        first_response: times("firsts", "firsts_ms", "firsts_max")?,
        first_response_in_goal: row.get("firsts_in_goal")?,
        reply: times("replies", "replies_ms", "replies_max")?,
        resolution: times("resolutions", "resolutions_ms", "resolutions_max")?,
        ratings: [0; 5],
    })
}

/// The course of a conversation, which nobody else changes until the transaction ends.
pub(super) async fn lock(work: &mut Work<'_>, id: &str) -> Result<Option<Kept>, Error> {
    let text = each(
        "SELECT * FROM courses WHERE conversation_id = $1",
        "SELECT * FROM courses WHERE conversation_id = $1 FOR UPDATE",
    );
    work.one(Query::new(text).bind(id)).await?.as_ref().map(kept).transpose()
}

/// Adds a course of which nothing was heard, unless there is one.
pub(super) async fn begin(work: &mut Work<'_>, id: &str, customer: &str) -> Result<(), Error> {
    let query = Query::new(
        "INSERT INTO courses (conversation_id, customer_id, epoch, place, taken_seq, applied, \
         body) VALUES ($1, $2, 0, -1, 0, $3, $4) ON CONFLICT (conversation_id) DO NOTHING",
    );
    let query = query.bind(id).bind(customer).bind(json(&Applied::default())?);
    work.execute(query.bind(json(&Course::default())?)).await.map(|_| ())
}

pub(super) async fn put(work: &mut Work<'_>, kept: &Kept) -> Result<(), Error> {
    let query = Query::new(
        "UPDATE courses SET epoch = $2, place = $3, taken_seq = $4, policy_id = $5, due_at = $6, \
         applied = $7, body = $8 WHERE conversation_id = $1",
    );
    let place = kept.place.unwrap_or_default();
    let offset = kept.place.map_or(-1, |place| i64::try_from(place.offset).unwrap_or(i64::MAX));
    let query = query.bind(&kept.conversation_id).bind(place.epoch).bind(offset);
    let query = query.bind(kept.taken_seq).bind(kept.policy_id.clone()).bind(kept.due_at);
    work.execute(query.bind(json(&kept.applied)?).bind(json(&kept.course)?)).await.map(|_| ())
}

pub(super) fn kept(row: &Row) -> Result<Kept, Error> {
    let (epoch, offset): (u64, i64) = (row.get("epoch")?, row.get("place")?);
    let place = u64::try_from(offset).ok().map(|offset| Place { epoch, offset });
    Ok(Kept {
        conversation_id: row.get("conversation_id")?,
        customer_id: row.get("customer_id")?,
        place,
        taken_seq: row.get("taken_seq")?,
        course: row.json("body")?,
        policy_id: row.get("policy_id")?,
        applied: row.json("applied")?,
        due_at: row.get("due_at")?,
    })
}

/// Counts what counts. Days and agents are taken in their order, so that no two wait for each other.
pub(super) async fn count(work: &mut Work<'_>, all: &[Counted]) -> Result<(), Error> {
    let mut book = Book::default();
    for (agent, fact, at) in all {
        if !matches!(fact, Fact::Rated(_)) {
            book.add(&days::of(*at), agent.as_deref(), *fact);
        }
    }
    for (day, agent, figures) in book.rows() {
        let query = Query::new(
            "INSERT INTO chat_figures (day, agent_id, conversations, customer_messages, firsts, \
             firsts_ms, firsts_max, firsts_in_goal, replies, replies_ms, replies_max, resolutions, \
             resolutions_ms, resolutions_max) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
             ON CONFLICT (day, agent_id) DO UPDATE SET \
             conversations = chat_figures.conversations + excluded.conversations, \
             customer_messages = chat_figures.customer_messages + excluded.customer_messages, \
             firsts = chat_figures.firsts + excluded.firsts, \
             firsts_ms = chat_figures.firsts_ms + excluded.firsts_ms, \
             firsts_max = CASE WHEN chat_figures.firsts_max > excluded.firsts_max \
             THEN chat_figures.firsts_max ELSE excluded.firsts_max END, \
             firsts_in_goal = chat_figures.firsts_in_goal + excluded.firsts_in_goal, \
             replies = chat_figures.replies + excluded.replies, \
             replies_ms = chat_figures.replies_ms + excluded.replies_ms, \
             replies_max = CASE WHEN chat_figures.replies_max > excluded.replies_max \
             THEN chat_figures.replies_max ELSE excluded.replies_max END, \
             resolutions = chat_figures.resolutions + excluded.resolutions, \
             resolutions_ms = chat_figures.resolutions_ms + excluded.resolutions_ms, \
             resolutions_max = CASE WHEN chat_figures.resolutions_max > excluded.resolutions_max \
             THEN chat_figures.resolutions_max ELSE excluded.resolutions_max END",
        );
        let Figures { first_response, reply, resolution, .. } = figures;
        let query = query.bind(day).bind(agent);
        let query = query.bind(figures.conversations).bind(figures.customer_messages);
        let query = query.bind(first_response.count).bind(first_response.sum_ms);
        let query = query.bind(first_response.max_ms).bind(figures.first_response_in_goal);
        let query = query.bind(reply.count).bind(reply.sum_ms).bind(reply.max_ms);
        let query = query.bind(resolution.count).bind(resolution.sum_ms).bind(resolution.max_ms);
        work.execute(query).await?;
    }
    Ok(())
}
