//! Receiving: one multishot `recvmsg` that never ends and puts each datagram into a buffer of the
//! ring.
//!
//! The ring's memory shows whether datagrams came, so an empty queue costs no system call. The next
//! `io_uring_enter` fetches them, about 32 at a time (`MULTISHOT_MAX_RETRY` of io_uring/net.c).
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsRawFd;

use io_uring::types::{CancelBuilder, RecvMsgOut};
use io_uring::{IoUring, cqueue, opcode, types};
use mio::net::UdpSocket;

use super::super::plain::SLACK;
use super::super::{Pull, Rx, waited};
use super::buffers::{Buffers, GROUP};
use super::ring;
use crate::net::Datagram;
use crate::sys::{self, Request};
use crate::unit::{Nanos, PayloadSize};

/// Default datagrams per pull, as in `batch`. One call brings about half of that.
const BATCH: usize = 64;

/// Maximum datagrams of one call: `MULTISHOT_MAX_RETRY` of the kernel's io_uring/net.c. With so
/// many extra buffers, the kernel never runs out of them.
const CALL_BRINGS: usize = 32;

/// Room for the sender's address: `struct sockaddr_in6` has 28 bytes, and what follows should be
/// aligned for `struct cmsghdr`.
const NAME_LEN: usize = 32;

/// Room for the control messages of one datagram, where there are any: `CMSG_SPACE` of a timespec
/// (32) twice, since the kernel says so where something else has to be cut off.
const CONTROL_LEN: usize = 64;

/// Bytes before the address: `struct io_uring_recvmsg_out` of include/uapi/linux/io_uring.h.
const OUT_LEN: usize = 16;

#[derive(Debug, Clone, Copy, Default)]
struct Pulled {
    buffer: u16,
    len: usize,
    stamp_ns: Option<u64>,
}

/// Receives many datagrams by one call, with their senders' addresses, through a ring.
pub struct UringRx<S: Datagram = UdpSocket> {
    /// Before what it points into: fields are dropped in this order.
    ring: IoUring,
    socket: S,
    inbox: Inbox,
    armed: bool,
    /// When the latest pull ended, on the calendar clock; read where there are timestamps.
    read_ns: Option<u64>,
}

struct Inbox {
    /// How the buffers are divided; the multishot reads it when it is armed.
    layout: Box<libc::msghdr>,
    buffers: Buffers,
    /// The latest pull; as long as a pull takes at most.
    pulled: Box<[Pulled]>,
    datagrams: usize,
    payload_at: usize,
}

impl<S: Datagram> UringRx<S> {
    /// Receives datagrams of this size in the calling thread, at most `batch` per pull. Fails
    /// without a sufficient io_uring, or without wanted timestamps.
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
        let (batch, payload_len) = (batch.unwrap_or(BATCH), size.largest() + SLACK);
        let control_len = if stamps { CONTROL_LEN } else { 0 };
        let buffers = batch + CALL_BRINGS;
        let mut rx = Self::with_layout(socket, payload_len, batch, control_len, buffers)?;
        rx.read_ns = stamps.then_some(0);
        Ok(rx)
    }

    // cold: set-up
    pub(super) fn with_layout(
        socket: S,
        payload_len: usize,
        batch: usize,
        control_len: usize,
        buffers: usize,
    ) -> io::Result<Self> {
        // SAFETY: plain old data, for which zeroes are a valid value: no name, no pieces.
        let mut layout: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        layout.msg_namelen = NAME_LEN as libc::socklen_t;
        layout.msg_controllen = control_len as _;
        let payload_at = OUT_LEN + NAME_LEN + control_len;
        let buffer_len = payload_at + payload_len;
        let count = Buffers::fitting(buffer_len, buffers);
        // Each buffer can have a result, and the end of the multishot has one more.
        let ring = ring(1, usize::from(count) + 1)?;
        let buffers = Buffers::new(&ring, count, buffer_len)?;
        let pulled = vec![Pulled::default(); batch.clamp(1, count.into())].into_boxed_slice();
        let inbox = Inbox { layout, buffers, pulled, datagrams: 0, payload_at };
        Ok(Self { ring, socket, inbox, armed: false, read_ns: None })
    }

    /// Shows each datagram of the latest pull with its number, in order of arrival.
    #[inline]
    pub(super) fn each_request(&mut self, mut visit: impl FnMut(usize, Request<'_>)) {
        let inbox = &mut self.inbox;
        for (number, &pulled) in inbox.pulled[..inbox.datagrams].iter().enumerate() {
            let slot = inbox.buffers.slot_mut(pulled.buffer);
            let out = RecvMsgOut::parse(slot, &inbox.layout);
            let (from, local, _) = out.map_or((None, None, None), |out| {
                sys::parse_msg(out.name_data(), out.control_data())
            });
            let payload = &mut slot[inbox.payload_at..][..pulled.len];
            let segment = pulled.len.max(1);
            let (truncated, to_many) = (false, false);
            visit(
                number,
                Request { payload, segment, truncated, from, local, to_many, group: None },
            );
        }
    }

    #[inline]
    pub(super) fn bytes(&self, number: usize, len: usize) -> &[u8] {
        let slot = self.inbox.buffers.slot(self.inbox.pulled[number].buffer);
        &slot[self.inbox.payload_at..][..len]
    }

    #[inline]
    pub(super) const fn socket(&self) -> &S {
        &self.socket
    }

    /// Whether to enter the kernel: to fetch arrivals, or to arm the multishot.
    #[inline]
    fn has_work(&mut self) -> bool {
        !self.armed || self.ring.submission().taskrun()
    }

    /// Enters the kernel without waiting. A signal is no error.
    #[inline]
    fn enter(&mut self) -> io::Result<()> {
        let mut queue = self.ring.submission();
        if !self.armed && queue.is_empty() {
            let (socket, layout) =
                (types::Fd(self.socket.as_fd().as_raw_fd()), &raw const *self.inbox.layout);
            let receive = opcode::RecvMsgMulti::new(socket, layout, GROUP).build();
            // SAFETY: the kernel copies the layout when it arms the multishot, in the call below;
            // the buffers that it divides are lent to the kernel until it hands them back.
            let queued = unsafe { queue.push(&receive) };
            debug_assert!(queued.is_ok(), "the queue is empty");
        }
        drop(queue);
        let entered = self.ring.submit();
        self.armed = self.ring.submission().is_empty();
        match entered {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(()),
        }
    }
}

