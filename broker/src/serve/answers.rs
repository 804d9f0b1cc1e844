//! Answering `sys.` requests.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sampan_client::admin::PAYLOAD;
use sampan_client::{Call, Client, Code, Pattern};
use serde::Serialize;
use tokio::sync::{Notify, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tracing::{info, warn};

use super::clock::unix_ms;
use super::groups;
use super::system::{
    REVOKE, RevokeReply, RevokeRequest, STATUS, StatusReply, TOPICS, TopicLine, TopicsReply,
};
use super::tokens::Tokens;
use crate::auth::{Revocation, Revocations, Target, revocation};
use crate::http::Health;
use crate::shard::Broker;

/// Topics that one answer lists; with the longest names it still fits a payload.
const TOPICS_MAX: usize = 2000;

/// Time between the answer to a revocation and the end of live sessions, so that whoever revokes
/// its own token still hears of it.
const BEFORE_CLOSE: Duration = Duration::from_millis(200);

/// Questions that may be answered beside each other.
pub(super) const ASIDES: usize = 64;

/// What the answers are made of.
pub(super) struct Answers {
    pub(super) broker: Arc<Broker>,
    pub(super) tokens: Arc<Tokens>,
    pub(super) revocations: Arc<Revocations>,
    pub(super) health: Arc<Health>,
    pub(super) started: Instant,
    /// Places for questions that are answered beside the others.
    pub(super) asides: Arc<Semaphore>,
    /// Told as soon as questions reach this.
    pub(super) begun: Notify,
}

/// Why a question is not answered.
pub(super) struct Refusal(pub(super) Code, pub(super) String);

impl Answers {
    /// Answers until the client's session is closed for good; tells why it was.
    pub(super) async fn serve(self: &Arc<Self>, client: Client) -> String {
        let mut calls = match Pattern::parse("sys.>") {
            Ok(pattern) => match client.serve(pattern).await {
                Ok(calls) => calls,
                Err(error) => return error.to_string(),
            },
            Err(error) => return error.to_string(),
        };
        self.begun.notify_one();
        while let Some(call) = calls.next().await {
            if groups::is_about_groups(call.topic().as_str()) {
                self.answer_aside(call);
            } else {
                // One at a time: they are few, and a revocation is not overtaken by the next.
                self.answer(call).await;
            }
        }
        calls.error().map_or_else(|| "the client is closed".to_owned(), |error| error.to_string())
    }

    /// Answers beside the others, which do not wait for what may take long.
    fn answer_aside(self: &Arc<Self>, call: Call) {
        match self.asides.clone().try_acquire_owned() {
            Ok(place) => {
                let answers = self.clone();
                tokio::spawn(async move {
                    answers.answer(call).await;
                    drop(place);
                });
            }
            Err(_) => call.fail(Code::BUSY, "too many such questions are open"),
        }
    }

    async fn answer(self: &Arc<Self>, call: Call) {
        let answer = if matches!(call.role(), "admin" | "service") {
            match call.topic().as_str() {
                TOPICS => self.topics().await,
                STATUS => json(&self.status()),
                REVOKE => self.revoke(&call).await,
                topic if groups::is_about_groups(topic) => {
                    groups::answer(&self.broker, topic, call.user(), &call.payload()).await
                }
                other => Err(Refusal(Code::UNKNOWN_TOPIC, format!("nothing answers on {other}"))),
            }
        } else {
            Err(Refusal(Code::ADMIN_ONLY, "only an admin or a service may ask this".to_owned()))
        };
        match answer {
            Ok(payload) if call.topic().as_str() == PAYLOAD => call.reply(payload),
            Ok(json) => call.reply_json(json),
            Err(Refusal(code, reason)) => call.fail(code, &reason),
        }
    }

    async fn topics(&self) -> Result<Vec<u8>, Refusal> {
        let broker = self.broker.clone();
        let listed = spawn_blocking(move || broker.topics(TOPICS_MAX)).await;
        let Ok(Ok(listed)) = listed else {
            return Err(Refusal(Code::BUSY, "the shards do not answer".to_owned()));
        };
        let listed_len = listed.len();
        let own = |topic: &str| topic.starts_with("sys.");
        let topics = listed
            .into_iter()
            .filter(|status| !own(status.topic.as_str()))
            .map(|status| TopicLine {
                topic: status.topic.as_str().to_owned(),
                class: status.class.name().to_owned(),
                epoch: status.epoch,
                floor: status.floor,
                next: status.next,
            })
            .collect();
        let more = match listed_len {
            TOPICS_MAX => self.broker.topics_len().saturating_sub(TOPICS_MAX) as u64,
            _ => 0,
        };
        json(&TopicsReply { topics, more })
    }

    fn status(&self) -> StatusReply {
        let shards = self.broker.counters();
        let sum = |of: fn(&crate::shard::Counters) -> u64| shards.iter().map(|s| of(s)).sum();
        let ready = self.health.check(Instant::now());
        StatusReply {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ready: ready.map_or_else(|why| why.to_string(), |()| "ready".to_owned()),
            uptime_s: self.started.elapsed().as_secs(),
            shards: shards.len() as u64,
            sessions: sum(|s| s.core.sessions_live),
            connections: sum(|s| s.quic.connections),
            rooms: sum(|s| s.core.rooms),
            published: sum(|s| s.core.published),
            deliveries: sum(|s| s.core.deliveries),
            outbox_bytes: sum(|s| s.core.outbox_bytes),
            revocations: self.revocations.count() as u64,
            durable: "disk".to_owned(),
        }
    }

    async fn revoke(self: &Arc<Self>, call: &Call) -> Result<Vec<u8>, Refusal> {
        let target = target(&call.payload())?;
        let revocations = self.revocations.clone();
        let asked = target.clone();
        let revoked = spawn_blocking(move || revocations.revoke(asked, unix_ms())).await;
        let revocation = match revoked {
            Ok(Ok(revocation)) => revocation,
            Ok(Err(error)) => return Err(refusal(&error)),
            Err(panic) => return Err(Refusal(Code::STORAGE, panic.to_string())),
        };
        info!(by = call.user(), ?target, "tokens revoked");
        tokio::spawn(self.clone().close(revocation.clone()));
        json(&RevokeReply { until_ms: revocation.until_unix_ms })
    }

    /// Ends the live sessions of a revocation. New ones are refused already.
    async fn close(self: Arc<Self>, revocation: Revocation) {
        sleep(BEFORE_CLOSE).await;
        let ended = self.tokens.ended_by(revocation);
        let closed = spawn_blocking(move || self.broker.close_where(Code::REVOKED, ended)).await;
        match closed {
            Ok(Ok(count)) => info!(count, "sessions of revoked tokens ended"),
            Ok(Err(error)) => warn!(%error, "sessions of revoked tokens were not ended"),
            Err(error) => warn!(%error, "sessions of revoked tokens were not ended"),
        }
    }
}

pub(super) fn json(value: &impl Serialize) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(value).map_err(|error| Refusal(Code::TOO_LARGE, error.to_string()))
}

