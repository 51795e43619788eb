//! Many datagrams per system call while the queue is deep: `recvmmsg`, and `sendmmsg` from the same
//! buffers; single calls while it is shallow. Super-packets (`UDP_GRO`) are returned as such, and
//! the kernel splits them again (`UDP_SEGMENT`). The socket takes them only once its queue has been
//! deep: their length comes in a control message, and a call that reads control messages is slower
//! even if there is none. Measured over loopback, recvmsg(2) takes 60 ns longer than recvfrom(2),
//! and 50 ns longer if no datagram waits.

use std::io;

use mio::net::UdpSocket;

use super::super::queue_depth::QueueDepth;
use super::plain::{failed, return_one};
use super::post::send_replies;
use super::{EchoCounters, PendingReply, ReplyFilter, Responder, SLOT_LEN};
use crate::sys::{self, RecvBatch, RecvMetadata, Reply, ReplyBatch};

/// Datagrams per call, as in the engine `batch`.
const BATCH: usize = 64;

/// Super-packets per call. Arbitrary: half the memory of `batch`.
const PACKETS: usize = 32;

/// Gap between buffers: at multiples of 4096 bytes, their beginnings would all fall into one set of
/// the cache. As long as an Ethernet frame, in lines of 64 bytes.
const STAGGER: usize = 1_536;

/// Returns all datagrams of a deep queue by two calls, and those of a shallow one one by one.
#[derive(Debug)]
pub struct ManyEcho {
    socket: UdpSocket,
    inbox: RecvBatch,
    depth: QueueDepth,
    /// Whether the socket shall take super-packets once the queue is deep.
    will_merge: bool,
    outbox: ReplyBatch,
    pending: Box<[PendingReply]>,
}

impl ManyEcho {
    /// Replies with single datagrams, or with super-packets (`segments`), which fails if the system
    /// has none; `local`: the socket is bound to any address, which fails if the system does not
    /// report destination addresses.
    // cold: set-up
    pub fn new(socket: UdpSocket, ipv6: bool, local: bool, segments: bool) -> io::Result<Self> {
        if segments {
            // Fails at once on a system without them.
            [true, false].into_iter().try_for_each(|merges| sys::set_udp_gro(&socket, merges))?;
        }
        if local {
            sys::enable_pktinfo(&socket, ipv6)?;
        }
        let batch = if segments { PACKETS } else { BATCH };
        let metadata = RecvMetadata { local, ..RecvMetadata::default() };
        let inbox = RecvBatch::new(batch, SLOT_LEN + STAGGER, metadata);
        let pending = PendingReply::buffers(batch);
        let (outbox, depth) = (ReplyBatch::new(batch), QueueDepth::default());
        Ok(Self { socket, inbox, depth, will_merge: segments, outbox, pending })
    }

    /// Takes super-packets. Control messages are read from the next call on, so that none of them
    /// is taken for one datagram.
    // cold: once
    fn start_super_packets(&mut self) {
        self.will_merge = false;
        if sys::set_udp_gro(&self.socket, true).is_ok() {
            self.inbox.start_controls();
        }
    }
}

impl Responder for ManyEcho {
    #[inline]
    fn turn(&mut self, filter: &mut impl ReplyFilter, counters: &mut EchoCounters) -> bool {
        counters.syscalls += 1;
        if self.will_merge && self.depth.is_deep() {
            self.start_super_packets();
        }
        if let Err(error) = self.depth.recv(&mut self.inbox, &self.socket) {
            return failed(&error, &self.socket, counters);
        }
        filter.read();
        if let Some(request) = self.inbox.lone_request() {
            return_one(&self.socket, request, &mut self.outbox, filter, counters);
            return false;
        }
        let mut count = 0;
        for (message, request) in self.inbox.requests().enumerate() {
            if let Some(pending) = PendingReply::to(request, message, filter, counters) {
                self.pending[count] = pending;
                count += 1;
            }
        }
        let inbox = &self.inbox;
        let replies = self.pending[..count]
            .iter()
            .map(|pending| pending.reply(inbox.bytes(pending.message, pending.len)));
        send_replies(&mut self.outbox, &self.socket, replies, counters);
        // A call that returned datagrams does not prove that the queue is empty.
        false
    }

    fn send<'a>(
        &mut self,
        replies: impl Iterator<Item = Reply<'a>> + Clone,
        counters: &mut EchoCounters,
    ) {
        send_replies(&mut self.outbox, &self.socket, replies, counters);
    }

    fn sockets(&mut self) -> &mut [UdpSocket] {
        std::slice::from_mut(&mut self.socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Request;

    struct AnswerAll;

    impl ReplyFilter for AnswerAll {
        fn read(&mut self) {}

        fn judge(&mut self, request: &mut Request<'_>) -> Option<usize> {
            Some(request.payload.len())
        }
    }

    /// Sends `queued` datagrams and has them returned; the numbers of calls and packets.
    fn count_calls(client: &std::net::UdpSocket, echo: &mut ManyEcho, queued: usize) -> (u64, u64) {
        (0..queued).for_each(|_| assert_eq!(client.send(b"request").unwrap(), 7));
        let mut counters = EchoCounters::default();
        while !echo.turn(&mut AnswerAll, &mut counters) {}
        let counted = (counters.received, counters.returned, counters.empty);
        assert_eq!(counted, (queued as u64, queued as u64, 1));
        let mut buffer = [0; 8];
        (0..queued).for_each(|_| assert_eq!(client.recv(&mut buffer).unwrap(), 7));
        (counters.syscalls, counters.packets)
    }

    #[test]
    fn single_calls_return_a_shallow_queue_and_few_calls_a_deep_one() {
        for (bind, segments) in [("127.0.0.1:0", false), ("127.0.0.1:0", true), ("0.0.0.0:0", true)]
        {
            let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            let socket = UdpSocket::bind(bind.parse().unwrap()).unwrap();
            client.connect(("127.0.0.1", socket.local_addr().unwrap().port())).unwrap();
            let opened = ManyEcho::new(socket, false, bind.starts_with("0."), segments);
            let mut echo = match opened {
                Ok(echo) if echo.inbox.slots() > 1 => echo,
                _ => return eprintln!("SKIPPED: no batches"),
            };
            for _ in 0..3 {
                // One to receive, one to return, and one that finds nothing.
                assert_eq!(count_calls(&client, &mut echo, 1), (2 + 1, 1));
            }
            // Two for each of the first four, and two for the other 16.
            assert_eq!(count_calls(&client, &mut echo, 20), (4 * 2 + 2 + 1, 20));
            // As the burst before it was long, one to receive all and one to return them.
            assert_eq!(count_calls(&client, &mut echo, 20), (2 + 1, 20));
            assert_eq!(count_calls(&client, &mut echo, 1), (2 + 1, 1));
        }
    }
}
