//! Stored documents of every kind, in every format and compared.

#![no_main]

#[allow(dead_code)]
#[path = "../../tests/fuzz_smoke/stored.rs"]
mod stored;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    stored::document(bytes);
});
