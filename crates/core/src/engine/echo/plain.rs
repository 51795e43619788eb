//! Two system calls per datagram: `recv_from` and `send_to`; on a socket bound to any address
//! `recvmsg` and `sendmsg`, so that replies leave from the address that requests were sent to.

use std::io;

use mio::net::UdpSocket;

use super::post::{Next, classify_failure, send_replies};
use super::{EchoCounters, PLAIN_TURN, ReplyFilter, Responder, SLOT_LEN};
use crate::sys::{self, RecvBatch, RecvMetadata, Reply, ReplyBatch, Request, SendError};

/// Returns each datagram before it reads the next one.
#[derive(Debug)]
pub struct PlainEcho {
    socket: UdpSocket,
    buffer: Box<[u8]>,
}

impl PlainEcho {
    /// Replies on this socket.
    // cold: set-up
    pub fn new(socket: UdpSocket) -> Self {
        // Not zeroes: those would be mapped at first touch, in the middle of a measurement.
        Self { socket, buffer: vec![0xFF; SLOT_LEN].into_boxed_slice() }
    }
}

impl Responder for PlainEcho {
    #[inline]
    fn turn(&mut self, filter: &mut impl ReplyFilter, counters: &mut EchoCounters) -> bool {
        for _ in 0..PLAIN_TURN {
            counters.syscalls += 1;
            let (len, from) = match sys::recv_from(&self.socket, &mut self.buffer) {
                Ok(received) => received,
                Err(error) if failed(&error, &self.socket, counters) => return true,
                Err(_) => continue,
            };
            filter.read();
            let mut request = Request {
                payload: &mut self.buffer[..len],
                segment: len.max(1),
                truncated: false,
                from,
                local: None,
                to_many: false,
                group: None,
            };
            counters.count_request(&request);
            if let Some((len, to)) = filter.judge(&mut request).zip(from) {
                let payload = &self.buffer[..len];
                let reply = Reply { payload, segment: len.max(1), to, local: None };
                if !send_reply(&self.socket, reply, counters, send_to) {
                    return false;
                }
            }
        }
        false
    }

    fn send<'a>(
        &mut self,
        replies: impl Iterator<Item = Reply<'a>> + Clone,
        counters: &mut EchoCounters,
    ) {
        send_one_by_one(&self.socket, replies, counters, send_to);
    }

    fn sockets(&mut self) -> &mut [UdpSocket] {
        std::slice::from_mut(&mut self.socket)
    }
}

/// The same on a socket that is bound to any address.
#[derive(Debug)]
pub struct PlainEchoAnywhere {
    socket: UdpSocket,
    inbox: RecvBatch,
    outbox: ReplyBatch,
}

impl PlainEchoAnywhere {
    /// Replies on this socket. Fails if the system does not report destination addresses.
    // cold: set-up
    pub fn new(socket: UdpSocket, ipv6: bool) -> io::Result<Self> {
        sys::enable_pktinfo(&socket, ipv6)?;
        let metadata = RecvMetadata { local: true, ..RecvMetadata::default() };
        let (inbox, outbox) = (RecvBatch::new(1, SLOT_LEN, metadata), ReplyBatch::new(1));
        Ok(Self { socket, inbox, outbox })
    }
}

impl Responder for PlainEchoAnywhere {
    #[inline]
    fn turn(&mut self, filter: &mut impl ReplyFilter, counters: &mut EchoCounters) -> bool {
        let Self { socket, inbox, outbox } = self;
        for _ in 0..PLAIN_TURN {
            counters.syscalls += 1;
            inbox.restart();
            match inbox.recv_one(socket) {
                Ok(()) => {}
                Err(error) if failed(&error, socket, counters) => return true,
                Err(_) => continue,
            }
            filter.read();
            let Some(request) = inbox.lone_request() else { continue };
            if !return_one(socket, request, outbox, filter, counters) {
                return false;
            }
        }
        false
    }

    fn send<'a>(
        &mut self,
        replies: impl Iterator<Item = Reply<'a>> + Clone,
        counters: &mut EchoCounters,
    ) {
        let Self { socket, outbox, .. } = self;
        send_one_by_one(socket, replies, counters, |socket, reply| outbox.send_one(socket, reply));
    }

    fn sockets(&mut self) -> &mut [UdpSocket] {
        std::slice::from_mut(&mut self.socket)
    }
}

#[inline]
fn send_to(socket: &UdpSocket, reply: Reply<'_>) -> io::Result<()> {
    sys::send_to(socket, reply.payload, reply.to).map(drop)
}

/// Counts a failed receive call, and returns whether the queue was empty. Otherwise it is an error
/// for an earlier reply, or its own; a signal is neither.
#[inline]
pub(super) fn failed(error: &io::Error, socket: &UdpSocket, counters: &mut EchoCounters) -> bool {
    match error.kind() {
        io::ErrorKind::WouldBlock => counters.empty += 1,
        io::ErrorKind::Interrupted => {}
        _ => count_error(error, socket, counters),
    }
    error.kind() == io::ErrorKind::WouldBlock
}

fn count_error(error: &io::Error, socket: &UdpSocket, counters: &mut EchoCounters) {
    let (queued, _) = sys::drain_error_queue(socket);
    counters.queued_errors += queued;
    if queued == 0 {
        // Where what is to be received fills the socket, the queue of errors has no room.
        let unreachable = sys::send_error_of(error).unreachable().is_some();
        *(if unreachable { &mut counters.queued_errors } else { &mut counters.errors }) += 1;
    }
}

/// Returns what `filter` selects of a lone request; whether the socket takes more.
#[inline]
pub(super) fn return_one(
    socket: &UdpSocket,
    mut request: Request<'_>,
    outbox: &mut ReplyBatch,
    filter: &mut impl ReplyFilter,
    counters: &mut EchoCounters,
) -> bool {
    counters.count_request(&request);
    let Some(len) = filter.judge(&mut request) else { return true };
    let Request { payload, segment, from: Some(to), local, .. } = request else { return true };
    let reply = Reply { payload: &payload[..len], segment, to, local };
    if len > segment {
        send_replies(outbox, socket, std::iter::once(reply), counters);
        return true;
    }
    send_reply(socket, reply, counters, |socket, reply| outbox.send_one(socket, reply))
}

/// Sends one; whether the socket takes more.
#[inline]
pub(in crate::engine) fn send_reply(
    socket: &UdpSocket,
    reply: Reply<'_>,
    counters: &mut EchoCounters,
    mut send: impl FnMut(&UdpSocket, Reply<'_>) -> io::Result<()>,
) -> bool {
    let mut fresh = true;
    loop {
        counters.syscalls += 1;
        let Err(error) = send(socket, reply) else {
            counters.count_reply(&reply);
            return true;
        };
        match classify_failure(&error, socket, &reply, &mut fresh, counters) {
            Next::Again => {}
            Next::Stop => return false,
            Next::Pass | Next::Cut => return true,
        }
    }
}

pub(in crate::engine) fn send_one_by_one<'a>(
    socket: &UdpSocket,
    mut replies: impl Iterator<Item = Reply<'a>>,
    counters: &mut EchoCounters,
    mut send: impl FnMut(&UdpSocket, Reply<'_>) -> io::Result<()>,
) {
    while let Some(reply) = replies.next() {
        if !send_reply(socket, reply, counters, &mut send) {
            replies.for_each(|reply| counters.count_refusal(SendError::WouldBlock, &reply));
            return;
        }
    }
}
