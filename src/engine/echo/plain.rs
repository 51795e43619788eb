//! Two system calls a datagram: `recv_from` and `send_to`; or `recvmsg` and `sendmsg`, where the
//! socket is bound to any address, so that the answer leaves from where the request was sent to.

use std::io;

use mio::net::UdpSocket;

use super::post::{Next, weigh};
use super::{EchoCounters, PLAIN_TURN, ReplyFilter, Responder, SLOT_LEN};
use crate::sys::{self, RecvBatch, RecvMetadata, Reply, ReplyBatch, Request, SendError};

/// Returns each datagram before it reads the next one.
#[derive(Debug)]
pub struct PlainEcho {
    socket: UdpSocket,
    buffer: Box<[u8]>,
}

impl PlainEcho {
    /// Answers on this socket.
    #[must_use]
    // cold: set-up
    pub fn new(socket: UdpSocket) -> Self {
        // Not zeroes: those would be mapped at first touch, in the middle of a measurement.
        Self { socket, buffer: vec![0xFF; SLOT_LEN].into_boxed_slice() }
    }
}

impl Responder for PlainEcho {
    #[inline]
    fn turn(&mut self, judge: &mut impl ReplyFilter, moved: &mut EchoCounters) -> bool {
        for _ in 0..PLAIN_TURN {
            moved.syscalls += 1;
            let (len, from) = match self.socket.recv_from(&mut self.buffer) {
                Ok((len, from)) => (len, from),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    moved.empty += 1;
                    return true;
                }
                Err(error) => {
                    failed(&error, &self.socket, moved);
                    continue;
                }
            };
            judge.read();
            let mut request = Request {
                payload: &mut self.buffer[..len],
                segment: len.max(1),
                truncated: false,
                from: Some(from),
                local: None,
                to_many: false,
            };
            moved.came(&request);
            if let Some(len) = judge.judge(&mut request) {
                let payload = &self.buffer[..len];
                let reply = Reply { payload, segment: len.max(1), to: from, local: None };
                let sent = each(&self.socket, reply, moved, |socket, reply| {
                    socket.send_to(reply.payload, reply.to).map(|_| ())
                });
                if !sent {
                    return false;
                }
            }
        }
        false
    }

    fn send<'a>(
        &mut self,
        replies: impl Iterator<Item = Reply<'a>> + Clone,
        moved: &mut EchoCounters,
    ) {
        one_by_one(&self.socket, replies, moved, |socket, reply| {
            socket.send_to(reply.payload, reply.to).map(|_| ())
        });
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
    /// Answers on this socket, whose family is given.
    ///
    /// # Errors
    /// Where the system does not tell where datagrams were sent to.
    // cold: set-up
    pub fn new(socket: UdpSocket, ipv6: bool) -> io::Result<Self> {
        sys::enable_pktinfo(&socket, ipv6)?;
        let wants = RecvMetadata { local: true, ..RecvMetadata::default() };
        let (inbox, outbox) = (RecvBatch::new(1, SLOT_LEN, wants), ReplyBatch::new(1));
        Ok(Self { socket, inbox, outbox })
    }
}

impl Responder for PlainEchoAnywhere {
    #[inline]
    fn turn(&mut self, judge: &mut impl ReplyFilter, moved: &mut EchoCounters) -> bool {
        let Self { socket, inbox, outbox } = self;
        for _ in 0..PLAIN_TURN {
            moved.syscalls += 1;
            inbox.restart();
            match inbox.recv_one(socket) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    moved.empty += 1;
                    return true;
                }
                Err(error) => {
                    failed(&error, socket, moved);
                    continue;
                }
            }
            judge.read();
            let Some(mut request) = inbox.requests().next() else { continue };
            moved.came(&request);
            let Some(len) = judge.judge(&mut request) else { continue };
            let Request { payload, from: Some(to), local, .. } = request else { continue };
            let reply = Reply { payload: &payload[..len], segment: len.max(1), to, local };
            if !each(socket, reply, moved, |socket, reply| outbox.send_one(socket, reply)) {
                return false;
            }
        }
        false
    }

    fn send<'a>(
        &mut self,
        replies: impl Iterator<Item = Reply<'a>> + Clone,
        moved: &mut EchoCounters,
    ) {
        let Self { socket, outbox, .. } = self;
        one_by_one(socket, replies, moved, |socket, reply| outbox.send_one(socket, reply));
    }

    fn sockets(&mut self) -> &mut [UdpSocket] {
        std::slice::from_mut(&mut self.socket)
    }
}

/// Takes note of a receive call that failed: an error that came back for an earlier answer, or one
/// of its own. A signal is neither.
// cold: an error
pub(super) fn failed(error: &io::Error, socket: &UdpSocket, moved: &mut EchoCounters) {
    if error.kind() == io::ErrorKind::Interrupted {
        return;
    }
    let (queued, _) = sys::drain_error_queue(socket);
    moved.told += queued;
    if queued == 0 {
        // Where what is to be received fills the socket, the queue of errors has no room.
        let told = sys::refusal_of(error).unreachable().is_some();
        *(if told { &mut moved.told } else { &mut moved.errors }) += 1;
    }
}

/// Sends one; whether there is room for more.
#[inline]
pub(in crate::engine) fn each(
    socket: &UdpSocket,
    reply: Reply<'_>,
    moved: &mut EchoCounters,
    mut send: impl FnMut(&UdpSocket, Reply<'_>) -> io::Result<()>,
) -> bool {
    let mut fresh = true;
    loop {
        moved.syscalls += 1;
        let Err(error) = send(socket, reply) else {
            moved.went(&reply);
            return true;
        };
        match weigh(&error, socket, &reply, &mut fresh, moved) {
            Next::Again => {}
            Next::Stop => return false,
            Next::Pass | Next::Cut => return true,
        }
    }
}

/// Sends all, until there is no room.
pub(in crate::engine) fn one_by_one<'a>(
    socket: &UdpSocket,
    mut replies: impl Iterator<Item = Reply<'a>>,
    moved: &mut EchoCounters,
    mut send: impl FnMut(&UdpSocket, Reply<'_>) -> io::Result<()>,
) {
    while let Some(reply) = replies.next() {
        if !each(socket, reply, moved, &mut send) {
            replies.for_each(|reply| moved.refuse(SendError::WouldBlock, &reply));
            return;
        }
    }
}
