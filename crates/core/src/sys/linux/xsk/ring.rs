//! One ring that an AF_XDP socket shares with the kernel: one side produces, the other consumes.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

/// Memory that is unmapped with its owner.
#[derive(Debug)]
pub(super) struct Mapping {
    at: NonNull<u8>,
    len: usize,
}

// SAFETY: a mapping belongs to the process; what it may be used for is up to its owner.
unsafe impl Send for Mapping {}
// SAFETY: as above; it only gives out its address.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes of zeroes.
    pub(super) fn anonymous(len: usize) -> io::Result<Self> {
        Self::of(len, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    }

    /// Maps a ring of a socket.
    fn ring(fd: BorrowedFd<'_>, len: usize, offset: u64) -> io::Result<Self> {
        Self::of(len, libc::MAP_SHARED, fd.as_raw_fd(), offset)
    }

    /// Populated now, so that no page is mapped in the middle of a measurement.
    fn of(len: usize, flags: libc::c_int, fd: libc::c_int, offset: u64) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let offset = libc::off64_t::try_from(offset).map_err(io::Error::other)?;
        // SAFETY: a new mapping at an address of the kernel's choice; no other memory is touched.
        let at = unsafe {
            let flags = flags | libc::MAP_POPULATE;
            libc::mmap64(std::ptr::null_mut(), len, protection, flags, fd, offset)
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let at = NonNull::new(at.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { at, len })
    }

    #[inline]
    pub(super) const fn start(&self) -> NonNull<u8> {
        self.at
    }

    #[inline]
    pub(super) const fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is what `of` mapped, and its owner was the last to use it.
        unsafe { libc::munmap(self.at.as_ptr().cast(), self.len) };
    }
}

/// A ring of entries of type `T`, a power of two of them.
///
/// # Safety of its entries
/// The kernel writes entries of rings that it produces before it moves `producer`, and reads those
/// that it consumes before it moves `consumer`, each with release and acquire.
#[derive(Debug)]
pub(super) struct Ring<T> {
    map: Mapping,
    offsets: libc::xdp_ring_offset,
    mask: u32,
    entries: std::marker::PhantomData<T>,
}

impl<T: Copy> Ring<T> {
    /// Maps the ring of `count` entries that the socket has at this page offset.
    pub(super) fn map(
        fd: BorrowedFd<'_>,
        page_offset: u64,
        offsets: libc::xdp_ring_offset,
        count: u32,
    ) -> io::Result<Self> {
        let len = offsets.desc as usize + count as usize * size_of::<T>();
        let map = Mapping::ring(fd, len, page_offset)?;
        Ok(Self { map, offsets, mask: count - 1, entries: std::marker::PhantomData })
    }

    /// The number of entries.
    pub(super) const fn entries(&self) -> u32 {
        self.mask + 1
    }

    #[inline]
    fn index(&self, offset: u64) -> &AtomicU32 {
        // SAFETY: the kernel's offsets are within the mapping, aligned, and of 32-bit fields that
        // both sides only access atomically.
        unsafe { self.map.start().add(offset as usize).cast::<AtomicU32>().as_ref() }
    }

    #[inline]
    pub(super) fn produced(&self) -> u32 {
        self.index(self.offsets.producer).load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn publish(&self, produced: u32) {
        self.index(self.offsets.producer).store(produced, Ordering::Release);
    }

    #[inline]
    pub(super) fn consumed(&self) -> u32 {
        self.index(self.offsets.consumer).load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn consume(&self, consumed: u32) {
        self.index(self.offsets.consumer).store(consumed, Ordering::Release);
    }

    /// Whether the kernel waits for a system call before it looks at this ring.
    #[inline]
    pub(super) fn needs_wakeup(&self) -> bool {
        let flags = self.index(self.offsets.flags).load(Ordering::Relaxed);
        flags & libc::XDP_RING_NEED_WAKEUP != 0
    }

    #[inline]
    fn entry(&self, at: u32) -> NonNull<T> {
        // SAFETY: the masked index is below the number of entries, all of which the mapping holds.
        unsafe {
            let entries = self.map.start().add(self.offsets.desc as usize).cast::<T>();
            entries.add((at & self.mask) as usize)
        }
    }

    /// The entry of this number, which its producer has published.
    #[inline]
    pub(super) fn get(&self, at: u32) -> T {
        // SAFETY: within the mapping, and the kernel does not write it before it is consumed.
        unsafe { self.entry(at).read() }
    }

    /// Writes the entry of this number, which is not published.
    #[inline]
    pub(super) fn set(&mut self, at: u32, value: T) {
        // SAFETY: within the mapping, and the kernel does not read it before it is published.
        unsafe { self.entry(at).write(value) };
    }
}
