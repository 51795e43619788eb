//! Socket options and errors that neither socket2 nor std has.
#![allow(unsafe_code)]

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt as _;
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::{Protocol, SockAddr, SockAddrStorage, Socket};

use super::check;
use super::cmsg::Data;
use super::rtnetlink::text;
use crate::sys::{Instruction, SendError, Unreachable, UnreachableErrno};

/// `SK_MEMINFO_VARS` of `include/uapi/linux/sock_diag.h`: the number of counters.
const SK_MEMINFO_VARS: usize = 9;

/// `SO_MEMINFO` of `include/uapi/asm-generic/socket.h`; libc lacks it on some targets.
const SO_MEMINFO: libc::c_int = 55;

/// `IPV6_MULTICAST_ALL` of `include/uapi/linux/in6.h`; libc lacks it on some targets.
const IPV6_MULTICAST_ALL: libc::c_int = 29;

/// Datagrams dropped at this socket's full receive queue since it was created, modulo 2³²; `None`
/// before Linux 4.12.
pub fn socket_drops(socket: &impl AsFd) -> Option<u32> {
    let (values, len) =
        get([0_u32; SK_MEMINFO_VARS], socket, (libc::SOL_SOCKET, SO_MEMINFO)).ok()?;
    let at = libc::SK_MEMINFO_DROPS as usize;
    (len > at * size_of::<u32>()).then_some(values[at])
}

/// An option of either family: level, and name in IPv4 and in IPv6.
const fn by_family(ipv6: bool, v4: libc::c_int, v6: libc::c_int) -> (libc::c_int, libc::c_int) {
    if ipv6 { (libc::IPPROTO_IPV6, v6) } else { (libc::IPPROTO_IP, v4) }
}

/// The option that reports errors of sent datagrams.
const fn recverr(ipv6: bool) -> (libc::c_int, libc::c_int) {
    by_family(ipv6, libc::IP_RECVERR, libc::IPV6_RECVERR)
}

/// Makes the kernel refuse a send with ENOBUFS if a queueing discipline would drop it silently
/// (`IP_RECVERR`, ip(7)).
pub fn report_queue_drops(socket: &impl AsFd, ipv6: bool) -> io::Result<()> {
    set_int(socket, recverr(ipv6), 1)
}

/// Undoes [`report_queue_drops`], and empties the error queue. An error for a sent datagram then
/// affects no unconnected socket (`__udp4_lib_err`, net/ipv4/udp.c).
pub fn disable_recverr(socket: &impl AsFd, ipv6: bool) -> io::Result<()> {
    set_int(socket, recverr(ipv6), 0)
}

/// Whether the kernel confirms [`report_queue_drops`].
pub fn reports_queue_drops(socket: &impl AsFd, ipv6: bool) -> bool {
    get_int(socket, recverr(ipv6)).is_ok_and(|value| value != 0)
}

/// Sets the "don't fragment" bit (IPv4); the kernel then refuses larger datagrams with EMSGSIZE.
pub fn forbid_fragments(socket: &impl AsFd, ipv6: bool) -> io::Result<()> {
    let option = by_family(ipv6, libc::IP_MTU_DISCOVER, libc::IPV6_MTU_DISCOVER);
    // The same value in both families.
    set_int(socket, option, libc::IP_PMTUDISC_DO)?;
    if ipv6 { set_int(socket, (libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG), 1) } else { Ok(()) }
}

/// With `on`, forbids fragments, and lets datagrams pass up to the MTU of the device, whatever path
/// MTU the kernel knows (`IP_PMTUDISC_PROBE`, ip(7)); else allows fragments, here and on the way.
pub fn probe_mtu(socket: &impl AsFd, ipv6: bool, on: bool) -> io::Result<()> {
    let option = by_family(ipv6, libc::IP_MTU_DISCOVER, libc::IPV6_MTU_DISCOVER);
    set_int(socket, option, if on { libc::IP_PMTUDISC_PROBE } else { libc::IP_PMTUDISC_DONT })?;
    let dontfrag = (libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG);
    if ipv6 { set_int(socket, dontfrag, on.into()) } else { Ok(()) }
}

