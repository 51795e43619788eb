//! The receiving half of a queue.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use super::queue::{HEADROOM, RingCounter, XskQueue, has_napi};
use super::ring::Ring;
use crate::sys::XdpGranted;

/// The receiving half: the RX ring, and the fill ring, by which frames return to the kernel.
#[derive(Debug)]
pub struct XskRx {
    queue: Arc<XskQueue>,
    ring: Ring<libc::xdp_desc>,
    fill: Ring<u64>,
    frames: u32,
    chunk: u64,
    consumed: u32,
    filled: u32,
    /// Whether a system call runs the driver's poll; `None`: known after the first frame.
    busy_polls: Option<bool>,
}

impl XskRx {
    // cold: set-up
    pub(super) fn new(
        queue: Arc<XskQueue>,
        ring: Ring<libc::xdp_desc>,
        fill: Ring<u64>,
        chunk: usize,
        busy_polls: Option<bool>,
    ) -> Self {
        let (chunk, filled) = (chunk as u64, fill.produced());
        Self { queue, ring, fill, frames: filled, chunk, consumed: 0, filled, busy_polls }
    }

    /// The number of frames.
    pub const fn frames(&self) -> usize {
        self.frames as usize
    }

    /// The length of the longest frame.
    pub const fn longest_frame(&self) -> usize {
        self.chunk as usize - HEADROOM
    }

    /// What the kernel granted.
    // cold: set-up
    pub fn granted(&self) -> XdpGranted {
        XdpGranted {
            rx_ring: Some(self.ring.entries()),
            fill_ring: Some(self.fill.entries()),
            busy_poll: self.busy_polls == Some(true),
            ..self.queue.granted()
        }
    }

    /// How many frames there are to read, and whether a system call was needed.
    #[inline]
    pub fn arrived(&self) -> (usize, u64) {
        let count = self.unread();
        if count == 0 && (self.busy_polls == Some(true) || self.fill.needs_wakeup()) {
            self.wake();
            return (self.unread(), 1);
        }
        (count, 0)
    }

    #[inline]
    fn unread(&self) -> usize {
        self.ring.produced().wrapping_sub(self.consumed) as usize
    }

    /// Address and length of the frame of this index, below [`Self::arrived`].
    #[inline]
    pub fn frame(&self, index: usize) -> (usize, usize) {
        let desc = self.ring.get(self.consumed.wrapping_add(index as u32));
        (desc.addr as usize, desc.len as usize)
    }

    /// The bytes of a frame, or a part of them, until it is released; empty if they are not in the
    /// memory.
    #[inline]
    pub fn bytes(&self, at: usize, len: usize) -> &[u8] {
        self.queue.bytes(at, len).unwrap_or_default()
    }

    /// Gives the first `count` frames back to the kernel.
    #[inline]
    pub fn release(&mut self, count: usize) {
        for _ in 0..count {
            let addr = self.ring.get(self.consumed).addr;
            self.fill.set(self.filled, addr & !(self.chunk - 1));
            self.filled = self.filled.wrapping_add(1);
            self.consumed = self.consumed.wrapping_add(1);
        }
        self.fill.publish(self.filled);
        self.ring.consume(self.consumed);
        if self.busy_polls.is_none() && count > 0 {
            self.busy_polls = Some(has_napi(self.queue.rx.as_fd()));
        }
    }

    /// Makes the driver look at the returned frames, or runs its poll.
    fn wake(&self) {
        // SAFETY: no memory is passed.
        unsafe {
            let (fd, none) = (self.queue.rx.as_raw_fd(), std::ptr::null_mut());
            let none_too = std::ptr::null_mut();
            libc::recvfrom(fd, none, 0, libc::MSG_DONTWAIT, none_too, std::ptr::null_mut());
        }
    }

    /// The drops at its rings.
    // cold: between phases
    pub fn ring_counter(&self) -> RingCounter {
        RingCounter::of_receiver(&self.queue)
    }
}

impl AsFd for XskRx {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.rx.as_fd()
    }
}
