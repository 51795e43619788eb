//! One system call a datagram: `send` or `send_to`, and `recv_from`; `recvmsg` with timestamps.

use std::io;

use mio::net::UdpSocket;

use super::arena::Arena;
use super::{Pull, Push, Rx, Tx, len_at, lens, place, waited};
use crate::net::{Datagram, MAX_DATAGRAM};
use crate::sys::{self, RecvBatch, RecvMetadata, SendError, send_error_of};
use crate::unit::{Nanos, PayloadSize};

/// Unpaced datagrams that share one clock read (24 ns, measured): 4 keep the work of the loop at 10
/// ns per datagram, and each timestamp within three system calls of the departure.
const TX_BATCH: usize = 4;

/// Received datagrams that share one clock read. At 16 the read costs under 2 ns per datagram, and
/// the batch adds less than 0.1 ms of latency; arbitrary within that.
pub(super) const RX_BATCH: usize = 16;

/// Extra bytes of a receive slot, so that longer datagrams of others are not truncated to the size
/// of the run.
pub(super) const SLACK: usize = 64;

/// Sends each datagram by a call of its own.
#[derive(Debug)]
pub struct PlainTx<S: Datagram = UdpSocket> {
    sockets: Vec<S>,
    to: Option<S::Address>,
    size: PayloadSize,
    lens: Vec<u16>,
    arena: Arena,
}

impl<S: Datagram> PlainTx<S> {
    /// Sends on the sockets, one per flow or one for all. `fill` writes the payload, once.
    // cold: set-up
    pub fn new(
        sockets: Vec<S>,
        to: Option<S::Address>,
        size: PayloadSize,
        fill: impl Fn(&mut [u8]),
    ) -> Self {
        let mut arena = Arena::new(size.largest(), TX_BATCH);
        arena.slots_mut().for_each(fill);
        let lens = lens(size, arena.len());
        Self { sockets, to, size, lens, arena }
    }
}

impl<S: Datagram> Tx for PlainTx<S> {
    type Socket = S;

    fn batch(&self, paced: bool) -> usize {
        if paced { 1 } else { self.arena.len() }
    }

    arena_slots!();

    #[inline]
    fn lens(&mut self) -> &mut [u16] {
        &mut self.lens
    }

    #[inline]
    fn push(&mut self, flow: usize, first_sequence: u64, count: usize) -> Push {
        let socket = &self.sockets[place(&self.sockets, flow)];
        let mut push = Push::default();
        for (at, slot) in self.arena.slots().take(count).enumerate() {
            let payload = &slot[..len_at(&self.lens, at, self.size, first_sequence)];
            let result = match self.to {
                None => socket.send(payload),
                Some(to) => socket.send_to(payload, to),
            };
            push.syscalls += 1;
            match result.map_err(|error| send_error_of(&error)) {
                Ok(_) => {
                    push.sent += 1;
                    push.packets += 1;
                }
                // A signal: no datagram was sent or refused; the caller retries.
                Err(SendError::Interrupted) => break,
                Err(refusal) => {
                    (push.refused, push.error) = (1, Some(refusal));
                    break;
                }
            }
        }
        push
    }
}

/// Receives each datagram by a call of its own, with its sender's address.
#[derive(Debug)]
pub struct PlainRx<S: Datagram = UdpSocket> {
    sockets: Vec<S>,
    at: usize,
    arena: Arena,
    lens: [usize; RX_BATCH],
    pulled: usize,
    /// Maximum datagrams of the next pull: one after an empty queue, so that each has its own read
    /// time; doubled while there are more, to keep up with batches.
    limit: usize,
}

impl<S: Datagram> PlainRx<S> {
    /// Receives datagrams of this size.
    // cold: set-up
    pub fn new(socket: S, size: PayloadSize) -> Self {
        Self::with(vec![socket], Arena::new(size.largest() + SLACK, RX_BATCH))
    }

    /// Receives datagrams of any size on several sockets, one at a time.
    // cold: set-up
    pub fn for_any_size(sockets: Vec<S>) -> Self {
        Self::with(sockets, Arena::sparse(MAX_DATAGRAM, RX_BATCH))
    }

    // cold: set-up
    fn with(sockets: Vec<S>, arena: Arena) -> Self {
        Self { sockets, at: 0, arena, lens: [0; RX_BATCH], pulled: 0, limit: 1 }
    }
}

impl<S: Datagram> Rx for PlainRx<S> {
    type Socket = S;

