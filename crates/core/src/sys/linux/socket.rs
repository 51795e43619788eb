//! Socket options and errors that socket2 and std do not know.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use super::check;
use crate::sys::{SendError, Unreachable, UnreachableErrno};

/// `SK_MEMINFO_DROPS` of `include/uapi/linux/sock_diag.h`: the place of the drop counter.
const SK_MEMINFO_DROPS: usize = 8;

/// `SK_MEMINFO_VARS` of the same header: how many counters `SO_MEMINFO` gives.
const SK_MEMINFO_VARS: usize = 9;

/// `SO_MEMINFO` of `include/uapi/asm-generic/socket.h`; libc lacks it on some targets.
const SO_MEMINFO: libc::c_int = 55;

/// `IPV6_MULTICAST_ALL` of `include/uapi/linux/in6.h`; libc lacks it on some targets.
const IPV6_MULTICAST_ALL: libc::c_int = 29;

/// Datagrams that this socket's receive queue had no room for since it was made, modulo 2³²; `None`
/// before Linux 4.12.
#[must_use]
pub fn socket_drops(socket: &impl AsFd) -> Option<u32> {
    let mut values = [0_u32; SK_MEMINFO_VARS];
    let mut len = size_of_val(&values) as libc::socklen_t;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: `values` is writable for `len` bytes, and the kernel writes at most `len`; the file
    // descriptor is open for as long as `socket` is borrowed.
    let result = unsafe {
        libc::getsockopt(fd, libc::SOL_SOCKET, SO_MEMINFO, values.as_mut_ptr().cast(), &raw mut len)
    };
    check(result).ok()?;
    (len as usize > SK_MEMINFO_DROPS * size_of::<u32>()).then_some(values[SK_MEMINFO_DROPS])
}

/// Has the kernel refuse a send with ENOBUFS where a queueing discipline would drop it silently
/// (`IP_RECVERR`, ip(7)).
///
/// # Errors
/// What setsockopt(2) says.
pub fn report_queue_drops(socket: &impl AsFd, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        set_int(socket.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1)
    } else {
        set_int(socket.as_fd(), libc::IPPROTO_IP, libc::IP_RECVERR, 1)
    }
}

/// Undoes [`report_queue_drops`]: empties the socket's queue of errors, and nothing more comes into
/// it. What comes back for a datagram then disturbs no socket that is not connected
/// (`__udp4_lib_err`, net/ipv4/udp.c).
///
/// # Errors
/// What setsockopt(2) says.
pub fn disable_recverr(socket: &impl AsFd, ipv6: bool) -> io::Result<()> {
    if ipv6 {
        set_int(socket.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 0)
    } else {
        set_int(socket.as_fd(), libc::IPPROTO_IP, libc::IP_RECVERR, 0)
    }
}

/// Whether [`report_queue_drops`] took, as the kernel tells it back.
#[must_use]
pub fn reports_queue_drops(socket: &impl AsFd, ipv6: bool) -> bool {
    let (level, name) = if ipv6 {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
    } else {
        (libc::IPPROTO_IP, libc::IP_RECVERR)
    };
    let mut value: libc::c_int = 0;
    let mut len = size_of_val(&value) as libc::socklen_t;
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: `value` is writable for `len` bytes, and the kernel writes at most `len`; the file
    // descriptor is open for as long as `socket` is borrowed.
    let result =
        unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &raw mut len) };
    check(result).is_ok() && value != 0
}

/// Sets the "don't fragment" bit (IPv4), and has larger datagrams refused with EMSGSIZE.
///
/// # Errors
/// What setsockopt(2) says.
pub fn forbid_fragments(socket: &impl AsFd, ipv6: bool) -> io::Result<()> {
    let fd = socket.as_fd();
    if ipv6 {
        set_int(fd, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DO)?;
        set_int(fd, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, 1)
    } else {
        set_int(fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DO)
    }
}

/// Keeps what is sent to multicast groups away from this socket, unless it joins them itself
/// (`IP_MULTICAST_ALL`, ip(7), and its like of IPv6, which kernels before 4.20 lack).
pub fn join_no_group(socket: &impl AsFd, ipv6: bool) {
    let fd = socket.as_fd();
    // What does not take leaves all as it was.
    let _ = if ipv6 {
        set_int(fd, libc::IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0)
    } else {
        set_int(fd, libc::IPPROTO_IP, libc::IP_MULTICAST_ALL, 0)
    };
}

/// Whether this is no error of connect(2) but says that a socket that does not block has begun.
#[must_use]
pub fn is_connecting(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINPROGRESS)
}

