//! Histograms from stored documents and from another host.

#![no_main]

use std::cell::RefCell;

#[path = "../../tests/fuzz_smoke/targets.rs"]
#[allow(dead_code)]
mod targets;

thread_local! {
    static DOCUMENTS: RefCell<targets::Documents> = RefCell::new(targets::Documents::new());
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    DOCUMENTS.with_borrow_mut(|documents| documents.histogram(bytes));
});
