//! Web Push: RFC 8030 with the encryption of RFC 8291 and the identification of RFC 8292.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::rand;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use futures_core::future::BoxFuture;
use serde_json::json;

use super::super::rules::provider::{Class, Provider, priority, ttl};
use super::ece::{Subscriber, seal};
use super::jws::{Key, coded, decoded};
use super::{Endpoint, Outcome, Outgoing, Sender};
use crate::moment::Moment;
use crate::outbound::{Question, Reach, Stranger};
use crate::secret;
use crate::store::{self, Database};

/// What the shop's own key is kept under.
const PURPOSE: &str = "web push";
/// How long a signature holds; a push service takes a day.
const SIGNED: Duration = Duration::from_secs(12 * 3_600);
/// Characters of a topic.
const TOPIC_MAX: usize = 32;
/// The push services of Chrome and its kin, Firefox, Safari and Edge: these hosts and what is below.
const KNOWN: [&str; 4] =
    ["fcm.googleapis.com", "push.services.mozilla.com", "push.apple.com", "notify.windows.com"];

/// Which push services are asked. A subscription is a user's word: without a list anybody could have
/// the shop ask any host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Services {
    reach: Reach,
    more: Arc<[String]>,
}

impl Services {
    /// The known ones and these; or any at all, of the shop's own network too.
    pub(in super::super) fn new(more: &[String], is_private: bool) -> Self {
        let reach = if is_private { Reach::Anywhere } else { Reach::Public };
        Services { reach, more: more.into() }
    }

    /// Whether a subscription of this address is taken.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check(&self, url: &str) -> Result<(), &'static str> {
        let host = self.reach.check(url)?;
        let is_of = |known: &str| {
            let rest = host.strip_suffix(known);
            rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let more = self.more.iter().map(String::as_str);
        match self.reach == Reach::Anywhere || KNOWN.into_iter().chain(more).any(is_of) {
            true => Ok(()),
            false => Err("must be a push service that is known"),
        }
    }
}

/// Sends to browsers.
#[derive(Debug)]
pub(super) struct WebPush {
    database: Database,
    stranger: Stranger,
    services: Services,
    /// Whom a push service may write to.
    subject: String,
}

/// The shop's own key pair.
struct Pair {
    key: Key,
    public: String,
}

/// The key that browsers subscribe with, base64url.
///
/// # Errors
/// Those of the database.
pub(in super::super) async fn public_key(database: &Database) -> Result<String, store::Error> {
    Ok(pair(database).await?.public)
}

async fn pair(database: &Database) -> Result<Pair, store::Error> {
    let scalar = secret::bytes(database, PURPOSE).await?;
    let bad = |_| store::Error::Damaged("the key of Web Push".to_owned());
    let private = PrivateKey::from_private_key(&ECDH_P256, &scalar).map_err(bad)?;
    let public = private
        .compute_public_key()
        .map_err(|_| store::Error::Damaged("the key of Web Push".to_owned()))?;
    let key = EcdsaKeyPair::from_private_key_and_public_key(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        &scalar,
        public.as_ref(),
    );
    Ok(Pair { key: Key::Elliptic(key.map_err(bad)?), public: coded(public.as_ref()) })
}

impl WebPush {
    pub(super) fn new(database: &Database, subject: &str, services: Services) -> Self {
        let (database, subject) = (database.clone(), subject.to_owned());
        WebPush { database, stranger: Stranger::new(services.reach), services, subject }
    }

