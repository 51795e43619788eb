//! sendmmsg(2) and recvmmsg(2): many messages per call, with their control messages.
#![allow(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use super::calls;
use super::cmsg::{Addr, Control, Metadata, NO_ADDR, address_of, write_addr};
use crate::sys::stable_memory::StableSlice;
use crate::sys::{RecvMessage, RecvMetadata, Request};

/// Bytes of the control messages of a datagram: `CMSG_SPACE` of a timespec (32), an int (24),
/// in_pktinfo (32) and in6_pktinfo (40), and a spare int.
const CONTROL_LEN: usize = 152;

/// `CMSG_SPACE` of a 64-bit time of departure.
const DEPARTURE_LEN: usize = 24;

pub(super) const EMPTY: libc::mmsghdr = libc::mmsghdr {
    // SAFETY: plain old data, for which zeroes are valid: no address, iovecs or control messages.
    msg_hdr: unsafe { std::mem::zeroed() },
    msg_len: 0,
};

pub(super) const NO_IOVEC: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };

/// The headers of one sendmmsg(2).
///
/// # Aliasing
/// The headers point to the iovecs and the address through [`StableSlice::at`], so they stay valid
/// when the batch moves. The pointers to the payloads are set before each call.
#[derive(Debug)]
pub struct SendBatch {
    messages: StableSlice<libc::mmsghdr>,
    iovecs: StableSlice<libc::iovec>,
    /// The destination; `None` for a connected socket. Only the kernel reads it.
    _to: Option<StableSlice<Addr>>,
    /// Times of departure (`SCM_TXTIME`), one per message; `None`: at once.
    departures: Option<StableSlice<Control<DEPARTURE_LEN>>>,
}

impl SendBatch {
    /// For `messages` per call, to `to` or to the peer of a connected socket.
    pub fn new(messages: usize, to: Option<SocketAddr>) -> Self {
        let to = to.map(|to| {
            let mut addr = NO_ADDR;
            let len = write_addr(&mut addr, to);
            (StableSlice::new(addr, 1), len)
        });
        let iovecs = StableSlice::new(NO_IOVEC, messages);
        let mut headers = StableSlice::new(EMPTY, messages);
        for (number, message) in headers.iter_mut().enumerate() {
            let header = &mut message.msg_hdr;
            if let Some((to, len)) = &to {
                (header.msg_name, header.msg_namelen) = (to.at(0).cast(), *len);
            }
            (header.msg_iov, header.msg_iovlen) = (iovecs.at(number), 1);
        }
        Self { messages: headers, iovecs, _to: to.map(|(to, _)| to), departures: None }
    }

    /// The same with a time of departure for each message, set by [`Self::set_departure`]. The
    /// socket needs [`crate::sys::enable_departures`].
    #[must_use]
    pub fn with_departures(mut self) -> Self {
        let departures = StableSlice::new(Control([0; DEPARTURE_LEN]), self.messages.len());
        for (number, message) in self.messages.iter_mut().enumerate() {
            message.msg_hdr.msg_control = departures.at(number).cast();
            message.msg_hdr.msg_controllen = DEPARTURE_LEN as _;
        }
        self.departures = Some(departures);
        self
    }

    /// Sets when the message of this index departs, on the clock of its socket.
    #[inline]
    pub fn set_departure(&mut self, message: usize, at_ns: u64) {
        if let Some(departures) = &mut self.departures {
            departures[message].put(0, (libc::SOL_SOCKET, libc::SCM_TXTIME), at_ns);
        }
    }

