//! The error queue (`MSG_ERRQUEUE`): errors for sent datagrams (ip(7)), and the kernel's send
//! timestamps, when the driver got a datagram (Documentation/networking/timestamping.rst).
#![allow(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use super::check;
use super::cmsg::{Addr, Control, ControlMessages, NO_ADDR, address_of};
use super::mmsg::EMPTY;
use super::socket::{get_int, send_error_of, set_int};
use crate::sys::{QueuedError, Reporter, SendError, Unreachable};

/// Maximum errors that one call reads. Arbitrary: more than one batch can cause.
const MAX_ERRORS: usize = 1_024;

/// Empties the error queue, which [`super::report_queue_drops`] enables; returns the number of
/// errors and the latest one.
pub fn drain_error_queue(socket: &impl AsFd) -> (u64, Option<SendError>) {
    let (mut count, mut latest) = (0, None);
    take_queued_errors(socket, |queued| (count, latest) = (count + 1, Some(queued.error)));
    (count, latest)
}

/// Empties the error queue; calls `note` with each error.
pub fn take_queued_errors(socket: &impl AsFd, mut note: impl FnMut(QueuedError)) {
    let fd = socket.as_fd().as_raw_fd();
    for _ in 0..MAX_ERRORS {
        let Some(error) = next_queued_error(fd) else { return };
        error.into_iter().for_each(&mut note);
    }
}

/// The next entry of the queue; `Some(None)` for a send timestamp, which is no error.
fn next_queued_error(fd: RawFd) -> Option<Option<QueuedError>> {
    /// Bytes of the error and the address of its sender.
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
    let found = ControlMessages(&control.0[..len]).find_map(|message| message.error());
    let found = found.filter(|(error, _)| {
        error.ee_origin != libc::SO_EE_ORIGIN_TIMESTAMPING && error.ee_errno != 0
    });
    Some(found.map(|(error, from)| {
        // The address of its sender follows the error (`SO_EE_OFFENDER`, ip(7)).
        let reporter = reporter(&error, address_of(from));
        let mtu = (error.ee_errno as i32 == libc::EMSGSIZE).then_some(error.ee_info);
        let error = match send_error_of(&io::Error::from_raw_os_error(error.ee_errno as i32)) {
            SendError::Unreachable(why) => SendError::Unreachable(Unreachable { reporter, ..why }),
            other => other,
        };
        QueuedError { to: address_of(&addr.0), error, reporter, mtu: mtu.filter(|mtu| *mtu > 0) }
    }))
}

fn reporter(error: &libc::sock_extended_err, from: Option<SocketAddr>) -> Reporter {
    match error.ee_origin {
        libc::SO_EE_ORIGIN_ICMP | libc::SO_EE_ORIGIN_ICMP6 => Reporter::Icmp {
            v6: error.ee_origin == libc::SO_EE_ORIGIN_ICMP6,
            kind: error.ee_type,
            code: error.ee_code,
            from: from.map(|from| from.ip()),
        },
        libc::SO_EE_ORIGIN_LOCAL => Reporter::Local,
        _ => Reporter::Unknown,
    }
}

/// Flags that stay on after [`stamp_sends`]: reports without the datagram, each with the number of
/// the datagram, which the kernel adds when it reports (`__skb_complete_tx_timestamp`,
/// net/core/skbuff.c).
const REPORT: libc::c_uint = libc::SOF_TIMESTAMPING_SOFTWARE
    | libc::SOF_TIMESTAMPING_OPT_TSONLY
    | libc::SOF_TIMESTAMPING_OPT_ID;

/// Entries of the queue in one call, and maximum calls. Arbitrary: more than any batch can fill.
const ENTRIES: usize = 32;
const CALLS: usize = 64;

/// Starts or stops timestamps of sent datagrams, numbered from 0. Pending ones are still reported.
pub fn stamp_sends(socket: &impl AsFd, on: bool) -> io::Result<()> {
    let set = |flags: libc::c_uint| {
        set_int(socket, (libc::SOL_SOCKET, libc::SO_TIMESTAMPING), flags as libc::c_int)
    };
    if !on {
        return set(REPORT);
    }
    // Only turning them on restarts the numbers (`sock_set_timestamping`, net/core/sock.c).
    set(REPORT & !libc::SOF_TIMESTAMPING_OPT_ID)?;
    set(REPORT | libc::SOF_TIMESTAMPING_TX_SOFTWARE)
}

/// Undoes [`stamp_sends`].
pub fn forget_send_stamps(socket: &impl AsFd) -> io::Result<()> {
    set_int(socket, (libc::SOL_SOCKET, libc::SO_TIMESTAMPING), 0)
}

