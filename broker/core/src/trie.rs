//! Dotted paths to values: exact look-up, the patterns that match a topic, the topics in a pattern.
//!
//! One structure serves both directions: a trie of patterns is asked with a topic, a trie of topics
//! with a pattern. It knows nothing of what the values mean.

use std::collections::BTreeMap;

use sampan_protocol::{Pattern, Topic, limits::TOPIC_TOKENS_MAX};

/// Values under the texts of topics or patterns.
///
/// Memory is one node per distinct prefix; removing a path frees the nodes that only it used. Every
/// walk is as deep as a path has tokens, 16 at most, and its order depends on the content alone.
#[derive(Clone, Debug)]
pub struct Trie<V> {
    root: Node<V>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Node<V> {
    value: Option<V>,
    children: BTreeMap<Box<str>, Node<V>>,
}

impl<V> Node<V> {
    const EMPTY: Self = Node { value: None, children: BTreeMap::new() };
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Trie::new()
    }
}

impl<V> Trie<V> {
    /// An empty trie.
    #[must_use]
    pub const fn new() -> Self {
        Trie { root: Node::EMPTY, len: 0 }
    }

    /// Paths that have a value.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no path has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The value of `path`, made if there is none. `path` is the text of a topic or a pattern.
    pub fn insert(&mut self, path: &str) -> &mut V
    where
        V: Default,
    {
        debug_assert!(path.split('.').count() <= TOPIC_TOKENS_MAX, "a topic or pattern");
        let mut node = &mut self.root;
        for token in path.split('.') {
            if !node.children.contains_key(token) {
                node.children.insert(Box::from(token), Node::EMPTY);
            }
            node = node.children.get_mut(token).expect("it was there or has been inserted");
        }
        if node.value.is_none() {
            self.len += 1;
        }
        node.value.get_or_insert_default()
    }

    /// Takes the value of `path` out, and with it the nodes that nothing else uses.
    pub fn remove(&mut self, path: &str) -> Option<V> {
        let removed = prune(&mut self.root, path);
        self.len -= usize::from(removed.is_some());
        removed
    }

    /// The value stored under exactly this text; wildcards stand for themselves.
    #[must_use]
    pub fn exact(&self, path: &str) -> Option<&V> {
        let node = path.split('.').try_fold(&self.root, |node, token| node.children.get(token));
        node?.value.as_ref()
    }

    /// As [`Trie::exact`], for changing the value in place.
    pub fn exact_mut(&mut self, path: &str) -> Option<&mut V> {
        let start = &mut self.root;
        let node = path.split('.').try_fold(start, |node, token| node.children.get_mut(token));
        node?.value.as_mut()
    }

    /// Visits the values of all stored patterns that match `topic`.
    ///
    /// The order is from the least to the most specific: token by token from the left, `>` comes
    /// before `*` and `*` before the token itself.
    pub fn matching(&self, topic: &Topic, visit: &mut dyn FnMut(&V)) {
        matching(&self.root, Some(topic.as_str()), visit);
    }

    /// Visits all stored topics that `pattern` matches, with their names, in the order of their
    /// names compared token by token.
    ///
    /// In a trie of patterns, visits those that `pattern` covers.
    pub fn within(&self, pattern: &Pattern, visit: &mut dyn FnMut(&str, &V)) {
        within(&self.root, Some(pattern.as_str()), &mut String::new(), visit);
    }
}

/// The first token of a path, and what follows it if anything does.
fn first(path: &str) -> (&str, Option<&str>) {
    path.split_once('.').map_or((path, None), |(token, rest)| (token, Some(rest)))
}

fn prune<V>(node: &mut Node<V>, path: &str) -> Option<V> {
    let (token, rest) = first(path);
    let child = node.children.get_mut(token)?;
    let removed = match rest {
        Some(rest) => prune(child, rest),
        None => child.value.take(),
    }?;
    if child.value.is_none() && child.children.is_empty() {
        node.children.remove(token);
    }
    Some(removed)
}

fn matching<V>(node: &Node<V>, topic: Option<&str>, visit: &mut dyn FnMut(&V)) {
    let Some(topic) = topic else {
        node.value.iter().for_each(visit);
        return;
    };
    let (token, rest) = first(topic);
    if let Some(tail) = node.children.get(">") {
        tail.value.iter().for_each(&mut *visit);
    }
    for child in ["*", token].iter().filter_map(|name| node.children.get(*name)) {
        matching(child, rest, visit);
    }
}

