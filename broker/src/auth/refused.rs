//! Why a token is not accepted. Operators see the reason; the peer does not.

/// Why a token is not accepted.
///
/// The fault is the token bearer's in every case. [`std::fmt::Display`] is the one message that a
/// peer may see, the same for all reasons; [`Refused::label`] is for metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refused {
    /// There is no token.
    Missing,
    /// The token is over 8 KiB.
    TooLong,
    /// Not three base64url parts, not JSON objects, or a member occurs twice.
    Malformed,
    /// The header names an algorithm that is not allowed, or not the one its key is for.
    Algorithm,
    /// The header carries or points to a key, or demands an extension.
    Header,
    /// The header names a key that is not known, or not known yet.
    UnknownKey,
    /// The signature is not by the key.
    Signature,
    /// A claim is missing, of the wrong type or out of range.
    Claims,
    /// Past `exp` and the leeway.
    Expired,
    /// Ahead of `nbf` or `iat` by more than the leeway.
    NotYetValid,
    /// `iss` is missing or not the configured one.
    Issuer,
    /// `aud` is missing or names none of the configured ones.
    Audience,
    /// No role, or one that the broker does not know.
    Role,
    /// The token, its user or all tokens of its age are revoked.
    Revoked,
}

impl Refused {
    /// What the peer is told, whatever the reason.
    pub const MESSAGE: &'static str = "The token is not accepted.";

    /// Every reason, for a metrics registry that lists its series in advance.
    pub const ALL: [Self; 14] = [
        Self::Missing,
        Self::TooLong,
        Self::Malformed,
        Self::Algorithm,
        Self::Header,
        Self::UnknownKey,
        Self::Signature,
        Self::Claims,
        Self::Expired,
        Self::NotYetValid,
        Self::Issuer,
        Self::Audience,
        Self::Role,
        Self::Revoked,
    ];

    /// The reason's stable name in metrics and logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::Algorithm => "algorithm",
            Self::Header => "header",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Claims => "claims",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Role => "role",
            Self::Revoked => "revoked",
        }
    }

    /// Whether the same token may be accepted a little later.
    ///
    /// True for an unknown key (the key set may be behind its issuer) and for a token from the
    /// near future (the clocks may differ); anything else needs another token.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::UnknownKey | Self::NotYetValid)
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(Self::MESSAGE)
    }
}

impl std::error::Error for Refused {}
