//! sendmmsg(2) and sendmsg(2) to an address a message, from an address a message, each cut into
//! datagrams of its own length.
#![allow(unsafe_code)]

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

use super::mmsg::{EMPTY, NO_PIECE, SOL_UDP};
use crate::sys::{LocalAddr, Reply};

/// Room for the control messages of one answer, aligned as `struct cmsghdr` demands.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_LEN]);

/// `CMSG_SPACE` of a segment size (24) and of in6_pktinfo (40).
const CONTROL_LEN: usize = 64;

/// The headers of one sendmmsg(2) to as many addresses, made once.
#[derive(Debug)]
pub struct ReplyBatch {
    messages: Box<[libc::mmsghdr]>,
    pieces: Box<[libc::iovec]>,
    names: Box<[libc::sockaddr_storage]>,
    controls: Box<[Control]>,
}

impl ReplyBatch {
    /// For so many messages a call.
    #[must_use]
    pub fn new(messages: usize) -> Self {
        // SAFETY: plain old data, for which zeroes are a valid value.
        let no_name: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
        let mut batch = Self {
            messages: vec![EMPTY; messages].into_boxed_slice(),
            pieces: vec![NO_PIECE; messages].into_boxed_slice(),
            names: vec![no_name; messages].into_boxed_slice(),
            controls: vec![Control([0; CONTROL_LEN]); messages].into_boxed_slice(),
        };
        let parts = batch.pieces.iter_mut().zip(&mut batch.names).zip(&mut batch.controls);
        for (message, ((piece, name), control)) in batch.messages.iter_mut().zip(parts) {
            let header = &mut message.msg_hdr;
            (header.msg_iov, header.msg_iovlen) = (std::ptr::from_mut(piece), 1);
            header.msg_name = std::ptr::from_mut(name).cast();
            header.msg_control = std::ptr::from_mut(control).cast();
        }
        batch
    }

    /// Sends these, as many as there are headers; returns how many those were, and how many left.
    ///
    /// # Errors
    /// Why the first one did not. Where a later one does not, the system does not say why.
    #[inline]
    pub fn send<'a>(
        &mut self,
        socket: &impl AsFd,
        replies: impl Iterator<Item = Reply<'a>>,
    ) -> io::Result<(usize, usize)> {
        let count = self.lay(replies);
        let fd = socket.as_fd().as_raw_fd();
        // SAFETY: the first `count` headers point to pieces, names and controls of this batch,
        // whose heap memory never moves; the pieces point to the payloads, which are borrowed for
        // this call and only read.
        let sent = unsafe { libc::sendmmsg(fd, self.messages.as_mut_ptr(), count as _, 0) };
        let sent = usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
        Ok((count, sent))
    }

    /// Sends one by a sendmsg(2).
    ///
    /// # Errors
    /// What sendmsg(2) says.
    #[inline]
    pub fn send_one(&mut self, socket: &impl AsFd, reply: Reply<'_>) -> io::Result<()> {
        self.lay(std::iter::once(reply));
        let Some(message) = self.messages.first() else { return Ok(()) };
        // SAFETY: as in `send`, for this header alone.
        let sent =
            unsafe { libc::sendmsg(socket.as_fd().as_raw_fd(), &raw const message.msg_hdr, 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// The header of this number, as [`Self::lay`] has left it: its payload must still be there
    /// when the kernel reads it.
    #[inline]
    #[must_use]
    pub fn header(&self, number: usize) -> *const libc::msghdr {
        &raw const self.messages[number].msg_hdr
    }

    /// Writes the headers; returns how many.
    #[inline]
    pub fn lay<'a>(&mut self, replies: impl Iterator<Item = Reply<'a>>) -> usize {
        let mut count = 0;
        let parts = self.pieces.iter_mut().zip(&mut self.names).zip(&mut self.controls);
        for ((message, ((piece, name), control)), reply) in
            self.messages.iter_mut().zip(parts).zip(replies)
        {
            piece.iov_base = reply.payload.as_ptr().cast_mut().cast();
            piece.iov_len = reply.payload.len();
            message.msg_hdr.msg_namelen = write_name(name, reply.to);
            message.msg_hdr.msg_controllen = control.write(&reply);
            count += 1;
        }
        count
    }
}

/// Writes an address as the kernel wants it; returns its length.
#[inline]
fn write_name(name: &mut libc::sockaddr_storage, to: SocketAddr) -> libc::socklen_t {
    let name = std::ptr::from_mut(name);
    match to {
        SocketAddr::V4(to) => {
            let v4 = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: to.port().to_be(),
                sin_addr: in_addr(*to.ip()),
                sin_zero: [0; 8],
            };
            // SAFETY: the storage is large and aligned enough for every kind of address.
            unsafe { name.cast::<libc::sockaddr_in>().write(v4) };
            size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(to) => {
            let v6 = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: to.port().to_be(),
                sin6_flowinfo: to.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: to.ip().octets() },
                sin6_scope_id: to.scope_id(),
            };
            // SAFETY: as above.
            unsafe { name.cast::<libc::sockaddr_in6>().write(v6) };
            size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}

const fn in_addr(ip: Ipv4Addr) -> libc::in_addr {
    libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) }
}

impl Control {
    /// Writes what the kernel must know beside the payload; returns how long that is.
    #[inline]
    fn write(&mut self, reply: &Reply<'_>) -> usize {
        let mut len = 0;
        if reply.payload.len() > reply.segment {
            // The kernel takes 16 bits (`udp_cmsg_send`, net/ipv4/udp.c), and no payload is longer.
            let segment = reply.segment as u16;
            len = self.put(len, (SOL_UDP, libc::UDP_SEGMENT), segment);
        }
        if let Some(LocalAddr { ip, device }) = reply.local {
            len = match (ip, reply.to) {
                (IpAddr::V4(ip), SocketAddr::V4(_)) => {
                    let (none, from) = (in_addr(Ipv4Addr::UNSPECIFIED), in_addr(ip));
                    let info =
                        libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: from, ipi_addr: none };
                    self.put(len, (libc::IPPROTO_IP, libc::IP_PKTINFO), info)
                }
                (ip, _) => {
                    // What an IPv6 socket received by IPv4 goes back the same way (RFC 3493, 3.7).
                    let ip = match ip {
                        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                        IpAddr::V6(ip) => ip,
                    };
                    let info = libc::in6_pktinfo {
                        ipi6_addr: libc::in6_addr { s6_addr: ip.octets() },
                        ipi6_ifindex: device,
                    };
                    self.put(len, (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO), info)
                }
            };
        }
        len
    }

    /// Writes one message at `at`; returns where the next one begins.
    #[inline]
    fn put<T: Copy>(&mut self, at: usize, kind: (libc::c_int, libc::c_int), data: T) -> usize {
        let len = size_of::<T>() as libc::c_uint;
        // SAFETY: nothing but arithmetic.
        let (space, whole) = unsafe { (libc::CMSG_SPACE(len), libc::CMSG_LEN(len)) };
        let end = at + space as usize;
        assert!(end <= CONTROL_LEN, "there is room for one of each kind");
        // SAFETY: `end` is within the buffer, which is aligned as the header demands, as is `at`: a
        // sum of `CMSG_SPACE`s. The data is written as bytes, whatever its alignment.
        unsafe {
            let header = self.0.as_mut_ptr().add(at).cast::<libc::cmsghdr>();
            (*header).cmsg_len = whole as _;
            ((*header).cmsg_level, (*header).cmsg_type) = kind;
            libc::CMSG_DATA(header).cast::<T>().write_unaligned(data);
        }
        end
    }
}
