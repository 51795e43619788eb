//! Replies of all protocols, and matching rules without a protocol.

#![no_main]

#[allow(dead_code)]
#[path = "../../tests/fuzz_smoke/payload.rs"]
mod payload;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    payload::Replies::new().hear(bytes);
});
