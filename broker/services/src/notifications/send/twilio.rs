//! Text messages by a gateway of Twilio's kind.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_core::future::BoxFuture;
use serde_json::Value;

use super::super::rules::provider::{Class, Provider};
use super::super::rules::sms::number;
use super::{Endpoint, Outcome, Outgoing, Sender};
use crate::moment::Moment;
use crate::outbound::{Outbound, Question, encoded};

/// Seconds that a message may wait at the gateway, at least and at most.
const VALIDITY: (u64, u64) = (1, 36_000);

/// Sends text messages.
pub(super) struct Twilio {
    outbound: Outbound,
    path: String,
    login: String,
    from: String,
    callback_url: Option<String>,
}

impl std::fmt::Debug for Twilio {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Twilio").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Twilio {
    /// Sends for an account, from a number or a service of the gateway.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub(super) fn new(url: &str, account: &str, key: &str, from: &str) -> Result<Self, String> {
        let outbound = Outbound::to(url).map_err(|why| format!("{url}: {why}"))?;
        let path = format!("/2010-04-01/Accounts/{}/Messages.json", encoded(account));
        let login = format!("Basic {}", STANDARD.encode(format!("{account}:{key}")));
        let from = from.to_owned();
        Ok(Twilio { outbound, path, login, from, callback_url: None })
    }

    /// The same, with an address where it says what has become of a message.
    pub(super) fn told_at(self, callback_url: Option<String>) -> Self {
        Twilio { callback_url, ..self }
    }

    async fn attempt(&self, one: &Outgoing, now: Moment) -> Result<Outcome, Outcome> {
        let Endpoint::Sms { number: to } = &one.endpoint else {
            return Err(Outcome::refused(Class::Ours, "wrong_endpoint"));
        };
        let to = number(to).map_err(|_| Outcome::refused(Class::Recipient, "bad_number"))?;
        let left = one.expires_at.since(now).as_secs().clamp(VALIDITY.0, VALIDITY.1).to_string();
        // A service of the gateway has an id instead of a number.
        let from = if self.from.starts_with("MG") { "MessagingServiceSid" } else { "From" };
        let fields = [
            ("To", to),
            (from, &self.from),
            ("Body", &one.content.body),
            ("ValidityPeriod", &left),
        ];
        let callback = self.callback_url.as_deref().map(|url| ("StatusCallback", url));
        let fields = fields.into_iter().chain(callback);
        let fields: Vec<String> =
            fields.map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let form = fields.join("&");
        let question = Question::post("application/x-www-form-urlencoded", form)
            .header("authorization", self.login.clone());
        let answer = self.outbound.send(&self.path, question).await.map_err(Outcome::unasked)?;
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let code = said.get("code").and_then(Value::as_u64).map(|code| code.to_string());
        let code = code.unwrap_or_default();
        let outcome = Outcome::of(Provider::Sms, answer.status, &code, false);
        let message_id = said.get("sid").and_then(Value::as_str).map(str::to_owned);
        Ok(Outcome { message_id, retry_after: answer.retry_after, ..outcome })
    }
}

impl Sender for Twilio {
    fn provider(&self) -> Provider {
        Provider::Sms
    }

    fn send<'a>(&'a self, one: &'a Outgoing, now: Moment) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { self.attempt(one, now).await.unwrap_or_else(|outcome| outcome) })
    }
}
