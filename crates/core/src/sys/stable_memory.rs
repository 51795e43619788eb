//! Memory at addresses that stay valid when its owner moves.
#![allow(unsafe_code)]

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// A heap slice that allows to keep pointers to its elements.
///
/// # Aliasing
/// The owner has a raw pointer instead of the box: moving a box would invalidate pointers derived
/// from it. Pointers of [`Self::at`] and borrows of the slice both derive from the raw pointer. The
/// pointers must not be used while a borrow of the slice is alive: the kernel follows them during a
/// call that borrows the owner mutably, or in buffers that it owns meanwhile.
#[derive(Debug)]
pub struct StableSlice<T>(NonNull<[T]>);

impl<T: Copy> StableSlice<T> {
    /// `len` elements of this value.
    // cold: set-up
    pub fn new(value: T, len: usize) -> Self {
        let all = Box::into_raw(vec![value; len].into_boxed_slice());
        // SAFETY: the pointer of a box is never null.
        Self(unsafe { NonNull::new_unchecked(all) })
    }
}

impl<T> StableSlice<T> {
    /// A pointer to the element of this index, valid as long as the slice. Panics if out of bounds.
    #[inline]
    pub const fn at(&self, index: usize) -> *mut T {
        assert!(index < self.0.len(), "index out of bounds");
        // SAFETY: the index is within the allocation.
        unsafe { self.0.as_ptr().cast::<T>().add(index) }
    }

    /// A pointer to the start; dangling if the slice is empty.
    #[inline]
    pub const fn start(&self) -> *mut T {
        self.0.as_ptr().cast()
    }
}

impl<T> Deref for StableSlice<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: it points to the slice of `new`, which lives until this is dropped.
        unsafe { self.0.as_ref() }
    }
}

impl<T> DerefMut for StableSlice<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above; this is the only owner, borrowed mutably.
        unsafe { self.0.as_mut() }
    }
}

impl<T> Drop for StableSlice<T> {
    fn drop(&mut self) {
        // SAFETY: it came from `Box::into_raw`, and this is its owner.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}
