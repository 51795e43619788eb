//! Sending: a chain of linked requests, one per datagram, by one `io_uring_enter`.
//!
//! Linked, because no datagram after a refused one may leave: its number goes to the next one. A
//! link costs 6 % of a datagram's CPU time on loopback (2.50 µs instead of 2.35 at 64 bytes, 2.56
//! instead of 2.44 at 1472; `sendmmsg` takes 2.37 and 2.47; in chunks of 64, medians of 9,
//! measured).
//!
//! Copied (`SEND`), because lending memory to the kernel (`SEND_ZC`) takes 3.04 µs on loopback,
//! where it is copied in the end, and gives every datagram a second result.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsRawFd;

use io_uring::squeue::Flags;
use io_uring::{IoUring, opcode, types};
use mio::net::UdpSocket;
use socket2::SockAddr;

use super::super::arena::Arena;
use super::super::{Push, Tx, place};
use super::{is_temporary, register, ring};
use crate::net::Datagram;
use crate::sys::{SendError, send_error_of};
use crate::unit::PayloadSize;

/// Default datagrams per call, as in `batch`, for comparison. 256 would save 1 % of the CPU time,
/// 16 would cost 1 % (measured).
const BATCH: usize = 64;

/// Datagrams a call at most; arbitrary, what sendmmsg(2) takes (`UIO_MAXIOV`).
const BATCH_MOST: usize = 1_024;

/// Sends many datagrams by one call, through a ring.
pub struct UringTx<S: Datagram = UdpSocket> {
    /// Before what it points into: fields are dropped in this order.
    ring: IoUring,
    sockets: Vec<S>,
    to: Option<Box<SockAddr>>,
    size: PayloadSize,
    arena: Arena,
    broken: Option<SendError>,
}

impl<S: Datagram> UringTx<S> {
    /// As [`super::super::BatchTx::new`], in the calling thread. Fails without io_uring.
    // cold: set-up
    pub fn new(
        sockets: Vec<S>,
        to: Option<S::Address>,
        size: PayloadSize,
        batch: Option<usize>,
        fill: impl Fn(&mut [u8]),
    ) -> io::Result<Self> {
        let mut arena = Arena::new(size.largest(), batch.unwrap_or(BATCH).min(BATCH_MOST));
        arena.slots_mut().for_each(fill);
        let ring = ring(arena.len(), arena.len())?;
        let files: Vec<_> = sockets.iter().map(|socket| socket.as_fd().as_raw_fd()).collect();
        register(&ring, &files)?;
        let to = to.map(|to| Box::new(SockAddr::from(S::ip(to))));
        Ok(Self { ring, sockets, to, size, arena, broken: None })
    }

    /// Queues one request per datagram, all linked to a chain. Returns false if the submission
    /// queue has no room for all of them.
    #[inline]
    fn queue(&mut self, flow: usize, first_sequence: u64, count: usize) -> bool {
        let socket = types::Fixed(place(&self.sockets, flow) as u32);
        let (to, to_len) = match &self.to {
            Some(to) => (to.as_ptr().cast(), to.len()),
            None => (std::ptr::null(), 0),
        };
        let mut queue = self.ring.submission();
        for (i, slot) in self.arena.slots().take(count).enumerate() {
            let len = self.size.at(first_sequence + i as u64).min(slot.len());
            let send = opcode::Send::new(socket, slot.as_ptr(), len as u32)
                .flags(libc::MSG_DONTWAIT)
                .dest_addr(to)
                .dest_addr_len(to_len)
                .build();
            let send = if i + 1 < count { send.flags(Flags::IO_LINK) } else { send };
            // SAFETY: the slot, `len` bytes of it, and the address are on the heap and stay there
            // for longer than the ring; `push` waits until the kernel has done with them.
            let queued = unsafe { queue.push(&send) };
            if queued.is_err() {
                return false;
            }
        }
        true
    }

    #[inline]
    fn reap(&mut self, push: &mut Push) -> usize {
        let mut results = 0;
        for result in self.ring.completion() {
            results += 1;
            match result.result() {
                0.. => push.sent += 1,
                // Behind one that was refused: not tried.
                code if code == -libc::ECANCELED => {}
                code => {
                    let error = send_error_of(&io::Error::from_raw_os_error(-code));
                    // A signal: no datagram was refused; the caller retries.
                    push.error = Some(error).filter(|error| *error != SendError::Interrupted);
                }
            }
        }
        results
    }
}

impl<S: Datagram> Tx for UringTx<S> {
    type Socket = S;

    fn batch(&self, _paced: bool) -> usize {
        self.arena.len()
    }

    arena_slots!();

    #[inline]
    fn push(&mut self, flow: usize, first_sequence: u64, count: usize) -> Push {
        let mut push = Push { error: self.broken, ..Push::default() };
        if push.error.is_none() {
            let count = count.min(self.arena.len());
            if !self.queue(flow, first_sequence, count) {
                // Requests of an earlier push are still in it. The ring is not submitted any more,
                // so neither those nor the part that was queued now can leave uncounted.
                self.broken = Some(SendError::Other(libc::EBUSY));
                (push.error, push.refused) = (self.broken, 1);
                return push;
            }
            let mut results = 0;
            // Nothing waits, so one call brings all results, unless a signal comes between.
            while results < count {
                push.syscalls += 1;
                let entered = self.ring.submit_and_wait(count - results);
                results += self.reap(&mut push);
                if let Err(error) = entered
                    && !is_temporary(&error)
                {
                    self.broken = Some(send_error_of(&error));
                    push.error = self.broken;
                    break;
                }
            }
        }
        push.packets = push.sent as u64;
        push.refused = usize::from(push.error.is_some());
        push
    }
}

impl<S: Datagram> Drop for UringTx<S> {
    fn drop(&mut self) {
        // A closed ring releases its sockets only after a while.
        let _ = self.ring.submitter().unregister_files();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_submission_queue_is_an_error() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = socket.local_addr().unwrap();
        let (sockets, size) = (vec![UdpSocket::from_std(socket)], PayloadSize::Fixed(32));
        let mut tx = match UringTx::new(sockets, Some(to), size, Some(8), |slot| slot.fill(1)) {
            Ok(tx) => tx,
            Err(error) => return eprintln!("SKIPPED: {error}"),
        };
        // SAFETY: a request that does nothing refers to no memory.
        while unsafe { tx.ring.submission().push(&opcode::Nop::new().build()) }.is_ok() {}
        for _ in 0..2 {
            let push = tx.push(0, 0, 8);
            let error = Some(SendError::Other(libc::EBUSY));
            assert_eq!((push.sent, push.refused, push.error), (0, 1, error));
            assert_eq!(push.syscalls, 0, "nothing is waited for");
        }
    }
}
