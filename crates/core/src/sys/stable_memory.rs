//! Memory for the kernel, at addresses that stay valid when its owner moves.
#![allow(unsafe_code)]

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// A heap slice to whose elements pointers may be kept.
///
/// # Aliasing
/// The owner keeps a raw pointer, not the box: moving a box would invalidate pointers derived from
/// it. Pointers of [`Self::at`] and borrows of the slice both derive from the raw pointer. The
/// pointers must not be used while a borrow of the slice lives: the kernel follows them during a
/// call that borrows the owner mutably, or in buffers that are lent to it.
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
        assert!(index < self.0.len(), "the slice has such an element");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_outlive_moves_and_borrows() {
        let mut all = StableSlice::new(0_u32, 3);
        let second = all.at(1);
        all[1] = 1;
        let mut moved = Box::new(all);
        assert_eq!(moved.iter().sum::<u32>(), 1);
        // SAFETY: no borrow of the slice is alive.
        unsafe { *second += 1 };
        assert_eq!(moved[..], [0, 2, 0]);
        moved[1] = 5;
        // SAFETY: as above.
        assert_eq!(unsafe { *second }, 5);
    }
}
