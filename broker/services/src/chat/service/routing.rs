//! What happens by itself: chats find agents, and time does what it does.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use sampan_client::{Change as Presence, Member, Message as Published, Topic, Watch};
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at};
use tracing::warn;

use super::desk::{Desk, Wish};
use super::events::topic;
use crate::chat::files::Blobs;
use crate::chat::model::{Conversation, EndReason, Name, Reason};
use crate::chat::rules::due::due;
use crate::chat::rules::lifecycle::Event;
use crate::chat::rules::queue::{Customer, Waiting};
use crate::chat::rules::routing::{Match, SWEEP, is_available, look, route};
use crate::chat::store::Store;
use crate::moment::Moment;
use crate::service::Problem;
use crate::store::Error;
use crate::users::User;

/// Where agents are present.
const AGENTS: &str = "agents";
/// How often it is noted that agents live.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Chats that are looked at in one round, those that wait longest.
const ROUND_MAX: u32 = 10_000;
/// Chats of a kind whose days are over that are looked at in one round.
const RESTED_MAX: u32 = 1_000;

impl<S: Store, B: Blobs> Desk<S, B> {
    /// Finds agents for those that wait, for ever: when something has happened, and every 5 s.
    pub(super) async fn route_for_ever(self) {
        let mut turns = interval(SWEEP);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = turns.tick() => {}
                () = self.moved.notified() => {}
            }
            if let Err(problem) = self.route().await {
                warn!(%problem, "a round of routing has failed; the next comes in 5 s");
            }
        }
    }

    /// One round: every match that can be made is claimed; what somebody else was faster with is
    /// the next round's.
    pub(super) async fn route(&self) -> Result<(), Problem> {
        let (agents, now) = (self.store.agents().await?, Moment::now());
        if !agents.iter().any(|agent| is_available(agent, now)) {
            return Ok(());
        }
        let chats = self.store.waiting(ROUND_MAX).await?;
        let customers = self.customers(&chats).await?;
        let waiting = wait(&chats, &customers);
        for found in route(&self.settings.policy, &waiting, &agents, now) {
            match self.claim(&found).await {
                Ok(()) => {}
                // Whoever was faster has changed the conversation, or has the slot.
                Err(problem) if !problem.is_ours() => {}
                // One that cannot be claimed holds up no other.
                Err(problem) => {
                    let conversation = found.conversation_id.as_str();
                    warn!(%problem, conversation, "a chat could not be given to an agent");
                }
            }
        }
        Ok(())
    }

    async fn claim(&self, found: &Match) -> Result<(), Problem> {
        let id = &found.conversation_id;
        let before = self.store.assignments(id).await?.into_iter().next_back();
        let reason = match before.and_then(|before| before.end_reason) {
            Some(EndReason::Offline) => Reason::ReassignOffline,
            Some(EndReason::NoReply) => Reason::ReassignTimeout,
            _ => Reason::Auto,
        };
        let claimed = self.change(id, |chat, _| async move {
            if chat.version != found.version {
                return Err(Problem::conflict("the conversation was changed meanwhile"));
            }
            Ok(Event::Claim { agent_id: found.agent_id.clone(), reason }.into())
        });
        claimed.await.map(|_| ())
    }

    /// What is due of every conversation that an agent has.
    pub(super) async fn sweep_active(&self) -> Result<(), Error> {
        for agent in self.store.agents().await? {
            for chat in self.store.of_agent(&agent.id).await? {
                if due(&chat, Some(&agent), &self.settings.patience, Moment::now()).is_some() {
                    self.time(&chat.id).await;
                }
            }
        }
        Ok(())
    }

    /// What is due of all others, whose times are days: they wake up, and are archived.
    pub(super) async fn sweep_all(&self) -> Result<(), Error> {
        let (now, patience) = (Moment::now(), &self.settings.patience);
        let resolved = now.before(patience.archived());
        for chat in self.store.rested(now, resolved, RESTED_MAX).await? {
            self.time(&chat.id).await;
        }
        Ok(())
    }

    /// Does what is due of one conversation; one of which it cannot be done holds up no other.
    async fn time(&self, id: &str) {
        let done = self.change(id, |chat, at| async move {
            // Who was gone when the sweep began may be back.
            let agent = match &chat.agent_id {
                Some(agent) => self.store.agent(agent).await?,
                None => None,
            };
            let event = due(&chat, agent.as_ref(), &self.settings.patience, at);
            let event = event.ok_or_else(|| Problem::conflict("nothing is due any more"))?;
            Ok(Wish::from(event))
        });
        if let Err(problem) = done.await
            && problem.is_ours()
        {
            warn!(%problem, conversation = id, "what is due of a chat could not be done");
        }
    }

    /// Counts the chats of agents again.
    pub(super) async fn recount(&self) -> Result<(), Error> {
        let wrong = self.store.recount().await?;
        if wrong > 0 {
            warn!(wrong, "chats of agents were counted wrongly, and are counted anew");
        }
        Ok(())
    }

    /// Notes which agents live, for ever: those with a session that is present on `agents`.
    pub(super) async fn watch_agents(self) {
        let Ok(topic) = Topic::parse(AGENTS) else { return };
        let presence = self.client.presence(topic);
        let mut watch: Option<Watch> = None;
        let mut beats = interval_at(Instant::now(), HEARTBEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let change = async {
                match &mut watch {
                    Some(watch) => watch.next().await,
                    None => std::future::pending().await,
                }
            };
            let changed = tokio::select! {
                change = change => match change {
                    Some(Presence::Changed { joined, left, .. }) => (joined, left),
                    Some(_) => Default::default(),
                    None => { watch = None; Default::default() }
                },
                _ = beats.tick() => Default::default(),
            };
            if watch.is_none() {
                watch = presence.watch().await.ok();
            }
            if let Err(why) = self.note_agents(&presence, changed).await {
                warn!(why, "it could not be noted which agents live");
            }
        }
    }

    /// Notes who of those that have changed lives; who of all, if nothing is said of a change. Who is
    /// not there is gone from the first look that finds it so.
    async fn note_agents(
        &self,
        presence: &sampan_client::Presence,
        (joined, left): (Vec<Member>, Vec<String>),
    ) -> Result<(), String> {
        let now = Moment::now();
        let has_session = |member: &Member| member.sessions > 0;
        let (live, gone) = if joined.is_empty() && left.is_empty() {
            let present = everybody(presence).await.map_err(|error| error.to_string())?;
            let present = present.iter().filter(|member| has_session(member));
            let present = present.map(|member| member.user.as_str()).collect();
            let agents = self.store.agents().await.map_err(|error| error.to_string())?;
            look(&agents, &present, now)
        } else {
            let (live, gone): (Vec<_>, Vec<_>) = joined.into_iter().partition(has_session);
            let names = |members: Vec<Member>| members.into_iter().map(|member| member.user);
            (names(live).collect(), names(gone).chain(left).collect())
        };
        if !live.is_empty() || !gone.is_empty() {
            self.store.seen(&live, &gone, now).await.map_err(|error| error.to_string())?;
            self.moved.notify_one();
        }
        Ok(())
    }

    /// Tells those who wait of their places. One process does, or they would be told by each.
    pub(super) async fn tell_places(&self) -> Result<(), Error> {
        let chats = self.store.waiting(ROUND_MAX).await?;
        let customers = self.customers(&chats).await?;
        let at = Moment::now();
        let mut waiting = wait(&chats, &customers);
        self.settings.policy.ranking.sort(&mut waiting, at);
        let told = self.board.lock().unwrap_or_else(PoisonError::into_inner).tell(&waiting, at);
        for told in told {
            let (Ok(topic), Ok(json)) =
                (topic("position", &told.conversation_id), serde_json::to_vec(&told))
            else {
                continue;
            };
            let message = Published::new(topic, json)
                .event(Name::Position.text())
                .content_type("application/json");
            // The next one tells where it stands then.
            let _ = self.client.publish_unacked(message).await;
        }
        Ok(())
    }

    /// What counts of the customers of these chats, of those that the shop has told of.
    async fn customers(&self, chats: &[Conversation]) -> Result<BTreeMap<String, Customer>, Error> {
        let ids = chats.iter().map(|chat| chat.customer_id.as_str()).collect();
        let known = self.users.known(&ids).await?.into_iter().map(|User { user, .. }| {
            (user.id, Customer { vip: user.vip, lifetime_value: user.lifetime_value })
        });
        Ok(known.collect())
    }
}

/// All who are present, read page by page.
async fn everybody(
    presence: &sampan_client::Presence,
) -> Result<Vec<Member>, sampan_client::Error> {
    let mut all: Vec<Member> = Vec::new();
    loop {
        let last = all.last().map(|member| member.user.clone()).unwrap_or_default();
        let page = presence.read_after(&last).await?;
        let is_end = page.members.is_empty();
        all.extend(page.members);
        if is_end || all.len() as u64 >= u64::from(page.count) {
            return Ok(all);
        }
    }
}

fn wait<'a>(chats: &'a [Conversation], customers: &BTreeMap<String, Customer>) -> Vec<Waiting<'a>> {
    let known = |id: &str| customers.get(id).copied().unwrap_or_default();
    chats
        .iter()
        .map(|chat| Waiting { conversation: chat, customer: known(&chat.customer_id) })
        .collect()
}