    /// Sends one message for each payload, as many as there are headers; returns how many were
    /// sent. Fails with the error of the first one; the system does not report the error of a later
    /// one.
    #[inline]
    pub fn send<'a>(
        &mut self,
        socket: &impl AsFd,
        payloads: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<usize> {
        let count = self.fill_headers(payloads);
        let fd = socket.as_fd().as_raw_fd();
        // SAFETY: the first `count` headers point to iovecs of this batch, which live as long as
        // it; these point to the payloads, which are borrowed for this call and only read.
        let sent = unsafe { calls::sendmmsg(fd, self.messages.start(), count) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Sends one message by sendto(2); returns 1.
    #[inline]
    pub fn send_one(&mut self, socket: &impl AsFd, payload: &[u8]) -> io::Result<usize> {
        let Some(libc::mmsghdr { msg_hdr: header, .. }) = self.messages.first() else {
            return Ok(0);
        };
        let (fd, to) = (socket.as_fd().as_raw_fd(), header.msg_name);
        // SAFETY: the payload is borrowed and only read; the header has an address, or none.
        let sent = unsafe { calls::sendto(fd, payload, (to, header.msg_namelen)) };
        usize::try_from(sent).map(|_| 1).map_err(|_| io::Error::last_os_error())
    }

    /// Points the headers to the payloads; returns their number.
    #[inline]
    fn fill_headers<'a>(&mut self, payloads: impl Iterator<Item = &'a [u8]>) -> libc::c_uint {
        let mut count = 0;
        for (iovec, payload) in self.iovecs.iter_mut().zip(payloads) {
            iovec.iov_base = payload.as_ptr().cast_mut().cast();
            iovec.iov_len = payload.len();
            count += 1;
        }
        count
    }
}

/// The headers and buffers of one recvmmsg(2).
///
/// # Aliasing
/// All pointers come from [`StableSlice::at`], so they stay valid when the batch moves. The kernel
/// follows them only during a call that borrows the batch mutably.
#[derive(Debug)]
pub struct RecvBatch {
    messages: StableSlice<libc::mmsghdr>,
    /// Only the kernel reads them.
    _iovecs: StableSlice<libc::iovec>,
    addrs: StableSlice<Addr>,
    controls: StableSlice<Control<CONTROL_LEN>>,
    bytes: StableSlice<u8>,
    slot_len: usize,
    control_len: usize,
    received: usize,
}

impl RecvBatch {
    /// `slots` buffers of `slot_len` bytes each, with this metadata.
    pub fn new(slots: usize, slot_len: usize, metadata: RecvMetadata) -> Self {
        // Zeroes would be mapped at the first access, during a measurement.
        let bytes = StableSlice::new(0xFF, slots * slot_len);
        let addrs = StableSlice::new(NO_ADDR, slots);
        let controls = StableSlice::new(Control([0; CONTROL_LEN]), slots);
        let mut iovecs = StableSlice::new(NO_IOVEC, slots);
        let mut messages = StableSlice::new(EMPTY, slots);
        let control_len = if metadata == RecvMetadata::default() { 0 } else { CONTROL_LEN };
        for (slot, message) in messages.iter_mut().enumerate() {
            if slot_len > 0 {
                let iov_base = bytes.at(slot * slot_len).cast();
                iovecs[slot] = libc::iovec { iov_base, iov_len: slot_len };
            }
            let header = &mut message.msg_hdr;
            (header.msg_iov, header.msg_iovlen) = (iovecs.at(slot), 1);
            header.msg_name = addrs.at(slot).cast();
            header.msg_control = controls.at(slot).cast();
        }
        let received = slots;
        Self { messages, _iovecs: iovecs, addrs, controls, bytes, slot_len, control_len, received }
    }

    /// Maximum messages per call.
    #[inline]
    pub fn slots(&self) -> usize {
        self.messages.len()
    }

    /// Receives no addresses of senders from now on, so that the kernel copies none.
    pub fn omit_senders(&mut self) {
        self.addrs.fill(NO_ADDR);
        self.messages.iter_mut().for_each(|one| one.msg_hdr.msg_name = std::ptr::null_mut());
    }

    /// Discards received messages, and also receives control messages from now on.
    pub fn start_controls(&mut self) {
        (self.control_len, self.received) = (CONTROL_LEN, self.messages.len());
        self.restart();
    }

    /// Discards received messages, and restores the lengths in their headers, which the kernel has
    /// reduced to what it wrote.
    #[inline]
    pub fn restart(&mut self) {
        for message in &mut self.messages[..self.received] {
            let header = &mut message.msg_hdr;
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_controllen = self.control_len as _;
        }
        self.received = 0;
    }

    /// Receives available messages without waiting; returns how many. On an error, none.
    #[inline]
    pub fn recv(&mut self, socket: &impl AsFd) -> io::Result<usize> {
        self.restart();
        let (fd, slots) = (socket.as_fd().as_raw_fd(), self.messages.len() as libc::c_uint);
        let messages = self.messages.start();
        // SAFETY: all headers point to iovecs, controls and bytes, and to an address or none, that
        // live as long as this batch, with their lengths; nothing borrows them during the call.
        let received = unsafe { calls::recvmmsg(fd, messages, slots) };
        self.received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        Ok(self.received)
    }

    /// Receives one more message by a single call, after those received since [`Self::restart`].
    /// WouldBlock also means that all buffers are in use.
    #[inline]
    pub fn recv_one(&mut self, socket: &impl AsFd) -> io::Result<()> {
        let Some(message) = self.messages.get_mut(self.received) else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let (fd, header) = (socket.as_fd().as_raw_fd(), &mut message.msg_hdr);
        // SAFETY: as in `recv`, for this header alone.
        let len = unsafe {
            if self.control_len > 0 {
                calls::recvmsg(fd, header)
            } else {
                calls::recvfrom_header(fd, header)
            }
        };
        message.msg_len = u32::try_from(len).map_err(|_| io::Error::last_os_error())?;
        self.received += 1;
        Ok(())
    }

