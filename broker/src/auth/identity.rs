//! What a verified token says: who, as what, until when. Not what they may do.

/// The bearer of a verified token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The `sub` claim: 1 to 128 bytes without control characters.
    pub user: String,
    /// The role that the configured claim paths name.
    pub role: Role,
    /// When the token expires, in Unix milliseconds, without leeway.
    ///
    /// At most 2^53 seconds, so a sum with it fits in 64 bits.
    pub expires_unix_ms: u64,
    /// When the token was issued (`iat`), in Unix milliseconds, if it says so.
    pub issued_unix_ms: Option<u64>,
    /// The token's own id (`jti`), at most 128 bytes, if it has one.
    pub token_id: Option<String>,
}

/// What an identity acts as. The table of grants starts from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// An end user of the shop; also Supabase's `authenticated`.
    Customer,
    /// A support agent.
    Agent,
    /// An operator of the shop.
    Admin,
    /// A backend program.
    Service,
}

impl Role {
    /// Reads a role as a token or a command line spells it; case matters.
    ///
    /// Any other spelling is `None`, so that a role the broker does not know gets nothing.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "customer" | "authenticated" => Some(Self::Customer),
            "agent" => Some(Self::Agent),
            "admin" => Some(Self::Admin),
            "service" => Some(Self::Service),
            _ => None,
        }
    }

    /// The role's name, as [`Role::parse`] reads it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Agent => "agent",
            Self::Admin => "admin",
            Self::Service => "service",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::parse(text).ok_or(UnknownRole)
    }
}

/// The text names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownRole;

impl std::fmt::Display for UnknownRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not a role: expected customer, agent, admin or service")
    }
}

impl std::error::Error for UnknownRole {}

/// Longest `sub` and `jti` accepted, in bytes.
pub(super) const ID_BYTES_MAX: usize = 128;

/// Whether `text` can be a user or token id.
///
/// Ids reach logs, topic names and consoles, so control characters are out.
pub(super) fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= ID_BYTES_MAX && !text.chars().any(char::is_control)
}
