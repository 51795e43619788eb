//! Control messages, with a key and without, and both ends of a session.

#![no_main]

#[path = "../../tests/fuzz_smoke/targets.rs"]
#[allow(dead_code)]
mod targets;

use std::sync::OnceLock;

static DECODER: OnceLock<targets::Control> = OnceLock::new();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    DECODER.get_or_init(targets::Control::new).decode(bytes);
    // A session of its own for each input, so that its input alone reproduces a crash.
    targets::Control::new().converse(bytes);
});
