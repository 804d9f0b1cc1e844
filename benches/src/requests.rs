//! Requests and their replies: one responder per room, whose members ask.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sampan_client::{Client, Responder};
use tokio::task::JoinSet;

use crate::layout::Member;
use crate::tally::{Meter, bump};
use crate::{Error, Plan, clock};

/// Requests of a room that may be open at the same time, without a rate.
const OPEN: usize = 1024;
/// How long a reply is waited for.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Answers every call with its own payload.
pub(crate) async fn respond(mut responder: Responder) {
    while let Some(call) = responder.next().await {
        let payload = call.payload();
        call.reply(payload);
    }
}

/// One member's part of its room's requests, over the whole run.
pub(crate) async fn ask(
    client: Client,
    member: Member,
    plan: Plan,
    start: Instant,
    meter: Arc<Meter>,
) -> Result<(), Error> {
    let asker = Asker { client, member, payload: vec![b'.'; plan.size].into(), meter };
    let mut open = JoinSet::new();
    if plan.is_fast() {
        let until = start + Duration::from_secs(plan.seconds);
        for _ in 0..(OPEN / asker.member.room.members).max(1) {
            let asker = asker.clone();
            open.spawn(async move {
                while Instant::now() < until {
                    asker.once(clock::nanos()).await?;
                }
                Ok(())
            });
        }
    } else {
        let members = asker.member.room.members as u64;
        let mut request = asker.member.number as u64;
        while request < plan.messages() {
            let after = Duration::from_secs_f64(request as f64 / plan.rate);
            let due = start + asker.member.room.phase + after;
            tokio::time::sleep_until(due.into()).await;
            let late = u64::try_from(due.elapsed().as_nanos()).unwrap_or(u64::MAX);
            let asker = asker.clone();
            open.spawn(async move { asker.once(clock::nanos().saturating_sub(late)).await });
            while let Some(ended) = open.try_join_next() {
                ended.map_err(panicked)??;
            }
            request += members;
        }
    }
    while let Some(ended) = open.join_next().await {
        ended.map_err(panicked)??;
    }
    Ok(())
}

/// The error for a task that did not end by itself.
pub(crate) fn panicked(error: tokio::task::JoinError) -> Error {
    Error::System(format!("a task of the generator ended early: {error}"))
}

#[derive(Clone, Debug)]
struct Asker {
    client: Client,
    member: Member,
    payload: Bytes,
    meter: Arc<Meter>,
}

impl Asker {
    /// One request that was due at `due_ns`, and its reply.
    async fn once(&self, due_ns: u64) -> Result<(), Error> {
        let asked = clock::nanos();
        self.meter.tally().published(due_ns, asked);
        bump(&self.meter.published);
        bump(&self.meter.expected);
        let topic = self.member.room.topic.clone();
        match self.client.request(topic, self.payload.clone(), TIMEOUT).await {
            Ok(_) => {
                self.meter.tally().delivered(asked, clock::nanos());
                self.meter.received.fetch_add(1, Ordering::Relaxed);
            }
            Err(error @ sampan_client::Error::Closed { .. }) => return Err(error.into()),
            Err(_) => {
                self.meter.tally().refused += 1;
                // A broker that refuses at once is not to be asked in a loop without a pause.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Ok(())
    }
}
