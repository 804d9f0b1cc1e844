//! The group `chat`, and what is asked of figures and promises.

use std::sync::Arc;
use std::time::Duration;

pub use sampan_client::chat::{FIGURES, SLA_APPLY, SLA_GET, SLA_POLICIES as SLA_LIST, SLA_PUT};
use sampan_client::{Error, Failure, Job, Pattern};
use serde_json::Value;

use super::asked::*;
use super::follow::{Context, Told};
use super::store::{Counters, Courses, Place};
use crate::chat::model::{AssignedEvent, Message, Name, ReceiptEvent, Sender, StatusEvent};
use crate::chat::rules::course::Heard;
use crate::chat::rules::figures::Figures;
use crate::chat::service::Nothing;
use crate::chat::store::Store;
use crate::days::Days;
use crate::moment::Moment;
use crate::role::Role;
use crate::service::{Asker, Host, Problem};
use crate::store;

/// The group of those who follow conversations.
const GROUP: &str = "chat";
/// What it reads.
const PATTERN: &str = "chat.conversation.*";
/// Events that are asked for at once.
const BATCH: u32 = 100;
/// Of these, those that are worked on at the same time.
const AT_ONCE: usize = 16;
/// Time between two looks at the promises.
const LOOK: Duration = Duration::from_secs(5);
/// What a customer sees as the name of an agent of whom nobody has told.
const NOBODY: &str = "Shop";

/// Courses, and the chats that they are of.
#[derive(Clone, Debug)]
struct Follower<S> {
    courses: Courses,
    chats: S,
    counters: Arc<Counters>,
}

/// Follows conversations, looks at promises, and answers.
///
/// # Errors
/// Those of the client.
pub async fn serve<S: Store>(
    host: &mut Host,
    courses: &Courses,
    chats: S,
    counters: &Arc<Counters>,
) -> Result<(), Error> {
    let it = Follower { courses: courses.clone(), chats, counters: counters.clone() };
    let pattern = Pattern::parse(PATTERN).map_err(sampan_client::invalid)?;
    let group = host.client().consume(GROUP, pattern).batch(BATCH).key_order();
    let follower = it.clone();
    host.consume(group, AT_ONCE, move |job: Arc<Job>, payload: Value| {
        let it = follower.clone();
        async move { it.hear(&job, payload).await }
    })
    .await?;
    host.sweep(&it, "chat.promises", LOOK, |it| async move {
        let missed = it.courses.look().await?;
        Counters::add(&it.counters.sla_misses, missed);
        Ok(())
    });
    host.answer(&it, FIGURES, Role::STAFF, Follower::figures).await?;
    host.answer(&it, SLA_PUT, Role::OPERATORS, Follower::put_policy).await?;
    host.answer(&it, SLA_LIST, Role::STAFF, Follower::policies).await?;
    host.answer(&it, SLA_APPLY, Role::STAFF, Follower::apply).await?;
    host.answer(&it, SLA_GET, Role::STAFF, Follower::promise).await
}

impl<S: Store> Follower<S> {
    async fn hear(&self, job: &Job, payload: Value) -> Result<(), Failure> {
        let Some((id, told)) = told(job, payload).map_err(|why| {
            Counters::add(&self.counters.unread, 1);
            Failure::reject(why)
        })?
        else {
            return Ok(());
        };
        let place = Place { epoch: job.epoch(), offset: job.offset() };
        let context = self.context(id, &told).await.map_err(Failure::retry)?;
        // A conversation that is not there has no course.
        let Some(context) = context else { return Ok(()) };
        let followed = self.courses.follow(&context, place, &told, &self.counters).await;
        followed.map_err(Failure::retry)
    }