/// The error that the next call on this socket would return; cleared (`SO_ERROR`, socket(7)).
pub fn take_socket_error(socket: &impl AsFd) -> Option<SendError> {
    let value = get_int(socket, (libc::SOL_SOCKET, libc::SO_ERROR)).ok()?;
    // An error for an earlier datagram, not of this host's routes; its sender is unknown.
    let error = (value != 0).then(|| send_error_of(&io::Error::from_raw_os_error(value)))?;
    Some(match error {
        SendError::Unreachable(why) => SendError::Unreachable(why.came_back()),
        other => other,
    })
}

/// Empties the error queue; returns when the driver got the first datagram sent after
/// [`stamp_sends`], by [`super::realtime_ns`]. Call [`take_socket_error`] before: emptying the
/// queue clears a pending error.
pub fn take_send_stamp(socket: &impl AsFd) -> Option<u64> {
    /// Bytes of a timestamp (64) and an error with an address (64).
    const CONTROL_LEN: usize = 192;
    let fd = socket.as_fd().as_raw_fd();
    let mut controls = [Control([0; CONTROL_LEN]); ENTRIES];
    // SAFETY: plain old data, for which zeroes are a valid value: no address, no iovecs.
    let mut headers: [libc::mmsghdr; ENTRIES] = unsafe { std::mem::zeroed() };
    let mut first = None;
    for _ in 0..CALLS {
        for (header, control) in headers.iter_mut().zip(&mut controls) {
            header.msg_hdr.msg_control = std::ptr::from_mut(control).cast();
            header.msg_hdr.msg_controllen = CONTROL_LEN as _;
        }
        let flags = libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT;
        let (at, most) = (headers.as_mut_ptr(), ENTRIES as libc::c_uint);
        // SAFETY: each header only points to its own control buffer, writable for this length; both
        // outlive the call.
        let read = unsafe { libc::recvmmsg(fd, at, most, flags as _, std::ptr::null_mut()) };
        let read = usize::try_from(read).unwrap_or(0);
        let entries = headers[..read].iter().zip(&controls);
        // The type of this length differs between C libraries.
        #[allow(clippy::unnecessary_cast)]
        let stamps = entries.filter_map(|(header, control)| {
            first_stamp(control.0.get(..header.msg_hdr.msg_controllen as usize)?)
        });
        first = stamps.fold(first, |first, stamp_ns| first.or(Some(stamp_ns)));
        if read < ENTRIES {
            break;
        }
    }
    first
}

/// The timestamp in an entry of the queue, if it is of datagram 0.
fn first_stamp(control: &[u8]) -> Option<u64> {
    let (mut stamp_ns, mut is_first) = (None, false);
    for message in ControlMessages(control) {
        if message.kind == (libc::SOL_SOCKET, libc::SCM_TIMESTAMPING) {
            // The first of three is the kernel's own (`struct scm_timestamping`).
            stamp_ns = message.time_ns();
        } else if let Some((error, _)) = message.error() {
            is_first = error.ee_origin == libc::SO_EE_ORIGIN_TIMESTAMPING && error.ee_data == 0;
        }
    }
    stamp_ns.filter(|_| is_first)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::sys::{UnreachableErrno, realtime_ns, report_queue_drops};

    fn pair() -> (UdpSocket, UdpSocket) {
        let (tx, rx) =
            (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        tx.connect(rx.local_addr().unwrap()).unwrap();
        (tx, rx)
    }

    #[test]
    fn stamps_the_first_datagram_each_time() {
        let (tx, _rx) = pair();
        for _ in 0..3 {
            tx.send(&[0]).unwrap();
            stamp_sends(&tx, true).unwrap();
            let before_ns = realtime_ns();
            (0..70).for_each(|_| assert_eq!(tx.send(&[0]).unwrap(), 1));
            let after_ns = realtime_ns();
            stamp_sends(&tx, false).unwrap();
            let stamp_ns = take_send_stamp(&tx).unwrap();
            assert!((before_ns..=after_ns).contains(&stamp_ns));
            tx.send(&[0]).unwrap();
            assert_eq!(take_send_stamp(&tx), None);
        }
        forget_send_stamps(&tx).unwrap();
    }

    #[test]
    fn separates_stamps_from_errors() {
        let (tx, rx) = pair();
        report_queue_drops(&tx, false).unwrap();
        stamp_sends(&tx, true).unwrap();
        tx.send(&[0]).unwrap();
        assert_eq!(drain_error_queue(&tx), (0, None));
        drop(rx);
        stamp_sends(&tx, true).unwrap();
        tx.send(&[0]).unwrap();
        // Over loopback, the ICMP error arrives before the call returns.
        let refused = Unreachable::returned(UnreachableErrno::ConnRefused);
        assert_eq!(take_socket_error(&tx), Some(SendError::Unreachable(refused)));
        assert_eq!(take_socket_error(&tx), None);
        assert!(take_send_stamp(&tx).is_some());
        assert_eq!(drain_error_queue(&tx), (0, None));
    }
}
