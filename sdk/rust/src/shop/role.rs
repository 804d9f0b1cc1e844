//! The roles of users.

use serde::{Deserialize, Serialize};

/// The role of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
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
    /// Those who run the shop, as people and as programs.
    pub const OPERATORS: &[Role] = &[Role::Admin, Role::Service];
    /// Those who serve customers, and the programs of the shop.
    pub const STAFF: &[Role] = &[Role::Agent, Role::Admin, Role::Service];
    /// Everybody.
    pub const ALL: &[Role] = &[Role::Customer, Role::Agent, Role::Admin, Role::Service];

    /// The role's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::Customer => "customer",
            Role::Agent => "agent",
            Role::Admin => "admin",
            Role::Service => "service",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Role::ALL.iter().copied().find(|role| role.name() == name)
    }
}
