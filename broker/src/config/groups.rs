//! The groups that exist from the start: those of the file on top of those that ship.

use sampan_core::config::GroupRule;
use sampan_protocol::{Pattern, Topic};
use serde::{Deserialize, Deserializer};

use super::error::Error;
use super::file::Group;

/// The groups that ship.
pub(super) fn shipped() -> Vec<Group> {
    GroupRule::shipped().iter().map(Group::of).collect()
}

/// Reads the groups of a file and puts them on top of those that ship.
pub(super) fn on_top_of_shipped<'de, D>(from: D) -> Result<Vec<Group>, D::Error>
where
    D: Deserializer<'de>,
{
    let own = Vec::<Group>::deserialize(from)?;
    let is_replaced = |group: &Group| own.iter().any(|new| new.name == group.name);
    let mut groups: Vec<_> = shipped().into_iter().filter(|group| !is_replaced(group)).collect();
    groups.extend(own);
    Ok(groups)
}

/// What shards are told of these groups. The services of the process work in those that ship.
pub(super) fn rules(groups: &[Group], has_services: bool) -> Result<Vec<GroupRule>, Error> {
    let shipped = GroupRule::shipped();
    let mut rules: Vec<GroupRule> = Vec::with_capacity(groups.len());
    for group in groups {
        let rule = group.rule()?;
        if rules.iter().any(|known| known.name == rule.name) {
            return Err(refused(&group.name, "is there twice".to_owned()));
        }
        let other = shipped.iter().find(|own| own.name == rule.name && **own != rule);
        if let (Some(own), true) = (other, has_services) {
            let why = format!(
                "the services of this process read {} with it; name yours otherwise",
                own.pattern
            );
            return Err(refused(&group.name, why));
        }
        rules.push(rule);
    }
    Ok(rules)
}

impl Group {
    fn of(rule: &GroupRule) -> Self {
        let GroupRule { name, pattern } = rule;
        Group { name: name.as_str().to_owned(), pattern: pattern.as_str().to_owned() }
    }

    fn rule(&self) -> Result<GroupRule, Error> {
        let name = Topic::parse(&self.name);
        let name = name.map_err(|error| refused(&self.name, format!("name: {error}")))?;
        let pattern = Pattern::parse(&self.pattern);
        let pattern = pattern.map_err(|error| refused(&self.name, format!("pattern: {error}")))?;
        Ok(GroupRule { name, pattern })
    }
}

fn refused(name: &str, why: String) -> Error {
    Error::Value { key: format!("groups (name {name:?})"), why }
}
