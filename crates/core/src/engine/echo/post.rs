//! Sending replies, and handling those that the system refuses.

use std::io;

use mio::net::UdpSocket;

use super::EchoCounters;
use crate::sys::{self, Reply, ReplyBatch, SendError};

/// What to do after a send that failed.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::engine) enum Next {
    /// Retry: an earlier reply caused the error.
    Again,
    /// Send single datagrams: the system cannot split it.
    Cut,
    /// Go on: this one was refused.
    Pass,
    /// Give up on the rest: the send buffer is full.
    Stop,
}

/// What to do after this failure of `reply`. `fresh`: whether this was the first attempt.
///
/// An ICMP error for an earlier reply fails the next call, and is in the socket's error queue.
// cold: a refusal
pub(in crate::engine) fn classify_failure(
    error: &io::Error,
    socket: &UdpSocket,
    reply: &Reply<'_>,
    fresh: &mut bool,
    counters: &mut EchoCounters,
) -> Next {
    let error = sys::send_error_of(error);
    match error {
        SendError::Interrupted => return Next::Again,
        SendError::WouldBlock => {
            counters.count_refusal(error, reply);
            return Next::Stop;
        }
        SendError::NoBuffers => {}
        _ => {
            let (queued, _) = sys::drain_error_queue(socket);
            counters.queued_errors += queued;
            // Requests that fill the receive buffer leave no room in the error queue.
            if std::mem::take(fresh) && (queued > 0 || error.unreachable().is_some()) {
                return Next::Again;
            }
            if reply.datagrams() > 1 && sys::refuses_offload(error) {
                counters.cut += 1;
                return Next::Cut;
            }
        }
    }
    counters.count_refusal(error, reply);
    Next::Pass
}

#[inline]
pub(in crate::engine) fn send_replies<'a>(
    calls: &mut ReplyBatch,
    socket: &UdpSocket,
    mut replies: impl Iterator<Item = Reply<'a>> + Clone,
    counters: &mut EchoCounters,
) {
    let mut fresh = true;
    while replies.clone().next().is_some() {
        counters.syscalls += 1;
        match calls.send(socket, replies.clone()) {
            Ok((attempted, sent)) => {
                replies.by_ref().take(sent).for_each(|reply| counters.count_reply(&reply));
                if sent < attempted {
                    // An ICMP error is in the error queue; a lasting one returns at the next call.
                    counters.queued_errors += sys::drain_error_queue(socket).0;
                }
                fresh = true;
            }
            Err(error) => {
                let Some(reply) = replies.clone().next() else { return };
                match classify_failure(&error, socket, &reply, &mut fresh, counters) {
                    Next::Again => continue,
                    Next::Cut => cut(calls, socket, reply, counters),
                    Next::Pass => {}
                    Next::Stop => {
                        let would_block = SendError::WouldBlock;
                        replies
                            .skip(1)
                            .for_each(|reply| counters.count_refusal(would_block, &reply));
                        return;
                    }
                }
                replies.next();
                fresh = true;
            }
        }
    }
}

// cold: a device that cannot split
fn cut(calls: &mut ReplyBatch, socket: &UdpSocket, reply: Reply<'_>, counters: &mut EchoCounters) {
    let single = |payload| Reply { payload, ..reply };
    send_replies(calls, socket, reply.payload.chunks(reply.segment).map(single), counters);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::SendErrorCounts;

    fn pair() -> Option<(std::net::UdpSocket, UdpSocket)> {
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_nonblocking(true).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        if let Err(error) = sys::set_udp_segment(&socket, 0) {
            eprintln!("SKIPPED: no super-packets: {error}");
            return None;
        }
        Some((peer, socket))
    }

    fn send(
        (peer, socket): &(std::net::UdpSocket, UdpSocket),
        replies: &[(usize, usize)],
        counters: &mut EchoCounters,
    ) {
        let (bytes, to) = (vec![0; 65_508], peer.local_addr().unwrap());
        let reply = |&(len, segment): &(usize, usize)| Reply {
            payload: &bytes[..len],
            segment,
            to,
            local: None,
        };
        send_replies(&mut ReplyBatch::new(2), socket, replies.iter().map(reply), counters);
    }

    #[test]
    fn splits_unsupported_super_packets_and_refuses_too_long_replies() {
        let Some(pair) = pair() else { return };
        let mut counters = EchoCounters::default();
        // More segments than any kernel takes (`UDP_MAX_SEGMENTS`), and replies that are too long,
        // between others.
        let replies = [(20, 10), (200, 1), (65_508, 65_508), (7, 7), (65_508, 65_508)];
        send(&pair, &replies, &mut counters);
        let counted = (counters.returned, counters.returned_bytes, counters.cut);
        let refused = SendErrorCounts { too_big: 2, ..SendErrorCounts::default() };
        assert_eq!((counted, counters.refused), ((203, 227, 1), refused));
        assert_eq!(counters.queued_errors, 0);
        let mut buffer = [0; 300];
        let lens: Vec<_> = std::iter::from_fn(|| pair.0.recv(&mut buffer).ok()).collect();
        let expected = [10, 10].into_iter().chain([1; 200]).chain([7]);
        assert!(lens.iter().copied().eq(expected), "{lens:?}");
    }

    #[test]
    fn counts_each_icmp_error() {
        let Some(pair) = pair() else { return };
        let (_taken, closed) = crate::engine::fixture::closed_port();
        sys::report_queue_drops(&pair.1, false).unwrap();
        // Every other send fails with the error of the one before.
        let sent = (0..5).filter(|_| pair.1.send_to(b"x", closed).is_ok()).count() as u64;
        assert!(sent > 1, "{sent}");
        let mut counters = EchoCounters::default();
        (0..2).for_each(|_| send(&pair, &[(6, 6)], &mut counters));
        assert_eq!((counters.returned, counters.queued_errors), (2, sent));
        assert_eq!(counters.refused, SendErrorCounts::default());
    }
}
