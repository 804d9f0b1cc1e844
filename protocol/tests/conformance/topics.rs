//! Names, patterns and tokens.

use sampan_protocol::topic::{token, token_to_id};
use sampan_protocol::{Pattern, Topic};
use serde_json::{Value, json};

use crate::markdown::table;
use crate::vectors::{self, check_file, load, spec};

fn verdict<T>(result: Result<T, sampan_protocol::topic::Error>) -> Value {
    match result {
        Ok(_) => json!("ok"),
        Err(error) => json!(format!("{error:?}").split('(').next()),
    }
}

fn names() -> Vec<String> {
    let tokens = |n| vec!["a"; n].join(".");
    let letters = |n| "a".repeat(n);
    let fixed = [
        "order",
        "order.1001",
        "chat.conversation.7",
        "A-z_0~9:@+",
        "user.a%2Eb",
        "user.%E0%B8%81",
        "user.%FF",
        "user.%2A",
        "user.%25",
        "*",
        ">",
        "a.*",
        "a.>",
        "*.*",
        "*.b.>",
        "a.*.b.>",
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "a*",
        "*a",
        "a.b*",
        "a>",
        ">.a",
        "a.>.b",
        "**",
        ">>",
        "*>",
        "a b",
        "a\tb",
        "a\nb",
        "a\0b",
        "a\u{7f}",
        "a/b",
        "a#",
        "$SYS.a",
        "ก",
        "user.é",
        "%",
        "a.%",
        "a.%2",
        "a.%2e",
        "a.%G0",
        "a.%41",
        "a.%2E%",
        "a.%%",
        "a,b",
        "a.\"b\"",
    ];
    let made = [
        tokens(16),
        tokens(17),
        format!("{}.>", tokens(15)),
        format!("{}.>", tokens(16)),
        letters(255),
        letters(256),
        letters(65_536),
        format!("{}.*", letters(253)),
        format!("{}.*", letters(254)),
        ".".repeat(15),
        ".".repeat(16),
        "%20".repeat(85),
    ];
    fixed.iter().map(ToString::to_string).chain(made).collect()
}

const MATCHES: &[(&str, &str)] = &[
    ("order.1001", "order.1001"),
    ("order.1001", "order.1002"),
    ("order.1001", "order"),
    ("order", "order.1001"),
    ("order.*", "order.1001"),
    ("order.*", "order"),
    ("order.*", "order.1001.items"),
    ("*.1001", "order.1001"),
    ("*", "order"),
    ("*", "order.1001"),
    ("order.>", "order.1001"),
    ("order.>", "order.1001.items"),
    ("order.>", "order"),
    (">", "order"),
    (">", "order.1001.items"),
    ("*.>", "order"),
    ("*.>", "order.1001"),
    ("chat.*.7", "chat.conversation.7"),
    ("chat.*.7", "chat.conversation.8"),
    ("chat.*.7.>", "chat.conversation.7"),
    ("Order.1", "order.1"),
    ("user.%2A", "user.x"),
    ("user.%2A", "user.%2A"),
];

const COVERS: &[(&str, &str)] = &[
    ("a.*", "a.b"),
    ("a.*", "a.*"),
    ("a.*", "a.>"),
    ("a.*", "a.b.c"),
    ("a.*", "*.b"),
    ("a.>", "a"),
    ("a.>", "a.b"),
    ("a.>", "a.*"),
    ("a.>", "a.>"),
    ("a.>", "a.*.>"),
    ("a.>", ">"),
    ("a.>", "*.>"),
    (">", "a"),
    (">", "*"),
    (">", ">"),
    (">", "a.>"),
    ("*", "a"),
    ("*", "*"),
    ("*", ">"),
    ("*", "a.b"),
    ("*.>", ">"),
    ("*.>", "a.>"),
    ("*.*", "a.>"),
    ("a.*.c", "a.b.c"),
    ("a.*.c", "a.*.c"),
    ("a.*.c", "a.>"),
    ("a.b", "a.*"),
    ("a.b", "a.b"),
    ("*.b.>", "a.b.*"),
    ("*.b.>", "a.*.c"),
];

const IDS: &[&str] = &[
    "1001",
    "python3.11",
    ">",
    "*",
    "100%",
    "%41",
    "a b",
    "a/b",
    "A-z_0~9:@+",
    "user@example.com",
    "line\n",
    "\0",
    "é",
    "ก",
    "สวัสดี",
    "🛶",
];

const NO_TOKENS: &[&str] =
    &["%", "%2", "%2e", "%41", "%7E", "%FF", "%E0%B8", "a.b", "*", ">", " ", "é"];

