//! Many datagrams a system call: `sendmmsg` and `recvmmsg`.

use std::io;

use mio::net::UdpSocket;

use super::arena::Arena;
use super::inbox::Inbox;
use super::plain::SLACK;
use super::{Datagram, Pull, Push, Rx, Sent, Tx, send};
use crate::sys::{self, SendBatch, Wants};
use crate::unit::{Nanos, PayloadSize};

/// Datagrams a call where nobody asks for another number. Measured over loopback, 64 bytes, medians
/// of 6 interleaved runs: 8 deliver 333 kpps, 32 336, 64 341, 256 321; the kernel's work on each
/// datagram is all but a few percent of the cost.
const BATCH: usize = 64;

/// Sends many datagrams by one call.
#[derive(Debug)]
pub struct BatchTx<S: Datagram = UdpSocket> {
    sockets: Vec<S>,
    size: PayloadSize,
    arena: Arena,
    calls: SendBatch,
}

impl<S: Datagram> BatchTx<S> {
    /// Sends on these sockets, one a flow; to `to`, or where they are connected; `batch` datagrams
    /// a call at most. `fill` writes the payload, once.
    #[must_use]
    // cold: set-up
    pub fn new(
        sockets: Vec<S>,
        to: Option<S::Address>,
        size: PayloadSize,
        batch: Option<usize>,
        fill: impl Fn(&mut [u8]),
    ) -> Self {
        let mut arena = Arena::new(size.largest(), batch.unwrap_or(BATCH));
        arena.slots_mut().for_each(fill);
        let calls = SendBatch::new(arena.len(), to.map(S::ip));
        Self { sockets, size, arena, calls }
    }
}

impl<S: Datagram> Tx for BatchTx<S> {
    type Socket = S;

    fn batch(&self, _paced: bool) -> usize {
        self.arena.len()
    }

    #[inline]
    fn lease(&mut self, want: usize) -> &mut [u8] {
        self.arena.lease(want)
    }

    #[inline]
    fn stride(&self) -> usize {
        self.arena.stride()
    }

    #[inline]
    fn push(&mut self, flow: usize, first_sequence: u64, count: usize) -> Push {
        let (socket, size) = (&self.sockets[flow], self.size);
        let slots = self.arena.slots().take(count).zip(first_sequence..);
        let payloads = slots.map(|(slot, sequence)| &slot[..size.at(sequence)]);
        let Sent { left, refused, error, syscalls } =
            send(&mut self.calls, socket, payloads, count, |_| 1);
        Push { sent: left, packets: left as u64, refused, error, syscalls }
    }

    fn sockets(&mut self) -> &mut [S] {
        &mut self.sockets
    }
}

/// Receives many datagrams by one call, with their senders' addresses.
#[derive(Debug)]
pub struct BatchRx<S: Datagram = UdpSocket> {
    socket: S,
    inbox: Inbox,
}

impl<S: Datagram> BatchRx<S> {
    /// Receives on this socket datagrams of this size, `batch` a call at most; with the kernel's
    /// timestamps where those are wanted.
    ///
    /// # Errors
    /// Where timestamps are wanted and there are none.
    // cold: set-up
    pub fn new(
        socket: S,
        size: PayloadSize,
        batch: Option<usize>,
        stamps: bool,
    ) -> io::Result<Self> {
        if stamps {
            sys::set_timestamps(&socket)?;
        }
        let slot_len = size.largest() + SLACK;
        let slots = Arena::fitting(slot_len, batch.unwrap_or(BATCH));
        let inbox = Inbox::new(slots, slot_len, Wants { stamps, ..Wants::default() });
        Ok(Self { socket, inbox })
    }
}

impl<S: Datagram> Rx for BatchRx<S> {
    type Socket = S;

    #[inline]
    fn pull(&mut self) -> Pull {
        self.inbox.pull(&self.socket)
    }

    #[inline]
    fn each(&self, mut visit: impl FnMut(&[u8], Option<Nanos>)) {
        for (message, waited) in self.inbox.messages() {
            visit(message.payload, waited);
        }
    }

    fn sockets(&mut self) -> &mut [S] {
        std::slice::from_mut(&mut self.socket)
    }
}