    async fn attempt(&self, one: &Outgoing, now: Moment) -> Result<Outcome, Outcome> {
        let Endpoint::WebPush { url, p256dh, auth } = &one.endpoint else {
            return Err(Outcome::refused(Class::Ours, "wrong_endpoint"));
        };
        // What is wrong with a subscription stays so.
        let gone = |why| Outcome::refused(Class::Gone, why);
        self.services.check(url).map_err(|_| gone("bad_endpoint"))?;
        let keys = decoded(p256dh).zip(decoded(auth));
        let (public, auth) = keys.ok_or_else(|| gone("bad_keys"))?;
        let failed = |_| Outcome::refused(Class::Retry, "no_chance");
        let own = PrivateKey::generate(&ECDH_P256).map_err(failed)?;
        let mut salt = [0; 16];
        rand::fill(&mut salt).map_err(failed)?;
        let text = json!({
            "id": one.delivery_id,
            "type": one.content.kind,
            "title": one.content.title,
            "body": one.content.body,
            "url": one.content.action_url,
            "icon": one.content.icon_url,
            "badge": one.content.badge,
            "tag": one.collapse,
            "lang": one.content.locale,
            "data": one.content.data,
        });
        let text = text.to_string();
        if text.len() > super::ece::TEXT_BYTES_MAX {
            return Err(Outcome::refused(Class::Ours, "too_long"));
        }
        let body = seal(&Subscriber { public, auth }, text.as_bytes(), &own, salt);
        let body = body.map_err(|_| gone("bad_keys"))?;
        let question = Question::post("application/octet-stream", body)
            .header("content-encoding", "aes128gcm")
            .header("authorization", self.signed(url, now).await?);
        let ttl = ttl(Provider::WebPush, one.expires_at, now).unwrap_or_default();
        let urgency = priority(Provider::WebPush, one.priority).unwrap_or_default();
        let question = question.header("ttl", ttl).header("urgency", urgency);
        let topic = one.collapse.as_ref().filter(|topic| topic.len() <= TOPIC_MAX);
        let question =
            topic.into_iter().fold(question, |question, topic| question.header("topic", topic));
        let answer = self.stranger.ask(url, question).await.map_err(Outcome::unasked)?;
        let outcome = Outcome::of(Provider::WebPush, answer.status, "", false);
        Ok(Outcome { message_id: answer.location, retry_after: answer.retry_after, ..outcome })
    }

    /// Who sends, for the push service at this address.
    async fn signed(&self, url: &str, now: Moment) -> Result<String, Outcome> {
        let pair = pair(&self.database).await.map_err(|error| {
            tracing::info!(%error, "the key of Web Push cannot be read");
            Outcome::refused(Class::Retry, "no_key")
        })?;
        let origin: String = url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        let expires = now.after(SIGNED).as_ms() / 1_000;
        let claims = json!({ "aud": origin, "exp": expires, "sub": self.subject });
        let signed = pair.key.sign(&json!({ "typ": "JWT", "alg": "ES256" }), &claims);
        let signed = signed.map_err(|why| Outcome::refused(Class::Retry, why))?;
        Ok(format!("vapid t={signed}, k={}", pair.public))
    }
}

impl Sender for WebPush {
    fn provider(&self) -> Provider {
        Provider::WebPush
    }

    fn send<'a>(&'a self, one: &'a Outgoing, now: Moment) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { self.attempt(one, now).await.unwrap_or_else(|outcome| outcome) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_push_services_are_asked_and_those_that_the_settings_name() {
        let more = ["push.shop.example".to_owned()];
        let services = Services::new(&more, false);
        for good in [
            "https://fcm.googleapis.com/fcm/send/1",
            "https://updates.push.services.mozilla.com/wpush/v2/1",
            "https://web.push.apple.com/1",
            "https://sg2p.notify.windows.com:443/w/?token=1",
            "https://PUSH.shop.example/1",
        ] {
            assert_eq!(services.check(good), Ok(()), "{good}");
        }
        for bad in [
            "https://push.example/1",
            "https://evilnotify.windows.com/1",
            "https://fcm.googleapis.com.evil.example/1",
            "https://evil.example/fcm.googleapis.com",
            "https://evil.example#.push.apple.com",
            "https://evil.example?.push.apple.com",
            "https://evil.example\\.push.apple.com/1",
            "https://user@push.apple.com/1",
            "https://push.apple.com:8443/1",
            "http://push.apple.com/1",
        ] {
            assert!(services.check(bad).is_err(), "{bad}");
        }
        assert_eq!(Services::new(&[], true).check("http://127.0.0.1:1/x"), Ok(()));
    }
}
