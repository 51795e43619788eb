//! Single calls while a queue is shallow, and many datagrams per call while it is deep.

use std::io;

use crate::sys::{Handle, RecvBatch};

/// How many datagrams in a row make a queue deep. Measured over loopback, bursts of 1 to 16 that
/// are received and returned until the queue is empty, medians of 3,000 interleaved bursts: batch
/// calls are as fast as single ones from 3 datagrams on with control messages (`UDP_GRO`), and from
/// 6 on without. For one datagram they take 0.3 to 0.7 µs more. For 4 they are 4 % faster with
/// control messages and 4 % slower without; default engines are of both kinds. To measure again:
/// `cargo bench --bench bursts`.
const DEEP: usize = 4;

/// How deep a socket's queue is, judged by what the latest receive calls found.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct QueueDepth {
    /// Datagrams found in a row, by single calls or by the latest batch call; 0: the queue was
    /// empty.
    found: usize,
    /// Length of the latest burst, which the next one is expected to have: the datagrams that
    /// single calls found in a row, or those of its first call if that was a batch call.
    burst: usize,
    /// Whether that burst began with a batch call.
    began_deep: bool,
}

impl QueueDepth {
    /// Receives by one call: a single datagram, or as many as there are if the queue is deep.
    #[inline]
    pub(super) fn recv(&mut self, calls: &mut RecvBatch, socket: &impl Handle) -> io::Result<()> {
        let is_deep = self.is_deep();
        let received = if is_deep {
            calls.recv(socket)
        } else {
            calls.restart();
            calls.recv_one(socket).map(|()| self.found + 1)
        };
        let found = *received.as_ref().unwrap_or(&0);
        let begins = self.found == 0 && found > 0;
        if begins {
            self.began_deep = is_deep;
        }
        if begins || (found > 0 && !is_deep && !self.began_deep) {
            self.burst = found;
        }
        self.found = found;
        received.map(drop)
    }

    /// Whether the next call is a batch call. Before a burst, the previous one decides.
    #[inline]
    pub(super) const fn is_deep(&self) -> bool {
        (if self.found == 0 { self.burst } else { self.found }) >= DEEP
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
                let is_for_many = depth.is_deep();
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
        // A burst begins as the one before it suggests.
        assert_eq!(read(5), [(true, 5), (true, 0)]);
        assert_eq!(read(0), [(true, 0)]);
        assert_eq!(read(14), [(true, 8), (true, 6), (true, 0)]);
        assert_eq!(read(1), [(true, 1), (false, 0)]);
        assert_eq!(read(14), after_four(&[(true, 8), (true, 2), (false, 0)]));
        assert_eq!(read(2), [(true, 2), (false, 0)]);
        assert_eq!(read(0), [(false, 0)]);
    }

    #[test]
    fn a_burst_that_comes_one_by_one_is_not_expected_again_as_a_deep_queue() {
        let mut depth = QueueDepth { found: 0, burst: DEEP, began_deep: false };
        let [sender, socket] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let mut calls = RecvBatch::new(8, 64, RecvMetadata::default());
        if calls.slots() < 2 {
            return eprintln!("SKIPPED: one message a call");
        }
        for _ in 0..DEEP - 1 {
            sender.send_to(b"datagram", socket.local_addr().unwrap()).unwrap();
            depth.recv(&mut calls, &socket).unwrap();
        }
        assert_eq!((depth.found, depth.burst, depth.began_deep), (DEEP - 1, 1, true));
        assert!(depth.recv(&mut calls, &socket).is_err() && !depth.is_deep());
    }
}
