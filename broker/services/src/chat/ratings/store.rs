//! The tables of ratings, and of whom was asked for one.

use crate::chat::model::{Answer, Rating};
use crate::moment::Moment;
use crate::store::{Database, Error, Query, Row, Schema, Work, both};

pub(crate) const SCHEMA: Schema = Schema {
    name: "ratings",
    steps: &[
        &[
            both(
                "CREATE TABLE ratings (id TEXT PRIMARY KEY, conversation_id TEXT NOT NULL, \
             resolution_no BIGINT NOT NULL, customer_id TEXT NOT NULL, agent_id TEXT, \
             rating BIGINT NOT NULL CHECK (rating BETWEEN 1 AND 5), comment TEXT, \
             created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL, \
             UNIQUE (conversation_id, resolution_no))",
            ),
            both("CREATE INDEX ratings_agent ON ratings (agent_id, created_at)"),
            both(
                "CREATE TABLE rating_asks (customer_id TEXT PRIMARY KEY, asked_at BIGINT NOT NULL)",
            ),
        ],
        &[
            both("ALTER TABLE rating_asks ADD COLUMN conversation_id TEXT"),
            both("ALTER TABLE rating_asks ADD COLUMN resolution_no BIGINT"),
        ],
        &[both("CREATE INDEX ratings_created ON ratings (created_at)")],
    ],
};

/// The ratings of a database.
#[derive(Clone, Debug)]
pub struct Answers(Database);

impl Answers {
    /// The ratings of this database.
    #[must_use]
    pub fn new(database: &Database) -> Self {
        Answers(database.clone())
    }

    /// Adds a rating, and notes that its customer has answered; whether the resolution had none.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn add(&self, customer: &str, rating: &Rating) -> Result<bool, Error> {
        let mut work = self.0.begin().await?;
        let query = Query::new(
            "INSERT INTO ratings (id, conversation_id, resolution_no, customer_id, agent_id, \
             rating, comment, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
             ON CONFLICT (conversation_id, resolution_no) DO NOTHING",
        );
        let query = query.bind(&rating.id).bind(&rating.conversation_id);
        let query = query.bind(i64::from(rating.resolution_no)).bind(customer);
        let query = query.bind(rating.agent_id.clone()).bind(i64::from(rating.answer.rating));
        let query = query.bind(rating.answer.comment.clone()).bind(rating.created_at.as_ms());
        if work.execute(query.bind(rating.updated_at.as_ms())).await? == 0 {
            return Ok(false);
        }
        let own = (rating.conversation_id.as_str(), rating.resolution_no);
        note(&mut work, customer, own, rating.created_at, None).await?;
        work.commit().await?;
        Ok(true)
    }

    /// Puts a changed rating in the place of `before`; whether it was as `before` says.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn change(&self, before: &Rating, after: &Rating) -> Result<bool, Error> {
        let mut work = self.0.begin().await?;
        let query = Query::new(
            "UPDATE ratings SET rating = $2, comment = $3, updated_at = $4 \
             WHERE id = $1 AND updated_at = $5 AND rating = $6",
        );
        let query = query.bind(&before.id).bind(i64::from(after.answer.rating));
        let query = query.bind(after.answer.comment.clone()).bind(after.updated_at.as_ms());
        let query = query.bind(before.updated_at.as_ms()).bind(i64::from(before.answer.rating));
        let is_changed = work.execute(query).await? == 1;
        work.commit().await?;
        Ok(is_changed)
    }

    /// The rating of a resolution.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn find(
        &self,
        conversation_id: &str,
        resolution_no: u32,
    ) -> Result<Option<Rating>, Error> {
        let query =
            Query::new("SELECT * FROM ratings WHERE conversation_id = $1 AND resolution_no = $2");
        let query = query.bind(conversation_id).bind(i64::from(resolution_no));
        self.0.one(query).await?.as_ref().map(read).transpose()
    }

    /// The ratings of a conversation, the newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn of_conversation(&self, id: &str, max: u32) -> Result<Vec<Rating>, Error> {
        let query = Query::new(
            "SELECT * FROM ratings WHERE conversation_id = $1 \
             ORDER BY resolution_no DESC LIMIT $2",
        );
        self.0.all(query.bind(id).bind(i64::from(max))).await?.iter().map(read).collect()
    }

    /// The ratings of an agent since a moment, the newest first.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn of_agent(&self, id: &str, since: Moment, max: u32) -> Result<Vec<Rating>, Error> {
        let query = Query::new(
            "SELECT * FROM ratings WHERE agent_id = $1 AND created_at >= $2 \
             ORDER BY created_at DESC, id DESC LIMIT $3",
        );
        let query = query.bind(id).bind(since.as_ms()).bind(i64::from(max));
        self.0.all(query).await?.iter().map(read).collect()
    }

    /// Notes that a customer is asked about a resolution, unless one was asked or has answered
    /// after `quiet`; when it was asked about this one, or none if it was about another.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn ask(
        &self,
        customer: &str,
        about: (&str, u32),
        now: Moment,
        quiet: Moment,
    ) -> Result<Option<Moment>, Error> {
        let mut work = self.0.begin().await?;
        if note(&mut work, customer, about, now, Some(quiet)).await? {
            work.commit().await?;
            return Ok(Some(now));
        }
        let query = Query::new(
            "SELECT asked_at FROM rating_asks \
             WHERE customer_id = $1 AND conversation_id = $2 AND resolution_no = $3",
        );
        let query = query.bind(customer).bind(about.0).bind(i64::from(about.1));
        work.one(query).await?.map(|row| row.get("asked_at")).transpose()
    }
}

/// Notes when a customer was last asked or has answered, and about which resolution of which
/// conversation, if the time before was not after `quiet`.
async fn note(
    work: &mut Work<'_>,
    customer: &str,
    (conversation_id, resolution_no): (&str, u32),
    now: Moment,
    quiet: Option<Moment>,
) -> Result<bool, Error> {
    let query = Query::new(
        "INSERT INTO rating_asks (customer_id, asked_at, conversation_id, resolution_no) \
         VALUES ($1, $2, $3, $4) ON CONFLICT (customer_id) DO UPDATE SET \
         asked_at = excluded.asked_at, conversation_id = excluded.conversation_id, \
         resolution_no = excluded.resolution_no WHERE rating_asks.asked_at <= $5",
    );
    let quiet = quiet.map_or(i64::MAX, Moment::as_ms);
    let query = query.bind(customer).bind(now).bind(conversation_id);
    Ok(work.execute(query.bind(i64::from(resolution_no)).bind(quiet)).await? == 1)
}

fn read(row: &Row) -> Result<Rating, Error> {
    let small = |column: &str| row.get::<i64>(column);
    let damaged = |number: i64| Error::Damaged(format!("a rating has {number}"));
    let (no, rating) = (small("resolution_no")?, small("rating")?);
    Ok(Rating {
        id: row.get("id")?,
        conversation_id: row.get("conversation_id")?,
        resolution_no: u32::try_from(no).map_err(|_| damaged(no))?,
        agent_id: row.get("agent_id")?,
        answer: Answer {
            rating: u8::try_from(rating).map_err(|_| damaged(rating))?,
            comment: row.get("comment")?,
        },
        created_at: Moment::from_ms(small("created_at")?),
        updated_at: Moment::from_ms(small("updated_at")?),
    })
}
