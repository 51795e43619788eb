//! Sending answers, and what becomes of those that the system does not take.

use std::io;

use mio::net::UdpSocket;

use super::EchoCounters;
use crate::sys::{self, Reply, ReplyBatch, SendError};

/// What to do after a send that failed.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::engine) enum Next {
    /// The same again: it was not its own failure.
    Again,
    /// In single datagrams: the system does not cut it.
    Cut,
    /// The next one: this one was refused.
    Pass,
    /// None of those that are left: there is no room.
    Stop,
}

/// What to do after this failure of `reply`. `fresh`: whether it was tried for the first time.
///
/// An error that came back for an earlier answer fails the next call, whatever it sends; it is in
/// the socket's queue of errors then.
// cold: a refusal
pub(in crate::engine) fn weigh(
    error: &io::Error,
    socket: &UdpSocket,
    reply: &Reply<'_>,
    fresh: &mut bool,
    moved: &mut EchoCounters,
) -> Next {
    let error = sys::refusal_of(error);
    match error {
        SendError::Interrupted => return Next::Again,
        SendError::WouldBlock => {
            moved.refuse(error, reply);
            return Next::Stop;
        }
        SendError::NoBuffers => {}
        _ => {
            let (queued, _) = sys::drain_error_queue(socket);
            moved.told += queued;
            // Where what is to be received fills the socket, the queue of errors has no room.
            if std::mem::take(fresh) && (queued > 0 || error.unreachable().is_some()) {
                return Next::Again;
            }
            if reply.datagrams() > 1 && sys::refuses_offload(error) {
                moved.cut += 1;
                return Next::Cut;
            }
        }
    }
    moved.refuse(error, reply);
    Next::Pass
}

/// Sends them all, many by one call.
#[inline]
pub(in crate::engine) fn post<'a>(
    calls: &mut ReplyBatch,
    socket: &UdpSocket,
    mut replies: impl Iterator<Item = Reply<'a>> + Clone,
    moved: &mut EchoCounters,
) {
    let mut fresh = true;
    while replies.clone().next().is_some() {
        moved.syscalls += 1;
        match calls.send(socket, replies.clone()) {
            Ok((laid, sent)) => {
                replies.by_ref().take(sent).for_each(|reply| moved.went(&reply));
                if sent < laid {
                    // The system has kept the reason to itself: what came back from the network is
                    // in the queue of errors, and what lasts shows at the next try.
                    moved.told += sys::drain_error_queue(socket).0;
                }
                fresh = true;
            }
            Err(error) => {
                let Some(reply) = replies.clone().next() else { return };
                match weigh(&error, socket, &reply, &mut fresh, moved) {
                    Next::Again => continue,
                    Next::Cut => cut(calls, socket, reply, moved),
                    Next::Pass => {}
                    Next::Stop => {
                        let would_block = SendError::WouldBlock;
                        replies.skip(1).for_each(|reply| moved.refuse(would_block, &reply));
                        return;
                    }
                }
                replies.next();
                fresh = true;
            }
        }
    }
}

/// Sends a super-packet in single datagrams.
// cold: a device that cannot cut
fn cut(calls: &mut ReplyBatch, socket: &UdpSocket, reply: Reply<'_>, moved: &mut EchoCounters) {
    let single = |payload| Reply { payload, ..reply };
    post(calls, socket, reply.payload.chunks(reply.segment).map(single), moved);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_does_not_cut_goes_in_single_datagrams() {
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        peer.set_nonblocking(true).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        if let Err(error) = sys::set_udp_segment(&socket, 0) {
            return eprintln!("SKIPPED: no super-packets: {error}");
        }
        // More segments than any kernel takes (`UDP_MAX_SEGMENTS`), between two that it does take.
        let bytes: Vec<u8> = (0..200).collect();
        let to = peer.local_addr().unwrap();
        let reply =
            |len: usize, segment| Reply { payload: &bytes[..len], segment, to, local: None };
        let replies = [reply(20, 10), reply(200, 1), reply(7, 7)];
        let mut moved = EchoCounters::default();
        post(&mut ReplyBatch::new(8), &socket, replies.into_iter(), &mut moved);
        assert_eq!((moved.returned, moved.returned_bytes, moved.cut), (2 + 200 + 1, 227, 1));
        assert_eq!(moved.refused, crate::measure::SendErrorCounts::default());
        let (mut lens, mut buffer) = (Vec::new(), [0; 300]);
        while let Ok(len) = peer.recv(&mut buffer) {
            lens.push(len);
        }
        let expected = [10, 10].into_iter().chain([1; 200]).chain([7]);
        assert!(lens.iter().copied().eq(expected), "{lens:?}");
    }

    #[test]
    fn each_answer_that_came_back_is_counted() {
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let nobody = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let reports = sys::report_queue_drops(&socket, false);
        if reports.is_err() || sys::set_udp_segment(&socket, 0).is_err() {
            return eprintln!("SKIPPED: no batches or no queue of errors here");
        }
        // Every other one fails for the one before, and stays here.
        let sent = (0..5).filter(|_| socket.send_to(b"x", nobody).is_ok()).count() as u64;
        assert!(sent > 1, "{sent}");
        let to = peer.local_addr().unwrap();
        let reply = Reply { payload: b"answer", segment: 6, to, local: None };
        let mut moved = EchoCounters::default();
        for _ in 0..2 {
            post(&mut ReplyBatch::new(1), &socket, std::iter::once(reply), &mut moved);
        }
        let refused = crate::measure::SendErrorCounts::default();
        assert_eq!((moved.returned, moved.told, moved.refused), (2, sent, refused));
    }

    #[test]
    fn what_cannot_be_sent_is_refused_and_the_rest_is_sent() {
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        if sys::set_udp_segment(&socket, 0).is_err() {
            return eprintln!("SKIPPED: no batches here");
        }
        let long = vec![0; 65_508];
        let to = peer.local_addr().unwrap();
        let reply = |len: usize| Reply { payload: &long[..len], segment: len, to, local: None };
        let mut moved = EchoCounters::default();
        let replies = [5, 65_508, 65_507, 65_508].map(reply);
        post(&mut ReplyBatch::new(2), &socket, replies.into_iter(), &mut moved);
        assert_eq!((moved.returned, moved.refused.too_big, moved.told), (2, 2, 0));
    }
}
