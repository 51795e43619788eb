//! Single calls while a queue is shallow, and many datagrams per call while it is deep.

use std::io;

use crate::sys::{Handle, RecvBatch};

/// How many datagrams in a row make a queue deep. Measured: for one datagram, recvmmsg(2) and
/// sendmmsg(2) take 0.6 µs more than recvfrom(2) and sendto(2), which is 10 % of a round trip over
/// loopback; from four on they are as fast.
const DEEP: usize = 4;

/// How deep a socket's queue is, judged by what the latest receive calls found.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct QueueDepth {
    /// Datagrams found in a row, by single calls or by the latest call for many.
    found: usize,
}

impl QueueDepth {
    /// Receives by one call: a single datagram, or as many as there are if the queue is deep.
    #[inline]
    pub(super) fn recv(&mut self, calls: &mut RecvBatch, socket: &impl Handle) -> io::Result<()> {
        let found = if self.found < DEEP {
            calls.restart();
            calls.recv_one(socket).map(|()| self.found + 1)
        } else {
            calls.recv(socket)
        };
        self.found = *found.as_ref().unwrap_or(&0);
        found.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::sys::RecvMetadata;

    #[test]
    fn only_a_deep_queue_is_read_by_calls_for_many() {
        let [sender, socket] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        sender.connect(socket.local_addr().unwrap()).unwrap();
        let mut calls = RecvBatch::new(8, 64, RecvMetadata::default());
        if calls.slots() < 2 {
            return eprintln!("SKIPPED: one message a call");
        }
        let mut depth = QueueDepth::default();
        // For each call whether it was for many, and what it found.
        let mut read = |queued: usize| {
            (0..queued).for_each(|_| assert_eq!(sender.send(b"datagram").unwrap(), 8));
            let mut read = Vec::new();
            while !matches!(read.last(), Some((_, 0))) {
                let is_for_many = depth.found >= DEEP;
                let received = depth.recv(&mut calls, &socket);
                read.push((is_for_many, received.map_or(0, |()| calls.messages().count())));
            }
            read
        };
        let four = [(false, 1); 4];
        let after_four = |calls: &[(bool, usize)]| [&four[..], calls].concat();
        for _ in 0..3 {
            assert_eq!(read(1), [(false, 1), (false, 0)]);
        }
        assert_eq!(read(3), [&four[..3], &[(false, 0)]].concat());
        assert_eq!(read(4), after_four(&[(true, 0)]));
        assert_eq!(read(5), after_four(&[(true, 1), (false, 0)]));
        assert_eq!(read(14), after_four(&[(true, 8), (true, 2), (false, 0)]));
        assert_eq!(read(0), [(false, 0)]);
    }
}
