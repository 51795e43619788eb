//! sendmmsg(2) and recvmmsg(2): many messages per call, with their control messages.
#![allow(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use super::cmsg::{Addr, Control, Metadata, NO_ADDR, address_of, write_addr};
use crate::sys::stable_memory::StableSlice;
use crate::sys::{RecvMessage, RecvMetadata, Request};

/// Bytes of the control messages of a datagram: `CMSG_SPACE` of a timespec (32), an int (24),
/// in_pktinfo (32) and in6_pktinfo (40), and a spare int.
const CONTROL_LEN: usize = 152;

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
        Self { messages: headers, iovecs, _to: to.map(|(to, _)| to) }
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
        let sent = unsafe { sendmmsg(fd, self.messages.start(), count) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
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

/// sendmmsg(2) by its number: the function of this name in musl makes a system call per message.
///
/// # Safety
/// `messages` points to `count` headers, with valid pointers and lengths.
#[inline]
pub(super) unsafe fn sendmmsg(
    fd: RawFd,
    messages: *mut libc::mmsghdr,
    count: libc::c_uint,
) -> libc::c_long {
    // SAFETY: the caller's; the kernel only writes the number of sent bytes into each header.
    unsafe { libc::syscall(libc::SYS_sendmmsg, fd, messages, count, 0) }
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
            if control_len > 0 {
                header.msg_control = controls.at(slot).cast();
            }
        }
        let received = slots;
        Self { messages, _iovecs: iovecs, addrs, controls, bytes, slot_len, control_len, received }
    }

    /// Maximum messages per call.
    #[inline]
    pub fn slots(&self) -> usize {
        self.messages.len()
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
        let (messages, no_timeout) = (self.messages.start(), std::ptr::null_mut());
        // SAFETY: all headers point to iovecs, addresses, controls and bytes that live as long as
        // this batch, with their lengths; nothing borrows them during the call.
        let received =
            unsafe { libc::recvmmsg(fd, messages, slots, libc::MSG_DONTWAIT as _, no_timeout) };
        self.received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        Ok(self.received)
    }

    /// Receives one more message by recvmsg(2), after those received since [`Self::restart`].
    /// WouldBlock also means that all buffers are in use.
    #[inline]
    pub fn recv_one(&mut self, socket: &impl AsFd) -> io::Result<()> {
        let Some(message) = self.messages.get_mut(self.received) else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let header = &raw mut message.msg_hdr;
        // SAFETY: as in `recv`, for this header alone.
        let len = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), header, libc::MSG_DONTWAIT) };
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
        let slot_len = self.slot_len;
        let slots = self.bytes.chunks_exact_mut(slot_len).zip(self.addrs.iter());
        let slots = slots.zip(self.controls.iter());
        let messages = self.messages[..self.received].iter().zip(slots);
        messages.map(move |(message, ((slot, addr), control))| {
            let len = (message.msg_len as usize).min(slot_len);
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
        })
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
mod tests {
    use super::*;

    #[test]
    fn headers_to_send_stay_valid_after_moves() {
        for to in [None, Some("127.0.0.1:7"), Some("[::1]:7")] {
            let to = to.map(|to| to.parse().unwrap());
            let mut batch = SendBatch::new(2, to);
            for payloads in [&[&b"abcd"[..], b"xyz", b"beyond"][..], &[b""]] {
                let count = batch.fill_headers(payloads.iter().copied());
                assert_eq!(count as usize, payloads.len().min(2));
                let moved = Box::new(batch);
                for (slot, payload) in payloads.iter().take(2).enumerate() {
                    // SAFETY: the payloads and the batch live.
                    let read =
                        unsafe { read_as_kernel(&raw const (*moved.messages.at(slot)).msg_hdr) };
                    assert_eq!(read, (payload.to_vec(), to, Vec::new()));
                }
                batch = *moved;
            }
        }
    }

    /// Writes to the headers like recvmmsg(2), so that Miri can check [`StableSlice`].
    fn write_as_kernel(batch: &mut RecvBatch, payloads: &[&[u8]]) {
        batch.restart();
        for (slot, payload) in payloads.iter().enumerate() {
            let message = batch.messages.at(slot);
            let mut control = Control([0; CONTROL_LEN]);
            let len = control.put(0, (libc::SOL_UDP, libc::UDP_GRO), 2);
            let mut addr = NO_ADDR;
            write_addr(&mut addr, SocketAddr::from(([127, 0, 0, 1], 7)));
            // SAFETY: the headers point to buffers of the batch, which outlive this call.
            unsafe {
                let header = &raw mut (*message).msg_hdr;
                let to = (*(*header).msg_iov).iov_base.cast::<u8>();
                to.copy_from_nonoverlapping(payload.as_ptr(), payload.len());
                (*header).msg_name.cast::<Addr>().write(addr);
                (*header).msg_control.cast::<Control<CONTROL_LEN>>().write(control);
                (*header).msg_controllen = len as _;
                (*message).msg_len = payload.len() as u32;
            }
        }
        batch.received = payloads.len();
    }

    #[test]
    fn header_pointers_stay_valid_after_moves() {
        let metadata = RecvMetadata { segments: true, ..RecvMetadata::default() };
        let mut batch = RecvBatch::new(2, 4, metadata);
        for payloads in [[&b"abcd"[..], b"xyz"], [b"12", b"3"]] {
            write_as_kernel(&mut batch, &payloads);
            let mut moved = Box::new(batch);
            let seen: Vec<_> = moved.messages().map(|m| (m.payload.to_vec(), m.segment)).collect();
            assert_eq!(seen, payloads.map(|payload| (payload.to_vec(), 2)));
            for request in moved.requests() {
                assert_eq!(request.from, Some(SocketAddr::from(([127, 0, 0, 1], 7))));
                request.payload.fill(0);
            }
            batch = *moved;
        }
    }
}
