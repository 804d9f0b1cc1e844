//! See `sampan_fuzz::control_bodies`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sampan_fuzz::control_bodies(data));
