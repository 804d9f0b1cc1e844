//! What each provider calls our priority and time to live, and what its answers mean.

use crate::moment::Moment;
use crate::notifications::model::Priority;

/// Seconds that FCM keeps a message at most.
const FCM_TTL_MAX: u32 = 2_419_200;

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// Firebase Cloud Messaging, HTTP v1.
    Fcm,
    /// Apple Push Notification service.
    Apns,
    /// A push service of a browser.
    WebPush,
    /// A mail server; its codes are those of SMTP.
    Smtp,
    /// A gateway of text messages, Twilio's kind.
    Sms,
}

impl Provider {
    /// All of them.
    pub const ALL: [Provider; 5] =
        [Provider::Fcm, Provider::Apns, Provider::WebPush, Provider::Smtp, Provider::Sms];

    /// The name, in deliveries and in the settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Provider::Fcm => "fcm",
            Provider::Apns => "apns",
            Provider::WebPush => "webpush",
            Provider::Smtp => "smtp",
            Provider::Sms => "sms",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Provider::ALL.into_iter().find(|provider| provider.name() == name)
    }
}

/// What the answer to an attempt means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It has taken the message.
    Accepted,
    /// The endpoint is gone: it is retired, and nothing is tried again.
    Gone,
    /// The message or our credentials are at fault; nothing is tried again.
    Ours,
    /// The recipient cannot be reached; nothing is tried again.
    Recipient,
    /// Too many at once for the endpoint: tried again when the provider says.
    Wait,
    /// Too many at once for the provider, which is left alone: no attempt of the delivery.
    Quota,
    /// The provider is in trouble: tried again, or by another.
    Retry,
}

impl Class {
    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Class::Accepted => "accepted",
            Class::Gone => "gone",
            Class::Ours => "ours",
            Class::Recipient => "recipient",
            Class::Wait => "wait",
            Class::Quota => "quota",
            Class::Retry => "retry",
        }
    }
}

/// An answer.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Status of HTTP or SMTP; 0 if there was none.
    pub status: u16,
    /// The provider's own code or reason, never its message text.
    pub code: &'a str,
    /// Whether the fault is in the endpoint's token, where the provider names the field.
    pub is_token_fault: bool,
}

use Class::{Gone, Ours, Quota, Recipient, Retry, Wait};

/// What codes mean whatever their status.
const CODES: &[(Provider, &str, Class)] = &[
    (Provider::Fcm, "UNREGISTERED", Gone),
    (Provider::Fcm, "SENDER_ID_MISMATCH", Gone),
    (Provider::Fcm, "QUOTA_EXCEEDED", Quota),
    (Provider::Apns, "Unregistered", Gone),
    (Provider::Apns, "ExpiredToken", Gone),
    (Provider::Apns, "BadDeviceToken", Gone),
    (Provider::Apns, "DeviceTokenNotForTopic", Gone),
    (Provider::Apns, "TooManyRequests", Wait),
    (Provider::Apns, "TooManyProviderTokenUpdates", Quota),
    (Provider::Apns, "Shutdown", Retry),
    (Provider::Sms, "21610", Recipient),
    (Provider::Sms, "21211", Recipient),
    (Provider::Sms, "21614", Recipient),
    (Provider::Sms, "30005", Recipient),
    (Provider::Sms, "30006", Recipient),
];

/// Codes of endpoints that are gone, which every endpoint gets from the wrong service or for the wrong
/// account too.
const DOUBTFUL: &[(Provider, &str)] = &[
    (Provider::Fcm, "SENDER_ID_MISMATCH"),
    (Provider::Apns, "BadDeviceToken"),
    (Provider::Apns, "DeviceTokenNotForTopic"),
];

/// Whether a code retires an endpoint only after whoever has sent it is known to work.
#[must_use]
pub fn is_doubtful(provider: Provider, code: &str) -> bool {
    DOUBTFUL.contains(&(provider, code))
}

