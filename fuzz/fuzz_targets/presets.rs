//! Requests of presets, from text of users.

#![no_main]

#[allow(dead_code)]
#[path = "../../tests/fuzz_smoke/payload.rs"]
mod payload;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    payload::preset(bytes);
});