    /// The received messages in order of arrival.
    #[inline]
    pub fn messages(&self) -> impl Iterator<Item = RecvMessage<'_>> {
        let slots = self.bytes.chunks_exact(self.slot_len).zip(self.controls.iter());
        self.messages[..self.received].iter().zip(slots).map(|(message, (slot, control))| {
            let len = (message.msg_len as usize).min(self.slot_len);
            let cut = libc::MSG_TRUNC | libc::MSG_CTRUNC;
            let Metadata { segment, stamp_ns, .. } = parse_metadata(&message.msg_hdr, control);
            RecvMessage {
                payload: &slot[..len],
                segment: segment.unwrap_or_else(|| len.max(1)),
                truncated: message.msg_hdr.msg_flags & cut != 0,
                stamp_ns,
            }
        })
    }

    /// The received messages in order of arrival, with the addresses to reply to.
    #[inline]
    pub fn requests(&mut self) -> impl Iterator<Item = Request<'_>> {
        let slots = self.bytes.chunks_exact_mut(self.slot_len).zip(self.addrs.iter());
        let slots = slots.zip(self.controls.iter());
        let messages = self.messages[..self.received].iter().zip(slots);
        messages.map(|(message, ((slot, addr), control))| request_of(message, slot, addr, control))
    }

    /// The received message as a request, if it is the only one.
    #[inline]
    pub fn lone_request(&mut self) -> Option<Request<'_>> {
        if self.received != 1 {
            return None;
        }
        let slot = self.bytes.get_mut(..self.slot_len)?;
        Some(request_of(self.messages.first()?, slot, self.addrs.first()?, self.controls.first()?))
    }

    /// The sender of the received message of this index.
    #[inline]
    pub fn sender(&self, message: usize) -> Option<SocketAddr> {
        self.addrs[..self.received].get(message).and_then(|addr| address_of(&addr.0))
    }

    /// The first `len` bytes of the buffer of the message with this number.
    #[inline]
    pub fn bytes(&self, message: usize, len: usize) -> &[u8] {
        &self.bytes[message * self.slot_len..][..len]
    }
}

/// The message that was received into this slot.
#[inline]
fn request_of<'a>(
    message: &libc::mmsghdr,
    slot: &'a mut [u8],
    addr: &Addr,
    control: &Control<CONTROL_LEN>,
) -> Request<'a> {
    let len = (message.msg_len as usize).min(slot.len());
    let header = &message.msg_hdr;
    let Metadata { segment, local, to_many, group, .. } = parse_metadata(header, control);
    Request {
        payload: &mut slot[..len],
        segment: segment.unwrap_or_else(|| len.max(1)),
        truncated: header.msg_flags & libc::MSG_TRUNC != 0,
        from: address_of(&addr.0),
        local,
        to_many,
        group,
    }
}

#[inline]
fn parse_metadata(header: &libc::msghdr, control: &Control<CONTROL_LEN>) -> Metadata {
    // The type of this length differs between C libraries.
    #[allow(clippy::unnecessary_cast)]
    let len = header.msg_controllen as usize;
    if len == 0 { Metadata::default() } else { Metadata::parse(&control.0[..len.min(CONTROL_LEN)]) }
}

/// Reads the payload, the address and the control messages of a header like sendmmsg(2), so that
/// Miri can check [`StableSlice`].
///
/// # Safety
/// The pointers of the header are valid, or null with a length of 0.
#[cfg(test)]
pub(super) unsafe fn read_as_kernel(
    header: *const libc::msghdr,
) -> (Vec<u8>, Option<SocketAddr>, Vec<u8>) {
    // SAFETY: the caller's promise.
    unsafe {
        let header = &*header;
        let iovec = &*header.msg_iov;
        let payload = std::slice::from_raw_parts(iovec.iov_base.cast::<u8>(), iovec.iov_len);
        let to = header.msg_name.cast::<Addr>();
        // The type of this length differs between C libraries.
        #[allow(clippy::unnecessary_cast)]
        let len = header.msg_controllen as usize;
        let control = match len {
            0 => &[],
            len => std::slice::from_raw_parts(header.msg_control.cast::<u8>(), len),
        };
        let to = (!to.is_null()).then(|| address_of(&(*to).0)).flatten();
        (payload.to_vec(), to, control.to_vec())
    }
}

#[cfg(test)]
mod tests;
