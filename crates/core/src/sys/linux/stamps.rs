//! The kernel's send timestamps (`SO_TIMESTAMPING`, Documentation/networking/timestamping.rst):
//! when the driver got a datagram, reported in the socket's error queue.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use super::cmsg::{Control, ControlMessages};
use super::socket::{get_int, send_error_of, set_int};
use crate::sys::SendError;

/// Flags that stay on after [`stamp_sends`]: reports without the datagram, each with its number,
/// which the kernel looks up when it reports (`__skb_complete_tx_timestamp`, net/core/skbuff.c).
const REPORT: libc::c_uint = libc::SOF_TIMESTAMPING_SOFTWARE
    | libc::SOF_TIMESTAMPING_OPT_TSONLY
    | libc::SOF_TIMESTAMPING_OPT_ID;

/// Entries of the queue that one call reads. Arbitrary: half a batch.
const ENTRIES: usize = 32;

/// Maximum calls to empty one queue. Arbitrary: more than any batch can fill.
const CALLS: usize = 64;

/// Starts or stops timestamps of sent datagrams, numbered from 0. Pending ones are still reported.
pub fn stamp_sends(socket: &impl AsFd, on: bool) -> io::Result<()> {
    let set = |flags: libc::c_uint| {
        set_int(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPING, flags as libc::c_int)
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
    set_int(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPING, 0)
}

/// The error that the next call on this socket would return; cleared (`SO_ERROR`, socket(7)).
pub fn take_socket_error(socket: &impl AsFd) -> Option<SendError> {
    let value = get_int(socket, libc::SOL_SOCKET, libc::SO_ERROR).ok()?;
    // It came back for an earlier datagram: not from this host's routes; the sender is unknown.
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
    /// Room for a timestamp (64 bytes) and an error with an address (64).
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
        // SAFETY: each header points to a control buffer of its own, writable for the length given,
        // and to nothing else; both outlive the call.
        let read = unsafe { libc::recvmmsg(fd, at, most, flags, std::ptr::null_mut()) };
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

/// The timestamp in an entry of the queue, if it is that of number 0.
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
    use crate::sys::{
        Unreachable, UnreachableErrno, realtime_ns, report_queue_drops, take_latest_error,
    };

    fn pair() -> (UdpSocket, UdpSocket) {
        let (tx, rx) =
            (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        tx.connect(rx.local_addr().unwrap()).unwrap();
        (tx, rx)
    }

    #[test]
    fn the_first_datagram_is_stamped_each_time_it_is_asked_for() {
        let (tx, _rx) = pair();
        for _ in 0..3 {
            tx.send(&[0]).unwrap();
            stamp_sends(&tx, true).unwrap();
            let before_ns = realtime_ns();
            for _ in 0..70 {
                tx.send(&[0]).unwrap();
            }
            let after_ns = realtime_ns();
            stamp_sends(&tx, false).unwrap();
            let stamp_ns = take_send_stamp(&tx).unwrap();
            assert!((before_ns..=after_ns).contains(&stamp_ns));
            // It was the first one's, and all others' are gone.
            assert_eq!(take_send_stamp(&tx), None);
            tx.send(&[0]).unwrap();
            assert_eq!(take_send_stamp(&tx), None);
        }
        forget_send_stamps(&tx).unwrap();
    }

    #[test]
    fn a_stamp_is_no_refusal_and_a_refusal_is_no_stamp() {
        let (tx, rx) = pair();
        report_queue_drops(&tx, false).unwrap();
        stamp_sends(&tx, true).unwrap();
        tx.send(&[0]).unwrap();
        assert_eq!(take_latest_error(&tx), None);
        drop(rx);
        stamp_sends(&tx, true).unwrap();
        tx.send(&[0]).unwrap();
        // Over loopback, the answer is there when the call returns.
        let refused = Unreachable::returned(UnreachableErrno::ConnRefused);
        assert_eq!(take_socket_error(&tx), Some(SendError::Unreachable(refused)));
        assert_eq!(take_socket_error(&tx), None);
        assert!(take_send_stamp(&tx).is_some());
        assert_eq!(take_latest_error(&tx), None);
    }
}
