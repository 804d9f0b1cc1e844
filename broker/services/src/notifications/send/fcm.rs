//! Firebase Cloud Messaging, HTTP v1.

use std::time::Duration;

use futures_core::future::BoxFuture;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::super::rules::provider::{Class, Provider, priority, ttl};
use super::jws::Key;
use super::{Endpoint, Outcome, Outgoing, Sender};
use crate::moment::Moment;
use crate::outbound::{Answer, Outbound, Question, encoded};

/// What a token of access is asked for.
const SCOPE: &str = "https://www.googleapis.com/auth/firebase.messaging";
const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// How long a signed question for one holds.
const SIGNED: Duration = Duration::from_secs(3_600);
/// A token is asked for anew so long before it ends.
const EARLY: Duration = Duration::from_secs(300);
/// Bytes of a message.
const MESSAGE_BYTES_MAX: usize = 4096;

/// A service account as Google's console gives it. What else is in the file is not used.
#[derive(Deserialize)]
struct Account {
    project_id: String,
    client_email: String,
    private_key: String,
    token_uri: String,
}

/// Sends to what Firebase knows.
#[derive(Debug)]
pub(super) struct Fcm {
    email: String,
    key: Key,
    token_uri: String,
    tokens: Outbound,
    messages: Outbound,
    path: String,
    access: Mutex<Option<Access>>,
}

/// A token of access.
#[derive(Clone)]
struct Access {
    token: String,
    until: Moment,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Access(..)")
    }
}

impl Fcm {
    /// Sends for the account of a file's text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn new(account: &str, url: &str) -> Result<Self, String> {
        let account: Account = serde_json::from_str(account).map_err(|error| error.to_string())?;
        let key = Key::rsa(&account.private_key).map_err(|why| format!("private_key: {why}"))?;
        let to = |url: &str| Outbound::to(url).map_err(|why| format!("{url}: {why}"));
        Ok(Fcm {
            email: account.client_email,
            key,
            tokens: to(&account.token_uri)?,
            token_uri: account.token_uri,
            messages: to(url)?,
            path: format!("/v1/projects/{}/messages:send", encoded(&account.project_id)),
            access: Mutex::new(None),
        })
    }

    /// A token of access. Those who come while it is asked for wait for it.
    async fn access(&self, now: Moment) -> Result<String, Outcome> {
        let mut access = self.access.lock().await;
        if let Some(known) = access.as_ref().filter(|known| known.until > now) {
            return Ok(known.token.clone());
        }
        #[derive(Deserialize)]
        struct Granted {
            access_token: String,
            expires_in: u64,
        }
        let (issued, expires) = (now.as_ms() / 1_000, now.after(SIGNED).as_ms() / 1_000);
        let claims = json!({
            "iss": self.email, "scope": SCOPE, "aud": self.token_uri,
            "iat": issued, "exp": expires,
        });
        let signed = self.key.sign(&json!({ "alg": "RS256", "typ": "JWT" }), &claims);
        let signed = signed.map_err(|why| Outcome::refused(Class::Retry, why))?;
        let form = format!("grant_type={}&assertion={signed}", encoded(GRANT));
        let question = Question::post("application/x-www-form-urlencoded", form);
        let answer = self.tokens.ask("", question).await.map_err(|why| Outcome::unsent(&why))?;
        if answer.status != 200 {
            let outcome = Outcome::of(Provider::Fcm, answer.status, "no_access", false);
            return Err(Outcome { retry_after: answer.retry_after, ..outcome });
        }
        let granted: Granted = serde_json::from_slice(&answer.body)
            .map_err(|_| Outcome::refused(Class::Retry, "no_access"))?;
        let lasts = Duration::from_secs(granted.expires_in).saturating_sub(EARLY);
        *access = Some(Access { token: granted.access_token.clone(), until: now.after(lasts) });
        Ok(granted.access_token)
    }

    async fn attempt(&self, one: &Outgoing, now: Moment) -> Result<Outcome, Outcome> {
        let Endpoint::Fcm { token } = &one.endpoint else {
            return Err(Outcome::refused(Class::Ours, "wrong_endpoint"));
        };
        let message = message(token, one, now).to_string();
        if message.len() > MESSAGE_BYTES_MAX {
            return Err(Outcome::refused(Class::Ours, "too_long"));
        }
        let access = self.access(now).await?;
        let mut answer = self.say(&message, &access).await?;
        if answer.status == 401 {
            // Tokens may end early: nothing is at fault that another one mends.
            self.access.lock().await.take_if(|known| known.token == access);
            let access = self.access(now).await?;
            answer = self.say(&message, &access).await?;
        }
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let (code, is_token_fault) = fault(&said);
        let outcome = Outcome::of(Provider::Fcm, answer.status, &code, is_token_fault);
        let message_id = said.get("name").and_then(Value::as_str).map(str::to_owned);
        Ok(Outcome { message_id, retry_after: answer.retry_after, ..outcome })
    }
}

impl Fcm {
    async fn say(&self, message: &str, access: &str) -> Result<Answer, Outcome> {
        let question = Question::post("application/json", message)
            .header("authorization", format!("Bearer {access}"));
        self.messages.send(&self.path, question).await.map_err(Outcome::unasked)
    }
}

impl Sender for Fcm {
    fn provider(&self) -> Provider {
        Provider::Fcm
    }

    fn send<'a>(&'a self, one: &'a Outgoing, now: Moment) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { self.attempt(one, now).await.unwrap_or_else(|outcome| outcome) })
    }
}

/// The message, as `projects.messages` of the API has it. Values of `data` are texts.
fn message(token: &str, one: &Outgoing, now: Moment) -> Value {
    let content = &one.content;
    let mut android = json!({
        "priority": priority(Provider::Fcm, one.priority),
        "ttl": ttl(Provider::Fcm, one.expires_at, now),
    });
    if let Some(collapse) = &one.collapse {
        android["collapse_key"] = json!(collapse);
        android["notification"]["tag"] = json!(collapse);
    }
    if let Some(sound) = &content.sound {
        android["notification"]["sound"] = json!(sound);
    }
    if let Some(badge) = content.badge {
        android["notification"]["notification_count"] = json!(badge);
    }
    let mut notification = json!({ "title": content.title, "body": content.body });
    if let Some(icon) = &content.icon_url {
        notification["image"] = json!(icon);
    }
    let mut data = json!({
        "delivery_id": one.delivery_id,
        "type": content.kind,
        "data": content.data.to_string(),
    });
    if let Some(url) = &content.action_url {
        data["action_url"] = json!(url);
    }
    json!({ "message": {
        "token": token, "notification": notification, "data": data, "android": android,
    } })
}

/// The code of a refusal, and whether it is the token that is refused.
fn fault(said: &Value) -> (String, bool) {
    let error = said.get("error");
    let details = error.and_then(|error| error.get("details")).and_then(Value::as_array);
    let details = details.map_or(&[][..], Vec::as_slice);
    let code = details.iter().find_map(|detail| detail.get("errorCode")?.as_str());
    let status = error.and_then(|error| error.get("status")).and_then(Value::as_str);
    let is_token =
        |violation: &Value| violation.get("field").and_then(Value::as_str) == Some("message.token");
    let is_token_fault = details.iter().any(|detail| {
        let violations = detail.get("fieldViolations").and_then(Value::as_array);
        violations.is_some_and(|violations| violations.iter().any(is_token))
    });
    (code.or(status).unwrap_or_default().to_owned(), is_token_fault)
}
