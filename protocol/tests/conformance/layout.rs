//! An encoder of control bodies that knows nothing but the tables and rules of `spec/wire.md`, as
//! an implementer without rkyv would write it, against the bytes of the vectors.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::fields::body_name;
use crate::markdown::tables;
use crate::vectors::{join, load, spec, unhex, untext};

/// One field of a struct or of one variant.
struct Field {
    offset: usize,
    name: String,
    kind: String,
}

/// A struct, or a variant of an enumeration with its tag.
struct Shape {
    tag: Option<u8>,
    bytes: usize,
    fields: Vec<Field>,
}

/// Shapes by struct name, or by `Enumeration::Variant`.
struct Layouts(BTreeMap<String, Shape>);

impl Layouts {
    fn read() -> Self {
        let mut shapes: BTreeMap<String, Shape> = BTreeMap::new();
        for table in tables(&spec("wire.md")) {
            let Some((name, bytes)) = table.heading.strip_suffix(" bytes)").and_then(|heading| {
                let (name, bytes) = heading.split_once(" (")?;
                Some((name, bytes.parse().expect("bytes")))
            }) else {
                continue;
            };
            let tagged = table.columns[0] == "tag";
            for row in &table.rows {
                let (key, tag, field) = match tagged {
                    true => {
                        let tag = row[0].parse().expect("tag");
                        (format!("{name}::{}", row[1]), Some(tag), &row[2..])
                    }
                    false => (name.to_owned(), None, &row[..]),
                };
                let shape = shapes.entry(key).or_insert(Shape { tag, bytes, fields: vec![] });
                if let Ok(offset) = field[0].parse() {
                    let (name, kind) = (field[1].clone(), field[2].clone());
                    shape.fields.push(Field { offset, name, kind });
                }
            }
        }
        Layouts(shapes)
    }

    fn bytes(&self, kind: &str) -> usize {
        match kind {
            "u8" | "bool" => 1,
            "u16" => 2,
            "u32" => 4,
            "u64" | "number" | "text" => 8,
            list if list.starts_with("list of ") => 8,
            name => self.shape(name, &Value::Null).bytes,
        }
    }

    fn shape(&self, name: &str, value: &Value) -> &Shape {
        let variant = format!("{name}::{}", value["variant"].as_str().unwrap_or("Since"));
        self.0.get(name).or_else(|| self.0.get(&variant)).expect(name)
    }

    /// Writes the outside bytes of `value`; answers where they start.
    fn outside(&self, kind: &str, value: &Value, out: &mut Vec<u8>) -> Vec<usize> {
        if kind == "text" {
            let text = untext(value);
            let at = out.len();
            if text.len() > 8 {
                out.extend_from_slice(text.as_bytes());
            }
            return vec![at];
        }
        if let Some(entry) = kind.strip_prefix("list of ") {
            let entries = value.as_array().expect("list");
            let inner: Vec<_> = entries.iter().map(|e| self.outside(entry, e, out)).collect();
            let at = out.len();
            for (value, inner) in entries.iter().zip(inner) {
                self.fixed(entry, value, &mut inner.into_iter(), out);
            }
            return vec![at];
        }
        if matches!(kind, "u8" | "u16" | "u32" | "u64" | "number" | "bool") {
            return vec![];
        }
        let fields = &self.shape(kind, value).fields;
        fields.iter().flat_map(|f| self.outside(&f.kind, &value[f.name.as_str()], out)).collect()
    }

    /// Writes the fixed part of `value`, whose texts and lists have their outside bytes at `at`.
    fn fixed(
        &self,
        kind: &str,
        value: &Value,
        at: &mut impl Iterator<Item = usize>,
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        let integer = || match value {
            Value::String(text) => text.parse::<u64>().expect("u64"),
            _ => value.as_u64().expect("integer"),
        };
        let mut distance = |start: usize| {
            let target = i64::try_from(at.next().expect("outside")).expect("small");
            i32::try_from(target - i64::try_from(start).expect("small")).expect("small")
        };
        match kind {
            "bool" => out.push(u8::from(value.as_bool().expect("bool"))),
            "u8" | "u16" | "u32" | "u64" | "number" => {
                out.extend_from_slice(&integer().to_le_bytes()[..self.bytes(kind)]);
            }
            "text" => {
                let text = untext(value).into_bytes();
                let distance = distance(start);
                if text.len() <= 8 {
                    out.extend_from_slice(&text);
                    out.resize(start + 8, 0xff);
                } else {
                    let length = u32::try_from(text.len()).expect("short");
                    let length = (length & 63) | 128 | ((length & !63) << 2);
                    out.extend_from_slice(&length.to_le_bytes());
                    out.extend_from_slice(&distance.to_le_bytes());
                }
            }
            list if list.starts_with("list of ") => {
                let count = u32::try_from(value.as_array().expect("list").len()).expect("short");
                out.extend_from_slice(&distance(start).to_le_bytes());
                out.extend_from_slice(&count.to_le_bytes());
            }
            name => {
                let shape = self.shape(name, value);
                out.extend(shape.tag);
                for field in &shape.fields {
                    assert_eq!(out.len() - start, field.offset, "{name}.{}", field.name);
                    self.fixed(&field.kind, &value[field.name.as_str()], at, out);
                }
                assert!(out.len() - start <= shape.bytes, "{name}");
                out.resize(start + shape.bytes, 0);
            }
        }
    }

    fn encode(&self, name: &str, value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        let at = self.outside(name, value, &mut out);
        let root = out.len();
        self.fixed(name, value, &mut at.into_iter(), &mut out);
        assert_eq!(out.len() - root, self.bytes(name), "{name}");
        out
    }
}

#[test]
fn the_tables_of_wire_md_are_enough_to_write_every_control_body() {
    let layouts = Layouts::read();
    let mut written = 0;
    for vector in load("frames.json") {
        let name = vector["name"].as_str().expect("name");
        let frame = join(&vector["bytes"]);
        let kind = sampan_protocol::Kind::from_number(frame[0]).expect("kind");
        let Some(body) = body_name(kind) else { continue };
        let attributes = usize::from(u16::from_le_bytes([frame[2], frame[3]]));
        assert_eq!(layouts.encode(body, &vector["body"]), frame[32 + attributes..], "{name}");
        written += 1;
    }
    assert!(written >= 20, "{written}");
}

#[test]
fn the_drawn_example_of_wire_md_is_the_vector_subscribe_drawn() {
    let text = spec("wire.md");
    let drawn: Vec<u8> = text
        .split("```")
        .find(|block| block.contains("root: pattern order.>"))
        .expect("example")
        .lines()
        .filter_map(|line| line.get(4..38))
        .flat_map(|bytes| unhex(&bytes.replace(' ', "")))
        .collect();
    let vectors = load("frames.json");
    let vector = vectors.iter().find(|v| v["name"] == "subscribe_drawn").expect("vector");
    assert_eq!(join(&vector["bytes"])[32..], drawn);
}