/// Has each datagram come with the address of this host that it was sent to (`IP_PKTINFO`, ip(7);
/// `IPV6_RECVPKTINFO`, ipv6(7)), on an IPv6 socket for both families.
///
/// # Errors
/// What setsockopt(2) says.
pub fn enable_pktinfo(socket: &impl AsFd, ipv6: bool) -> io::Result<()> {
    let fd = socket.as_fd();
    if ipv6 {
        set_int(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
    }
    set_int(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)
}

/// Why a send failed.
#[must_use]
pub fn refusal_of(error: &io::Error) -> SendError {
    match error.raw_os_error().unwrap_or(0) {
        libc::EAGAIN => SendError::WouldBlock,
        libc::ENOBUFS | libc::ENOMEM => SendError::NoBuffers,
        libc::EMSGSIZE => SendError::TooBig,
        libc::EINTR => SendError::Interrupted,
        other => match unreachable_errno(other) {
            Some(errno) => SendError::Unreachable(Unreachable::returned(errno)),
            None => SendError::Other(other),
        },
    }
}

const fn unreachable_errno(errno: i32) -> Option<UnreachableErrno> {
    Some(match errno {
        libc::ECONNREFUSED => UnreachableErrno::ConnRefused,
        libc::EHOSTUNREACH => UnreachableErrno::HostUnreach,
        libc::ENETUNREACH => UnreachableErrno::NetUnreach,
        libc::EHOSTDOWN => UnreachableErrno::HostDown,
        libc::ENETDOWN => UnreachableErrno::NetDown,
        libc::ENOPROTOOPT => UnreachableErrno::NoProtoOpt,
        libc::ENONET => UnreachableErrno::NoNet,
        _ => return None,
    })
}

pub(super) fn set_int(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    // SAFETY: the pointer and length describe `value`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    check(result).map(|_| ())
}

/// Sets the IPv6 traffic class of what is sent.
///
/// # Errors
/// What setsockopt(2) says.
pub fn set_traffic_class(socket: &impl AsFd, class: u32) -> io::Result<()> {
    set_int(socket.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_TCLASS, class as libc::c_int)
}

/// Sends and receives by one device only (`SO_BINDTODEVICE`, socket(7)).
///
/// # Errors
/// What setsockopt(2) says.
pub fn bind_device(socket: &impl AsFd, device: &str) -> io::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the pointer and length describe `device`, which outlives the call; the option needs
    // no terminating zero where the length is given.
    let result = unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            device.as_ptr().cast(),
            device.len() as libc::socklen_t,
        )
    };
    check(result).map(|_| ())
}

/// The number of a device in this thread's network namespace (if_nametoindex(3)).
///
/// # Errors
/// What the system says; [`io::ErrorKind::InvalidInput`] where the name holds a zero.
pub fn device_index(device: &str) -> io::Result<u32> {
    let name = std::ffi::CString::new(device)?;
    // SAFETY: `name` is a string with a terminating zero, which outlives the call.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

/// The name of the device of this number in this thread's network namespace (if_indextoname(3)).
#[must_use]
pub fn device_name(index: u32) -> Option<String> {
    let mut name = [0; libc::IF_NAMESIZE];
    // SAFETY: `name` is writable and has the IF_NAMESIZE bytes that the call may write.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr()) };
    if found.is_null() {
        return None;
    }
    // SAFETY: the call has succeeded, so `name` holds a string with a terminating zero.
    let name = unsafe { std::ffi::CStr::from_ptr(name.as_ptr()) };
    Some(name.to_string_lossy().into_owned())
}

/// The path MTU to the peer of a connected socket in bytes, as the kernel knows it now (`IP_MTU` of
/// ip(7), `IPV6_MTU` of ipv6(7)).
#[must_use]
pub fn path_mtu(socket: &impl AsFd, ipv6: bool) -> Option<u64> {
    let (level, name) = match ipv6 {
        true => (libc::IPPROTO_IPV6, libc::IPV6_MTU),
        false => (libc::IPPROTO_IP, libc::IP_MTU),
    };
    let mut mtu: libc::c_int = 0;
    let mut len = size_of_val(&mtu) as libc::socklen_t;
    // SAFETY: `mtu` is writable and has the length that `len` says, both for the whole call.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            (&raw mut mtu).cast(),
            &raw mut len,
        )
    };
    check(result).ok()?;
    u64::try_from(mtu).ok()
}

/// Has every message of this socket cut into datagrams of `bytes` by the kernel, or by the device
/// (`UDP_SEGMENT`, udp(7)); 0: not any more.
///
/// # Errors
/// What setsockopt(2) says; ENOPROTOOPT before Linux 4.18.
pub fn set_udp_segment(socket: &impl AsFd, bytes: u16) -> io::Result<()> {
    set_int(socket.as_fd(), libc::IPPROTO_UDP, libc::UDP_SEGMENT, bytes.into())
}

/// Has consecutive datagrams of one sender handed over as one message, with the length of each in
/// a control message (`UDP_GRO`, udp(7)).
///
/// # Errors
/// What setsockopt(2) says; ENOPROTOOPT before Linux 5.0.
pub fn set_udp_gro(socket: &impl AsFd) -> io::Result<()> {
    set_int(socket.as_fd(), libc::IPPROTO_UDP, libc::UDP_GRO, 1)
}

/// Has each message come with the moment at which the kernel took it from the device, by the
/// clock of [`super::realtime_ns`] (`SO_TIMESTAMPNS`, socket(7)).
///
/// # Errors
/// What setsockopt(2) says.
pub fn set_timestamps(socket: &impl AsFd) -> io::Result<()> {
    set_int(socket.as_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)
}

/// Undoes [`set_udp_segment`], [`set_udp_gro`], [`set_timestamps`] and [`super::stamp_sends`]. What
/// waits in the socket already stays as it came.
///
/// # Errors
/// What setsockopt(2) says, except where the kernel does not know offload, which then is off.
pub fn reset_rx_options(socket: &impl AsFd) -> io::Result<()> {
    let fd = socket.as_fd();
    for option in [libc::UDP_SEGMENT, libc::UDP_GRO] {
        match set_int(fd, libc::IPPROTO_UDP, option, 0) {
            Err(error) if error.raw_os_error() != Some(libc::ENOPROTOOPT) => return Err(error),
            _ => {}
        }
    }
    set_int(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPING, 0)?;
    set_int(fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 0)
}

/// Whether a send failed for want of offload: EIO where a device cannot sum what it should cut,
/// EINVAL where a message has more segments than the kernel takes or one exceeds the MTU
/// (`udp_send_skb`, net/ipv4/udp.c), which newer kernels call EMSGSIZE.
#[must_use]
pub const fn refuses_offload(error: SendError) -> bool {
    matches!(error, SendError::Other(libc::EIO | libc::EINVAL) | SendError::TooBig)
}
