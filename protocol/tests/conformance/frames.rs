//! Whole frames: fields to bytes and back, at every alignment.

use bytes::Bytes;
use sampan_protocol::limits::{HEADER_BYTES, PAYLOAD_BYTES_MAX};
use sampan_protocol::{Frame, FrameReader, Kind};
use serde_json::{Value, json};

use crate::cases;
use crate::fields::{attributes, body, header, kind_name};
use crate::vectors::{check_file, join, load, pieces};

fn decode(bytes: &[u8]) -> Frame {
    Frame::decode(Bytes::copy_from_slice(bytes), PAYLOAD_BYTES_MAX).expect("a frame")
}

/// The frame's fields, without its name and bytes.
fn fields(frame: &Frame) -> Value {
    let mut out = json!({
        "header": header(&frame.header),
        "attributes": attributes(frame.attribute_bytes()).expect("attributes"),
    });
    match body(frame) {
        Some(fields) => out["body"] = fields.expect("a body"),
        None => out["payload"] = pieces(frame.body_bytes(), &[]),
    }
    out
}

#[test]
fn every_case_encodes_to_its_vector() {
    let vectors = cases::all().into_iter().map(|case| {
        let frame = decode(&case.frame);
        let mut vector = json!({ "name": case.name });
        for (key, value) in fields(&frame).as_object().expect("fields") {
            vector[key] = value.clone();
        }
        let end = HEADER_BYTES + frame.attribute_bytes().len();
        vector["bytes"] = pieces(&case.frame, &[HEADER_BYTES, end]);
        vector
    });
    let about = "Frames. `bytes` is the whole frame: header, attributes, body. `attributes` are in \
                 the order of their tags. `body` names a control body's fields, `payload` is any other \
                 body. See spec/wire.md.";
    check_file("frames.json", about, vectors.collect());
}

#[test]
fn every_vector_decodes_to_its_fields_and_back_to_its_bytes() {
    for vector in load("frames.json") {
        let bytes = join(&vector["bytes"]);
        let frame = decode(&bytes);
        for (key, value) in fields(&frame).as_object().expect("fields") {
            assert_eq!(value, &vector[key], "{} {key}", vector["name"]);
        }
        assert_eq!(frame.to_bytes(), bytes, "{}", vector["name"]);
    }
}

#[test]
fn every_kind_and_every_attribute_has_a_vector() {
    let vectors = load("frames.json");
    for kind in Kind::ALL {
        let named = |v: &Value| v["header"]["kind"] == kind_name(*kind);
        assert!(vectors.iter().any(named), "{kind:?}");
    }
    let rows = crate::markdown::table(&crate::vectors::spec("wire.md"), "Attributes").rows;
    for row in rows {
        let used = |v: &Value| {
            v["attributes"].as_array().expect("list").iter().any(|pair| pair[0] == row[1])
        };
        assert!(vectors.iter().any(used), "attribute {}", row[1]);
    }
}

#[test]
fn a_frame_decodes_at_every_alignment() {
    for vector in load("frames.json") {
        let bytes = join(&vector["bytes"]);
        let expected = fields(&decode(&bytes));
        for shift in 1..16 {
            let mut buffer = vec![0xaa; shift];
            buffer.extend_from_slice(&bytes);
            let frame = Frame::decode(Bytes::from(buffer).slice(shift..), PAYLOAD_BYTES_MAX);
            assert_eq!(fields(&frame.expect("a frame")), expected, "{} +{shift}", vector["name"]);
        }
    }
}

#[test]
fn all_vectors_in_one_stream_are_cut_alike_at_any_chunk_size() {
    let frames: Vec<Vec<u8>> = load("frames.json").iter().map(|v| join(&v["bytes"])).collect();
    let stream = frames.concat();
    for size in [1, 2, 3, 7, 31, 32, 33, 64, 1200, 4096, stream.len()] {
        let mut reader = FrameReader::new(PAYLOAD_BYTES_MAX);
        let mut got = Vec::new();
        for chunk in stream.chunks(size) {
            reader.push(Bytes::copy_from_slice(chunk));
            while let Some(frame) = reader.next_frame().expect("valid") {
                got.push(frame.to_bytes().to_vec());
            }
        }
        assert_eq!(got, frames, "chunks of {size}");
        assert_eq!(reader.buffered_bytes(), 0);
    }
}
