//! The class table: rules of the file on top of those that ship.

use std::time::Duration;

use sampan_core::class::{Retention, Rule, Table};
use sampan_protocol::{Class, Pattern};
use serde::{Deserialize, Deserializer};

use super::error::Error;
use super::file::ClassRule;

/// The rules that ship.
pub(super) fn shipped() -> Vec<ClassRule> {
    Table::shipped().rules().iter().map(ClassRule::of).collect()
}

/// Reads the rules of a file and puts them on top of those that ship.
pub(super) fn on_top_of_shipped<'de, D>(from: D) -> Result<Vec<ClassRule>, D::Error>
where
    D: Deserializer<'de>,
{
    let own = Vec::<ClassRule>::deserialize(from)?;
    let is_replaced = |rule: &ClassRule| own.iter().any(|new| new.pattern == rule.pattern);
    let mut rules: Vec<_> = shipped().into_iter().filter(|rule| !is_replaced(rule)).collect();
    rules.extend(own);
    Ok(rules)
}

/// The table that shards use: these rules, and one for the broker's own topics.
pub(super) fn table(rules: &[ClassRule]) -> Result<Table, Error> {
    let own = ClassRule {
        pattern: "sys.>".to_owned(),
        class: Class::Ephemeral.name().to_owned(),
        ..ClassRule::default()
    };
    rules.iter().chain([&own]).map(ClassRule::rule).collect::<Result<_, _>>().map(Table::new)
}

impl ClassRule {
    /// A rule as the file writes it; what equals the default is left out.
    fn of(rule: &Rule) -> Self {
        let Rule { pattern, class, datagrams, max_hz, retention } = rule;
        let kept = Retention::DEFAULT;
        ClassRule {
            pattern: pattern.as_str().to_owned(),
            class: class.name().to_owned(),
            datagrams: *datagrams,
            max_hz: *max_hz,
            retention_s: (retention.age != kept.age).then_some(retention.age.as_secs()),
            retention_bytes: (retention.bytes != kept.bytes).then_some(retention.bytes),
            retention_count: retention.count,
        }
    }

    fn rule(&self) -> Result<Rule, Error> {
        let refused = |why: String| Error::Value {
            key: format!("classes (pattern {:?})", self.pattern),
            why,
        };
        let pattern =
            Pattern::parse(&self.pattern).map_err(|error| refused(format!("pattern: {error}")))?;
        let class = self.class.parse::<Class>().map_err(|_| {
            refused(format!("class {:?} is not ephemeral, latest or durable", self.class))
        })?;
        let for_class = |is_set: bool, key: &str, needed: Class| {
            if is_set && class != needed {
                return Err(refused(format!("{key} is for class {} only", needed.name())));
            }
            Ok(())
        };
        for_class(self.datagrams, "datagrams", Class::Ephemeral)?;
        for_class(self.max_hz.is_some(), "max_hz", Class::Latest)?;
        for_class(self.retention_s.is_some(), "retention_s", Class::Durable)?;
        for_class(self.retention_bytes.is_some(), "retention_bytes", Class::Durable)?;
        for_class(self.retention_count.is_some(), "retention_count", Class::Durable)?;
        if self.max_hz == Some(0) || self.retention_count == Some(0) {
            return Err(refused("0 would keep or deliver nothing; leave the key out".to_owned()));
        }
        let kept = Retention::DEFAULT;
        let retention = Retention {
            age: self.retention_s.map_or(kept.age, Duration::from_secs),
            bytes: self.retention_bytes.unwrap_or(kept.bytes),
            count: self.retention_count,
        };
        let max_hz = self.max_hz;
        Ok(Rule { datagrams: self.datagrams, max_hz, retention, ..Rule::new(pattern, class) })
    }
}
