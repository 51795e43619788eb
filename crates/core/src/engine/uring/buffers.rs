//! Buffers lent to the kernel for datagrams: `io_uring_setup_buf_ring(3)` without liburing.
#![allow(unsafe_code)]

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

use super::super::arena::CACHE_LINE;
use super::failed;
use crate::sys::stable_memory::StableSlice;

/// The group of the buffers; each ring has one. Arbitrary.
pub(super) const GROUP: u16 = 0;

/// Bytes of all buffers, unless [`LEAST`] take more. Arbitrary: the L2 cache of most server cores.
const BUFFERS_LEN: usize = 1024 * 1024;

/// Minimum number of buffers: one call brings up to 32 (`MULTISHOT_MAX_RETRY`), and with fewer the
/// multishot ends at every turn. 64 of the longest take 4 MiB.
const LEAST: usize = 64;

/// Buffers of one length, and the ring by which the kernel gets them.
///
/// # Aliasing
/// The kernel keeps the address of each buffer, from [`StableSlice::at`]. A buffer is borrowed here
/// only between its result and the next [`Self::give`], while the kernel does not have it.
pub(super) struct Buffers {
    /// Entries of the ring: whole pages of memory, shared with the kernel only.
    entries: NonNull<BufRingEntry>,
    bytes: StableSlice<u8>,
    start: usize,
    stride: usize,
    count: u16,
    /// How many were provided so far, the kernel's `tail`.
    provided: u16,
}

impl Buffers {
    /// The number of buffers of this length: `wanted` or what fits, a power of two.
    // cold: set-up
    pub(super) fn fitting(len: usize, wanted: usize) -> u16 {
        let stride = len.next_multiple_of(CACHE_LINE);
        let most = (BUFFERS_LEN / stride).max(LEAST);
        // The largest power of two that fits.
        let most = 1 << most.ilog2().min(15);
        wanted.next_power_of_two().min(most) as u16
    }

    /// Lends the kernel `count` buffers, a power of two, of at least `len` bytes each.
    // cold: set-up
    pub(super) fn new(ring: &IoUring, count: u16, len: usize) -> io::Result<Self> {
        let mut buffers = Self::unregistered(count, len)?;
        // SAFETY: the memory has room for `count` entries and is unmapped when `buffers` is
        // dropped, which is after the ring: whoever owns both keeps them in that order.
        let registered = unsafe {
            let at = buffers.entries.as_ptr() as u64;
            ring.submitter().register_buf_ring_with_flags(at, count, GROUP, 0)
        };
        registered.map_err(|error| failed("io_uring_register of buffers", &error))?;
        (0..count).for_each(|id| buffers.give(id));
        buffers.publish();
        Ok(buffers)
    }

    /// The memory, which the kernel does not know yet.
    // cold: set-up
    fn unregistered(count: u16, len: usize) -> io::Result<Self> {
        let stride = len.next_multiple_of(CACHE_LINE);
        let entries = map(ring_len(count))?.cast();
        // Not zeroes: those would be mapped at first touch, in the middle of a measurement.
        let bytes = StableSlice::new(0xFF, usize::from(count) * stride + CACHE_LINE);
        let start = bytes.start().align_offset(CACHE_LINE);
        Ok(Self { entries, bytes, start, stride, count, provided: 0 })
    }

    #[inline]
    pub(super) fn give(&mut self, id: u16) {
        let slot = self.bytes.at(self.slot_start(id));
        // SAFETY: the index is below `count`, which the memory has room for. The kernel reads
        // entries before its tail alone, and this one is not: it has at most `count` at a time.
        // The tail itself shares memory with the first entry, in a field that is not written here.
        unsafe {
            let entry =
                &mut *self.entries.as_ptr().add(usize::from(self.provided & (self.count - 1)));
            entry.set_addr(slot as u64);
            entry.set_len(self.stride as u32);
            entry.set_bid(id);
        }
        self.provided = self.provided.wrapping_add(1);
    }

    #[inline]
    pub(super) fn publish(&mut self) {
        // SAFETY: the tail is a u16 within the first entry, aligned as such, and lives as long as
        // the entries; the kernel only reads it.
        let tail =
            unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries.as_ptr()).cast_mut()) };
        tail.store(self.provided, Ordering::Release);
    }

    #[inline]
    pub(super) fn slot(&self, id: u16) -> &[u8] {
        let at = self.slot_start(id);
        &self.bytes[at..at + self.stride]
    }

    #[inline]
    pub(super) fn slot_mut(&mut self, id: u16) -> &mut [u8] {
        let at = self.slot_start(id);
        &mut self.bytes[at..at + self.stride]
    }

    #[inline]
    fn slot_start(&self, id: u16) -> usize {
        self.start + usize::from(id & (self.count - 1)) * self.stride
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: this is what `new` mapped, and nobody has it any more: the kernel holds its own
        // reference on the pages where it still needs them.
        unsafe { libc::munmap(self.entries.as_ptr().cast(), ring_len(self.count)) };
    }
}

const fn ring_len(count: u16) -> usize {
    count as usize * size_of::<BufRingEntry>()
}

/// Maps this many bytes of zeroes at the beginning of a page, as the kernel requires.
// cold: set-up
fn map(len: usize) -> io::Result<NonNull<libc::c_void>> {
    let (protection, flags) =
        (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping at an address of the kernel's choice; no other memory is touched.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, -1, 0) };
    if at == libc::MAP_FAILED {
        return Err(failed("mmap of a ring of buffers", &io::Error::last_os_error()));
    }
    NonNull::new(at).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes the buffers that were lent since `taken`, in order, and writes to each like the
    /// kernel, so that Miri can check [`StableSlice`]; returns their ids.
    fn write_as_kernel(buffers: &Buffers, taken: &mut u16) -> Vec<u16> {
        let entries = buffers.entries.as_ptr();
        // SAFETY: the tail is a u16 within the first entry, which lives.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(entries).cast_mut()) };
        let mut ids = Vec::new();
        while *taken != tail.load(Ordering::Acquire) {
            // SAFETY: the entries below the tail are written, and their buffers are lent.
            unsafe {
                let entry = &*entries.add(usize::from(*taken & (buffers.count - 1)));
                assert_eq!(entry.addr() as usize % CACHE_LINE, 0);
                let at = std::ptr::with_exposed_provenance_mut::<u8>(entry.addr() as usize);
                at.write_bytes(*taken as u8, entry.len() as usize);
                ids.push(entry.bid());
            }
            *taken = taken.wrapping_add(1);
        }
        ids
    }

    #[test]
    fn buffers_stay_where_the_kernel_knows_them() {
        let (count, len) = (4, 100);
        let mut buffers = Buffers::unregistered(count, len).unwrap();
        (0..count).for_each(|id| buffers.give(id));
        let mut taken = 0;
        assert!(write_as_kernel(&buffers, &mut taken).is_empty(), "not published yet");
        buffers.publish();
        // More turns than the ring has entries, and a number that wraps around.
        for turn in 0..3_u8 {
            let mut moved = Box::new(buffers);
            let ids = write_as_kernel(&moved, &mut taken);
            assert_eq!(ids.len(), usize::from(count));
            for (nth, id) in ids.iter().enumerate() {
                let expected = turn * count as u8 + nth as u8;
                assert_eq!(moved.slot(*id), [expected].repeat(len.next_multiple_of(CACHE_LINE)));
                moved.slot_mut(*id).fill(0);
            }
            ids.iter().rev().for_each(|id| moved.give(*id));
            moved.publish();
            buffers = *moved;
        }
    }
}
