//! What holds for the documents.

use crate::tree::{Source, root, words};

fn documents(sources: &[Source]) -> impl Iterator<Item = &Source> {
    sources.iter().filter(|source| source.path.ends_with(".md"))
}

/// The lines of a document that are prose: no code blocks.
fn prose(source: &Source) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    source.text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

pub(crate) fn every_document_has_one_title(sources: &[Source]) -> Vec<String> {
    let wrong = documents(sources).filter(|source| {
        let titles = prose(source).filter(|line| line.starts_with("# ")).count();
        titles != 1 || !source.text.starts_with("# ")
    });
    wrong.map(|source| source.finding(0, "not one title, at the top")).collect()
}

pub(crate) fn every_relative_link_leads_somewhere(sources: &[Source]) -> Vec<String> {
    let mut out = Vec::new();
    for source in documents(sources) {
        for (at, _) in source.text.match_indices("](") {
            let target = source.text[at + 2..].split([')', '#']).next().unwrap_or("");
            let here = root().join(&source.path);
            if !target.contains(':') && !here.with_file_name(target).exists() {
                out.push(source.finding(at, &format!("dead link to {target}")));
            }
        }
    }
    out
}

/// Prose of some length that stands in two documents drifts apart.
pub(crate) fn no_sentence_stands_in_two_documents(sources: &[Source]) -> Vec<String> {
    let mut seen = std::collections::BTreeMap::new();
    let mut out = Vec::new();
    for source in documents(sources) {
        let text: Vec<&str> = prose(source).filter(|line| !line.starts_with(['|', '#'])).collect();
        for sentence in text.join(" ").split(". ").map(str::trim).filter(|s| s.len() > 50) {
            let first = seen.entry(sentence.to_owned()).or_insert(&source.path);
            if **first != source.path {
                out.push(format!("{} and {first}: {sentence}", source.path));
            }
        }
    }
    out
}

/// Numbered items under "Invariants" end in `Held by` and the names of tests that exist.
pub(crate) fn every_invariant_names_the_test_that_holds_it(sources: &[Source]) -> Vec<String> {
    let Some(source) = sources.iter().find(|source| source.path == "ARCHITECTURE.md") else {
        return vec!["ARCHITECTURE.md: missing".to_owned()];
    };
    let text = source.text.split("\n## Invariants\n").nth(1).unwrap_or("");
    let text = text.split("\n## ").next().unwrap_or("");
    let starts = |line: &str| line.split_once(". ").is_some_and(|(n, _)| n.parse::<u32>().is_ok());
    let mut items: Vec<String> = Vec::new();
    for line in text.lines() {
        match items.last_mut() {
            _ if starts(line) => items.push(line.to_owned()),
            Some(item) => item.push_str(line),
            None => {}
        }
    }
    let mut out = Vec::new();
    if items.is_empty() {
        out.push("ARCHITECTURE.md: no invariants".to_owned());
    }
    for (item, number) in items.iter().zip(1..) {
        let tests: Vec<&str> =
            item.split("Held by").nth(1).unwrap_or("").split('`').skip(1).step_by(2).collect();
        let missing = tests.iter().filter(|test| !exists(sources, test));
        out.extend(missing.map(|test| format!("invariant {number}: no test {test}")));
        if tests.is_empty() || !item.starts_with(&format!("{number}. ")) {
            out.push(format!("invariant {number}: out of order, or names no test"));
        }
    }
    out
}

/// Rows of the table of defects name tests that exist, in order and without a hole.
pub(crate) fn every_defect_names_the_tests_that_show_it_gone(sources: &[Source]) -> Vec<String> {
    let Some(source) = sources.iter().find(|source| source.path == "spec/defects.md") else {
        return vec!["spec/defects.md: missing".to_owned()];
    };
    let (mut out, mut next) = (Vec::new(), 1);
    for row in source.text.lines().filter(|line| line.starts_with("| D")) {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        for number in cells[0].split(", ") {
            if *number != format!("D{next}") {
                out.push(format!("spec/defects.md: {number} for D{next}"));
            }
            next += 1;
        }
        let tests: Vec<&str> = cells.last().unwrap_or(&"").split('`').skip(1).step_by(2).collect();
        let missing = tests.iter().filter(|test| !exists(sources, test));
        out.extend(missing.map(|test| format!("spec/defects.md: no test {test}")));
        if tests.is_empty() {
            out.push(format!("spec/defects.md: {} names no test", cells[0]));
        }
    }
    if next == 1 {
        out.push("spec/defects.md: no defects".to_owned());
    }
    out
}

/// Whether test code has a function, a fact of a macro, or a title with these words; a path of modules
/// ahead of it is for the reader.
fn exists(sources: &[Source], test: &str) -> bool {
    let name = test.rsplit("::").next().unwrap_or(test);
    let (function, fact) = (format!("fn {name}("), format!(" {name}: "));
    sources.iter().any(|source| match source.path.rsplit('.').next() {
        Some("rs") => {
            let shipped = |at| source.code.get(at..).is_some_and(|code| code.starts_with("fn "));
            words(&source.text, &function).any(|at| !shipped(at))
                || (source.text.contains("on_each_store!") && source.text.contains(&fact))
        }
        Some("js" | "ts") => source.path.contains(".test.") && source.text.contains(name),
        _ => false,
    })
}

/// Where the clients have the requests of each service: by the name in Rust, and as a member of the
/// questions in TypeScript.
const SERVICES: &[(&str, &str, &str)] = &[
    ("users", "sdk/rust/src/shop/", "sdk/typescript/src/shop/shop.ts"),
    ("shop", "sdk/rust/src/shop/", "sdk/typescript/src/shop/shop.ts"),
    ("chat", "sdk/rust/src/chat/", "sdk/typescript/src/chat/chat.ts"),
    ("inventory", "sdk/rust/src/inventory/", "sdk/typescript/src/shop/inventory.ts"),
    ("orders", "sdk/rust/src/orders/", "sdk/typescript/src/shop/orders.ts"),
    ("notify", "sdk/rust/src/notifications/", "sdk/typescript/src/shop/notifications.ts"),
];

/// Requests stand first in the rows of tables that begin with `request`.
pub(crate) fn every_request_to_a_service_is_typed_in_both_clients(
    sources: &[Source],
) -> Vec<String> {
    let Some(spec) = sources.iter().find(|source| source.path == "spec/services.md") else {
        return vec!["spec/services.md: missing".to_owned()];
    };
    let (mut is_asked, mut out, mut count) = (false, Vec::new(), 0);
    for line in spec.text.lines() {
        is_asked = line.starts_with("| request ") || (is_asked && line.starts_with('|'));
        let cell = line.split('|').nth(1).filter(|_| is_asked).unwrap_or("");
        for request in cell.split('`').skip(1).step_by(2) {
            count += 1;
            let known = request.split_once('.').and_then(|(service, name)| {
                SERVICES.iter().find(|row| row.0 == service).map(|row| (row, name))
            });
            let Some((&(_, rust, typescript), name)) = known else {
                out.push(format!("spec/services.md: {request}: of which service?"));
                continue;
            };
            let (constant, member) = (format!(": &str = \"{request}\";"), format!("\n  {name}: ["));
            for (path, wanted) in [(rust, constant), (typescript, member)] {
                let has = |source: &Source| {
                    source.path.starts_with(path) && source.text.contains(&wanted)
                };
                if !sources.iter().any(has) {
                    out.push(format!("{path}: no {request}"));
                }
            }
        }
    }
    if count == 0 {
        out.push("spec/services.md: no requests".to_owned());
    }
    out
}
