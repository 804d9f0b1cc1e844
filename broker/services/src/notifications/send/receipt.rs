//! What a gateway of Twilio's kind says of a text message later, and what somebody has answered to it:
//! a form, signed with the account's key as <https://www.twilio.com/docs/usage/security> has it
//! (2026-11-23): HMAC-SHA1 of the address that it calls and of all fields by name, in base64.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::super::rules::provider::{Answer, Class, Provider, classify};
use super::super::rules::sms;
use super::settings::Settings;
use crate::service::Problem;
use crate::signature::Secret;

/// The header with the signature.
pub(crate) const SIGNATURE: &str = "x-twilio-signature";

/// Fields of a form; gateways send a third of it.
const FIELDS_MAX: usize = 64;

/// What has become of a message that its gateway had taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The gateway's id of it.
    pub message_id: String,
    /// The gateway's code, if it has not arrived; and whether that is of its recipient.
    pub lost: Option<(String, Class)>,
}

/// What a gateway tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// What has become of a message.
    Became(Receipt),
    /// Whoever has this number wants none.
    Stop(String),
}

/// Those who may say what has become of messages.
#[derive(Clone, Debug, Default)]
pub struct Receipts(Arc<[Gateway]>);

/// The address that a gateway calls, and what it signs with.
#[derive(Debug)]
struct Gateway {
    url: String,
    secret: Secret,
}

impl Receipts {
    /// The gateways of these settings that are to say it.
    #[must_use]
    pub fn of(all: &[Settings]) -> Self {
        let gateway = |one: &Settings| match one {
            Settings::Sms { key, callback_url: Some(url), .. } => {
                Some(Gateway { url: url.clone(), secret: Secret::with_sha1(key.as_bytes()) })
            }
            _ => None,
        };
        Receipts(all.iter().filter_map(gateway).collect())
    }

