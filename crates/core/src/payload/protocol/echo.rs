//! Datagrams for servers that return what they receive.
//!
//! Eight bytes after the id identify a ping. A udperf sink changes the last of them and returns
//! the rest, so that a reply is never longer, nor answered by another sink.

use super::{IdAt, Number, PayloadError, Piece, What};
use crate::unit::{MAX_PAYLOAD, hash_nth};

/// The place of the id. Arbitrary: at the front, as any size has it.
pub(super) const ID: IdAt = IdAt { offset: 0, number: Number::Be(8) };
/// The identification of a ping, its last byte in the reply of a sink, and its offset. Arbitrary.
pub(super) const PING: [u8; 8] = *b"udperf:?";
const ANSWERED: u8 = b'!';
const AT: usize = 8;
/// Minimum bytes: the id, and as much that a server cannot guess. Arbitrary.
const MIN_SIZE: usize = AT + PING.len();
/// The offset of the byte that a sink changes.
pub(super) const CHANGED_AT: usize = MIN_SIZE - 1;

/// An id, `head`, and random bytes from the seed.
pub(super) fn request(
    what: &'static str,
    head: &[u8],
    size: usize,
    seed: u64,
) -> Result<Vec<Piece>, PayloadError> {
    if !(MIN_SIZE..=MAX_PAYLOAD).contains(&size) {
        let (least, most) = (MIN_SIZE, MAX_PAYLOAD);
        return Err(PayloadError::Size { what, requested: size, least, most });
    }
    let noise = (0..).flat_map(|at| hash_nth(seed, at).to_be_bytes());
    let rest = head.iter().copied().chain(noise).take(size - AT).collect();
    Ok([Piece::Field(What::Id(ID.number)), Piece::Bytes(rest)].into())
}

/// Turns a ping into its reply and returns true; other datagrams stay unchanged.
#[must_use]
pub fn answer_ping(datagram: &mut [u8]) -> bool {
    let is_ping = datagram.get(AT..MIN_SIZE) == Some(&PING[..]);
    if is_ping {
        datagram[CHANGED_AT] = ANSWERED;
    }
    is_ping
}

/// Fills a datagram of 16 bytes or more with a ping of this id.
pub fn write_ping(id: u64, datagram: &mut [u8]) {
    let noise = (0..).flat_map(|at| hash_nth(id, at).to_be_bytes());
    let bytes = id.to_be_bytes().into_iter().chain(PING).chain(noise);
    datagram.iter_mut().zip(bytes).for_each(|(to, byte)| *to = byte);
}

/// Who returned a ping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PingServer {
    /// A udperf sink.
    Sink,
    /// A server that returns what it receives.
    Echo,
}

/// Who returned this ping, or its beginning; `None` for any other datagram.
pub fn ping_server(ping: &[u8], reply: &[u8]) -> Option<PingServer> {
    let byte = reply.get(CHANGED_AT).filter(|byte| is_answer(**byte))?;
    let is_it = ping.get(..CHANGED_AT)? == &reply[..CHANGED_AT]
        && ping.get(MIN_SIZE..reply.len())? == &reply[MIN_SIZE..];
    is_it.then_some(if *byte == ANSWERED { PingServer::Sink } else { PingServer::Echo })
}

/// Whether this byte is that of a reply, from a sink or from a plain echo server.
#[inline]
pub(super) fn is_answer(byte: u8) -> bool {
    byte == ANSWERED || byte == PING[PING.len() - 1]
}
