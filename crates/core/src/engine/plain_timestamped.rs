//! One system call a datagram, with the kernel's timestamp: `recvmsg`, which brings what
//! `recv_from` has no room for.

use std::io;

use mio::net::UdpSocket;

use super::plain::{RX_BATCH, SLACK};
use super::{Pull, Rx, waited};
use crate::net::Datagram;
use crate::sys::{self, RecvBatch, RecvMetadata};
use crate::unit::{Nanos, PayloadSize};

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
    /// Receives datagrams of this size.
    /// Fails if the system has none.
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
    fn an_icmp_error_is_reported_as_unreachable() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
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
