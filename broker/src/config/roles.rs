//! The roles-to-grants table: lists of the file in place of those that ship, or on top of them.

use std::collections::BTreeMap;

use sampan_core::grant::{self, Allow, Role, Table};
use sampan_protocol::control::Action;
use serde::{Deserialize, Deserializer};

use super::error::Error;
use super::file::{RoleGrants, Roles};

/// Stands for the patterns that ship in a list of the file.
const SHIPPED: &str = "..";

/// What ships.
pub(super) fn shipped() -> Roles {
    Roles::with(|role| RoleGrants::with(|action| texts(role, action).collect()))
}

/// Reads the lists of a file; a role's list that it does not have is the one that ships.
pub(super) fn over_shipped<'de, D: Deserializer<'de>>(from: D) -> Result<Roles, D::Error> {
    let mut given = BTreeMap::<String, BTreeMap<String, Vec<String>>>::deserialize(from)?;
    let mut list = |role: Role, action: Action| {
        let list = given.get_mut(role.name()).and_then(|lists| lists.remove(action.name()));
        let list = list.unwrap_or_else(|| vec![SHIPPED.to_owned()]).into_iter();
        list.flat_map(|text| match text.as_str() {
            SHIPPED => texts(role, action).collect(),
            _ => vec![text],
        })
        .collect()
    };
    Ok(Roles::with(|role| RoleGrants::with(|action| list(role, action))))
}

fn texts(role: Role, action: Action) -> impl Iterator<Item = String> {
    grant::shipped(role, action).into_iter().map(str::to_owned)
}

/// The table that shards use.
pub(super) fn table(roles: &Roles) -> Result<Table, Error> {
    let Roles { customer, agent, admin, service } = roles;
    let given = [
        (Role::Customer, customer),
        (Role::Agent, agent),
        (Role::Admin, admin),
        (Role::Service, service),
    ];
    given.into_iter().try_fold(Table::shipped(), |table, (role, grants)| {
        table.with(role, &grants.allows()).map_err(|error| Error::Value {
            key: format!("roles.{}", role.name()),
            why: error.to_string(),
        })
    })
}

impl Roles {
    fn with(mut grants: impl FnMut(Role) -> RoleGrants) -> Self {
        Roles {
            customer: grants(Role::Customer),
            agent: grants(Role::Agent),
            admin: grants(Role::Admin),
            service: grants(Role::Service),
        }
    }
}

impl RoleGrants {
    fn with(mut list: impl FnMut(Action) -> Vec<String>) -> Self {
        RoleGrants {
            publish: list(Action::Publish),
            subscribe: list(Action::Subscribe),
            presence: list(Action::Presence),
            history: list(Action::History),
            serve: list(Action::Serve),
            consume: list(Action::Consume),
        }
    }

    fn allows(&self) -> Vec<Allow> {
        let RoleGrants { publish, subscribe, presence, history, serve, consume } = self;
        let lists = [
            (Action::Publish, publish),
            (Action::Subscribe, subscribe),
            (Action::Presence, presence),
            (Action::History, history),
            (Action::Serve, serve),
            (Action::Consume, consume),
        ];
        let allow = |action| move |text: &String| Allow::new(action, text);
        lists.into_iter().flat_map(|(action, list)| list.iter().map(allow(action))).collect()
    }
}
