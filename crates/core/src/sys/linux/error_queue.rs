//! The socket error queue: errors for sent datagrams (`MSG_ERRQUEUE`, ip(7)).
#![allow(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use super::check;
use super::cmsg::{Addr, Control, ControlMessages, NO_ADDR, address_of};
use super::mmsg::EMPTY;
use super::socket::send_error_of;
use crate::sys::{Reporter, SendError, Unreachable};

/// Most queued errors one call reads. Arbitrary: more than one batch can cause.
const QUEUED_MOST: usize = 1_024;

/// Empties the error queue, which [`super::report_queue_drops`] enables; returns the latest error.
pub fn take_latest_error(socket: &impl AsFd) -> Option<SendError> {
    drain_error_queue(socket).1
}

/// The same; also counts them.
pub fn drain_error_queue(socket: &impl AsFd) -> (u64, Option<SendError>) {
    let (mut count, mut latest) = (0, None);
    take_queued_errors(socket, |_, error| (count, latest) = (count + 1, Some(error)));
    (count, latest)
}

/// The same; calls `note` with the destination, if known, and the error of each.
pub fn take_queued_errors(socket: &impl AsFd, mut note: impl FnMut(Option<SocketAddr>, SendError)) {
    let fd = socket.as_fd().as_raw_fd();
    for _ in 0..QUEUED_MOST {
        match next_queued_error(fd) {
            Some(Some((peer, error))) => note(peer, error),
            Some(None) => {}
            None => break,
        }
    }
}

/// The next entry of the queue: destination of the datagram and error; `Some(None)` for a send
/// timestamp, which is no error.
fn next_queued_error(fd: RawFd) -> Option<Option<(Option<SocketAddr>, SendError)>> {
    /// Room for the error and the address of its sender.
    const CONTROL_LEN: usize = 256;
    let (mut addr, mut control) = (NO_ADDR, Control([0; CONTROL_LEN]));
    let mut header = EMPTY.msg_hdr;
    header.msg_name = (&raw mut addr).cast();
    header.msg_namelen = size_of::<Addr>() as libc::socklen_t;
    header.msg_control = (&raw mut control).cast();
    header.msg_controllen = CONTROL_LEN as _;
    let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
    // SAFETY: the header points to `addr` and `control`, writable for the lengths given.
    check(unsafe { libc::recvmsg(fd, &raw mut header, flags) } as libc::c_int).ok()?;
    // The type of this length differs between C libraries.
    #[allow(clippy::unnecessary_cast)]
    let len = (header.msg_controllen as usize).min(CONTROL_LEN);
    // The address of its sender follows the error (`SO_EE_OFFENDER`, ip(7)).
    let (error, from) = match ControlMessages(&control.0[..len]).find_map(|it| it.error()) {
        Some((error, from))
            if error.ee_origin != libc::SO_EE_ORIGIN_TIMESTAMPING && error.ee_errno != 0 =>
        {
            (error, from)
        }
        _ => return Some(None),
    };
    let reporter = reporter(&error, address_of(from));
    let error = match send_error_of(&io::Error::from_raw_os_error(error.ee_errno as i32)) {
        SendError::Unreachable(why) => SendError::Unreachable(Unreachable { reporter, ..why }),
        other => other,
    };
    Some(Some((address_of(&addr.0), error)))
}

/// Who reports an error, given the address behind it.
fn reporter(error: &libc::sock_extended_err, from: Option<SocketAddr>) -> Reporter {
    let v6 = error.ee_origin == libc::SO_EE_ORIGIN_ICMP6;
    match error.ee_origin {
        libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6 => Reporter::Icmp {
            v6,
            kind: error.ee_type,
            code: error.ee_code,
            from: from.map(|from| from.ip()),
        },
        libc::SO_EE_ORIGIN_LOCAL => Reporter::Local,
        _ => Reporter::Unknown,
    }
}