/// What statuses mean, from one to another.
const STATUSES: &[(Provider, u16, u16, Class)] = &[
    (Provider::Apns, 410, 410, Gone),
    (Provider::Sms, 429, 429, Quota),
    (Provider::WebPush, 404, 404, Gone),
    (Provider::WebPush, 410, 410, Gone),
    (Provider::Smtp, 400, 499, Retry),
    // 550 alone may also mean that it is us who are not wanted.
    (Provider::Smtp, 551, 551, Recipient),
    (Provider::Smtp, 553, 553, Recipient),
    (Provider::Smtp, 500, 599, Ours),
];

/// What a mail server's refusals mean by their extended codes of RFC 3463: the first that one begins with.
/// What is not of the recipient's address, mailbox or host is not held against the recipient.
const EXTENDED: &[(&str, Class)] = &[
    ("5.1.7", Ours),
    ("5.1.8", Ours),
    ("5.2.3", Ours),
    ("5.1.", Recipient),
    ("5.2.", Recipient),
    ("5.4.", Recipient),
    ("5.", Ours),
];

/// What an answer means.
#[must_use]
pub fn classify(provider: Provider, answer: Answer<'_>) -> Class {
    if answer.status / 100 == 2 {
        return Class::Accepted;
    }
    if provider == Provider::Fcm && answer.code == "INVALID_ARGUMENT" && answer.is_token_fault {
        return Gone;
    }
    let by_code = CODES.iter().find(|(who, code, _)| *who == provider && *code == answer.code);
    if let Some((_, _, class)) = by_code {
        return *class;
    }
    if provider == Provider::Smtp && answer.status >= 500 {
        let by_extended = EXTENDED.iter().find(|(start, _)| answer.code.starts_with(start));
        if let Some((_, class)) = by_extended {
            return *class;
        }
    }
    let by_status = STATUSES
        .iter()
        .find(|(who, from, to, _)| *who == provider && (*from..=*to).contains(&answer.status));
    if let Some((_, _, _, class)) = by_status {
        return *class;
    }
    match answer.status {
        429 => Wait,
        0 | 408 | 500..=599 => Retry,
        _ => Ours,
    }
}

/// Whether an endpoint is retired that the provider says is gone since then: not if it was
/// registered again later.
#[must_use]
pub fn is_retired(registered_at: Moment, gone_since: Option<Moment>) -> bool {
    gone_since.is_none_or(|gone| registered_at <= gone)
}

/// What the provider calls the priority; `None` if it knows none.
#[must_use]
pub const fn priority(provider: Provider, priority: Priority) -> Option<&'static str> {
    match (provider, priority) {
        (Provider::Fcm, Priority::High) => Some("HIGH"),
        (Provider::Fcm, _) => Some("NORMAL"),
        (Provider::Apns, Priority::Low) => Some("1"),
        (Provider::Apns, Priority::Normal) => Some("5"),
        (Provider::Apns, Priority::High) => Some("10"),
        (Provider::WebPush, Priority::Low) => Some("low"),
        (Provider::WebPush, Priority::Normal) => Some("normal"),
        (Provider::WebPush, Priority::High) => Some("high"),
        (Provider::Smtp | Provider::Sms, _) => None,
    }
}

