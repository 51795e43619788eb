//! Rules that find ids in replies and judge replies, and what they find.

#![no_main]

#[allow(dead_code)]
#[path = "../../tests/fuzz_smoke/payload.rs"]
mod payload;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    payload::rule(bytes);
});
