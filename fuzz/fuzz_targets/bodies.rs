//! Bodies of control messages: requests of a client, responses of a sink, clock corrections.

#![no_main]

#[path = "../../tests/fuzz_smoke/targets.rs"]
#[allow(dead_code)]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    targets::bodies(bytes);
});
