//! Bodies of control messages: what a client asks, what a sink tells, corrections between clocks.

#![no_main]

#[path = "../../tests/fuzz_smoke/targets.rs"]
#[allow(dead_code)]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    targets::bodies(bytes);
});