    async fn context(&self, id: String, told: &Told) -> Result<Option<Context>, store::Error> {
        let customer = match self.courses.customer(&id).await? {
            Some(customer) => Some(customer),
            None => self.chats.conversation(&id).await?.map(|chat| chat.customer_id),
        };
        let Some(customer_id) = customer else { return Ok(None) };
        let sender_name = match told {
            Told::Heard(Heard::Said(message)) if message.sender_type == Sender::Agent => {
                self.chats.agent(&message.sender_id).await?.map(|agent| agent.name)
            }
            _ => None,
        };
        let sender_name = sender_name.filter(|name| !name.is_empty());
        let sender_name = sender_name.unwrap_or_else(|| NOBODY.to_owned());
        Ok(Some(Context { conversation_id: id, customer_id, sender_name }))
    }

    async fn figures(self, asker: Asker, asked: FiguresWanted) -> Result<Shown, Problem> {
        let agent = match (asker.role, asked.agent_id) {
            (Role::Agent, Some(id)) if id != asker.user => {
                return Err(Problem::not_allowed("these are the figures of another"));
            }
            (Role::Agent, _) => Some(asker.user),
            (_, agent) => agent,
        };
        let days = Days::parse(&asked.from, &asked.to)?;
        let book = self.courses.figures(days, agent.as_deref()).await?;
        let mut total = Figures::default();
        let mut days = Vec::new();
        for (day, agent, figures) in book.rows() {
            total.join(figures);
            let agent_id = (!agent.is_empty()).then(|| agent.to_owned());
            days.push(Day { day: day.to_owned(), agent_id, figures: (*figures).into() });
        }
        Ok(Shown { total: total.into(), days })
    }

    async fn put_policy(self, _: Asker, told: PolicyPut) -> Result<PolicyPut, Problem> {
        let is_name = (1..=64).contains(&told.id.len()) && !told.id.chars().any(char::is_control);
        if !is_name {
            return Err(Problem::field("id", "1 to 64 bytes without control characters"));
        }
        open(&told)?;
        self.courses.put_policy(&told).await?;
        Ok(told)
    }

    async fn policies(self, _: Asker, _: Nothing) -> Result<Policies, Problem> {
        Ok(Policies { policies: self.courses.policies().await? })
    }

    async fn apply(self, _: Asker, asked: Apply) -> Result<Promise, Problem> {
        self.courses.apply_policy(&asked.conversation_id, &asked.policy_id).await
    }

    async fn promise(self, _: Asker, asked: SlaWanted) -> Result<Promise, Problem> {
        let promise = self.courses.promise(&asked.conversation_id).await?;
        promise.ok_or_else(|| Problem::not_found("nothing was heard of such a conversation"))
    }
}

/// What an event tells, and of which conversation; `None` of those that tell nothing of its course.
fn told(job: &Job, payload: Value) -> Result<Option<(String, Told)>, serde_json::Error> {
    let heard = |id: String, heard| Some((id, Told::Heard(heard)));
    let name = job.event().unwrap_or_default();
    Ok(match Name::ALL.iter().find(|known| known.text() == name) {
        Some(Name::Receive) => {
            let message: Message = serde_json::from_value(payload)?;
            heard(message.conversation_id.clone(), Heard::Said(Box::new(message)))
        }
        Some(Name::Status) => {
            let StatusEvent { conversation_id, new, .. } = serde_json::from_value(payload)?;
            heard(conversation_id, Heard::Stands(new, occurred_at(job)))
        }
        Some(Name::Assigned) => {
            let AssignedEvent { conversation_id, agent_id, .. } = serde_json::from_value(payload)?;
            heard(conversation_id, Heard::Given(agent_id))
        }
        Some(Name::Delivered | Name::Read) => {
            let receipt: ReceiptEvent = serde_json::from_value(payload)?;
            Some((receipt.conversation_id.clone(), Told::Taken(receipt)))
        }
        _ => None,
    })
}

/// When an event happened, as its envelope says, or when it came.
fn occurred_at(job: &Job) -> Moment {
    let headers = job.headers();
    let header = headers.iter().find(|(name, _)| *name == "occurred_at");
    let text = header.and_then(|(_, value)| std::str::from_utf8(value).ok());
    let ms = text.and_then(|text| text.parse().ok());
    Moment::from_ms(ms.unwrap_or_else(|| i64::try_from(job.time_ms()).unwrap_or(i64::MAX)))
}
