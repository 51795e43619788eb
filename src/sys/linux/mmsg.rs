//! sendmmsg(2) and recvmmsg(2): many messages a call, with the control messages of UDP offload and
//! of receive timestamps.
#![allow(unsafe_code)]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};

use socket2::SockAddr;

use crate::sys::{LocalAddr, RecvMessage, Request, Wants};

/// `SOL_UDP` of `include/linux/socket.h`, the level of UDP's own control messages.
pub(super) const SOL_UDP: libc::c_int = 17;

/// Room for the control messages of one datagram: a timestamp (32 bytes), a segment size (24) and
/// the address it was sent to (32, and 40 of IPv6), aligned as `struct cmsghdr` demands.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_LEN]);

/// `CMSG_SPACE` of a timespec (32), of an int (24), of in_pktinfo (32) and in6_pktinfo (40), and as
/// much to spare as one more int takes.
const CONTROL_LEN: usize = 152;

/// A message header without anything.
pub(super) const EMPTY: libc::mmsghdr = libc::mmsghdr {
    // SAFETY: plain old data, for which zeroes are a valid value: no name, no pieces, no control.
    msg_hdr: unsafe { std::mem::zeroed() },
    msg_len: 0,
};

/// A piece of memory without any.
pub(super) const NO_PIECE: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };

/// The headers of one sendmmsg(2), made once.
#[derive(Debug)]
pub struct SendBatch {
    messages: Box<[libc::mmsghdr]>,
    pieces: Box<[libc::iovec]>,
    /// Where all messages go; pointed to by the headers, so it stays where it is.
    _to: Option<Box<SockAddr>>,
}

impl SendBatch {
    /// For so many messages a call, to `to`, or where the socket is connected.
    #[must_use]
    pub fn new(messages: usize, to: Option<SocketAddr>) -> Self {
        let to = to.map(|to| Box::new(SockAddr::from(to)));
        let mut pieces = vec![NO_PIECE; messages].into_boxed_slice();
        let header = |piece: &mut libc::iovec| {
            let mut message = EMPTY;
            if let Some(to) = &to {
                message.msg_hdr.msg_name = to.as_ptr().cast_mut().cast();
                message.msg_hdr.msg_namelen = to.len();
            }
            (message.msg_hdr.msg_iov, message.msg_hdr.msg_iovlen) = (std::ptr::from_mut(piece), 1);
            message
        };
        let messages = pieces.iter_mut().map(header).collect();
        Self { messages, pieces, _to: to }
    }