/// Excludes this socket from multicast groups that it has not joined itself (`IP_MULTICAST_ALL`,
/// ip(7), and its IPv6 counterpart, which kernels before 4.20 lack).
pub fn join_no_group(socket: &impl AsFd, ipv6: bool) {
    // A failed call changes nothing.
    let _ = set_int(socket, by_family(ipv6, libc::IP_MULTICAST_ALL, IPV6_MULTICAST_ALL), 0);
}

/// `struct group_source_req` of `include/uapi/linux/in.h`.
#[repr(C)]
struct GroupSourceRequest {
    interface: u32,
    group: SockAddrStorage,
    source: SockAddrStorage,
}

/// Joins a multicast group for the datagrams of one sender only, on the device of this number, or
/// with 0 on that of the route (`MCAST_JOIN_SOURCE_GROUP`, RFC 3678 section 5.1.2).
pub fn join_source_group(
    socket: &impl AsFd,
    group: IpAddr,
    source: IpAddr,
    device: u32,
) -> io::Result<()> {
    let level = if group.is_ipv6() { libc::IPPROTO_IPV6 } else { libc::IPPROTO_IP };
    let [group, source] = [group, source].map(|ip| SockAddr::from(SocketAddr::new(ip, 0)));
    let [group, source] = [group.as_storage(), source.as_storage()];
    let request = GroupSourceRequest { interface: device, group, source };
    set(socket, (level, libc::MCAST_JOIN_SOURCE_GROUP), &request)
}

/// Whether connect(2) on a non-blocking socket has begun.
pub fn is_connecting(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}

/// Adds to each datagram the address of this host that it was sent to (`IP_PKTINFO`, ip(7);
/// `IPV6_RECVPKTINFO`, ipv6(7)), on an IPv6 socket for both families.
pub fn enable_pktinfo(socket: &impl AsFd, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        set_int(socket, (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO), 1)?;
    }
    set_int(socket, (libc::IPPROTO_IP, libc::IP_PKTINFO), 1)
}

/// Why a send failed.
pub fn send_error_of(error: &io::Error) -> SendError {
    let code = error.raw_os_error().unwrap_or(0);
    let errno = match code {
        libc::EAGAIN => return SendError::WouldBlock,
        libc::ENOBUFS | libc::ENOMEM => return SendError::NoBuffers,
        libc::EMSGSIZE => return SendError::TooBig,
        libc::EINTR => return SendError::Interrupted,
        libc::ECONNREFUSED => UnreachableErrno::ConnRefused,
        libc::EHOSTUNREACH => UnreachableErrno::HostUnreach,
        libc::ENETUNREACH => UnreachableErrno::NetUnreach,
        libc::EHOSTDOWN => UnreachableErrno::HostDown,
        libc::ENETDOWN => UnreachableErrno::NetDown,
        libc::ENOPROTOOPT => UnreachableErrno::NoProtoOpt,
        libc::ENONET => UnreachableErrno::NoNet,
        _ => return SendError::Other(code),
    };
    SendError::Unreachable(Unreachable::returned(errno))
}

/// getsockopt(2) into `value`; also returns how many bytes the kernel wrote.
fn get<T: Data>(
    mut value: T,
    socket: &impl AsFd,
    (level, name): (libc::c_int, libc::c_int),
) -> io::Result<(T, usize)> {
    let mut len = size_of::<T>() as libc::socklen_t;
    let (fd, to) = (socket.as_fd().as_raw_fd(), (&raw mut value).cast());
    // SAFETY: `value` is writable for `len` bytes, the kernel writes at most `len`, and any bytes
    // are a valid `T`; `fd` is open while `socket` is borrowed.
    check(unsafe { libc::getsockopt(fd, level, name, to, &raw mut len) })?;
    Ok((value, len as usize))
}

pub(super) fn get_int(
    socket: &impl AsFd,
    option: (libc::c_int, libc::c_int),
) -> io::Result<libc::c_int> {
    get(0, socket, option).map(|(value, _)| value)
}

/// setsockopt(2) with the bytes of `value`, which the kernel copies.
pub(super) fn set<T: ?Sized>(
    socket: &impl AsFd,
    (level, name): (libc::c_int, libc::c_int),
    value: &T,
) -> io::Result<()> {
    let (fd, len) = (socket.as_fd().as_raw_fd(), size_of_val(value) as libc::socklen_t);
    let value = std::ptr::from_ref(value).cast();
    // SAFETY: the pointer and length describe `value`, which outlives the call.
    check(unsafe { libc::setsockopt(fd, level, name, value, len) }).map(|_| ())
}

