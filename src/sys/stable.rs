//! Memory that the kernel is pointed to, at addresses that outlive a move of its owner.
#![allow(unsafe_code)]

use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// A slice on the heap that pointers to its elements may be kept for.
///
/// # Aliasing
/// The owner keeps the raw pointer of [`Box::into_raw`], not the box: a box is unique, so moving it
/// would end every pointer derived from it. Pointers of [`Self::at`] come from that raw pointer
/// itself and from no reference. A borrow of the slice derives from it too, and ends before the
/// next use of the raw pointer, so it ends none of those pointers. Nobody may use them while a
/// borrow of the slice lives: the kernel does so during a call that borrows the owner mutably, or
/// in buffers that are lent to it and that nobody reads meanwhile.
#[derive(Debug)]
pub(crate) struct StableSlice<T>(NonNull<[T]>);

impl<T: Copy> StableSlice<T> {
    /// `len` elements of this value.
    // cold: set-up
    pub(crate) fn new(value: T, len: usize) -> Self {
        let all = Box::into_raw(vec![value; len].into_boxed_slice());
        // SAFETY: the pointer of a box is never null.
        Self(unsafe { NonNull::new_unchecked(all) })
    }
}

impl<T> StableSlice<T> {
    /// Where the element of this index is, valid as long as the slice.
    ///
    /// # Panics
    /// Where there is no such element; the end of the slice is none.
    #[inline]
    pub(crate) const fn at(&self, index: usize) -> *mut T {
        assert!(index < self.0.len(), "the slice has such an element");
        // SAFETY: the index is within the allocation.
        unsafe { self.0.as_ptr().cast::<T>().add(index) }
    }

    /// Where the slice begins; of an empty one, nothing may be read there.
    #[inline]
    pub(crate) const fn start(&self) -> *mut T {
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
        // SAFETY: it came from `Box::into_raw`, and nobody uses it any more.
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
