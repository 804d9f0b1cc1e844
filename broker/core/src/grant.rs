//! Who may do what: roles, identities, and the grants of each role.
//!
//! A grant is an action on a pattern. Nothing here asks an authorizer; a [`Verdict::Ask`] tells the
//! caller to.

use std::fmt;
use std::sync::Arc;

use sampan_protocol::control::Action;
use sampan_protocol::{Pattern, topic};

/// What an identity acts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// An end user of the shop.
    Customer,
    /// A support agent.
    Agent,
    /// An operator of the shop.
    Admin,
    /// A backend program.
    Service,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 4] = [Role::Customer, Role::Agent, Role::Admin, Role::Service];

    /// The role's name in tokens, configuration and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::Customer => "customer",
            Role::Agent => "agent",
            Role::Admin => "admin",
            Role::Service => "service",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        Role::ALL.into_iter().find(|role| role.name() == name).ok_or(UnknownRole)
    }
}

/// The text names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownRole;

impl fmt::Display for UnknownRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a role: expected customer, agent, admin or service")
    }
}

impl std::error::Error for UnknownRole {}

/// The bearer of a verified token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who: 1 to 128 bytes without control characters.
    pub user: Arc<str>,
    /// As what.
    pub role: Role,
    /// When the token expires, Unix milliseconds.
    pub expires_ms: u64,
    /// When the token was issued, Unix milliseconds, if it says so.
    pub issued_ms: Option<u64>,
    /// The token's own id, if it has one.
    pub token_id: Option<Arc<str>>,
}

/// Whether an action is allowed. A greater verdict allows more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// No.
    No,
    /// Only if the authorizer of the topic says yes.
    Ask,
    /// Yes, without asking anyone.
    Yes,
}

/// One grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allow {
    /// What is allowed.
    pub action: Action,
    /// On which topics; a token `{user}` stands for the acting user's own id.
    pub pattern: String,
    /// Whether the topic's authorizer has to say yes too.
    pub ask: bool,
}

impl Allow {
    /// Allows `action` on a pattern as configuration writes it: with a `?` behind it, only if the
    /// authorizer says yes.
    #[must_use]
    pub fn new(action: Action, text: &str) -> Self {
        let (pattern, ask) = text.strip_suffix('?').map_or((text, false), |text| (text, true));
        Allow { action, pattern: pattern.to_owned(), ask }
    }
}

/// A grant whose pattern is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The pattern as it was given.
    pub pattern: String,
    /// Which rule of the grammar it breaks.
    pub cause: topic::Error,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "grant pattern {:?}: {}", self.pattern, self.cause)
    }
}

impl std::error::Error for Error {}

/// The placeholder token for the acting user.
const USER: &str = "{user}";

/// The grants of one role, ready to be checked.
#[derive(Debug)]
pub struct Grants(Box<[Grant]>);

#[derive(Debug)]
struct Grant {
    action: Action,
    tokens: Box<[Token]>,
    verdict: Verdict,
}

#[derive(Debug)]
enum Token {
    Is(Box<str>),
    User,
    Any,
    Rest,
}

impl Grants {
    /// Compiles a list of grants.
    ///
    /// # Errors
    /// The first pattern that breaks the grammar, where `{user}` counts as a token.
    pub fn new(allows: &[Allow]) -> Result<Self, Error> {
        allows.iter().map(Grant::new).collect::<Result<_, _>>().map(Grants)
    }

    /// Whether `user` may do `action` on everything that `pattern` matches.
    ///
    /// One grant has to cover the whole pattern: two halves do not add up. Of several that do, yes
    /// beats ask. Allocates only for users whose id needs escapes, at a `{user}` token that has
    /// some.
    #[must_use]
    pub fn check(&self, user: &str, action: Action, pattern: &Pattern) -> Verdict {
        let covering = self.0.iter().filter(|g| g.action == action && g.covers(user, pattern));
        covering.map(|grant| grant.verdict).max().unwrap_or(Verdict::No)
    }
}