pub(super) fn set_int(
    socket: &impl AsFd,
    option: (libc::c_int, libc::c_int),
    value: libc::c_int,
) -> io::Result<()> {
    set(socket, option, &value)
}

/// Allows bind(2) to an address that this host does not have, and sends from it
/// (`IP_TRANSPARENT`, ip(7): CAP_NET_ADMIN or CAP_NET_RAW; IPv6 sends with `IPV6_FREEBIND`, too).
pub fn allow_foreign_bind(socket: &impl AsFd, ipv6: bool) -> io::Result<()> {
    let transparent =
        set_int(socket, by_family(ipv6, libc::IP_TRANSPARENT, libc::IPV6_TRANSPARENT), 1);
    // With IP_FREEBIND alone, sends from such an IPv4 address fail with EINVAL.
    if ipv6 { set_int(socket, (libc::IPPROTO_IPV6, libc::IPV6_FREEBIND), 1) } else { transparent }
}

/// Sets the IPv6 traffic class of sent datagrams.
pub fn set_traffic_class(socket: &impl AsFd, class: u32) -> io::Result<()> {
    set_int(socket, (libc::IPPROTO_IPV6, libc::IPV6_TCLASS), class as libc::c_int)
}

/// Sends and receives by one device only (`SO_BINDTODEVICE`, socket(7)).
pub fn bind_device(socket: &impl AsFd, device: &str) -> io::Result<()> {
    // The length replaces a terminating zero.
    set(socket, (libc::SOL_SOCKET, libc::SO_BINDTODEVICE), device)
}

