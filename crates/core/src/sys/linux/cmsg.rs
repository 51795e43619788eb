//! Control messages (cmsg(3)) and socket addresses, as the kernel reads and writes them.
#![allow(unsafe_code)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use super::rtnetlink::{u16_at, u32_at};
use crate::sys::LocalAddr;

/// Bytes before the data of a message, padding included.
// SAFETY: only arithmetic.
const HEAD: usize = unsafe { libc::CMSG_LEN(0) } as usize;

/// Alignment of messages: that of a long (`CMSG_ALIGN`, include/linux/socket.h). In musl, `struct
/// cmsghdr` has a smaller one.
const ALIGN: usize = size_of::<libc::c_long>();

/// A buffer for control messages, aligned as `struct cmsghdr` requires.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(super) struct Control<const LEN: usize>(pub(super) [u8; LEN]);

/// A type of which any bytes are a valid value.
///
/// # Safety
/// It consists of integers only.
pub(super) unsafe trait Data: Copy {}

macro_rules! data {
    ($($kind:ty)*) => {$(
        // SAFETY: it consists of integers, by the definitions of the kernel.
        unsafe impl Data for $kind {}
    )*};
}

data! {
    u16 u64 libc::c_int libc::timespec libc::in_pktinfo libc::in6_pktinfo libc::sock_extended_err
    libc::cmsghdr
}

// SAFETY: it consists of integers.
unsafe impl<const LEN: usize> Data for [u32; LEN] {}

/// The value at the start of these bytes; `None` if they are too few.
#[inline]
fn read<T: Data>(bytes: &[u8]) -> Option<T> {
    // SAFETY: there are enough bytes, any bytes are a valid `T`, and the read may be unaligned.
    (bytes.len() >= size_of::<T>()).then(|| unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}

#[derive(Debug, Clone, Copy)]
pub(super) struct ControlMessage<'a> {
    pub(super) kind: (libc::c_int, libc::c_int),
    data: &'a [u8],
}

impl<'a> ControlMessage<'a> {
    /// The time at the start of its data, in nanoseconds.
    #[inline]
    pub(super) fn time_ns(&self) -> Option<u64> {
        let time = read::<libc::timespec>(self.data)?;
        Some(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
    }

    /// The queued error at the start of its data, if it is one, and the bytes after it.
    pub(super) fn error(&self) -> Option<(libc::sock_extended_err, &'a [u8])> {
        let is_error = matches!(
            self.kind,
            (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
        );
        let error = read(self.data).filter(|_| is_error)?;
        Some((error, &self.data[size_of::<libc::sock_extended_err>()..]))
    }
}

/// The control messages in a buffer that the kernel has written, up to a truncated one.
#[derive(Debug, Clone)]
pub(super) struct ControlMessages<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for ControlMessages<'a> {
    type Item = ControlMessage<'a>;

    #[inline]
    fn next(&mut self) -> Option<ControlMessage<'a>> {
        let header: libc::cmsghdr = read(self.0)?;
        // The type of this length differs between C libraries.
        #[allow(clippy::unnecessary_cast)]
        let len = header.cmsg_len as usize;
        let data = self.0.get(HEAD..len)?;
        self.0 = self.0.get(len.next_multiple_of(ALIGN)..).unwrap_or(&[]);
        Some(ControlMessage { kind: (header.cmsg_level, header.cmsg_type), data })
    }
}

impl<const LEN: usize> Control<LEN> {
    #[inline]
    pub(super) fn put<T: Data>(
        &mut self,
        at: usize,
        kind: (libc::c_int, libc::c_int),
        data: T,
    ) -> usize {
        let len = size_of::<T>() as libc::c_uint;
        // SAFETY: only arithmetic.
        let (space, cmsg_len) = unsafe { (libc::CMSG_SPACE(len), libc::CMSG_LEN(len)) };
        let slot = &mut self.0[at..at + space as usize];
        // SAFETY: the slot has the space of a header and of the data; zeroes are a valid header,
        // and the writes may be unaligned.
        unsafe {
            let mut header: libc::cmsghdr = std::mem::zeroed();
            header.cmsg_len = cmsg_len as _;
            (header.cmsg_level, header.cmsg_type) = kind;
            let start = slot.as_mut_ptr();
            start.cast::<libc::cmsghdr>().write_unaligned(header);
            start.add(HEAD).cast::<T>().write_unaligned(data);
        }
        at + space as usize
    }
}

/// A buffer for the address of any family, aligned as `struct sockaddr_storage` is.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(8))]
pub(super) struct Addr(pub(super) [u8; size_of::<libc::sockaddr_storage>()]);

pub(super) const NO_ADDR: Addr = Addr([0; size_of::<Addr>()]);