fn within<V>(
    node: &Node<V>,
    pattern: Option<&str>,
    name: &mut String,
    visit: &mut dyn FnMut(&str, &V),
) {
    let Some(pattern) = pattern else {
        node.value.iter().for_each(|value| visit(name, value));
        return;
    };
    let (token, rest) = first(pattern);
    let mut step = |token: &str, child: &Node<V>, tail: bool| {
        let length = name.len();
        if length > 0 {
            name.push('.');
        }
        name.push_str(token);
        if tail {
            child.value.iter().for_each(|value| visit(name, value));
        }
        within(child, if tail { Some(">") } else { rest }, name, visit);
        name.truncate(length);
    };
    match token {
        ">" => node.children.iter().for_each(|(name, child)| step(name, child, true)),
        "*" => {
            let single = node.children.iter().filter(|(name, _)| &***name != ">");
            single.for_each(|(name, child)| step(name, child, false));
        }
        _ => node.children.get(token).into_iter().for_each(|child| step(token, child, false)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn topic(text: &str) -> Topic {
        Topic::parse(text).expect(text)
    }

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).expect(text)
    }

    fn trie(paths: &[&str]) -> Trie<String> {
        let mut trie = Trie::new();
        for path in paths {
            *trie.insert(path) = (*path).to_owned();
        }
        trie
    }

    #[test]
    fn removing_frees_the_nodes_that_nothing_else_uses() {
        let mut trie = trie(&["a.b", "a.b.c.d"]);
        assert_eq!(trie.remove("a.b.c"), None);
        assert_eq!(trie.remove("a.b.c.d").as_deref(), Some("a.b.c.d"));
        assert_eq!((trie.len(), trie.exact("a.b").is_some()), (1, true));
        assert!(trie.root.children["a"].children["b"].children.is_empty());
        assert!(trie.remove("a.b").is_some() && trie.remove("a.b").is_none());
        assert!(trie.is_empty() && trie.root.children.is_empty());
    }

    #[test]
    fn an_entry_is_made_once_and_can_be_changed() {
        let mut trie = Trie::<u32>::default();
        *trie.insert("a.b") += 1;
        *trie.insert("a.b") += 1;
        *trie.exact_mut("a.b").expect("there") += 1;
        assert_eq!((trie.len(), trie.exact("a.b"), trie.exact("a")), (1, Some(&3), None));
        assert_eq!(trie.exact_mut("a.*"), None);
    }

    #[test]
    fn matches_come_from_the_least_to_the_most_specific() {
        let trie = trie(&["a.b.c", "a.*.c", "*.b.c", "a.b.>", ">", "a.>", "a.b", "a.b.c.>", "x"]);
        let mut seen = Vec::new();
        trie.matching(&topic("a.b.c"), &mut |path| seen.push(path.clone()));
        assert_eq!(seen, [">", "*.b.c", "a.>", "a.*.c", "a.b.>", "a.b.c"]);
    }

    #[test]
    fn topics_come_in_the_order_of_their_tokens() {
        let trie = trie(&["a-b.c", "a.c", "a.b.c", "a.b", "b"]);
        let mut seen = Vec::new();
        trie.within(&pattern(">"), &mut |name, _| seen.push(name.to_owned()));
        assert_eq!(seen, ["a.b", "a.b.c", "a.c", "a-b.c", "b"]);
    }

    proptest! {
        #[test]
        fn walks_agree_with_matching_one_by_one(
            patterns in prop::collection::btree_set("([ab*]\\.){0,4}[ab*>]", 0..40),
            topics in prop::collection::btree_set("([ab]\\.){0,4}[ab]", 0..40),
            removed in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let (mut patterns, topics): (Vec<_>, Vec<_>) =
                (patterns.into_iter().collect(), topics.into_iter().collect());
            let mut of_patterns = trie(&patterns.iter().map(String::as_str).collect::<Vec<_>>());
            for index in removed.iter().filter(|_| !topics.is_empty()) {
                if patterns.is_empty() { break }
                let gone = patterns.swap_remove(index.index(patterns.len()));
                prop_assert_eq!(of_patterns.remove(&gone), Some(gone.clone()));
            }
            prop_assert_eq!(of_patterns.len(), patterns.len());
            let of_topics = trie(&topics.iter().map(String::as_str).collect::<Vec<_>>());
            for name in &topics {
                let mut seen = Vec::new();
                of_patterns.matching(&topic(name), &mut |path| seen.push(path.clone()));
                let mut expected = patterns.clone();
                expected.retain(|p| pattern(p).matches(&topic(name)));
                seen.sort();
                expected.sort();
                prop_assert_eq!(seen, expected);
            }
            for text in &patterns {
                let mut seen = Vec::new();
                of_topics.within(&pattern(text), &mut |name, value| {
                    assert_eq!(name, value);
                    seen.push(name.to_owned());
                });
                let mut expected = topics.clone();
                expected.retain(|name| pattern(text).matches(&topic(name)));
                expected.sort_by(|a, b| a.split('.').cmp(b.split('.')));
                prop_assert_eq!(seen, expected);
            }
        }
    }
}