impl Inbox {
    #[inline]
    fn take(&mut self, result: &cqueue::Entry, stamped: bool, pull: &mut Pull) {
        match (result.result(), cqueue::buffer_select(result.flags())) {
            (0.., Some(buffer)) => {
                self.pulled[self.datagrams] = self.read(buffer, stamped, pull);
                self.datagrams += 1;
            }
            (code, _) if code == -libc::ENOBUFS => pull.no_buffers += 1,
            (code, _) if code == -libc::EINTR => {}
            (code, _) => pull.add_failure(&io::Error::from_raw_os_error(-code)),
        }
    }

    #[inline]
    fn read(&self, buffer: u16, stamped: bool, pull: &mut Pull) -> Pulled {
        let Ok(out) = RecvMsgOut::parse(self.buffers.slot(buffer), &self.layout) else {
            // Too short for the layout, which no buffer is.
            pull.truncated += 1;
            return Pulled { buffer, ..Pulled::default() };
        };
        let cut = out.is_payload_truncated() || out.is_control_data_truncated();
        pull.truncated += u64::from(cut);
        let stamp_ns = if stamped { sys::parse_msg(&[], out.control_data()).2 } else { None };
        Pulled { buffer, len: out.payload_data().len(), stamp_ns }
    }
}

impl<S: Datagram> Rx for UringRx<S> {
    type Socket = S;

    #[inline]
    fn pull(&mut self) -> Pull {
        self.release();
        let mut pull = Pull::default();
        if self.ring.completion().is_empty() && self.has_work() {
            pull.syscalls = 1;
            pull.errors = u64::from(self.enter().is_err());
        }
        let mut results = self.ring.completion();
        while self.inbox.datagrams < self.inbox.pulled.len()
            && let Some(result) = results.next()
        {
            self.armed &= cqueue::more(result.flags());
            self.inbox.take(&result, self.read_ns.is_some(), &mut pull);
        }
        let all = results.is_empty();
        drop(results);
        self.read_ns = self.read_ns.map(|_| sys::realtime_ns());
        pull.datagrams = self.inbox.datagrams;
        pull.packets = pull.datagrams as u64;
        pull.drained = all && !self.has_work();
        pull
    }

    #[inline]
    fn each(&self, mut visit: impl FnMut(&[u8], Option<Nanos>)) {
        let (inbox, read_ns) = (&self.inbox, self.read_ns.unwrap_or(0));
        for pulled in &inbox.pulled[..inbox.datagrams] {
            let payload = &inbox.buffers.slot(pulled.buffer)[inbox.payload_at..][..pulled.len];
            visit(payload, waited(pulled.stamp_ns, read_ns));
        }
    }

    #[inline]
    fn release(&mut self) {
        let inbox = &mut self.inbox;
        if inbox.datagrams > 0 {
            for pulled in &inbox.pulled[..inbox.datagrams] {
                inbox.buffers.give(pulled.buffer);
            }
            inbox.buffers.publish();
            inbox.datagrams = 0;
        }
    }

    fn sockets(&mut self) -> &mut [S] {
        std::slice::from_mut(&mut self.socket)
    }
}

impl<S: Datagram> Drop for UringRx<S> {
    fn drop(&mut self) {
        // A closed ring releases its sockets only after a while.
        let _ = self.ring.submitter().register_sync_cancel(None, CancelBuilder::any());
        let _ = self.ring.submit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_buffers_datagrams_wait_in_the_socket() {
        const COUNT: usize = 100;
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let to = socket.local_addr().unwrap();
        let socket = UdpSocket::from_std(socket);
        let mut rx = match UringRx::with_layout(socket, 32 + SLACK, 64, 0, 2) {
            Ok(rx) => rx,
            Err(error) => return eprintln!("SKIPPED: {error}"),
        };
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for number in 0..COUNT {
            sender.send_to(&[number as u8; 32], to).unwrap();
        }
        let (mut found, mut no_buffers) = (Vec::new(), 0);
        while found.len() < COUNT {
            let pull = rx.pull();
            assert_eq!(pull.errors, 0);
            no_buffers += pull.no_buffers;
            rx.each(|payload, _| {
                assert!(payload.iter().all(|&byte| byte == payload[0]));
                found.push(usize::from(payload[0]));
            });
            assert!(!pull.drained || found.len() == COUNT, "more is in the socket");
            rx.release();
        }
        assert!(found.into_iter().eq(0..COUNT));
        assert!(no_buffers >= COUNT as u64 / 2 - 1, "each turn takes two: {no_buffers}");
        assert!((0..3).any(|_| rx.pull().drained));
    }

    #[test]
    fn buffers_are_a_power_of_two_and_fit_the_cache() {
        assert_eq!(Buffers::fitting(176, 96), 128);
        assert_eq!(Buffers::fitting(1_584, 96), 128);
        assert_eq!(Buffers::fitting(9_100, 96), 64);
        assert_eq!(Buffers::fitting(65_619, 96), 64);
        assert_eq!(Buffers::fitting(100, 2), 2);
    }
}