#[test]
fn names_and_patterns_are_judged_as_their_vectors_say() {
    let cases = names().into_iter().map(|text| {
        let (topic, pattern) = (verdict(Topic::parse(&text)), verdict(Pattern::parse(&text)));
        json!({ "text": vectors::text(&text), "topic": topic, "pattern": pattern })
    });
    let about = "Texts, and whether each is a topic name and a pattern; else the error that \
                 spec/topics.md gives.";
    check_file("names.json", about, cases.collect());
    for case in load("names.json") {
        let text = vectors::untext(&case["text"]);
        assert_eq!(verdict(Topic::parse(&text)), case["topic"], "{text:?}");
        assert_eq!(verdict(Pattern::parse(&text)), case["pattern"], "{text:?}");
    }
}

#[test]
fn every_error_of_the_grammar_has_a_vector() {
    let rules = table(&spec("topics.md"), "Grammar").rows;
    let vectors = load("names.json");
    for rule in rules {
        assert!(vectors.iter().any(|case| case["pattern"] == rule[1]), "{}", rule[1]);
    }
}

#[test]
fn patterns_match_and_cover_as_their_vectors_say() {
    let pattern = |text: &str| Pattern::parse(text).expect("a pattern");
    let topic = |text: &str| Topic::parse(text).expect("a topic");
    let matches = MATCHES.iter().map(|(wide, name)| {
        json!({ "pattern": wide, "topic": name, "matches": pattern(wide).matches(&topic(name)) })
    });
    let covers = COVERS.iter().map(|(wide, narrow)| {
        json!({ "wide": wide, "narrow": narrow, "covers": pattern(wide).covers(&pattern(narrow)) })
    });
    let about =
        "Whether a pattern matches a topic, and whether a wide pattern covers a narrow one.";
    check_file("patterns.json", about, matches.chain(covers).collect());
    for case in load("patterns.json") {
        let text = |key: &str| case[key].as_str().expect("text");
        match case.get("matches") {
            Some(expected) => {
                let (wide, name) = (pattern(text("pattern")), topic(text("topic")));
                assert_eq!(json!(wide.matches(&name)), *expected, "{case}");
                assert_eq!(json!(wide.covers(&Pattern::from(&name))), *expected, "{case}");
            }
            None => {
                let verdict = pattern(text("wide")).covers(&pattern(text("narrow")));
                assert_eq!(json!(verdict), case["covers"], "{case}");
            }
        }
    }
}

/// Every pattern of up to three tokens over a small alphabet.
fn small_patterns() -> Vec<String> {
    let mut out = vec![String::new()];
    for _ in 0..3 {
        let longer = out.iter().filter(|p| !p.ends_with('>')).flat_map(|prefix| {
            let dot = if prefix.is_empty() { "" } else { "." };
            ["a", "b", "*", ">"].map(|token| format!("{prefix}{dot}{token}"))
        });
        let mut longer: Vec<String> = longer.collect();
        out.append(&mut longer);
        out.sort();
        out.dedup();
    }
    out.retain(|text| !text.is_empty());
    out
}

#[test]
fn cover_means_that_every_matched_topic_is_matched() {
    let patterns = small_patterns();
    let parse = |text: &String| Pattern::parse(text).expect("a pattern");
    let patterns: Vec<Pattern> = patterns.iter().map(parse).collect();
    // Four tokens and a letter that no pattern names, so that each wildcard has a witness.
    let mut names = vec![String::new()];
    for _ in 0..4 {
        let longer: Vec<String> =
            names.iter().flat_map(|p| ["a", "b", "c"].map(|t| format!("{p}.{t}"))).collect();
        names.extend(longer);
        names.sort();
        names.dedup();
    }
    let topics: Vec<Topic> =
        names.iter().filter_map(|name| Topic::parse(name.trim_start_matches('.')).ok()).collect();
    for wide in &patterns {
        for narrow in &patterns {
            let all = topics.iter().all(|t| !narrow.matches(t) || wide.matches(t));
            assert_eq!(wide.covers(narrow), all, "{wide} {narrow}");
        }
    }
}

#[test]
fn ids_become_the_tokens_of_their_vectors_and_come_back() {
    let tokens = IDS.iter().map(|id| json!({ "id": id, "token": token(id) }));
    let none = NO_TOKENS.iter().map(|text| json!({ "id": null, "token": text }));
    let about = "Ids and their tokens; no id has the tokens whose id is null.";
    check_file("tokens.json", about, tokens.chain(none).collect());
    for case in load("tokens.json") {
        let text = case["token"].as_str().expect("token");
        assert_eq!(json!(token_to_id(text)), case["id"], "{text}");
        if let Some(id) = case["id"].as_str() {
            assert_eq!(token(id), text);
            assert!(Topic::parse(&format!("user.{text}")).is_ok(), "{text}");
        }
    }
}

#[test]
fn topics_md_shows_tokens_as_they_are() {
    for row in table(&spec("topics.md"), "Tokens from ids").rows {
        assert_eq!(token(&row[0]), row[1]);
    }
}
