//! Whether a webhook comes from the service whose it says it is.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use unicode_normalization::UnicodeNormalization;

use super::carrier::Provider;
use crate::moment::Moment;
use crate::refusal::Refusal;
use crate::signature::{Secret, unhex};

/// How far the time in a signature may be from ours.
const TOLERANCE: Duration = Duration::from_secs(300);

impl Provider {
    /// The header that carries the signature.
    #[must_use]
    pub const fn signature_header(self) -> &'static str {
        match self {
            Provider::AfterShip => "aftership-hmac-sha256",
            Provider::Shippo => "shippo-auth-signature",
            Provider::EasyPost => "x-hmac-signature",
        }
    }
}

/// Checks the signature of a body that came with the header. A body that comes again is told apart
/// by the fingerprints of its checkpoints, whichever service brings it.
///
/// # Errors
/// `NotAllowed` if the signature is not the service's, or too old where it has a time.
pub fn check(
    provider: Provider,
    secret: &str,
    header: &str,
    body: &[u8],
    now: Moment,
) -> Result<(), Refusal> {
    let is_signed = !secret.is_empty()
        && match provider {
            Provider::AfterShip => is_aftership(secret, header, body),
            Provider::Shippo => is_shippo(secret, header, body, now),
            Provider::EasyPost => is_easypost(secret, header, body),
        };
    let forged = Refusal::NotAllowed("the webhook is not signed by its service");
    if is_signed { Ok(()) } else { Err(forged) }
}

/// Base64 of the body's signature.
fn is_aftership(secret: &str, header: &str, body: &[u8]) -> bool {
    let signature = STANDARD.decode(header.trim());
    signature.is_ok_and(|signature| Secret::new(secret.as_bytes()).is_signed(body, &signature))
}

/// `t=SECONDS,v1=HEX` of time, dot and body.
fn is_shippo(secret: &str, header: &str, body: &[u8], now: Moment) -> bool {
    let part = |name: &str| {
        header.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
    };
    let (Some(time), Some(signature)) = (part("t"), part("v1").and_then(unhex)) else {
        return false;
    };
    let Ok(seconds) = time.parse::<i64>() else { return false };
    let sent = Moment::from_ms(seconds.saturating_mul(1_000));
    let is_recent = now.since(sent) <= TOLERANCE && sent.since(now) <= TOLERANCE;
    let message = [time.as_bytes(), b".", body].concat();
    is_recent && Secret::new(secret.as_bytes()).is_signed(&message, &signature)
}

/// `hmac-sha256-hex=HEX` of the body, by the secret in its decomposed form.
fn is_easypost(secret: &str, header: &str, body: &[u8]) -> bool {
    let secret: String = secret.nfkd().collect();
    let signature = header.trim().strip_prefix("hmac-sha256-hex=").and_then(unhex);
    signature.is_some_and(|signature| Secret::new(secret.as_bytes()).is_signed(body, &signature))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signature::hex;

    const BODY: &[u8] = br#"{"tracking_status":"TRANSIT"}"#;

    fn now() -> Moment {
        Moment::from_ms(1_795_400_000_000)
    }

    /// The header that each service would send.
    fn header(provider: Provider, secret: &str, body: &[u8]) -> String {
        let sign = |message: &[u8]| Secret::new(secret.as_bytes()).sign(message);
        match provider {
            Provider::AfterShip => STANDARD.encode(sign(body)),
            Provider::Shippo => {
                let signature = sign(&[b"1795400000.", body].concat());
                format!("t=1795400000,v1={}", hex(&signature))
            }
            Provider::EasyPost => format!("hmac-sha256-hex={}", hex(&sign(body))),
        }
    }

    #[test]
    fn a_webhook_is_taken_from_its_service_only() {
        for provider in [Provider::AfterShip, Provider::Shippo, Provider::EasyPost] {
            let good = header(provider, "s3cret", BODY);
            let check = |secret, header: &str, body| check(provider, secret, header, body, now());
            assert_eq!(check("s3cret", &good, BODY), Ok(()), "{provider:?}");
            assert!(check("other", &good, BODY).is_err());
            assert!(check("s3cret", &good, b"{}").is_err());
            assert!(check("", &header(provider, "", BODY), BODY).is_err());
            for forged in ["", "t=,v1=", "t=1795400000,v1=00", "hmac-sha256-hex=", "AAAA", "é"] {
                assert!(check("s3cret", forged, BODY).is_err(), "{provider:?} {forged}");
            }
        }
    }

    #[test]
    fn a_signature_with_a_time_is_good_for_five_minutes() {
        let good = header(Provider::Shippo, "s", BODY);
        let at = |now| check(Provider::Shippo, "s", &good, BODY, now);
        assert!(at(now().after(TOLERANCE)).is_ok() && at(now().before(TOLERANCE)).is_ok());
        let moment = Duration::from_millis(1);
        assert!(at(now().after(TOLERANCE + moment)).is_err());
        assert!(at(now().before(TOLERANCE + moment)).is_err());
    }

    #[test]
    fn a_secret_is_the_same_in_either_form() {
        let good = header(Provider::EasyPost, "cafe\u{301}", BODY);
        assert_eq!(check(Provider::EasyPost, "caf\u{e9}", &good, BODY, now()), Ok(()));
    }
}
