//! Codes on the wire. The hundred tells the client what to do.
//!
//! `spec/codes.md` is the list of record; a test compares it with this table. Numbers are never
//! reused.

/// What a client does about a code, given by its hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaction {
    /// 1xx: the message is wrong; sending it again cannot succeed.
    Fix,
    /// 2xx: not allowed with this token; ask differently or with another token.
    NotAllowed,
    /// 3xx: busy or not ready; the same request may succeed later.
    RetryLater,
    /// 4xx: connect again at once.
    Reconnect,
    /// 5xx: connect again with backoff.
    ReconnectWithBackoff,
    /// 6xx: closed for good; a person or a new token is needed.
    Stop,
    /// 9xx: defined by the application that answered.
    Application,
}

macro_rules! codes {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        impl Code {
            $(#[doc = $text] pub const $name: Code = Code($number);)*
            /// Every code that Sampan itself defines: number, name and meaning.
            pub const ALL: &'static [(Code, &'static str, &'static str)] =
                &[$((Code($number), stringify!($name), $text)),*];
        }
    };
}

/// A number that names why something was refused or closed.
///
/// Codes of unknown number are carried unchanged; their hundred still tells the reaction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub u16);

codes! {
    MALFORMED = 100, "The frame could not be decoded.";
    UNKNOWN_KIND = 101, "The frame's kind is not known to this version.";
    TOO_LARGE = 102, "A frame, payload or field is larger than its limit.";
    BAD_TOPIC = 103, "The topic name or pattern does not follow the grammar.";
    UNEXPECTED = 104, "The frame is not expected in this state of the session.";
    BAD_FIELD = 105, "A field holds a value outside its range.";
    UNKNOWN_TOPIC = 106, "The topic id or name is not known.";
    UNKNOWN_REQUEST = 107, "The request, subscription or call id is not known.";
    DUPLICATE_REQUEST = 108, "The request or subscription id is already in use.";
    NEEDS_TOPIC = 109, "A pattern was given where one topic is needed.";
    LEVEL_UNAVAILABLE = 110, "This topic cannot give the asked ack level.";
    STALE = 111, "The version is not above the kept one.";
    UNSUPPORTED_VERSION = 112, "No common protocol version.";
    UNKNOWN_GROUP = 113, "There is no group of this name.";
    GROUP_DIFFERS = 114, "The group exists with another pattern or order.";
    NOT_DELIVERED = 115, "The group has handed out no such message.";
    UNKNOWN_DEAD_LETTER = 116, "The group has no dead letter with this id.";
    NOT_GRANTED = 200, "The token does not grant this action on this topic.";
    NOT_AUTHORIZED = 201, "The authorizer of this topic said no, or did not answer.";
    ADMIN_ONLY = 202, "Only an admin or a service may do this.";
    RATE_LIMITED = 300, "The rate limit is used up; retry after the given time.";
    BUSY = 301, "The broker has no room for this now; retry after the given time.";
    NO_RESPONDER = 302, "Nobody answers requests on this topic at the moment.";
    DEADLINE = 303, "No answer came before the deadline; the request may have had an effect.";
    TOO_MANY = 304, "The session holds as many of these as it may.";
    STORAGE = 305, "The journal could not store the message.";
    RESPONDER_LOST = 306, "The responder left before it answered; the request may have had an effect.";
    GOING_AWAY = 400, "This broker is draining; connect again.";
    TOKEN_EXPIRED = 401, "The token has expired; connect again with a fresh one.";
    RESTARTED = 500, "The broker lost or stopped the session; connect again with backoff.";
    SLOW_HANDSHAKE = 501, "HELLO or its token did not arrive in time.";
    IDLE = 502, "Nothing was heard from the client in time.";
    OVERLOADED = 503, "The broker sheds load; connect again with backoff.";
    PROTOCOL = 600, "The peer broke the protocol; the same software will do it again.";
    BAD_TOKEN = 601, "The token is missing or was refused.";
    REVOKED = 602, "The token or its user was revoked.";
    ABUSE = 603, "The peer kept exceeding limits.";
    CLOSED = 604, "The client closed the session.";
}

impl Code {
    /// What the client does, from the hundred; numbers outside the table count as `Stop`.
    #[must_use]
    pub fn reaction(self) -> Reaction {
        match self.0 / 100 {
            1 => Reaction::Fix,
            2 => Reaction::NotAllowed,
            3 => Reaction::RetryLater,
            4 => Reaction::Reconnect,
            5 => Reaction::ReconnectWithBackoff,
            9 => Reaction::Application,
            _ => Reaction::Stop,
        }
    }

    /// Whether the same request, unchanged, may succeed at a later time.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(
            self.reaction(),
            Reaction::RetryLater | Reaction::Reconnect | Reaction::ReconnectWithBackoff
        )
    }

    /// The code's name in `spec/codes.md`, or `APPLICATION` / `UNKNOWN`.
    #[must_use]
    pub fn name(self) -> &'static str {
        let own = Code::ALL.iter().find(|(code, _, _)| *code == self);
        match (own, self.reaction()) {
            (Some((_, name, _)), _) => name,
            (None, Reaction::Application) => "APPLICATION",
            (None, _) => "UNKNOWN",
        }
    }

    /// One sentence on what the code means; empty for codes that Sampan does not define.
    #[must_use]
    pub fn text(self) -> &'static str {
        Code::ALL.iter().find(|(code, _, _)| *code == self).map_or("", |(_, _, text)| text)
    }
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({})", self.name(), self.0)
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.0, self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_ascending() {
        for pair in Code::ALL.windows(2) {
            assert!(pair[0].0 < pair[1].0, "{:?} before {:?}", pair[0], pair[1]);
            assert_ne!(pair[0].1, pair[1].1);
        }
    }

    #[test]
    fn the_hundred_decides_even_for_unknown_numbers() {
        assert_eq!(Code(399).reaction(), Reaction::RetryLater);
        assert_eq!(Code(942).reaction(), Reaction::Application);
        assert_eq!(Code(0).reaction(), Reaction::Stop);
        assert_eq!(Code(942).name(), "APPLICATION");
    }
}