/// What the provider calls the time that is left; `None` if it knows none.
#[must_use]
pub fn ttl(provider: Provider, expires_at: Moment, now: Moment) -> Option<String> {
    let left = u32::try_from(expires_at.since(now).as_secs()).unwrap_or(u32::MAX);
    match provider {
        Provider::Fcm => Some(format!("{}s", left.min(FCM_TTL_MAX))),
        Provider::Apns if left == 0 => Some("0".to_owned()),
        Provider::Apns => Some(expires_at.as_ms().div_euclid(1_000).to_string()),
        Provider::WebPush => Some(left.to_string()),
        Provider::Smtp | Provider::Sms => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_answer_has_its_meaning() {
        let cases: [(Provider, u16, &str, bool, Class); 35] = [
            (Provider::Fcm, 200, "", false, Class::Accepted),
            (Provider::Fcm, 404, "UNREGISTERED", false, Gone),
            (Provider::Fcm, 400, "INVALID_ARGUMENT", true, Gone),
            (Provider::Fcm, 400, "INVALID_ARGUMENT", false, Ours),
            (Provider::Fcm, 403, "SENDER_ID_MISMATCH", false, Gone),
            (Provider::Fcm, 401, "UNAUTHENTICATED", false, Ours),
            (Provider::Fcm, 429, "QUOTA_EXCEEDED", false, Quota),
            (Provider::Fcm, 503, "UNAVAILABLE", false, Retry),
            (Provider::Apns, 410, "Unregistered", false, Gone),
            (Provider::Apns, 400, "BadDeviceToken", false, Gone),
            (Provider::Apns, 400, "BadTopic", false, Ours),
            (Provider::Apns, 403, "ExpiredProviderToken", false, Ours),
            (Provider::Apns, 413, "PayloadTooLarge", false, Ours),
            (Provider::Apns, 429, "TooManyProviderTokenUpdates", false, Quota),
            (Provider::Apns, 429, "TooManyRequests", false, Wait),
            (Provider::Sms, 429, "20429", false, Quota),
            (Provider::Apns, 503, "Shutdown", false, Retry),
            (Provider::WebPush, 201, "", false, Class::Accepted),
            (Provider::WebPush, 404, "", false, Gone),
            (Provider::WebPush, 403, "", false, Ours),
            (Provider::WebPush, 413, "", false, Ours),
            (Provider::WebPush, 429, "", false, Wait),
            (Provider::Smtp, 421, "", false, Retry),
            (Provider::Smtp, 550, "", false, Ours),
            (Provider::Smtp, 551, "", false, Recipient),
            (Provider::Smtp, 535, "", false, Ours),
            (Provider::Smtp, 552, "", false, Ours),
            (Provider::Smtp, 554, "5.1.1", false, Recipient),
            (Provider::Smtp, 550, "5.1.8", false, Ours),
            (Provider::Smtp, 552, "5.2.2", false, Recipient),
            (Provider::Smtp, 552, "5.3.4", false, Ours),
            (Provider::Smtp, 550, "5.4.1", false, Recipient),
            (Provider::Smtp, 550, "5.7.1", false, Ours),
            (Provider::Sms, 400, "21610", false, Recipient),
            (Provider::Sms, 0, "", false, Retry),
        ];
        for (provider, status, code, is_token_fault, class) in cases {
            let answer = Answer { status, code, is_token_fault };
            assert_eq!(classify(provider, answer), class, "{provider:?} {status} {code}");
        }
    }

    #[test]
    fn a_token_is_dead_by_its_code_and_never_by_a_text() {
        let answer =
            Answer { status: 400, code: "the token is UNREGISTERED", is_token_fault: false };
        assert_eq!(classify(Provider::Fcm, answer), Ours);
    }

    #[test]
    fn a_device_that_came_back_later_is_kept() {
        let at = Moment::from_ms;
        assert!(is_retired(at(5), Some(at(9))));
        assert!(!is_retired(at(10), Some(at(9))));
        assert!(is_retired(at(10), None));
    }

    #[test]
    fn priority_and_time_have_the_names_of_each_provider() {
        let (now, soon) = (Moment::from_ms(1_000_000), Moment::from_ms(1_060_500));
        assert_eq!(ttl(Provider::Fcm, soon, now).as_deref(), Some("60s"));
        assert_eq!(ttl(Provider::Apns, soon, now).as_deref(), Some("1060"));
        assert_eq!(ttl(Provider::Apns, now, now).as_deref(), Some("0"));
        assert_eq!(ttl(Provider::WebPush, now, soon).as_deref(), Some("0"));
        let far = Moment::from_ms(i64::MAX);
        assert_eq!(ttl(Provider::Fcm, far, now).as_deref(), Some("2419200s"));
        assert_eq!(priority(Provider::Apns, Priority::High), Some("10"));
        assert_eq!(priority(Provider::Fcm, Priority::Low), Some("NORMAL"));
        assert_eq!(priority(Provider::Smtp, Priority::High), None);
    }
}
