//! The names and doc comments of the settings, read from the source of their structs.
//!
//! So that a key is described in one place, for whoever reads the code, the sample file or the
//! output of `sampan config`. Tests hold that every key is found and described.

const SOURCES: [&str; 2] = [include_str!("file.rs"), include_str!("../auth/config.rs")];

/// One key of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// Lines of the doc comment.
    pub(super) docs: Vec<&'static str>,
    pub(super) value: Value,
}

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// One value or a plain list.
    Plain,
    /// A section with keys of its own.
    Section(Vec<Key>),
    /// A list of sections.
    List(Vec<Key>),
}

/// Every setting, in the order of the file.
pub(super) fn settings() -> Vec<Key> {
    keys("File").unwrap_or_default()
}

/// The fields of a struct in one of the sources.
fn keys(of: &str) -> Option<Vec<Key>> {
    let opening = format!("\npub struct {of} {{\n");
    let body = SOURCES.iter().find_map(|source| source.split_once(&opening))?.1;
    let body = body.split_once("\n}")?.0;
    let mut docs = Vec::new();
    let mut found = Vec::new();
    for line in body.lines().map(str::trim) {
        if let Some(doc) = line.strip_prefix("///") {
            docs.push(doc.trim());
        } else if let Some((name, kind)) = field(line) {
            found.push(Key { name, docs: std::mem::take(&mut docs), value: value(kind) });
        }
    }
    Some(found)
}

/// Name and type of `pub name: Type,`.
fn field(line: &'static str) -> Option<(&'static str, &'static str)> {
    line.strip_prefix("pub ")?.strip_suffix(',')?.split_once(": ")
}

/// What a type holds; a type whose source is not here is plain.
fn value(kind: &str) -> Value {
    let inside = |outer: &str| kind.strip_prefix(outer).and_then(|rest| rest.strip_suffix('>'));
    let keys_of = |kind: &str| keys(kind.rsplit("::").next().unwrap_or(kind));
    if let Some(item) = inside("Vec<") {
        return keys_of(item).map_or(Value::Plain, Value::List);
    }
    keys_of(inside("Option<").unwrap_or(kind)).map_or(Value::Plain, Value::Section)
}