impl Grant {
    fn new(allow: &Allow) -> Result<Self, Error> {
        let plain = allow.pattern.split('.').map(|token| if token == USER { "u" } else { token });
        Pattern::parse(&plain.collect::<Vec<_>>().join("."))
            .map_err(|cause| Error { pattern: allow.pattern.clone(), cause })?;
        let token = |text| match text {
            USER => Token::User,
            "*" => Token::Any,
            ">" => Token::Rest,
            _ => Token::Is(Box::from(text)),
        };
        let verdict = if allow.ask { Verdict::Ask } else { Verdict::Yes };
        let tokens = allow.pattern.split('.').map(token).collect();
        Ok(Grant { action: allow.action, tokens, verdict })
    }

    /// As [`Pattern::covers`], with `{user}` in place.
    fn covers(&self, user: &str, pattern: &Pattern) -> bool {
        let mut asked = pattern.tokens();
        for token in &self.tokens {
            let covered = match (token, asked.next()) {
                (Token::Rest, Some(_)) => return true,
                (_, None | Some(">")) => false,
                (Token::Any, Some(_)) => true,
                (Token::Is(text), Some(other)) => **text == *other,
                (Token::User, Some(other)) => is_token_of(user, other),
            };
            if !covered {
                return false;
            }
        }
        asked.next().is_none()
    }
}

/// Whether `token`, taken from a valid pattern, is what [`topic::token`] makes of `user`.
fn is_token_of(user: &str, token: &str) -> bool {
    if token.contains('%') {
        return topic::token(user) == token;
    }
    // Without an escape the two are equal byte for byte; a wildcard is nobody's token.
    user == token && !matches!(token, "*" | ">")
}

/// What the roles may do that may not do everything, as configuration writes it.
///
/// A customer reads its own `user.` topics, sees stock, and asks the services through `chat.*`,
/// `orders.*` and some topics of `inventory.` and `notify.`: the service that answers, such as that of
/// `chat.send_message`, checks the user. With an authorizer's yes it
/// reads its orders and conversations, and sends and sees typing signs. Nobody but a service or an
/// admin publishes into a conversation or an order, answers requests or takes part in groups.
const SHIPPED: &[(&[Role], Action, &[&str])] = {
    use Action::{History, Presence, Publish, Subscribe};
    use Role::{Agent, Customer};
    &[
        (
            &[Customer, Agent],
            Publish,
            &[
                "chat.*",
                "orders.*",
                "inventory.reserve",
                "inventory.release",
                "inventory.extend",
                "inventory.get",
                "inventory.get_reservation",
                "inventory.reservations",
                "notify.get",
                "notify.inbox",
                "notify.mark",
                "notify.device_put",
                "notify.device_remove",
                "notify.devices",
                "notify.preferences",
                "notify.preferences_put",
                "notify.webpush_key",
            ],
        ),
        (&[Customer, Agent], Subscribe, &["user.{user}", "user.{user}.>", "order.*?"]),
        (
            &[Customer],
            Subscribe,
            &["inventory.product.*", "chat.conversation.*?", "chat.typing.*?", "chat.position.*?"],
        ),
        (&[Agent], Subscribe, &["chat.>", "inventory.>", "presence.*", "agents", "agents.>"]),
        (&[Customer], Presence, &["chat.conversation.*?"]),
        (&[Agent], Presence, &["chat.>", "agents", "agents.>"]),
        (&[Customer, Agent], History, &["user.{user}", "user.{user}.>", "order.*?"]),
        (&[Customer], History, &["chat.conversation.*?"]),
        (&[Agent], History, &["chat.>", "agents", "agents.>"]),
    ]
};

/// The patterns on which a role may do something without configuration.
#[must_use]
pub fn shipped(role: Role, action: Action) -> Vec<&'static str> {
    match role {
        Role::Admin | Role::Service => vec![">"],
        Role::Customer | Role::Agent => SHIPPED
            .iter()
            .filter(|(of, to, _)| of.contains(&role) && *to == action)
            .flat_map(|(.., patterns)| patterns.iter().copied())
            .collect(),
    }
}