/// Writes an address as a `struct sockaddr`; returns its length.
#[inline]
pub(super) fn write_addr(addr: &mut Addr, to: SocketAddr) -> libc::socklen_t {
    let addr = std::ptr::from_mut(addr);
    match to {
        SocketAddr::V4(to) => {
            let v4 = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: to.port().to_be(),
                sin_addr: in_addr(*to.ip()),
                sin_zero: [0; 8],
            };
            // SAFETY: the storage is large and aligned enough for every kind of address.
            unsafe { addr.cast::<libc::sockaddr_in>().write(v4) };
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
            unsafe { addr.cast::<libc::sockaddr_in6>().write(v6) };
            size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}

pub(super) const fn in_addr(ip: Ipv4Addr) -> libc::in_addr {
    libc::in_addr { s_addr: u32::from_ne_bytes(ip.octets()) }
}

#[inline]
pub(super) fn address_of(name: &[u8]) -> Option<SocketAddr> {
    let port = || Some(u16::from_be_bytes(*name.get(2..)?.first_chunk()?));
    match libc::c_int::from(u16_at(name, 0)?) {
        libc::AF_INET => {
            let ip = Ipv4Addr::from(*name.get(4..)?.first_chunk::<4>()?);
            Some(SocketAddrV4::new(ip, port()?).into())
        }
        libc::AF_INET6 => {
            let ip = Ipv6Addr::from(*name.get(8..)?.first_chunk::<16>()?);
            Some(SocketAddrV6::new(ip, port()?, u32_at(name, 4)?, u32_at(name, 24)?).into())
        }
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Metadata {
    pub(super) segment: Option<usize>,
    pub(super) stamp_ns: Option<u64>,
    pub(super) local: Option<LocalAddr>,
    pub(super) to_many: bool,
    pub(super) group: Option<IpAddr>,
}

impl Metadata {
    #[inline]
    pub(super) fn parse(control: &[u8]) -> Self {
        let mut found = Self::default();
        for message in ControlMessages(control) {
            found.add(&message);
        }
        found
    }

    #[inline]
    fn add(&mut self, message: &ControlMessage<'_>) {
        match message.kind {
            (libc::SOL_UDP, libc::UDP_GRO) => {
                let segment = read::<libc::c_int>(message.data);
                self.segment = segment.map(|segment| usize::try_from(segment).unwrap_or(0).max(1));
            }
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => self.stamp_ns = message.time_ns(),
            (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                let Some(info) = read::<libc::in_pktinfo>(message.data) else { return };
                let ip = Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes());
                let to = Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes());
                self.to_many = to.is_multicast();
                self.group = self.to_many.then_some(to.into());
                // Unknown for datagrams queued before IP_PKTINFO was set (`ipv4_pktinfo_prepare`),
                // and from 0.0.0.0.
                if !ip.is_unspecified() {
                    self.local = Some(LocalAddr { ip: IpAddr::V4(ip), device: 0 });
                    // The same for unicast (ip(7)).
                    self.to_many = info.ipi_addr.s_addr != info.ipi_spec_dst.s_addr;
                }
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                let Some(info) = read::<libc::in6_pktinfo>(message.data) else { return };
                self.local = local_v6(&info).or(self.local);
                let to = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                if to.is_multicast() {
                    (self.to_many, self.group) = (true, Some(to.into()));
                }
            }
            _ => {}
        }
    }
}

/// The address a reply may leave from, never a multicast group; with a device only if needed.
fn local_v6(info: &libc::in6_pktinfo) -> Option<LocalAddr> {
    let ip = Ipv6Addr::from(info.ipi6_addr.s6_addr);
    // For IPv4 the other message reports more.
    if ip.is_multicast() || ip.to_ipv4_mapped().is_some() {
        return None;
    }
    let device = if ip.is_unicast_link_local() { info.ipi6_ifindex } else { 0 };
    Some(LocalAddr { ip: IpAddr::V6(ip), device })
}

/// The sender of a message, the address a reply should leave from, and its receive timestamp.
#[inline]
pub fn parse_msg(
    name: &[u8],
    control: &[u8],
) -> (Option<SocketAddr>, Option<LocalAddr>, Option<u64>) {
    let found = Metadata::parse(control);
    (address_of(name), found.local, found.stamp_ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_written_messages_up_to_a_truncation() {
        let mut control = Control([0xFF; 64]);
        let at = control.put(0, (libc::SOL_UDP, libc::UDP_GRO), 1_200);
        let end = control.put(
            at,
            (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS),
            libc::timespec { tv_sec: 2, tv_nsec: 5 },
        );
        let found = Metadata::parse(&control.0[..end]);
        assert_eq!((found.segment, found.stamp_ns), (Some(1_200), Some(2_000_000_005)));
        assert_eq!(ControlMessages(&control.0[..end]).count(), 2);
        assert!((0..end).all(|len| ControlMessages(&control.0[..len]).count() < 2));
        for invalid_len in [0, 0xFF] {
            control.0[..size_of::<usize>()].fill(invalid_len);
            assert_eq!(ControlMessages(&control.0[..end]).count(), 0);
        }
    }
    #[test]
    fn the_group_is_known_of_senders_without_an_address() {
        let to = |group: Ipv4Addr, own: Ipv4Addr| {
            let mut control = Control([0; 64]);
            let info = libc::in_pktinfo {
                ipi_ifindex: 1,
                ipi_spec_dst: libc::in_addr { s_addr: u32::from(own).to_be() },
                ipi_addr: libc::in_addr { s_addr: u32::from(group).to_be() },
            };
            let end = control.put(0, (libc::IPPROTO_IP, libc::IP_PKTINFO), info);
            let found = Metadata::parse(&control.0[..end]);
            (found.to_many, found.group, found.local.is_some())
        };
        let group = Ipv4Addr::new(239, 1, 1, 1);
        // The kernel has no source address if the route of the group has none.
        assert_eq!(to(group, Ipv4Addr::UNSPECIFIED), (true, Some(group.into()), false));
        assert_eq!(to(group, Ipv4Addr::LOCALHOST), (true, Some(group.into()), true));
        assert_eq!(to(Ipv4Addr::LOCALHOST, Ipv4Addr::UNSPECIFIED), (false, None, false));
        assert_eq!(to(Ipv4Addr::BROADCAST, Ipv4Addr::LOCALHOST), (true, None, true));
    }
}
