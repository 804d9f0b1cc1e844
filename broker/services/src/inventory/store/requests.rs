//! Requests that take effect once, however often they come.

use serde::Serialize;

use super::Error;
use crate::moment::Moment;
use crate::refusal::Refusal;
use crate::store::encoding::json;
use crate::store::{self, Query, Work};

/// How long a request is known again, in milliseconds.
const KEEP_MS: i64 = 7 * 24 * 3_600_000;

/// Notes a request under its key, with the answer that it is to have; the answer of the one that
/// came first, if there was one.
///
/// # Errors
/// `Differs` if that asked something else; those of the database.
pub(super) async fn once(
    work: &mut Work<'_>,
    (scope, key): (&str, &str),
    question: &impl Serialize,
    answer: &str,
) -> Result<Option<String>, Error> {
    let question = json(question)?;
    let now = work.now().await?;
    let insert = Query::new(
        "INSERT INTO stock_requests (scope, key, question, answer, at) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT (scope, key) DO NOTHING",
    );
    let insert = insert.bind(scope).bind(key).bind(&question).bind(answer).bind(now);
    if work.execute(insert).await? == 1 {
        return Ok(None);
    }
    let find = Query::new("SELECT * FROM stock_requests WHERE scope = $1 AND key = $2");
    let Some(row) = work.one(find.bind(scope).bind(key)).await? else {
        // It was removed as too old in between.
        return Err(store::Error::Contended("a request ended meanwhile".to_owned()).into());
    };
    if row.get::<String>("question")? != question {
        return Err(Refusal::Differs("the key was used for another request").into());
    }
    Ok(Some(row.get("answer")?))
}

/// Forgets what is too old to be asked again.
pub(super) async fn prune(work: &mut Work<'_>, now: Moment) -> Result<u64, store::Error> {
    let query = Query::new("DELETE FROM stock_requests WHERE at < $1");
    work.execute(query.bind(now.as_ms() - KEEP_MS)).await
}