/// The grants of every role.
///
/// Cloning shares the compiled lists.
#[derive(Clone, Debug)]
pub struct Table {
    customer: Arc<Grants>,
    agent: Arc<Grants>,
    admin: Arc<Grants>,
    service: Arc<Grants>,
}

impl Table {
    /// The table that holds without configuration.
    #[must_use]
    pub fn shipped() -> Self {
        let compile = |role| {
            let each = Action::ALL.iter().flat_map(|action| {
                shipped(role, *action).into_iter().map(|text| Allow::new(*action, text))
            });
            let grants = Grants::new(&each.collect::<Vec<_>>());
            Arc::new(grants.expect("a pattern written in this file is valid"))
        };
        Table {
            customer: compile(Role::Customer),
            agent: compile(Role::Agent),
            admin: compile(Role::Admin),
            service: compile(Role::Service),
        }
    }

    /// The same table with another list for one role.
    ///
    /// # Errors
    /// As for [`Grants::new`].
    pub fn with(mut self, role: Role, allows: &[Allow]) -> Result<Self, Error> {
        let grants = Arc::new(Grants::new(allows)?);
        match role {
            Role::Customer => self.customer = grants,
            Role::Agent => self.agent = grants,
            Role::Admin => self.admin = grants,
            Role::Service => self.service = grants,
        }
        Ok(self)
    }