    /// What a form says; nothing of a message that is still on its way, nor by words that are no
    /// stop.
    ///
    /// # Errors
    /// A problem of a form that none of them has signed, that names no message, or if there are none.
    pub(crate) fn read(&self, body: &[u8], signature: &str) -> Result<Option<Told>, Problem> {
        if self.0.is_empty() {
            return Err(Problem::not_found("webhooks of this service are not taken"));
        }
        // Nobody has shown yet who it is.
        let mut fields: Vec<_> = form_urlencoded::parse(body).take(FIELDS_MAX + 1).collect();
        if fields.len() > FIELDS_MAX {
            return Err(Problem::field("form", "more than 64 fields"));
        }
        fields.sort();
        let signature = STANDARD.decode(signature).unwrap_or_default();
        let is_signed = |gateway: &Gateway| {
            let all = fields.iter().flat_map(|(name, value)| [name.as_ref(), value.as_ref()]);
            let text: String = std::iter::once(gateway.url.as_str()).chain(all).collect();
            gateway.secret.is_signed(text.as_bytes(), &signature)
        };
        if !self.0.iter().any(is_signed) {
            return Err(Problem::not_allowed("the signature is another's"));
        }
        let field = |wanted| fields.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
        let message_id = field("MessageSid").filter(|id| !id.is_empty());
        let message_id = message_id.ok_or_else(|| Problem::field("MessageSid", "of which?"))?;
        if let Some(words) = field("Body") {
            let number = field("From").map(AsRef::as_ref).unwrap_or_default();
            let number = sms::number(number).map_err(|_| Problem::field("From", "whose?"))?;
            return Ok(sms::is_stop(words).then(|| Told::Stop(number.to_owned())));
        }
        let lost = match field("MessageStatus").map(AsRef::as_ref) {
            Some("delivered") => None,
            Some(status @ ("failed" | "undelivered")) => {
                let code = field("ErrorCode").filter(|code| !code.is_empty());
                let code = code.map_or(status, AsRef::as_ref);
                let answer = Answer { status: 400, code, is_token_fault: false };
                Some((code.to_owned(), classify(Provider::Sms, answer)))
            }
            _ => return Ok(None),
        };
        Ok(Some(Told::Became(Receipt { message_id: message_id.to_string(), lost })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://shop.example/v1/webhooks/twilio";

    fn gateway() -> Receipts {
        Receipts::of(&[Settings::Sms {
            account: "AC1".to_owned(),
            key: "k3y".to_owned(),
            from: "+1".to_owned(),
            url: None,
            callback_url: Some(URL.to_owned()),
            per_minute: None,
        }])
    }

    fn signed(text: &str) -> String {
        STANDARD.encode(Secret::with_sha1(b"k3y").sign(text.as_bytes()))
    }

    #[test]
    fn the_example_of_the_documentation_comes_out() {
        let text = "https://example.com/myapp.php?foo=1&bar=2CallSidCA1234567890ABCDE\
                    Caller+14158675310Digits1234From+14158675310To+18005551212";
        let signature = Secret::with_sha1(b"12345").sign(text.as_bytes());
        assert_eq!(STANDARD.encode(signature), "L/OH5YylLD5NRKLltdqwSvS0BnU=");
    }

    #[test]
    fn what_has_become_of_a_message_is_taken_from_its_gateway_only() {
        let read = |body: &str, sorted: &str| {
            gateway().read(body.as_bytes(), &signed(&format!("{URL}{sorted}")))
        };
        let came =
            read("MessageStatus=delivered&MessageSid=SM1", "MessageSidSM1MessageStatusdelivered");
        let receipt = |lost| Some(Told::Became(Receipt { message_id: "SM1".to_owned(), lost }));
        assert_eq!(came.map_err(|problem| problem.code), Ok(receipt(None)));
        for (code, class) in [
            ("21610", Class::Recipient),
            ("30005", Class::Recipient),
            ("30006", Class::Recipient),
            ("30003", Class::Ours),
        ] {
            let body = format!("MessageSid=SM1&MessageStatus=undelivered&ErrorCode={code}");
            let sorted = format!("ErrorCode{code}MessageSidSM1MessageStatusundelivered");
            let lost = Some((code.to_owned(), class));
            assert_eq!(read(&body, &sorted).map_err(|problem| problem.code), Ok(receipt(lost)));
        }
        let on_its_way =
            read("MessageSid=SM1&MessageStatus=sent", "MessageSidSM1MessageStatussent");
        assert_eq!(on_its_way.map_err(|problem| problem.code), Ok(None));
        let altered =
            read("MessageSid=SM2&MessageStatus=delivered", "MessageSidSM1MessageStatusdelivered");
        assert_eq!(altered.unwrap_err().code, sampan_client::Code::NOT_GRANTED);
        let answered = |words: &str, of: &str, number: &str| {
            let body = format!("MessageSid=SM7&From={of}&Body={words}");
            read(&body, &format!("Body{words}From{number}MessageSidSM7"))
                .map_err(|problem| problem.code)
        };
        let stop = Told::Stop("+66812345678".to_owned());
        assert_eq!(answered("Stop", "%2B66812345678", "+66812345678"), Ok(Some(stop)));
        assert_eq!(answered("nonstop", "%2B66812345678", "+66812345678"), Ok(None));
        assert_eq!(answered("stop", "shop", "shop"), Err(sampan_client::Code::BAD_FIELD));
        let nameless = read("MessageStatus=delivered", "MessageStatusdelivered");
        assert_eq!(nameless.unwrap_err().code, sampan_client::Code::BAD_FIELD);
        let (many, sorted) = ("a=1&".repeat(64), "a1".repeat(64));
        let many = read(&format!("{many}MessageSid=SM1"), &format!("MessageSidSM1{sorted}"));
        assert_eq!(many.unwrap_err().code, sampan_client::Code::BAD_FIELD);
        let nobody = Receipts::default().read(b"MessageSid=SM1", "");
        assert_eq!(nobody.unwrap_err().code.0, 904);
    }
}
