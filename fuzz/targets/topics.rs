//! See `sampan_fuzz::topics`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sampan_fuzz::topics(data));
