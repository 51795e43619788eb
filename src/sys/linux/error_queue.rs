//! The queue of errors that came back for datagrams sent (`MSG_ERRQUEUE`, ip(7)).
#![allow(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};

use super::check;
use super::socket::refusal_of;
use crate::sys::{Reporter, SendError, Unreachable};

/// How many queued errors one call reads at most. Arbitrary: more than one batch can cause.
const QUEUED_MOST: usize = 1_024;

/// Empties the queue of errors that came back for earlier datagrams, and returns the latest;
/// [`super::report_queue_drops`] turns it on. A batch call that fails after its first message
/// discards the error, and this is where it can still be read.
pub fn take_queued_refusal(socket: &impl AsFd) -> Option<SendError> {
    drain_error_queue(socket).1
}

/// The same; also tells how many there were.
pub fn drain_error_queue(socket: &impl AsFd) -> (u64, Option<SendError>) {
    let (mut count, mut latest) = (0, None);
    take_refused_peers(socket, |_, error| (count, latest) = (count + 1, Some(error)));
    (count, latest)
}

/// The same; tells `note` of each whom it was sent to, where the kernel says so, and why it did not
/// get there.
pub fn take_refused_peers(socket: &impl AsFd, mut note: impl FnMut(Option<SocketAddr>, SendError)) {
    let fd = socket.as_fd().as_raw_fd();
    for _ in 0..QUEUED_MOST {
        match next_queued_error(fd) {
            Some(Queued { errno: 0, .. }) => {}
            Some(Queued { peer, errno, reporter }) => {
                let error = match refusal_of(&io::Error::from_raw_os_error(errno)) {
                    SendError::Unreachable(why) => {
                        SendError::Unreachable(Unreachable { reporter, ..why })
                    }
                    other => other,
                };
                note(peer, error);
            }
            None => break,
        }
    }
}

/// An entry of the queue of errors.
struct Queued {
    /// The destination of the datagram.
    peer: Option<SocketAddr>,
    /// The error number; 0 for a send timestamp, which is no error.
    errno: i32,
    /// Who reports it.
    reporter: Reporter,
}

/// The next entry of the queue.
fn next_queued_error(fd: std::os::fd::RawFd) -> Option<Queued> {
    /// Room for the error and the address of who sent it, aligned as `struct cmsghdr` demands.
    #[repr(C, align(8))]
    struct Control([u8; 256]);
    let mut control = Control([0; 256]);
    // SAFETY: plain old data, for which zeroes are a valid value: an address of no family, and no
    // name, no pieces.
    let (mut name, mut header): (libc::sockaddr_storage, libc::msghdr) =
        unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    header.msg_name = (&raw mut name).cast();
    header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    header.msg_control = (&raw mut control).cast();
    header.msg_controllen = size_of::<Control>() as _;
    // SAFETY: the header points to `name` and `control`, writable for the lengths given; the kernel
    // sets the lengths to what it wrote, the macros stay within it, and the error is copied out as
    // bytes.
    unsafe {
        let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
        check(libc::recvmsg(fd, &raw mut header, flags) as libc::c_int).ok()?;
        let mut at = libc::CMSG_FIRSTHDR(&raw const header);
        while let Some(found) = at.as_ref() {
            if matches!(
                (found.cmsg_level, found.cmsg_type),
                (libc::IPPROTO_IP, libc::IP_RECVERR) | (libc::IPPROTO_IPV6, libc::IPV6_RECVERR)
            ) {
                let data = libc::CMSG_DATA(found);
                let error = data.cast::<libc::sock_extended_err>().read_unaligned();
                let stamp = error.ee_origin == libc::SO_EE_ORIGIN_TIMESTAMPING;
                let errno = if stamp { 0 } else { error.ee_errno as i32 };
                // The address of who sent the error follows it (`SO_EE_OFFENDER`, ip(7)); shorter
                // than the storage, it is copied into zeroes.
                let mut from: libc::sockaddr_storage = std::mem::zeroed();
                let head = size_of::<libc::sock_extended_err>();
                // The type of this length differs between C libraries.
                #[allow(clippy::unnecessary_cast)]
                let len = (found.cmsg_len as usize)
                    .saturating_sub(libc::CMSG_LEN(head as u32) as usize)
                    .min(size_of::<libc::sockaddr_storage>());
                std::ptr::copy_nonoverlapping(data.add(head), (&raw mut from).cast(), len);
                let reporter = reporter(&error, &from);
                return Some(Queued { peer: super::mmsg::address_of(&name), errno, reporter });
            }
            at = libc::CMSG_NXTHDR(&raw const header, found);
        }
    }
    Some(Queued { peer: None, errno: 0, reporter: Reporter::Unknown })
}

/// Who reports an error, given the address behind it.
fn reporter(error: &libc::sock_extended_err, from: &libc::sockaddr_storage) -> Reporter {
    let v6 = error.ee_origin == libc::SO_EE_ORIGIN_ICMP6;
    match error.ee_origin {
        libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6 => Reporter::Icmp {
            v6,
            kind: error.ee_type,
            code: error.ee_code,
            from: super::mmsg::address_of(from).map(|from| from.ip()),
        },
        libc::SO_EE_ORIGIN_LOCAL => Reporter::Local,
        _ => Reporter::Unknown,
    }
}
