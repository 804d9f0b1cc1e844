//! See `sampan_fuzz::journal_index`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sampan_fuzz::journal_index(data));
