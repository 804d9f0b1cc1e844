//! The repository's files, and Rust text cut into what rules look at.

use std::path::{Path, PathBuf};

/// Folders that no rule looks into: built, fetched, or bytes for the fuzzer.
const SKIPPED: &[&str] = &["target", ".git", "node_modules", "sampan-data", "corpus", "found"];

/// One text file of the repository.
pub(crate) struct Source {
    /// Path from the root, with `/`.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
    /// The code that ships: comments, literals and test items are spaces. Empty unless it is Rust.
    pub(crate) code: String,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code =
            if path.ends_with(".rs") && !is_test(path) { shipped(text) } else { String::new() };
        Source { path: path.to_owned(), text: text.to_owned(), code }
    }

    /// A finding at byte `at`.
    pub(crate) fn finding(&self, at: usize, what: &str) -> String {
        let line = self.text[..at].matches('\n').count() + 1;
        format!("{}:{line}: {what}", self.path)
    }
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every text file of the repository that people write.
pub(crate) fn sources() -> Vec<Source> {
    let (mut folders, mut out) = (vec![root()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a readable folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if path.is_dir() {
                if !SKIPPED.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if name != "Cargo.lock" {
                let below = path.strip_prefix(root()).expect("below the root").to_string_lossy();
                let text = std::fs::read(&path).expect("a readable file");
                out.extend(String::from_utf8(text).ok().map(|text| Source::new(&below, &text)));
            }
        }
    }
    out.sort_by(|a, b| a.path.cmp(&b.path));
    out
}

/// Whether the file holds tests, benches, examples or fuzz targets only.
fn is_test(path: &str) -> bool {
    let folder = |part| ["tests", "benches", "examples", "fuzz"].contains(&part);
    // The load generator ships with the binary.
    let path = path.strip_prefix("benches/src/").unwrap_or(path);
    path.split('/').any(folder) || path.ends_with("tests.rs")
}

/// Where `word` stands in `code` as a whole path or identifier.
pub(crate) fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let open = |c: Option<char>| !c.is_some_and(part);
        let before = !word.starts_with(part) || open(code[..at].chars().next_back());
        before && (!word.ends_with(part) || open(code[at + word.len()..].chars().next()))
    })
}

/// The end of the bracket that opens at `at`, just behind its partner.
pub(crate) fn closing(code: &str, at: usize) -> usize {
    let mut depth = 0;
    for (offset, c) in code[at..].char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return at + offset + 1;
        }
    }
    code.len()
}

/// `text` of the same length with comments, literals and `#[cfg(test)]` items as spaces.
pub(crate) fn shipped(text: &str) -> String {
    let mut code = text.as_bytes().to_vec();
    let mut at = 0;
    while at < code.len() {
        let end = literal(&text[at..]).map_or(at, |bytes| at + bytes);
        blank(&mut code, at..end);
        at = end.max(at + 1);
        while !text.is_char_boundary(at.min(text.len())) {
            at += 1;
        }
    }
    let mut code = String::from_utf8(code).expect("whole characters are blanked");
    while let Some(start) = code.find("#[cfg(test)]") {
        let head = start + code[start..].find(['{', ';']).unwrap_or(code.len() - start - 1);
        let end = if code[head..].starts_with('{') { closing(&code, head) } else { head + 1 };
        let mut bytes = code.into_bytes();
        blank(&mut bytes, start..end);
        code = String::from_utf8(bytes).expect("whole characters are blanked");
    }
    code
}

fn blank(code: &mut [u8], range: std::ops::Range<usize>) {
    code[range].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
}

/// Bytes of the comment or literal that `text` starts with.
fn literal(text: &str) -> Option<usize> {
    let until = |from: usize, end: &str| {
        text[from..].find(end).map_or(text.len(), |at| from + at + end.len())
    };
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(until(2, "*/"));
    }
    let raw = text.strip_prefix("r").map(|rest| rest.len() - rest.trim_start_matches('#').len());
    if let Some(hashes) = raw.filter(|hashes| text[1 + hashes..].starts_with('"')) {
        return Some(until(2 + hashes, &format!("\"{}", "#".repeat(hashes))));
    }
    let escaped = |quote: char| {
        let mut escape = false;
        let end = text.char_indices().skip(1).find(|&(_, c)| {
            let ends = !escape && c == quote;
            escape = !escape && c == '\\';
            ends
        });
        end.map_or(text.len(), |(at, _)| at + 1)
    };
    let mut chars = text.chars();
    match (chars.next()?, chars.next(), chars.next()) {
        ('"', ..) => Some(escaped('"')),
        ('\'', Some('\\'), _) | ('\'', Some(_), Some('\'')) => Some(escaped('\'')),
        _ => None,
    }
}