    /// The grants of a role.
    #[must_use]
    pub fn grants(&self, role: Role) -> &Arc<Grants> {
        match role {
            Role::Customer => &self.customer,
            Role::Agent => &self.agent,
            Role::Admin => &self.admin,
            Role::Service => &self.service,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use Action::{History, Presence, Publish, Serve, Subscribe};
    use Verdict::{Ask, No, Yes};

    fn check(role: Role, user: &str, action: Action, pattern: &str) -> Verdict {
        let pattern = Pattern::parse(pattern).expect(pattern);
        Table::shipped().grants(role).check(user, action, &pattern)
    }

    #[test]
    fn shipped_customer() {
        let cases = [
            (Subscribe, "user.u1", Yes),
            (History, "user.u1.inbox", Yes),
            (Subscribe, "user.u1.>", Yes),
            (Subscribe, "user.u2", No),
            (Subscribe, "user.*", No),
            (Subscribe, "user.>", No),
            (Publish, "user.u1", No),
            (Subscribe, "order.42", Ask),
            (History, "order.42", Ask),
            (Publish, "order.42", No),
            (Subscribe, "order.>", No),
            (Subscribe, "chat.conversation.7", Ask),
            (History, "chat.conversation.7", Ask),
            (Presence, "chat.conversation.7", Ask),
            (Publish, "chat.conversation.7", No),
            (Publish, "chat.typing.7", No),
            (Subscribe, "chat.typing.7", Ask),
            (Publish, "chat.send_message", Yes),
            (Subscribe, "chat.send_message", No),
            (Subscribe, "inventory.product.9", Yes),
            (Subscribe, "inventory.product.*", Yes),
            (Subscribe, "inventory.>", No),
            (Publish, "inventory.product.9", No),
            (Publish, "inventory.reserve", Yes),
            (Publish, "inventory.reservation", No),
            (Publish, "inventory.commit", No),
            (Subscribe, "chat.>", No),
            (Subscribe, ">", No),
            (Serve, "chat.send_message", No),
            (Publish, "catalog.debian", No),
        ];
        for (action, pattern, expected) in cases {
            assert_eq!(
                check(Role::Customer, "u1", action, pattern),
                expected,
                "{action:?} {pattern}"
            );
        }
    }

    #[test]
    fn shipped_agent_admin_and_service() {
        let cases = [
            (Subscribe, "chat.>", Yes),
            (History, "chat.conversation.7", Yes),
            (Presence, "chat.conversation.7", Yes),
            (Publish, "chat.conversation.7", No),
            (Publish, "chat.typing.7", No),
            (Publish, "chat.send_message", Yes),
            (Subscribe, "user.a1", Yes),
            (Subscribe, "user.u1", No),
            (Subscribe, "order.42", Ask),
            (Publish, "order.42", No),
            (Publish, "orders.get", Yes),
            (Subscribe, "inventory.>", Yes),
            (Subscribe, "agents", Yes),
            (Subscribe, "agents.queue", Yes),
            (Publish, "agents.queue", No),
            (Subscribe, ">", No),
            (Serve, "chat.>", No),
        ];
        for (action, pattern, expected) in cases {
            assert_eq!(check(Role::Agent, "a1", action, pattern), expected, "{action:?} {pattern}");
        }
        for (role, action) in [Role::Admin, Role::Service]
            .into_iter()
            .flat_map(|role| Action::ALL.iter().map(move |action| (role, *action)))
        {
            assert_eq!(check(role, "x", action, ">"), Yes);
        }
    }

    #[test]
    fn an_id_that_looks_like_a_pattern_owns_only_its_own_name() {
        for user in [">", "*", "a.b", "%2E", "%3E", "", "ก", "{user}"] {
            for pattern in ["user.*", "user.>", "user.*.x", "user.a.b", "user.u1"] {
                assert_eq!(check(Role::Customer, user, Subscribe, pattern), No, "{user} {pattern}");
            }
        }
        assert_eq!(check(Role::Customer, ">", Subscribe, "user.%3E"), Yes);
        assert_eq!(check(Role::Customer, "%3E", Subscribe, "user.%3E"), No);
        assert_eq!(check(Role::Customer, "%3E", Subscribe, "user.%253E"), Yes);
    }

    #[test]
    fn two_halves_do_not_add_up_and_yes_beats_ask() {
        let list =
            [Allow::new(Publish, "a.>?"), Allow::new(Publish, "a.*"), Allow::new(Publish, "b?")];
        let grants = Grants::new(&list).expect("valid");
        let check = |pattern| grants.check("u", Publish, &Pattern::parse(pattern).expect("valid"));
        assert_eq!((check("a.b"), check("a.b.c"), check("a.>")), (Yes, Ask, Ask));
        assert_eq!((check("a"), check("b"), check("*"), check(">")), (No, Ask, No, No));
    }

    #[test]
    fn a_bad_pattern_is_named_and_a_role_can_be_replaced() {
        let bad = [Allow::new(Publish, "a.{user}x")];
        let error = Grants::new(&bad).map(|_| ()).expect_err("braces are not in the grammar");
        assert_eq!((error.pattern.as_str(), error.cause), ("a.{user}x", topic::Error::BadByte(2)));
        let table = Table::shipped().with(Role::Agent, &[Allow::new(Serve, "{user}.>?")]);
        let table = table.expect("valid");
        let pattern = Pattern::parse("a1.x").expect("valid");
        assert_eq!(table.grants(Role::Agent).check("a1", Serve, &pattern), Ask);
        assert_eq!(table.grants(Role::Agent).check("a2", Serve, &pattern), No);
        assert_eq!(table.grants(Role::Admin).check("a2", Serve, &pattern), Yes);
        assert_eq!("agent".parse(), Ok(Role::Agent));
        assert_eq!("authenticated".parse::<Role>(), Err(UnknownRole));
    }

    proptest! {
        #[test]
        fn a_grant_covers_what_its_pattern_with_the_user_in_place_covers(
            grant in "([ab*]\\.|\\{user\\}\\.){0,3}([ab*>]|\\{user\\})",
            asked in "([ab*]\\.|%3E\\.){0,3}([ab*>]|%3E)",
            user in "a|b|>|\\*",
        ) {
            let placed = Pattern::parse(&grant.replace(USER, &topic::token(&user))).expect("valid");
            let asked = Pattern::parse(&asked).expect("valid");
            let grants = Grants::new(&[Allow::new(Publish, &grant)]).expect("valid");
            let expected = if placed.covers(&asked) { Yes } else { No };
            prop_assert_eq!(grants.check(&user, Publish, &asked), expected);
        }
    }
}
