//! See `sampan_fuzz::positions`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sampan_fuzz::positions(data));