/// The number of a device in this thread's network namespace (if_nametoindex(3)).
pub fn device_index(device: &str) -> io::Result<u32> {
    let name = std::ffi::CString::new(device)?;
    // SAFETY: `name` is a string with a terminating zero, which outlives the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

/// The name of the device of this number in this thread's network namespace (if_indextoname(3)).
pub fn device_name(index: u32) -> Option<String> {
    let mut name = [0; libc::IF_NAMESIZE];
    // SAFETY: `name` is writable and has the IF_NAMESIZE bytes that the call may write.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr()) };
    (!found.is_null()).then(|| text(&name.map(|byte| byte as u8)))
}

/// The path MTU to the peer of a connected socket in bytes, as the kernel knows it now (`IP_MTU` of
/// ip(7), `IPV6_MTU` of ipv6(7)).
pub fn path_mtu(socket: &impl AsFd, ipv6: bool) -> Option<u64> {
    let option = by_family(ipv6, libc::IP_MTU, libc::IPV6_MTU);
    u64::try_from(get_int(socket, option).ok()?).ok()
}

/// Makes the kernel or the device split each message into datagrams of `bytes` (`UDP_SEGMENT`,
/// udp(7)); 0 turns it off. ENOPROTOOPT before Linux 4.18.
pub fn set_udp_segment(socket: &impl AsFd, bytes: u16) -> io::Result<()> {
    set_int(socket, (libc::IPPROTO_UDP, libc::UDP_SEGMENT), bytes.into())
}

/// Whether consecutive datagrams of one sender arrive as one message, with their length in a
/// control message (`UDP_GRO`, udp(7)). ENOPROTOOPT before Linux 5.0.
pub fn set_udp_gro(socket: &impl AsFd, merges: bool) -> io::Result<()> {
    set_int(socket, (libc::IPPROTO_UDP, libc::UDP_GRO), merges.into())
}

/// Adds to each message the time when the kernel received it from the device, by
/// [`super::realtime_ns`] (`SO_TIMESTAMPNS`, socket(7)).
pub fn set_timestamps(socket: &impl AsFd) -> io::Result<()> {
    set_int(socket, (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS), 1)
}

/// Undoes [`set_udp_segment`], [`set_udp_gro`], [`set_timestamps`] and [`super::stamp_sends`] for
/// later datagrams. A kernel without offload is no error.
pub fn reset_rx_options(socket: &impl AsFd) -> io::Result<()> {
    for option in [libc::UDP_SEGMENT, libc::UDP_GRO] {
        match set_int(socket, (libc::IPPROTO_UDP, option), 0) {
            Err(error) if error.raw_os_error() != Some(libc::ENOPROTOOPT) => return Err(error),
            _ => {}
        }
    }
    set_int(socket, (libc::SOL_SOCKET, libc::SO_TIMESTAMPING), 0)?;
    set_int(socket, (libc::SOL_SOCKET, libc::SO_TIMESTAMPNS), 0)
}

/// Whether a send failed for lack of offload (`udp_send_skb`, net/ipv4/udp.c): EIO if a device
/// cannot compute checksums of segments, EINVAL if a message has too many segments or one exceeds
/// the MTU, which newer kernels report as EMSGSIZE.
pub const fn refuses_offload(error: SendError) -> bool {
    matches!(error, SendError::Other(libc::EIO | libc::EINVAL) | SendError::TooBig)
}

/// The name of a socket in the abstract namespace (unix(7)) without its leading zero byte; `None`
/// for a path or an unnamed socket.
pub fn abstract_name(addr: &std::os::unix::net::SocketAddr) -> Option<&[u8]> {
    addr.as_abstract_name()
}

/// Shares the port of this socket, bound or not, with later sockets of this user (`SO_REUSEPORT`,
/// socket(7)). ENOPROTOOPT before Linux 3.9.
pub fn set_reuse_port(socket: &impl AsFd) -> io::Result<()> {
    set_int(socket, (libc::SOL_SOCKET, libc::SO_REUSEPORT), 1)
}

/// Makes `program` choose the socket of each datagram to the shared port
/// (`SO_ATTACH_REUSEPORT_CBPF`, socket(7)). It reads the payload and returns a socket's number in
/// order of bind(2); a load beyond the end returns 0. EINVAL for an invalid program, or before
/// another socket has joined; ENOPROTOOPT before Linux 4.5.
pub fn attach_steering(socket: &impl AsFd, program: &[Instruction]) -> io::Result<()> {
    let filter = |&Instruction { code, if_true: jt, if_false: jf, operand: k }: &Instruction| {
        libc::sock_filter { code, jt, jf, k }
    };
    let mut filter: Vec<_> = program.iter().map(filter).collect();
    let len = u16::try_from(filter.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len, filter: filter.as_mut_ptr() };
    // It points to `len` instructions, which outlive the call; the kernel copies them.
    set(socket, (libc::SOL_SOCKET, libc::SO_ATTACH_REUSEPORT_CBPF), &program)
}

/// The first file that a service manager passes (`SD_LISTEN_FDS_START`, sd_listen_fds(3)).
const FIRST_PASSED: RawFd = 3;

/// Takes the sockets that a service manager passed to this process (sd_listen_fds(3)), the first
/// time; later calls return none.
pub fn passed_sockets() -> io::Result<Vec<Socket>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    let word = |name| std::env::var_os(name);
    // The variables may be inherited from a process that they were meant for.
    let is_meant = word("LISTEN_PID").is_some_and(|pid| *pid == *std::process::id().to_string());
    if !is_meant || TAKEN.swap(true, Ordering::Relaxed) {
        return Ok(Vec::new());
    }
    let Some(count) = word("LISTEN_FDS") else { return Ok(Vec::new()) };
    // Otherwise the ports would be others than those of the service manager.
    let count = count.to_str().and_then(|count| count.parse::<u16>().ok());
    let count = usize::from(count.ok_or(io::ErrorKind::InvalidInput)?);
    let take = |fd| {
        // SAFETY: fcntl(2) touches no memory, and fails if the file is not open.
        check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
        // SAFETY: the file is open, and was opened for this function alone, which runs once.
        Ok(Socket::from(unsafe { OwnedFd::from_raw_fd(fd) }))
    };
    (FIRST_PASSED..).take(count).map(take).collect()
}

/// Whether both are one socket of the kernel (`SO_COOKIE`, Linux 4.12).
pub fn is_same_socket(one: &Socket, other: &Socket) -> bool {
    let cookies = [one, other].map(|socket| socket.cookie().ok());
    cookies[0].is_some() && cookies[0] == cookies[1]
}

/// Whether its protocol is UDP; others have datagrams, too.
pub fn is_udp(socket: &Socket) -> bool {
    socket.protocol().is_ok_and(|protocol| protocol == Some(Protocol::UDP))
}

/// Whether it shares its port, see [`set_reuse_port`].
pub fn has_reuse_port(socket: &Socket) -> bool {
    socket.reuse_port().unwrap_or(false)
}
