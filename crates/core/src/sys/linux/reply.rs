//! sendmmsg(2), sendmsg(2) and sendto(2) with an address and a segment length for each message.
#![allow(unsafe_code)]

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd};

use super::calls;
use super::cmsg::{Addr, Control, NO_ADDR, in_addr, write_addr};
use super::mmsg::{EMPTY, NO_IOVEC};
use crate::sys::stable_memory::StableSlice;
use crate::sys::{LocalAddr, Reply};

/// Bytes of the control messages: `CMSG_SPACE` of a segment size (24) and in6_pktinfo (40).
const CONTROL_LEN: usize = 64;

/// The headers of one sendmmsg(2) to as many addresses.
///
/// # Aliasing All pointers, also of [`Self::header`], come from [`StableSlice::at`], so they stay
/// valid when the batch moves. The pointers to the payloads are set before each call.
#[derive(Debug)]
pub struct ReplyBatch {
    messages: StableSlice<libc::mmsghdr>,
    iovecs: StableSlice<libc::iovec>,
    addrs: StableSlice<Addr>,
    controls: StableSlice<Control<CONTROL_LEN>>,
}

impl ReplyBatch {
    /// For `messages` per call.
    pub fn new(messages: usize) -> Self {
        let mut batch = Self {
            messages: StableSlice::new(EMPTY, messages),
            iovecs: StableSlice::new(NO_IOVEC, messages),
            addrs: StableSlice::new(NO_ADDR, messages),
            controls: StableSlice::new(Control([0; CONTROL_LEN]), messages),
        };
        for (number, message) in batch.messages.iter_mut().enumerate() {
            let header = &mut message.msg_hdr;
            (header.msg_iov, header.msg_iovlen) = (batch.iovecs.at(number), 1);
            header.msg_name = batch.addrs.at(number).cast();
            header.msg_control = batch.controls.at(number).cast();
        }
        batch
    }

    /// Sends as many as there are headers, a single one by a single call; returns how many were
    /// tried and how many were sent. Fails with the error of the first one; the system does not
    /// report the error of a later one.
    #[inline]
    pub fn send<'a>(
        &mut self,
        socket: &impl AsFd,
        replies: impl Iterator<Item = Reply<'a>>,
    ) -> io::Result<(usize, usize)> {
        let count = self.fill_headers(replies);
        if count == 1 {
            return self.send_first(socket).map(|()| (1, 1));
        }
        let fd = socket.as_fd().as_raw_fd();
        // SAFETY: the first `count` headers point to iovecs, addresses and controls of this batch,
        // which live as long as it; the iovecs point to the payloads, which are borrowed for this
        // call and only read.
        let sent = unsafe { calls::sendmmsg(fd, self.messages.start(), count as _) };
        let sent = usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
        Ok((count, sent))
    }

    /// Sends one message by sendmsg(2), or sendto(2) if it has no control messages.
    #[inline]
    pub fn send_one(&mut self, socket: &impl AsFd, reply: Reply<'_>) -> io::Result<()> {
        self.fill_headers(std::iter::once(reply));
        self.send_first(socket)
    }

    #[inline]
    fn send_first(&self, socket: &impl AsFd) -> io::Result<()> {
        let Some(libc::mmsghdr { msg_hdr: header, .. }) = self.messages.first() else {
            return Ok(());
        };
        let fd = socket.as_fd().as_raw_fd();
        // SAFETY: as in `send`, for this header alone.
        let sent = unsafe {
            if header.msg_controllen > 0 {
                calls::sendmsg(fd, header)
            } else {
                // The kernel copies no header.
                let libc::iovec { iov_base, iov_len } = *header.msg_iov;
                let payload = std::slice::from_raw_parts(iov_base.cast(), iov_len);
                calls::sendto(fd, payload, (header.msg_name, header.msg_namelen))
            }
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// A header after [`Self::fill_headers`]; its payload must live until the kernel has read it.
    #[inline]
    pub fn header(&self, number: usize) -> *const libc::msghdr {
        // SAFETY: `at` is within the slice; nothing is read, and no reference is made.
        unsafe { &raw const (*self.messages.at(number)).msg_hdr }
    }

    /// Writes the headers; returns their number.
    #[inline]
    pub fn fill_headers<'a>(&mut self, replies: impl Iterator<Item = Reply<'a>>) -> usize {
        let mut count = 0;
        let parts = self.iovecs.iter_mut().zip(self.addrs.iter_mut());
        let parts = parts.zip(self.controls.iter_mut());
        for ((message, ((iovec, addr), control)), reply) in
            self.messages.iter_mut().zip(parts).zip(replies)
        {
            iovec.iov_base = reply.payload.as_ptr().cast_mut().cast();
            iovec.iov_len = reply.payload.len();
            message.msg_hdr.msg_namelen = write_addr(addr, reply.to);
            message.msg_hdr.msg_controllen = write_control(control, &reply) as _;
            count += 1;
        }
        count
    }
}

