//! Super-packets received whole (`UDP_GRO`), several a `recvmmsg`, and cut here: how long each
//! datagram is, the kernel says in a control message.

use std::io;

use mio::net::UdpSocket;

use super::arena::Arena;
use super::{Pull, Rx, count, nothing, waited};
use crate::sys::{self, RecvBatch, Wants};
use crate::unit::Nanos;

/// Bytes of a buffer: what the longest UDP payload and so the longest super-packet takes, whatever
/// the size of its segments.
const SLOT_LEN: usize = 65_536;

/// Super-packets a call where nobody asks for a number of datagrams: what the sender's call brings.
/// Measured in bare loops over loopback, 1, 4 and 16 differ by less than 2 %.
const MESSAGES: usize = 4;

/// Segments that a super-packet holds at most (`UDP_MAX_SEGMENTS` of `include/linux/udp.h`).
const SEGMENTS: usize = 128;

/// Pauses of the CPU before an empty queue is looked at again, about 1 µs (30 ns each, measured):
/// each look takes from the sender's core what it is about to write to. In interleaved runs 32
/// delivered 7 % more than 1 at 64 bytes and 13 % more at 1472; 200 no more at 64.
const PAUSES: u32 = 32;

/// Receives super-packets, several by one call.
#[derive(Debug)]
pub struct GroRx {
    socket: UdpSocket,
    calls: RecvBatch,
    /// Whether the latest look found nothing.
    was_empty: bool,
    /// When the latest call returned, on the calendar clock; read where there are timestamps.
    read_ns: Option<u64>,
}

impl GroRx {
    /// Receives on this socket; about `batch` datagrams a call at most, and always one
    /// super-packet; with the kernel's timestamps where those are wanted.
    ///
    /// # Errors
    /// Where the system knows no super-packets, or no timestamps and those are wanted.
    // cold: set-up
    pub fn new(socket: UdpSocket, batch: Option<usize>, stamps: bool) -> io::Result<Self> {
        sys::set_udp_gro(&socket)?;
        if stamps {
            sys::set_timestamps(&socket)?;
        }
        let wanted = batch.map_or(MESSAGES, |batch| batch.div_ceil(SEGMENTS));
        let slots = Arena::fitting(SLOT_LEN, wanted);
        let calls = RecvBatch::new(slots, SLOT_LEN, Wants { segments: true, stamps });
        Ok(Self { socket, calls, was_empty: false, read_ns: stamps.then_some(0) })
    }
}

impl Rx for GroRx {
    #[inline]
    fn pull(&mut self) -> Pull {
        if self.was_empty {
            (0..PAUSES).for_each(|_| std::hint::spin_loop());
        }
        let received = self.calls.recv(&self.socket);
        self.was_empty = received.is_err();
        let received = match received {
            Ok(received) => received,
            Err(error) => return nothing(&error),
        };
        self.read_ns = self.read_ns.map(|_| sys::realtime_ns());
        let drained = received < self.calls.slots();
        Pull { syscalls: 1, drained, ..count(self.calls.messages()) }
    }

    #[inline]
    fn each(&self, mut visit: impl FnMut(&[u8], Option<Nanos>)) {
        let read_ns = self.read_ns.unwrap_or(0);
        for message in self.calls.messages() {
            let waited = waited(message.stamp_ns, read_ns);
            if message.payload.is_empty() {
                visit(message.payload, waited);
            }
            message.payload.chunks(message.segment).for_each(|segment| visit(segment, waited));
        }
    }

    fn takes_super_packets(&self) -> bool {
        true
    }

    fn sockets(&mut self) -> &mut [UdpSocket] {
        std::slice::from_mut(&mut self.socket)
    }
}
