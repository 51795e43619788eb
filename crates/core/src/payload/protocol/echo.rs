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

/// Whether this byte is that of a reply, from a sink or from a plain echo server.
#[inline]
pub(super) fn is_answer(byte: u8) -> bool {
    byte == ANSWERED || byte == PING[PING.len() - 1]
}
