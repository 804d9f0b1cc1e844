//! Positions as text.

use sampan_protocol::Position;
use serde_json::json;

use crate::vectors::{check_file, load};

const TEXTS: &[&str] = &[
    "1:0",
    "7:41",
    "0:0",
    "9007199254740991:9007199254740991",
    "9007199254740992:1",
    "1:9007199254740992",
    "18446744073709551616:1",
    "007:041",
    "",
    ":",
    "1:",
    ":1",
    "1",
    "1:2:3",
    "-1:2",
    "+1:2",
    "1: 2",
    " 1:2",
    "1:2\n",
    "a:b",
    "0x1:2",
    "1.0:2",
    "١:٢",
];

#[test]
fn positions_are_read_as_their_vectors_say() {
    let cases = TEXTS.iter().map(|text| {
        let position = text.parse::<Position>().ok();
        let fields = position.map(|p| json!([p.epoch.to_string(), p.offset.to_string()]));
        json!({ "text": text, "position": fields })
    });
    let about = "Texts as `EPOCH:OFFSET`, and the epoch and offset read, or null.";
    check_file("positions.json", about, cases.collect());
    for case in load("positions.json") {
        let position = case["text"].as_str().expect("text").parse::<Position>().ok();
        let fields = position.map(|p| json!([p.epoch.to_string(), p.offset.to_string()]));
        assert_eq!(json!(fields), case["position"], "{case}");
        if let Some(position) = position {
            assert_eq!(position.to_string().parse(), Ok(position));
        }
    }
}