#[inline]
fn write_control(control: &mut Control<CONTROL_LEN>, reply: &Reply<'_>) -> usize {
    let mut len = 0;
    if reply.payload.len() > reply.segment {
        // The kernel takes 16 bits (`udp_cmsg_send`, net/ipv4/udp.c), and no payload is longer.
        let segment = reply.segment as u16;
        len = control.put(len, (libc::SOL_UDP, libc::UDP_SEGMENT), segment);
    }
    if let Some(LocalAddr { ip, device }) = reply.local {
        len = match ip {
            // Also on an IPv6 socket, which replies to IPv4 by mapped addresses (`ip_cmsg_send`,
            // net/ipv4/ip_sockglue.c). in6_pktinfo is longer than what the kernel keeps on its
            // stack (`____sys_sendmsg`, net/socket.c).
            IpAddr::V4(ip) => {
                let (none, from) = (in_addr(Ipv4Addr::UNSPECIFIED), in_addr(ip));
                let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: from, ipi_addr: none };
                control.put(len, (libc::IPPROTO_IP, libc::IP_PKTINFO), info)
            }
            IpAddr::V6(ip) => {
                let ipi6_addr = libc::in6_addr { s6_addr: ip.octets() };
                let info = libc::in6_pktinfo { ipi6_addr, ipi6_ifindex: device };
                control.put(len, (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO), info)
            }
        };
    }
    len
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::super::mmsg::read_as_kernel;
    use super::*;

    #[test]
    fn headers_of_replies_stay_valid_after_moves() {
        let mut batch = ReplyBatch::new(2);
        let v4 = Some(LocalAddr { ip: "127.0.0.9".parse().unwrap(), device: 0 });
        let v6 = Some(LocalAddr { ip: "::1".parse().unwrap(), device: 3 });
        let mapped = "[::ffff:127.0.0.1]:9";
        // Bytes of control messages: a segment size has 24, in_pktinfo 32, in6_pktinfo 40.
        for (to, local, segment, control) in [
            ("127.0.0.1:9", v4, 4, 32),
            ("127.0.0.1:9", None, 4, 0),
            ("127.0.0.1:9", v4, 2, 24 + 32),
            ("[::1]:9", v6, 2, 24 + 40),
            (mapped, v4, 4, 32),
        ] {
            let to: SocketAddr = to.parse().unwrap();
            let reply = |payload: &'static [u8]| Reply { payload, segment, to, local };
            let count =
                batch.fill_headers([b"abcd", b"wxyz", b"none"].map(|one| reply(one)).into_iter());
            assert_eq!(count, 2);
            let moved = Box::new(batch);
            for (number, payload) in [b"abcd", b"wxyz"].into_iter().enumerate() {
                // SAFETY: the payloads and the batch live.
                let read = unsafe { read_as_kernel(moved.header(number)) };
                assert_eq!((&read.0[..], read.1, read.2.len()), (&payload[..], Some(to), control));
            }
            batch = *moved;
        }
    }
}
