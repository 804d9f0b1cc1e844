//! The worked example of `spec/journal.md` is what the code writes.

use super::*;
use crate::block::{Block, Seat};
use crate::encode::declaration;
use crate::key::Sort;
use crate::record::OPENED;
use crate::segment::{HEADER_BYTES, Header};

/// Bytes as the specification shows them: the position, then 16 bytes a line.
fn shown(start: u64, bytes: &[u8]) -> String {
    let lines = (start..).step_by(16).zip(bytes.chunks(16)).map(|(at, line)| {
        let bytes: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{at:04x}  {}\n", bytes.join(" "))
    });
    lines.collect()
}

#[test]
fn the_worked_example_is_what_is_written() {
    let header = Header { store_id: 0x0123_4567_89AB_CDEF, number: 1, bytes: 64 << 20 };
    let mut block = Block::new(Seat {
        segment: 1,
        seed: header.seed(),
        at: HEADER_BYTES,
        commit: 1,
        unsynced: 0,
        time_ms: START_MS,
        flags: OPENED,
    });
    let declared = declaration(&topic("order.42"), 1);
    block.own_value(Sort::Topic.of(1, b""), Some(declared), 1);
    block.run(1, &run(1, &[2, 3]));
    block.finish();
    let bytes: Vec<u8> = block.slices().iter().flat_map(|slice| slice.to_vec()).collect();
    let text = include_str!("../../../../spec/journal.md");
    for example in [shown(0, &header.encode()[..40]), shown(HEADER_BYTES, &bytes)] {
        assert!(text.contains(&example), "the specification lacks\n{example}");
    }
}
