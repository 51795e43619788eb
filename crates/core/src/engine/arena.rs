//! The slots of an engine: payloads at equal distances in one piece of memory.

use std::slice::{ChunksExact, ChunksExactMut};

/// Bytes that the slots of an engine may take together: within the L2 cache of any current x86-64
/// or arm64 server core, with room left for the histograms. Arbitrary within that.
const ARENA_LEN: usize = 256 * 1024;

/// A cache line in bytes; slots begin at multiples of it. 64 on x86-64 and most of arm64.
pub(super) const CACHE_LINE: usize = 64;

#[derive(Debug)]
pub(super) struct Arena {
    bytes: Vec<u8>,
    stride: usize,
}

impl Arena {
    /// The number of slots of `slot_len` bytes: as many as wanted and fit the cache; at least one.
    // cold: set-up
    pub(super) fn fitting(slot_len: usize, wanted: usize) -> usize {
        (ARENA_LEN / slot_len).clamp(1, wanted)
    }

    /// As many slots of `slot_len` bytes as are wanted, or fit the cache; at least one.
    // cold: set-up
    pub(super) fn new(slot_len: usize, wanted: usize) -> Self {
        // A datagram may be empty.
        let stride = slot_len.next_multiple_of(CACHE_LINE).max(CACHE_LINE);
        let slots = Self::fitting(stride, wanted);
        // Not zeroes: those would be mapped at first touch, in the middle of a measurement.
        Self { bytes: vec![0xFF; stride * slots], stride }
    }

    /// Slots of which mostly the beginning is used; they begin at different cache lines.
    // cold: set-up
    pub(super) fn sparse(slot_len: usize, wanted: usize) -> Self {
        let stride = slot_len.next_multiple_of(CACHE_LINE) + CACHE_LINE;
        Self { bytes: vec![0xFF; stride * wanted], stride }
    }

    /// The same, without gaps between slots: what the kernel is to split into datagrams.
    // cold: set-up
    pub(super) fn packed(slot_len: usize, wanted: usize) -> Self {
        let slots = Self::fitting(slot_len, wanted);
        Self { bytes: vec![0xFF; slot_len * slots], stride: slot_len }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() / self.stride
    }

    #[inline]
    pub(super) const fn stride(&self) -> usize {
        self.stride
    }

    #[inline]
    pub(super) fn lease(&mut self, want: usize) -> &mut [u8] {
        let len = (want * self.stride).min(self.bytes.len());
        &mut self.bytes[..len]
    }

    #[inline]
    pub(super) fn slots(&self) -> ChunksExact<'_, u8> {
        self.bytes.chunks_exact(self.stride)
    }

    #[inline]
    pub(super) fn slots_mut(&mut self) -> ChunksExactMut<'_, u8> {
        self.bytes.chunks_exact_mut(self.stride)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_fit_the_cache_but_one_is_always_there() {
        assert_eq!(Arena::new(18, 64).len(), 64);
        assert_eq!(Arena::new(18, 64).stride(), 64);
        assert_eq!(Arena::new(65_507, 16).len(), 4);
        assert_eq!(Arena::new(ARENA_LEN + 1, 16).len(), 1);
        assert_eq!(Arena::new(64, 8).lease(3).len(), 3 * 64);
        assert_eq!(Arena::new(64, 8).lease(99).len(), 8 * 64);
    }
}
