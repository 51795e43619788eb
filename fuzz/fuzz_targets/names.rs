//! Files of names and of client subnets.

#![no_main]

#[allow(dead_code)]
#[path = "../../tests/fuzz_smoke/payload.rs"]
mod payload;

/// A file of subnets stays in memory on purpose: a run reads one.
#[unsafe(no_mangle)]
extern "C" fn __lsan_default_suppressions() -> *const std::ffi::c_char {
    c"leak:add_subnets".as_ptr()
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    payload::names(bytes);
});
