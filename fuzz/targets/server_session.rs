//! See `sampan_fuzz::server_session`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sampan_fuzz::server_session(data));
