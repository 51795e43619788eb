//! The header of data datagrams.

#![no_main]

#[allow(dead_code)]
#[path = "../../tests/fuzz_smoke/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::header(bytes));
