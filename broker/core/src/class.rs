//! Which class a topic has, and how long its messages are kept.
//!
//! The table maps patterns to rules. What a class promises is `spec/topics.md`.

use std::time::Duration;

use sampan_protocol::{Class, Pattern, Topic};

use crate::trie::Trie;

/// How much history is kept; whichever bound is reached first moves a topic's floor. Messages of a
/// `latest` topic stay until they are replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Age that a message of a topic may reach. Default 7 days.
    pub age: Duration,
    /// Bytes that the messages of all topics of the rule's pattern may take together. A broker's logs
    /// have equal shares of it. Default 1 GiB.
    pub bytes: u64,
    /// Messages of one topic that are kept, if limited. Default no limit.
    pub count: Option<u64>,
}

impl Retention {
    /// 7 days and 1 GiB.
    pub const DEFAULT: Retention =
        Retention { age: Duration::from_secs(7 * 24 * 3600), bytes: 1 << 30, count: None };
}

impl Default for Retention {
    fn default() -> Self {
        Retention::DEFAULT
    }
}

/// What holds for the topics of one pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The topics that the rule is for.
    pub pattern: Pattern,
    /// Their class.
    pub class: Class,
    /// Whether ephemeral messages may leave as datagrams where they fit.
    pub datagrams: bool,
    /// Deliveries per second, key and subscriber of a `latest` topic, if limited.
    pub max_hz: Option<u32>,
    /// How much history is kept, if the topics are durable.
    pub retention: Retention,
}

impl Rule {
    /// A rule with lanes only, no limit of deliveries, and the default retention.
    #[must_use]
    pub const fn new(pattern: Pattern, class: Class) -> Self {
        let retention = Retention::DEFAULT;
        Rule { pattern, class, datagrams: false, max_hz: None, retention }
    }
}

/// The rules of a broker.
///
/// A topic has the rule of the most specific pattern that matches it: patterns are compared token
/// by token from the left, and at the first difference the token itself beats `*`, which beats `>`.
/// Two different patterns that match the same topic always differ there, so the answer is unique. A
/// topic that no pattern matches is durable with the default retention.
#[derive(Clone, Debug)]
pub struct Table {
    rules: Vec<Rule>,
    by_pattern: Trie<usize>,
    otherwise: Rule,
}

/// What ships: name, class, datagrams.
const SHIPPED: [(&str, Class, bool); 13] = [
    ("chat.typing.*", Class::Ephemeral, true),
    ("chat.position.*", Class::Latest, false),
    ("inventory.product.*", Class::Latest, false),
    ("presence.*", Class::Latest, false),
    ("notify.bulk.*", Class::Latest, false),
    ("bench.>", Class::Ephemeral, false),
    ("chat.>", Class::Durable, false),
    ("order.>", Class::Durable, false),
    ("user.>", Class::Durable, false),
    ("notify.>", Class::Durable, false),
    ("inventory.>", Class::Durable, false),
    ("admin.>", Class::Durable, false),
    ("analytics.>", Class::Durable, false),
];

fn shipped(pattern: &str) -> Pattern {
    Pattern::parse(pattern).expect("a pattern written in this file is valid")
}

impl Table {
    /// A table of these rules; of two with the same pattern the later one counts.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        let mut by_pattern = Trie::new();
        for (index, rule) in rules.iter().enumerate() {
            *by_pattern.insert(rule.pattern.as_str()) = index;
        }
        Table { rules, by_pattern, otherwise: Rule::new(shipped(">"), Class::Durable) }
    }

    /// The table that holds without configuration.
    #[must_use]
    pub fn shipped() -> Self {
        let rule =
            |(pattern, class, datagrams)| Rule { datagrams, ..Rule::new(shipped(pattern), class) };
        Table::new(SHIPPED.map(rule).to_vec())
    }

    /// The rule of a topic. Costs one walk along the topic's tokens, and allocates nothing.
    #[must_use]
    pub fn rule(&self, topic: &Topic) -> &Rule {
        let mut found = None;
        // The trie visits the most specific match last.
        self.by_pattern.matching(topic, &mut |index| found = Some(*index));
        found.and_then(|index| self.rules.get(index)).unwrap_or(&self.otherwise)
    }

    /// Every rule, as given.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn topic(text: &str) -> Topic {
        Topic::parse(text).expect(text)
    }

    fn table(patterns: &[&str]) -> Table {
        Table::new(patterns.iter().map(|p| Rule::new(shipped(p), Class::Latest)).collect())
    }

    #[test]
    fn shipped_classes() {
        let table = Table::shipped();
        let cases = [
            ("chat.typing.1", Class::Ephemeral, true),
            ("chat.typing.1.x", Class::Durable, false),
            ("chat.position.1", Class::Latest, false),
            ("inventory.product.1", Class::Latest, false),
            ("inventory.reservation", Class::Durable, false),
            ("presence.u1", Class::Latest, false),
            ("notify.bulk.j1", Class::Latest, false),
            ("notify.trigger", Class::Durable, false),
            ("bench.room.7", Class::Ephemeral, false),
            ("bench", Class::Durable, false),
            ("chat.conversation.7", Class::Durable, false),
            ("order.42", Class::Durable, false),
            ("user.u1", Class::Durable, false),
            ("catalog.debian", Class::Durable, false),
        ];
        for (name, class, datagrams) in cases {
            let rule = table.rule(&topic(name));
            assert_eq!((rule.class, rule.datagrams), (class, datagrams), "{name}");
            assert_eq!(rule.retention, Retention::DEFAULT);
        }
    }

    #[test]
    fn the_leftmost_difference_decides_and_a_later_rule_replaces_an_earlier() {
        let rules = table(&["a.*.c", "a.b.>", "*.b.c", ">"]);
        assert_eq!(rules.rule(&topic("a.b.c")).pattern.as_str(), "a.b.>");
        assert_eq!(rules.rule(&topic("a.x.c")).pattern.as_str(), "a.*.c");
        assert_eq!(rules.rule(&topic("x.b.c")).pattern.as_str(), "*.b.c");
        assert_eq!(rules.rule(&topic("q")).class, Class::Latest);
        let (first, second) = (Class::Latest, Class::Ephemeral);
        let twice = [first, second].map(|class| Rule::new(shipped("a.*"), class)).to_vec();
        assert_eq!(Table::new(twice).rule(&topic("a.b")).class, second);
    }

    proptest! {
        #[test]
        fn the_rule_is_the_most_specific_and_order_does_not_matter(
            patterns in prop::collection::btree_set("([ab*]\\.){0,3}[ab*>]", 0..20),
            name in "([ab]\\.){0,3}[ab]",
        ) {
            let rank = |token: &str| match token { ">" => 0, "*" => 1, _ => 2 };
            let key = |p: &&str| p.split('.').map(rank).collect::<Vec<u8>>();
            let mut patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
            let best = patterns.iter().copied().filter(|p| shipped(p).matches(&topic(&name)));
            let expected = best.max_by_key(key).unwrap_or(">");
            let (forward, topic) = (table(&patterns), topic(&name));
            patterns.reverse();
            let backward = table(&patterns);
            prop_assert_eq!(forward.rule(&topic).pattern.as_str(), expected);
            prop_assert_eq!(backward.rule(&topic).pattern.as_str(), expected);
        }
    }
}
