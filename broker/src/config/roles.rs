//! The roles-to-grants table: lists of the file in place of those that ship.

use sampan_core::grant::{Allow, Role, Table};
use sampan_protocol::control::Action;

use super::error::Error;
use super::file::{RoleGrants, Roles};

/// The table that shards use.
pub(super) fn table(roles: &Roles) -> Result<Table, Error> {
    let Roles { customer, agent, admin, service } = roles;
    let given = [
        (Role::Customer, customer),
        (Role::Agent, agent),
        (Role::Admin, admin),
        (Role::Service, service),
    ];
    given.into_iter().try_fold(Table::shipped(), |table, (role, grants)| match grants {
        Some(grants) => table.with(role, &allows(grants)).map_err(|error| Error::Value {
            key: format!("roles.{}", role.name()),
            why: error.to_string(),
        }),
        None => Ok(table),
    })
}

fn allows(grants: &RoleGrants) -> Vec<Allow> {
    let RoleGrants { publish, subscribe, presence, history, serve, consume } = grants;
    let lists = [
        (Action::Publish, publish),
        (Action::Subscribe, subscribe),
        (Action::Presence, presence),
        (Action::History, history),
        (Action::Serve, serve),
        (Action::Consume, consume),
    ];
    let allow = |action, text: &String| match text.strip_suffix('?') {
        Some(pattern) => Allow::ask(action, pattern),
        None => Allow::yes(action, text),
    };
    let each = lists.into_iter().flat_map(|(action, list)| list.iter().map(move |t| (action, t)));
    each.map(|(action, text)| allow(action, text)).collect()
}
