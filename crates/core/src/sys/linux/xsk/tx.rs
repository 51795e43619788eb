//! The sending half of a queue.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use super::super::check;
use super::queue::{RingCounter, XskQueue};
use super::ring::Ring;
use crate::sys::XdpGranted;

/// The sending half: its part of the memory, the TX ring, and the completion ring.
#[derive(Debug)]
pub struct XskTx {
    queue: Arc<XskQueue>,
    ring: Ring<libc::xdp_desc>,
    completion: Ring<u64>,
    slots: u32,
    /// Frames put into the ring, published or not.
    put: u32,
    /// Frames that the kernel has taken out of it.
    taken: u32,
    completed: u32,
}

/// The result of one [`XskTx::send`].
#[derive(Debug, Default)]
pub struct XskSend {
    /// Frames that the kernel has taken, the first ones.
    pub taken: usize,
    /// Whether the device dropped the last of them and said so.
    pub dropped: bool,
    /// System calls.
    pub syscalls: u64,
    /// Why it took no more. `WouldBlock`: the kernel takes none at present.
    pub error: Option<io::Error>,
}

impl XskTx {
    // cold: set-up
    pub(super) fn new(
        queue: Arc<XskQueue>,
        ring: Ring<libc::xdp_desc>,
        completion: Ring<u64>,
        slots: u32,
    ) -> Self {
        Self { queue, ring, completion, slots, put: 0, taken: 0, completed: 0 }
    }

    /// The number of slots.
    pub const fn slots(&self) -> usize {
        self.slots as usize
    }

    /// What the kernel granted.
    // cold: set-up
    pub fn granted(&self) -> XdpGranted {
        XdpGranted {
            tx_ring: Some(self.ring.entries()),
            completion_ring: Some(self.completion.entries()),
            ..self.queue.granted()
        }
    }

    /// These bytes of the part of this half. Panics out of bounds.
    #[inline]
    pub fn bytes_mut(&mut self, at: usize, len: usize) -> &mut [u8] {
        // SAFETY: borrowed mutably, this half is the only one that has a reference to its part;
        // the other half only reads the frames that the kernel puts into the other part. A device
        // may still read a frame that was sent; the caller writes to those only that are complete.
        unsafe { self.queue.bytes_mut(at, len) }
    }

    /// Passes the addresses of frames that were sent to `free`.
    #[inline]
    pub fn complete(&mut self, mut free: impl FnMut(u64)) {
        let until = self.completion.produced();
        if until == self.completed {
            return;
        }
        while self.completed != until {
            free(self.completion.get(self.completed));
            self.completed = self.completed.wrapping_add(1);
        }
        self.completion.consume(until);
    }

    /// Puts a frame into the ring; [`Self::send`] passes it on. At most as many as there are slots.
    #[inline]
    pub fn put(&mut self, addr: usize, len: usize) {
        let desc = libc::xdp_desc { addr: addr as u64, len: len as u32, options: 0 };
        self.ring.set(self.put, desc);
        self.put = self.put.wrapping_add(1);
    }

    /// Makes the kernel take all frames that were put. What it does not take is not sent.
    #[inline]
    pub fn send(&mut self) -> XskSend {
        let mut sent = XskSend::default();
        let first = self.taken;
        self.ring.publish(self.put);
        if self.queue.zero_copy {
            // The driver takes them; it asks for a call only if it sleeps.
            self.taken = self.put;
            if self.ring.needs_wakeup() {
                sent.syscalls += 1;
                // A busy driver is awake.
                let _ = self.kick();
            }
        } else {
            while self.taken != self.put && self.copy(&mut sent) {}
        }
        sent.taken = self.taken.wrapping_sub(first) as usize;
        if self.taken != self.put {
            // In copy mode, the kernel reads the ring only during system calls.
            self.put = self.taken;
            self.ring.publish(self.put);
        }
        sent
    }

    /// Makes the kernel copy frames; returns whether to call again.
    #[inline]
    fn copy(&mut self, sent: &mut XskSend) -> bool {
        let before = self.taken;
        let kicked = self.kick();
        sent.syscalls += 1;
        let consumed = self.ring.consumed();
        // It lags behind if a call had dropped its first frame: the kernel publishes the index only
        // after one that it sent (`__xsk_generic_xmit`).
        if (consumed.wrapping_sub(self.taken) as i32) > 0 {
            self.taken = consumed;
        }
        let moved = self.taken != before;
        match kicked.map_err(|error| (error.raw_os_error(), error)) {
            // A frame was dropped, for which the index does not move.
            Err((Some(libc::EBUSY), _)) => {
                self.taken = if moved { self.taken } else { before.wrapping_add(1) };
                sent.dropped = true;
                false
            }
            Err((Some(libc::EINTR), _)) => true,
            Ok(()) | Err((Some(libc::EAGAIN), _)) if moved => true,
            Ok(()) => {
                sent.error = Some(io::ErrorKind::WouldBlock.into());
                false
            }
            // The device is gone; a socket would have no route.
            Err((Some(libc::ENXIO), _)) => {
                sent.error = Some(io::Error::from_raw_os_error(libc::ENETDOWN));
                false
            }
            Err((_, error)) => {
                sent.error = Some(error);
                false
            }
        }
    }

    #[inline]
    fn kick(&self) -> io::Result<()> {
        // SAFETY: no memory is passed.
        let sent = unsafe {
            let fd = self.queue.tx.as_raw_fd();
            libc::sendto(fd, std::ptr::null(), 0, libc::MSG_DONTWAIT, std::ptr::null(), 0)
        };
        check(sent as libc::c_int).map(|_| ())
    }

    /// The drops at its ring.
    // cold: between phases
    pub fn ring_counter(&self) -> RingCounter {
        RingCounter::of_sender(&self.queue)
    }
}

impl AsFd for XskTx {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.tx.as_fd()
    }
}