    /// Sends one message for each payload, as many as there are headers; returns how many left.
    ///
    /// # Errors
    /// Why the first one did not. Where a later one does not, the system does not say why.
    #[inline]
    pub fn send<'a>(
        &mut self,
        socket: &impl AsFd,
        payloads: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<usize> {
        let mut count = 0;
        for (piece, payload) in self.pieces.iter_mut().zip(payloads) {
            piece.iov_base = payload.as_ptr().cast_mut().cast();
            piece.iov_len = payload.len();
            count += 1;
        }
        let fd = socket.as_fd().as_raw_fd();
        // SAFETY: the first `count` headers point to pieces of this batch, whose heap memory never
        // moves; those point to the payloads, which are borrowed for this call and only read.
        let sent = unsafe { libc::sendmmsg(fd, self.messages.as_mut_ptr(), count, 0) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// The headers and buffers of one recvmmsg(2), made once.
#[derive(Debug)]
pub struct RecvBatch {
    messages: Box<[libc::mmsghdr]>,
    pieces: Box<[libc::iovec]>,
    names: Box<[libc::sockaddr_storage]>,
    controls: Box<[Control]>,
    bytes: Vec<u8>,
    slot_len: usize,
    control_len: usize,
    /// Headers that the latest call has written to.
    received: usize,
}

impl RecvBatch {
    /// So many buffers of `slot_len` bytes each, with what is wanted beside the payload.
    #[must_use]
    pub fn new(slots: usize, slot_len: usize, wants: Wants) -> Self {
        // SAFETY: plain old data, for which zeroes are a valid value.
        let no_name: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        let mut batch = Self {
            messages: vec![EMPTY; slots].into_boxed_slice(),
            pieces: vec![NO_PIECE; slots].into_boxed_slice(),
            names: vec![no_name; slots].into_boxed_slice(),
            controls: vec![Control([0; CONTROL_LEN]); slots].into_boxed_slice(),
            // Not zeroes: those would be mapped at first touch, in the middle of a measurement.
            bytes: vec![0xFF; slots * slot_len],
            slot_len,
            control_len: if wants == Wants::default() { 0 } else { CONTROL_LEN },
            received: 0,
        };
        let chunks = batch.bytes.chunks_exact_mut(slot_len);
        let parts = batch.pieces.iter_mut().zip(&mut batch.names).zip(&mut batch.controls);
        for ((message, ((piece, name), control)), chunk) in
            batch.messages.iter_mut().zip(parts).zip(chunks)
        {
            (piece.iov_base, piece.iov_len) = (chunk.as_mut_ptr().cast(), slot_len);
            let header = &mut message.msg_hdr;
            (header.msg_iov, header.msg_iovlen) = (std::ptr::from_mut(piece), 1);
            header.msg_name = std::ptr::from_mut(name).cast();
            if batch.control_len > 0 {
                header.msg_control = std::ptr::from_mut(control).cast();
            }
        }
        batch.received = slots;
        batch
    }

    /// How many messages one call takes at most.
    #[inline]
    #[must_use]
    pub const fn slots(&self) -> usize {
        self.messages.len()
    }

    /// Gives the headers that were written to their room back: the kernel shrinks what it is
    /// offered to what it used.
    #[inline]
    fn offer(&mut self) {
        for message in &mut self.messages[..self.received] {
            let header = &mut message.msg_hdr;
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_controllen = self.control_len;
        }
        self.received = 0;
    }

    /// Receives what there is, without waiting; returns how many messages there are.
    ///
    /// # Errors
    /// What recvmmsg(2) says; nothing was received then.
    #[inline]
    pub fn recv(&mut self, socket: &impl AsFd) -> io::Result<usize> {
        self.offer();
        let (fd, slots) = (socket.as_fd().as_raw_fd(), self.messages.len() as libc::c_uint);
        let (messages, no_timeout) = (self.messages.as_mut_ptr(), std::ptr::null_mut());
        // SAFETY: all headers point to pieces, names, controls and bytes of this batch, on the heap
        // where they never move, with their true lengths; nobody else looks at them meanwhile.
        let received =
            unsafe { libc::recvmmsg(fd, messages, slots, libc::MSG_DONTWAIT, no_timeout) };
        self.received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        Ok(self.received)
    }

    /// Receives one more message by a recvmsg(2) of its own, after those received so far;
    /// [`Self::restart`] begins anew.
    ///
    /// # Errors
    /// What recvmsg(2) says; WouldBlock, too, where all buffers are in use.
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

    /// Forgets what was received, before the next [`Self::recv_one`].
    #[inline]
    pub fn restart(&mut self) {
        self.offer();
    }

    /// What was received, in order of arrival.
    #[inline]
    pub fn messages(&self) -> impl Iterator<Item = RecvMessage<'_>> {
        let slots = self.bytes.chunks_exact(self.slot_len);
        self.messages[..self.received].iter().zip(slots).map(|(message, slot)| {
            let len = (message.msg_len as usize).min(self.slot_len);
            let cut = libc::MSG_TRUNC | libc::MSG_CTRUNC;
            let mut found = RecvMessage {
                payload: &slot[..len],
                segment: len.max(1),
                truncated: message.msg_hdr.msg_flags & cut != 0,
                stamp_ns: None,
                local: None,
                to_many: false,
            };
            if message.msg_hdr.msg_controllen > 0 {
                read_control(&message.msg_hdr, &mut found);
            }
            found
        })
    }

    /// What was received, in order of arrival, with what it takes to answer.
    #[inline]
    pub fn requests(&mut self) -> impl Iterator<Item = Request<'_>> {
        let slot_len = self.slot_len;
        let slots = self.bytes.chunks_exact_mut(slot_len).zip(&self.names);
        self.messages[..self.received].iter().zip(slots).map(move |(message, (slot, name))| {
            let len = (message.msg_len as usize).min(slot_len);
            let header = &message.msg_hdr;
            let cut = header.msg_flags & libc::MSG_TRUNC != 0;
            let mut found = RecvMessage {
                payload: &[],
                segment: len.max(1),
                truncated: cut,
                stamp_ns: None,
                local: None,
                to_many: false,
            };
            if header.msg_controllen > 0 {
                read_control(header, &mut found);
            }
            let RecvMessage { segment, truncated, local, to_many, .. } = found;
            let from = address_of(name);
            Request { payload: &mut slot[..len], segment, truncated, from, local, to_many }
        })
    }

    /// The first `len` bytes of the buffer of the message with this number.
    #[inline]
    #[must_use]
    pub fn bytes(&self, message: usize, len: usize) -> &[u8] {
        &self.bytes[message * self.slot_len..][..len]
    }
}

/// The address in a name that the kernel has written; `None` where it is of another family.
#[inline]
pub(super) fn address_of(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match libc::c_int::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says what it is, and the storage is large and aligned enough.
            let v4 = unsafe { &*std::ptr::from_ref(name).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*std::ptr::from_ref(name).cast::<libc::sockaddr_in6>() };
            let (ip, port) = (Ipv6Addr::from(v6.sin6_addr.s6_addr), u16::from_be(v6.sin6_port));
            Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// Who sent a message, and where an answer should leave from, by the name and the control messages
/// that the kernel has written; those must be aligned as `struct cmsghdr` is.
#[inline]
#[must_use]
pub fn envelope(name: &[u8], control: &[u8]) -> (Option<SocketAddr>, Option<LocalAddr>) {
    // SAFETY: plain old data, for which zeroes are a valid value.
    let (mut storage, mut header): (libc::sockaddr_storage, libc::msghdr) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    let len = name.len().min(size_of_val(&storage));
    // SAFETY: both are at least `len` bytes long, and any bytes are a valid storage.
    unsafe {
        std::ptr::copy_nonoverlapping(name.as_ptr(), (&raw mut storage).cast::<u8>(), len);
    }
    let mut found = RecvMessage {
        payload: &[],
        segment: 1,
        truncated: false,
        stamp_ns: None,
        local: None,
        to_many: false,
    };
    if !control.is_empty() {
        header.msg_control = control.as_ptr().cast_mut().cast();
        header.msg_controllen = control.len() as _;
        read_control(&header, &mut found);
    }
    (address_of(&storage), found.local)
}

/// Where an answer may leave from: not from the address of a multicast group, and by a certain
/// device only where the address means nothing without.
fn local_v6(info: &libc::in6_pktinfo) -> Option<LocalAddr> {
    let ip = Ipv6Addr::from(info.ipi6_addr.s6_addr);
    // Of IPv4 the other message tells more.
    if ip.is_multicast() || ip.to_ipv4_mapped().is_some() {
        return None;
    }
    let device = if ip.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
    Some(LocalAddr { ip: IpAddr::V6(ip), device })
}

/// Reads the control messages that came with a datagram.
#[inline]
fn read_control(header: &libc::msghdr, found: &mut RecvMessage<'_>) {
    // SAFETY: the kernel has filled the control buffer of this header and set its length; the
    // macros stay within it, and the data is copied out as bytes, whatever its alignment.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(header);
        while let Some(control) = at.as_ref() {
            let data = libc::CMSG_DATA(control);
            match (control.cmsg_level, control.cmsg_type) {
                (SOL_UDP, libc::UDP_GRO) => {
                    let segment: libc::c_int = data.cast::<libc::c_int>().read_unaligned();
                    found.segment = usize::try_from(segment).unwrap_or(0).max(1);
                }
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    let time: libc::timespec = data.cast::<libc::timespec>().read_unaligned();
                    found.stamp_ns = Some(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64);
                }
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info: libc::in_pktinfo = data.cast::<libc::in_pktinfo>().read_unaligned();
                    let ip = Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes());
                    // Of what came before it was asked for, the kernel does not know
                    // (`ipv4_pktinfo_prepare`, net/ipv4/ip_sockglue.c).
                    if !ip.is_unspecified() {
                        found.local = Some(LocalAddr { ip: IpAddr::V4(ip), device: 0 });
                        // Of one address, the two are the same (ip(7)).
                        found.to_many = info.ipi_addr.s_addr != info.ipi_spec_dst.s_addr;
                    }
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info: libc::in6_pktinfo = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    found.local = local_v6(&info).or(found.local);
                    found.to_many |= Ipv6Addr::from(info.ipi6_addr.s6_addr).is_multicast();
                }
                _ => {}
            }
            at = libc::CMSG_NXTHDR(header, control);
        }
    }
}