fn target(payload: &[u8]) -> Result<Target, Refusal> {
    let wrong = |why: String| Refusal(Code::BAD_FIELD, why);
    let request: RevokeRequest = serde_json::from_slice(payload)
        .map_err(|error| wrong(format!("not a revocation: {error}")))?;
    match request {
        RevokeRequest { jti: Some(jti), user: None, issued_before_ms: None } => {
            Ok(Target::Token(jti))
        }
        RevokeRequest { jti: None, user: Some(user), issued_before_ms: None } => {
            Ok(Target::User(user))
        }
        RevokeRequest { jti: None, user: None, issued_before_ms: Some(time_ms) } => {
            Ok(Target::IssuedBefore(time_ms))
        }
        _ => Err(wrong("give one of jti, user and issued_before_ms".to_owned())),
    }
}

fn refusal(error: &revocation::Error) -> Refusal {
    let code = match error {
        revocation::Error::Target => Code::BAD_FIELD,
        revocation::Error::Full => Code::TOO_MANY,
        _ => Code::STORAGE,
    };
    Refusal(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_names_exactly_one_target() {
        let of = |text: &str| target(text.as_bytes()).map_err(|Refusal(code, _)| code);
        assert_eq!(of(r#"{"jti":"a"}"#), Ok(Target::Token("a".to_owned())));
        assert_eq!(of(r#"{"user":"u"}"#), Ok(Target::User("u".to_owned())));
        assert_eq!(of(r#"{"issued_before_ms":5}"#), Ok(Target::IssuedBefore(5)));
        for bad in ["", "{}", r#"{"jti":"a","user":"u"}"#, r#"{"jit":"a"}"#, "[]"] {
            assert_eq!(of(bad), Err(Code::BAD_FIELD), "{bad}");
        }
    }
}
