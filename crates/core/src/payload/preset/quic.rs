//! Requests for the versions of a QUIC server, RFC 8999 and RFC 9000.

use crate::payload::PayloadError;
use crate::payload::compile::{Compiler, Piece};
use crate::payload::number::Number;
use crate::payload::patch::What;
use crate::payload::reply::quic::{CID_LEN, SCID_AT};
use crate::unit::{hash_nth, hash_u64};

/// A version that no server has: one of those that are reserved for this purpose; RFC 9000 §15.
const VERSION: [u8; 4] = [0x1A, 0x2A, 0x3A, 0x4A];
/// A long header with the fixed bit, as an Initial has it; RFC 9000 §17.2.
const FIRST: u8 = 0xC0;
/// Bytes of a datagram, below which servers need not answer; RFC 9000 §14.1.
const SIZE: usize = 1_200;

/// Datagrams that look like an Initial of a future version, each to another destination.
pub(super) fn compile(to: &mut Compiler, seed: u64) -> Result<(), PayloadError> {
    let mut head = vec![FIRST];
    head.extend(VERSION);
    head.push(CID_LEN);
    let rest = SIZE - SCID_AT - usize::from(CID_LEN);
    // No token; then the length of what follows, in two bytes (RFC 9000 §16), and noise.
    let [high, low] = ((rest - 3) as u16 | 0x4000).to_be_bytes();
    let mut tail = vec![0, high, low];
    let noise = (0..).flat_map(|at| hash_nth(hash_u64(!seed), at).to_be_bytes());
    tail.extend(noise.take(rest - 3));
    to.line(&[
        Piece::Bytes(head),
        Piece::Field(What::Random { key: hash_u64(seed), number: Number::Be(CID_LEN) }),
        Piece::Bytes(vec![CID_LEN]),
        Piece::Field(What::Id(Number::Be(CID_LEN))),
        Piece::Bytes(tail),
    ])
}
