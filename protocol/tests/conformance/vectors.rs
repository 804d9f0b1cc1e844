//! Vector files: JSON in which bytes are lists of pieces, each hexadecimal text or a repetition.
//! Every u64 is a decimal text, since JSON numbers are exact to 2^53 only.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

pub(crate) fn spec(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../spec").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Writes `cases` to the file when asked to; else the file must hold just that.
pub(crate) fn check_file(name: &str, about: &str, cases: Value) {
    let mut text = String::new();
    pretty(&json!({ "about": about, "cases": cases }), 0, &mut text);
    text.push('\n');
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors").join(name);
        std::fs::write(path, &text).expect("vector file");
    }
    for (line, (want, had)) in text.lines().zip(load_text(name).lines()).enumerate() {
        assert_eq!(want, had, "{name} line {}; see main.rs on UPDATE_VECTORS", line + 1);
    }
    assert_eq!(text.len(), load_text(name).len(), "{name}");
}

pub(crate) fn load(name: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(&load_text(name)).expect("JSON");
    file["cases"].as_array().expect("cases").clone()
}

fn load_text(name: &str) -> String {
    spec(&format!("vectors/{name}"))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "{text}");
    let pair = |i| u8::from_str_radix(&text[i..i + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(pair).collect()
}

/// A text; one long repetition of a character is told as such.
pub(crate) fn text(text: &str) -> Value {
    let first = text.chars().next().unwrap_or_default();
    match text.len() > 64 && text.chars().all(|c| c == first) {
        true => json!({ "repeat_text": first.to_string(), "times": text.chars().count() }),
        false => json!(text),
    }
}

pub(crate) fn untext(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        _ => value["repeat_text"].as_str().expect("text").repeat(times(value)),
    }
}

fn times(value: &Value) -> usize {
    value["times"].as_u64().and_then(|times| usize::try_from(times).ok()).expect("times")
}

/// Bytes as pieces: parted at the `cuts`, long repetitions of 1 or 24 bytes told as such.
pub(crate) fn pieces(bytes: &[u8], cuts: &[usize]) -> Value {
    let mut out = Vec::new();
    let mut start = 0;
    for &cut in cuts.iter().chain([&bytes.len()]) {
        piece(&bytes[start..cut], &mut out);
        start = cut;
    }
    Value::Array(out)
}

fn piece(bytes: &[u8], out: &mut Vec<Value>) {
    let (mut at, mut plain) = (0, 0);
    while at < bytes.len() {
        let repeated = [1, 24].into_iter().find_map(|period| {
            let unit = bytes.get(at..at + period)?;
            let times = bytes[at..].chunks(period).take_while(|chunk| *chunk == unit).count();
            (times >= 64).then_some((unit, times))
        });
        let Some((unit, times)) = repeated else {
            at += 1;
            continue;
        };
        if plain < at {
            out.push(json!(hex(&bytes[plain..at])));
        }
        out.push(json!({ "repeat": hex(unit), "times": times }));
        at += unit.len() * times;
        plain = at;
    }
    if plain < at {
        out.push(json!(hex(&bytes[plain..])));
    }
}

pub(crate) fn join(pieces: &Value) -> Vec<u8> {
    let piece = |piece: &Value| match piece {
        Value::String(text) => unhex(text),
        _ => unhex(piece["repeat"].as_str().expect("repeat")).repeat(times(piece)),
    };
    pieces.as_array().expect("pieces").iter().flat_map(piece).collect()
}

/// JSON with what fits a line on one line.
fn pretty(value: &Value, depth: usize, out: &mut String) {
    let flat = flat(value);
    let indent = "  ".repeat(depth + 1);
    let (open, close, entries): (_, _, Vec<(Option<&String>, &Value)>) = match value {
        _ if flat.len() + 2 * depth <= 96 => return out.push_str(&flat),
        Value::Array(entries) => ('[', ']', entries.iter().map(|entry| (None, entry)).collect()),
        Value::Object(map) => ('{', '}', map.iter().map(|(key, v)| (Some(key), v)).collect()),
        _ => return out.push_str(&flat),
    };
    out.push(open);
    for (n, (key, entry)) in entries.iter().enumerate() {
        let _ = write!(out, "{}\n{indent}", if n == 0 { "" } else { "," });
        if let Some(key) = key {
            let _ = write!(out, "{}: ", json!(key));
        }
        pretty(entry, depth + 1, out);
    }
    let _ = write!(out, "\n{}{close}", "  ".repeat(depth));
}

fn flat(value: &Value) -> String {
    let list = |entries: Vec<String>| entries.join(", ");
    match value {
        Value::Array(entries) => format!("[{}]", list(entries.iter().map(flat).collect())),
        Value::Object(map) => {
            let entry =
                |(key, value): (&String, &Value)| format!("{}: {}", json!(key), flat(value));
            format!("{{{}}}", list(map.iter().map(entry).collect()))
        }
        _ => value.to_string(),
    }
}
