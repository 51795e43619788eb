//! Results of calls that send.

use std::io;

use super::Push;
use crate::net::Datagram;
use crate::sys::{self, SendBatch, SendError};

/// Sends `count` messages by one sendmmsg(2), and counts those as sent. `held`: the datagrams in
/// the message of an index.
#[inline]
pub(super) fn send<'a>(
    calls: &mut SendBatch,
    socket: &impl Datagram,
    payloads: impl Iterator<Item = &'a [u8]>,
    count: usize,
    held: impl Fn(usize) -> usize,
) -> Push {
    pushed(calls.send(socket, payloads), socket, count, held)
}

/// Counts the result of one call that was to send `count` messages.
#[inline]
pub(super) fn pushed(
    result: io::Result<usize>,
    socket: &impl Datagram,
    count: usize,
    held: impl Fn(usize) -> usize,
) -> Push {
    let (sent, refused, error) = match result {
        Ok(sent) if sent == count => (sent, 0, None),
        Ok(sent) => (sent, held(sent), Some(refused_behind(socket))),
        Err(error) => {
            let error = refusal(&error, socket);
            (0, if error.is_some() { held(0) } else { 0 }, error)
        }
    };
    Push { sent, packets: sent as u64, refused, error, syscalls: 1 }
}

/// sendmmsg(2) hides the error of a later message: an ICMP error is in the error queue, a lasting
/// one returns at the next call. The rest is not tried, as a refusal uses a slot of the schedule.
// cold: a refusal
fn refused_behind<S: Datagram>(socket: &S) -> SendError {
    socket.drain_error_queue().unwrap_or_else(S::unreported)
}

/// Why the first message was not sent; `None` after a signal: the caller retries.
// cold: a refusal
fn refusal(error: &io::Error, socket: &impl Datagram) -> Option<SendError> {
    let error = match sys::send_error_of(error) {
        // Read now, so that a later call does not report it again.
        error @ SendError::Unreachable(_) => explained(error, socket),
        error @ SendError::TooBig => {
            socket.drain_error_queue();
            error
        }
        error => error,
    };
    (error != SendError::Interrupted).then_some(error)
}

/// Adds the reporter to an error from the socket's error queue, which this empties.
// cold: a refusal
pub fn explained(error: SendError, socket: &impl Datagram) -> SendError {
    let queued = socket.drain_error_queue();
    let same = |queued: &SendError| {
        let errnos = [error, *queued].map(|one| one.unreachable().map(|why| why.errno));
        errnos[0].is_some() && errnos[0] == errnos[1]
    };
    queued.filter(same).unwrap_or(error)
}
