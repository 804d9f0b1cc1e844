//! Promises: which one a conversation has, and when it is missed. Each miss is told once.

use tracing::error;

use super::asked::{PolicyPut, Promise, open};
use super::store::{Courses, Kept, kept, lock, put};
use crate::chat::rules::sla::{Applied, Miss, look};
use crate::moment::Moment;
use crate::outbox::{self, DASHBOARD, Event};
use crate::service::Problem;
use crate::store::encoding::{json, name};
use crate::store::{Error, Query, Row, Work, each};

/// The promise that is made to everybody.
pub(super) const DEFAULT: &str = "default";
/// Conversations of one look.
const BATCH: i64 = 100;

impl Courses {
    /// Writes a promise. Conversations that have it are measured by it from their next look on.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn put_policy(&self, told: &PolicyPut) -> Result<(), Error> {
        let mut work = self.0.begin().await?;
        let query = Query::new(
            "INSERT INTO sla_policies (id, body) VALUES ($1, $2) \
             ON CONFLICT (id) DO UPDATE SET body = excluded.body",
        );
        work.execute(query.bind(&told.id).bind(json(told)?)).await?;
        work.commit().await
    }

    /// All promises, by id.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn policies(&self) -> Result<Vec<PolicyPut>, Error> {
        let query = Query::new("SELECT body FROM sla_policies ORDER BY id");
        self.0.all(query).await?.iter().map(|row| row.json("body")).collect()
    }

    /// Makes another promise to a conversation.
    ///
    /// # Errors
    /// `NOT_FOUND` if there is no such conversation or promise; those of the database.
    pub async fn apply_policy(&self, id: &str, policy: &str) -> Result<Promise, Problem> {
        let mut work = self.0.begin().await?;
        let now = work.now().await?;
        let before = lock(&mut work, id).await?;
        let before = before.ok_or_else(|| Problem::not_found("nothing was heard of it yet"))?;
        if find(&mut work, policy).await?.is_none() {
            return Err(Problem::not_found("there is no such promise"));
        }
        let fresh =
            Kept { policy_id: Some(policy.to_owned()), applied: Applied::default(), ..before };
        let after = measure(&mut work, fresh, now).await?;
        put(&mut work, &after).await?;
        work.commit().await?;
        Ok(promise(after))
    }

    /// The promise to a conversation; `None` if nothing was heard of it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn promise(&self, id: &str) -> Result<Option<Promise>, Error> {
        let query = Query::new("SELECT * FROM courses WHERE conversation_id = $1").bind(id);
        Ok(self.0.one(query).await?.as_ref().map(kept).transpose()?.map(promise))
    }

    /// Looks at the promises that are due; how many were missed.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn look(&self) -> Result<u64, Error> {
        let mut missed = 0;
        loop {
            let mut work = self.0.begin().await?;
            let now = work.now().await?;
            let text = each(
                "SELECT * FROM courses WHERE due_at < $1 ORDER BY due_at LIMIT $2",
                "SELECT * FROM courses WHERE due_at < $1 ORDER BY due_at LIMIT $2 \
                 FOR UPDATE SKIP LOCKED",
            );
            let rows = work.all(Query::new(text).bind(now).bind(BATCH)).await?;
            if rows.is_empty() {
                return Ok(missed);
            }
            for row in &rows {
                let before = match kept(row) {
                    Err(error @ Error::Damaged(_)) => {
                        let id: String = row.get("conversation_id")?;
                        error!(%error, conversation = id, "a course is damaged, and is not measured");
                        set_aside(&mut work, &id).await?;
                        continue;
                    }
                    kept => kept?,
                };
                let count = before.applied.missed.len();
                let after = measure(&mut work, before, now).await?;
                missed += after.applied.missed.len().saturating_sub(count) as u64;
                put(&mut work, &after).await?;
            }
            work.commit().await?;
        }
    }
}

/// Lets a course that cannot be read hold up no other.
async fn set_aside(work: &mut Work<'_>, id: &str) -> Result<(), Error> {
    let query = Query::new("UPDATE courses SET due_at = NULL WHERE conversation_id = $1");
    work.execute(query.bind(id)).await.map(|_| ())
}

/// Measures a course by its promise, and tells of what was missed.
pub(super) async fn measure(work: &mut Work<'_>, before: Kept, now: Moment) -> Result<Kept, Error> {
    let (Some(facts), Some(id)) = (before.course.facts(), before.policy_id.clone()) else {
        return Ok(Kept { due_at: None, ..before });
    };
    let Some(policy) = find(work, &id).await? else {
        return Ok(Kept { due_at: None, ..before });
    };
    // Hours that are not known any more measure by all hours.
    let hours = open(&policy).ok().flatten();
    let (applied, fresh) = look(&before.applied, &policy, facts, hours.as_ref(), now);
    for miss in &fresh {
        tell(work, &before, &id, miss, now).await?;
    }
    let due_at = [applied.frt_due, applied.nrt_due, applied.rt_due].into_iter().flatten().min();
    Ok(Kept { applied, due_at, ..before })
}

pub(super) async fn find(work: &mut Work<'_>, id: &str) -> Result<Option<PolicyPut>, Error> {
    let query = Query::new("SELECT body FROM sla_policies WHERE id = $1").bind(id);
    work.one(query).await?.map(|row: Row| row.json("body")).transpose()
}

/// Tells operators and analytics of a promise that was not kept, once.
async fn tell(
    work: &mut Work<'_>,
    kept: &Kept,
    policy: &str,
    miss: &Miss,
    now: Moment,
) -> Result<(), Error> {
    let id = &kept.conversation_id;
    let query = Query::new(
        "INSERT INTO sla_events (conversation_id, policy_id, target, since, due, at) \
         VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (conversation_id, policy_id, target, since) DO NOTHING",
    );
    let query = query.bind(id).bind(policy).bind(name(&miss.target)?).bind(miss.since);
    if work.execute(query.bind(miss.due).bind(now)).await? == 0 {
        return Ok(());
    }
    let told = serde_json::json!({
        "conversationId": id, "policy_id": policy, "target": miss.target, "since": miss.since,
        "due": miss.due, "agentId": kept.course.agent_id,
    });
    for topic in [DASHBOARD, "analytics.events"] {
        let event = Event::of(topic, "sla:missed", now, &told)?;
        outbox::add(work, &event.producer("chat").key(id)).await?;
    }
    Ok(())
}

fn promise(kept: Kept) -> Promise {
    let Kept { conversation_id, policy_id, applied, due_at, .. } = kept;
    Promise { conversation_id, policy_id, applied, due_at }
}
