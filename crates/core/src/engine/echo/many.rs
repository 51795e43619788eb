//! Many datagrams per system call: `recvmmsg`, and `sendmmsg` from the same buffers. Super-packets
//! (`UDP_GRO`) are returned as such, and the kernel splits them again (`UDP_SEGMENT`).

use std::io;

use mio::net::UdpSocket;

use super::plain::failed;
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

/// Returns many datagrams by two calls.
#[derive(Debug)]
pub struct ManyEcho {
    socket: UdpSocket,
    inbox: RecvBatch,
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
            sys::set_udp_gro(&socket)?;
        }
        if local {
            sys::enable_pktinfo(&socket, ipv6)?;
        }
        let batch = if segments { PACKETS } else { BATCH };
        let metadata = RecvMetadata { segments, local, ..RecvMetadata::default() };
        let inbox = RecvBatch::new(batch, SLOT_LEN + STAGGER, metadata);
        let pending = PendingReply::buffers(batch);
        Ok(Self { socket, inbox, outbox: ReplyBatch::new(batch), pending })
    }
}

impl Responder for ManyEcho {
    #[inline]
    fn turn(&mut self, filter: &mut impl ReplyFilter, counters: &mut EchoCounters) -> bool {
        counters.syscalls += 1;
        if let Err(error) = self.inbox.recv(&self.socket) {
            return failed(&error, &self.socket, counters);
        }
        filter.read();
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
