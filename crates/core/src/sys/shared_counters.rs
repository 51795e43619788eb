//! Counters that one thread writes and others read.
#![allow(unsafe_code)]

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::sync::atomic::AtomicU64;

/// `len` counters at 0, in memory that the kernel maps when it is first touched: an allocator that
/// zeroes large blocks takes them from mmap(2).
// cold: set-up
pub fn zeroed_counters(len: usize) -> Box<[AtomicU64]> {
    if len == 0 {
        return Box::default();
    }
    let layout = Layout::array::<AtomicU64>(len).expect("counters fit the address space");
    // SAFETY: the layout has a size, as `len` is not 0.
    let memory = unsafe { alloc_zeroed(layout) }.cast::<AtomicU64>();
    if memory.is_null() {
        handle_alloc_error(layout);
    }
    // SAFETY: the global allocator made it with the layout of this slice, and zeroes are a valid
    // AtomicU64.
    unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(memory, len)) }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    #[test]
    fn counters_start_at_zero() {
        for len in [0, 1, 100_000] {
            let all = zeroed_counters(len);
            assert_eq!(all.len(), len);
            assert!(all.iter().all(|one| one.load(Ordering::Relaxed) == 0));
        }
    }
}