    #[inline]
    fn pull(&mut self) -> Pull {
        let mut pull = Pull::default();
        let socket = &self.sockets[self.at];
        for (slot, len) in self.arena.slots_mut().take(self.limit).zip(&mut self.lens) {
            pull.syscalls += 1;
            match socket.recv_from(slot) {
                Ok(received) => {
                    *len = received;
                    pull.datagrams += 1;
                }
                Err(error) => {
                    pull.add_failure(&error);
                    break;
                }
            }
        }
        self.pulled = pull.datagrams;
        pull.packets = pull.datagrams as u64;
        self.limit = if pull.drained { 1 } else { (self.limit * 2).min(self.arena.len()) };
        pull
    }

    #[inline]
    fn each(&self, mut visit: impl FnMut(&[u8], Option<Nanos>)) {
        let slots = self.arena.slots();
        for (slot, &len) in slots.zip(&self.lens).take(self.pulled) {
            visit(&slot[..len], None);
        }
    }

    fn turn_to(&mut self, at: usize) {
        self.at = at;
    }

    fn sockets(&mut self) -> &mut [S] {
        &mut self.sockets
    }
}

/// Receives each datagram by a call of its own, with its sender's address and its timestamp.
#[derive(Debug)]
pub struct StampedRx<S: Datagram = UdpSocket> {
    socket: S,
    calls: RecvBatch,
    read_ns: u64,
    /// Datagrams the next pull may take, as in [`super::PlainRx`].
    limit: usize,
}

impl<S: Datagram> StampedRx<S> {
    /// Receives datagrams of this size. Fails if the system has no timestamps.
    // cold: set-up
    pub fn new(socket: S, size: PayloadSize) -> io::Result<Self> {
        sys::set_timestamps(&socket)?;
        let metadata = RecvMetadata { stamps: true, ..RecvMetadata::default() };
        let calls = RecvBatch::new(RX_BATCH, size.largest() + SLACK, metadata);
        Ok(Self { socket, calls, read_ns: 0, limit: 1 })
    }
}

impl<S: Datagram> Rx for StampedRx<S> {
    type Socket = S;

    #[inline]
    fn pull(&mut self) -> Pull {
        let mut pull = Pull::default();
        self.calls.restart();
        for _ in 0..self.limit {
            pull.syscalls += 1;
            if let Err(error) = self.calls.recv_one(&self.socket) {
                pull.add_failure(&error);
                break;
            }
            pull.datagrams += 1;
        }
        pull.packets = pull.datagrams as u64;
        pull.truncated = self.calls.messages().map(|message| u64::from(message.truncated)).sum();
        self.read_ns = sys::realtime_ns();
        self.limit = if pull.drained { 1 } else { (self.limit * 2).min(self.calls.slots()) };
        pull
    }

    #[inline]
    fn each(&self, mut visit: impl FnMut(&[u8], Option<Nanos>)) {
        for message in self.calls.messages() {
            visit(message.payload, waited(message.stamp_ns, self.read_ns));
        }
    }

    fn sockets(&mut self) -> &mut [S] {
        std::slice::from_mut(&mut self.socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_sockets_that_have_more_are_read_in_batches() {
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let sockets = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap());
        for socket in &sockets {
            let to = socket.local_addr().unwrap();
            (0..8).for_each(|_| assert_eq!(sender.send_to(b"reply", to).unwrap(), 5));
        }
        let mut rx = PlainRx::for_any_size(sockets.into());
        let pulls = [0, 1, 0, 1, 0, 1].map(|at| {
            rx.turn_to(at);
            let pull = rx.pull();
            (pull.datagrams, pull.drained)
        });
        // After an empty queue, one again.
        let expected = [(1, false), (2, false), (4, false), (6, true), (1, false), (0, true)];
        assert_eq!(pulls, expected);
    }

    #[test]
    fn an_icmp_error_is_reported_as_unreachable() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let (_taken, closed) = crate::engine::fixture::closed_port();
        socket.set_nonblocking(true).unwrap();
        socket.connect(closed).unwrap();
        // The port is closed: over loopback the ICMP error is there when send(2) returns.
        socket.send(b"anybody?").unwrap();
        let size = PayloadSize::Fixed(64);
        let mut rx = match StampedRx::new(UdpSocket::from_std(socket), size) {
            Ok(rx) => rx,
            Err(error) => return eprintln!("SKIPPED: no receive timestamps: {error}"),
        };
        let pull = rx.pull();
        assert_eq!((pull.errors, pull.unreachable, pull.drained), (1, 1, false));
        assert!(rx.pull().drained);
    }
}
