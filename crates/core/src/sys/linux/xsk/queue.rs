//! The memory and the sockets of one queue, which its two halves share.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::super::check;
use super::ring::Mapping;
use crate::sys::XdpGranted;

/// Bytes that the kernel keeps free before each received frame: `XDP_PACKET_HEADROOM` of
/// `include/uapi/linux/bpf.h`.
pub(super) const HEADROOM: usize = 256;

/// The memory and the sockets of one queue.
#[derive(Debug)]
pub(super) struct XskQueue {
    pub(super) number: u32,
    pub(super) memory: Mapping,
    pub(super) rx: OwnedFd,
    pub(super) tx: OwnedFd,
    pub(super) zero_copy: bool,
}

impl XskQueue {
    /// What the kernel granted to both halves.
    // cold: set-up
    pub(super) fn granted(&self) -> XdpGranted {
        XdpGranted {
            queues: vec![self.number],
            zero_copy: self.zero_copy,
            // bind(2) fails where the kernel lacks it.
            need_wakeup: true,
            ..XdpGranted::default()
        }
    }

    /// These bytes of the memory; `None` if they are not in it.
    #[inline]
    pub(super) fn bytes(&self, at: usize, len: usize) -> Option<&[u8]> {
        if at.checked_add(len)? > self.memory.len() {
            return None;
        }
        // SAFETY: within the mapping, which lives as long as `self`. The halves only read frames
        // that the kernel has given, and not given back.
        Some(unsafe { std::slice::from_raw_parts(self.memory.start().add(at).as_ptr(), len) })
    }

    /// The same to write. Panics out of bounds.
    ///
    /// # Safety
    /// Nobody else may have a reference to these bytes: the sending half alone writes, in its part.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "the halves share the memory and divide it")]
    pub(super) unsafe fn bytes_mut(&self, at: usize, len: usize) -> &mut [u8] {
        assert!(at + len <= self.memory.len(), "out of bounds");
        // SAFETY: within the mapping; the caller promises that the bytes are its own.
        unsafe { std::slice::from_raw_parts_mut(self.memory.start().add(at).as_ptr(), len) }
    }
}

/// Reads an option of AF_XDP. `T` is a structure of integers, for which zeroes are a value.
pub(super) fn get<T: Copy>(fd: BorrowedFd<'_>, option: libc::c_int) -> io::Result<T> {
    get_at(fd, libc::SOL_XDP, option)
}

/// The same at another level.
fn get_at<T: Copy>(fd: BorrowedFd<'_>, level: libc::c_int, option: libc::c_int) -> io::Result<T> {
    // SAFETY: the structures of `linux/if_xdp.h` are integers; the kernel writes `len` bytes at
    // most.
    unsafe {
        let mut value: T = std::mem::zeroed();
        let mut len = size_of::<T>() as libc::socklen_t;
        let to = std::ptr::from_mut(&mut value).cast();
        check(libc::getsockopt(fd.as_raw_fd(), level, option, to, &raw mut len))?;
        Ok(value)
    }
}

/// Whether a socket has a NAPI instance, which busy polling runs.
// cold: at set-up, and once after the first frame
pub(super) fn has_napi(fd: BorrowedFd<'_>) -> bool {
    get_at::<u32>(fd, libc::SOL_SOCKET, libc::SO_INCOMING_NAPI_ID).is_ok_and(|napi| napi != 0)
}

/// Drops at the rings of one half of queues, as the kernel counts them (`XDP_STATISTICS`), and at
/// queues between threads of udperf. Any thread may read them. It does not keep the queues open.
#[derive(Debug, Clone)]
pub struct RingCounter(Vec<DropCount>);

#[derive(Debug, Clone)]
enum DropCount {
    Kernel(Weak<XskQueue>, ReadDrops),
    Own(Arc<AtomicU64>),
}

type ReadDrops = fn(&XskQueue) -> Option<u64>;

impl RingCounter {
    /// Received frames that found no free frame in the fill ring (`rx_dropped`), or the RX ring
    /// full.
    // cold: between phases
    pub(super) fn of_receiver(queue: &Arc<XskQueue>) -> Self {
        Self::new(queue, |queue| {
            let counted = statistics(queue.rx.as_fd())?;
            Some(counted.rx_dropped.saturating_add(counted.rx_ring_full))
        })
    }

    /// Frames in the TX ring that the kernel did not take (`tx_invalid_descs`).
    // cold: between phases
    pub(super) fn of_sender(queue: &Arc<XskQueue>) -> Self {
        Self::new(queue, |queue| Some(statistics(queue.tx.as_fd())?.tx_invalid_descs))
    }

    fn new(queue: &Arc<XskQueue>, read: ReadDrops) -> Self {
        Self(vec![DropCount::Kernel(Arc::downgrade(queue), read)])
    }

    /// With drops that a thread counts itself.
    // cold: between phases
    #[must_use]
    pub fn and(mut self, own: &Arc<AtomicU64>) -> Self {
        self.0.push(DropCount::Own(Arc::clone(own)));
        self
    }

    /// With the queues of another one.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Drops since the queues were opened; `None` if the kernel does not report them, or a queue
    /// has been closed.
    pub fn drops(&self) -> Option<u64> {
        let count = |count: &DropCount| match count {
            DropCount::Kernel(queue, read) => read(&*queue.upgrade()?),
            DropCount::Own(count) => Some(count.load(Ordering::Relaxed)),
        };
        self.0.iter().map(count).sum()
    }
}

/// What the kernel counted at a socket; `None` if it does not report it.
fn statistics(socket: BorrowedFd<'_>) -> Option<libc::xdp_statistics> {
    get(socket, libc::XDP_STATISTICS).ok()
}
