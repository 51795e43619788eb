//! A2S_INFO of game servers: <https://developer.valvesoftware.com/wiki/Server_queries>, "A2S_INFO".

use super::{Piece, What};
use crate::payload::bytes_at::BytesAt;

/// A request without a challenge: a packet that is whole, its kind, and a text.
const INFO: &[u8] = b"\xFF\xFF\xFF\xFFTSource Engine Query\0";
/// The first bytes of a packet that is whole.
const WHOLE: [u8; 4] = [0xFF; 4];
/// The kinds of replies: a challenge, and the information of current and of GoldSource servers.
const CHALLENGE: u8 = b'A';
const KINDS: [u8; 3] = [CHALLENGE, b'I', b'm'];
/// The place of the challenge in its reply.
const CHALLENGE_AT: u16 = 5;
const CHALLENGE_LEN: u16 = 4;

// cold: set-up
pub(super) fn request() -> Vec<Piece> {
    [Piece::Bytes(INFO.into())].into()
}

/// The request with the challenge of a reply.
// cold: set-up
pub(super) fn second() -> (Vec<Piece>, BytesAt) {
    let challenge = What::Reply { offset: CHALLENGE_AT, count: CHALLENGE_LEN };
    let bytes = [&WHOLE[..], &[CHALLENGE]].concat();
    let pieces = [Piece::Bytes(INFO.into()), Piece::Field(challenge)];
    (pieces.into(), BytesAt { bytes, offset: 0 })
}

/// Whether this is a reply. Replies repeat no part of their request.
#[inline]
pub(super) fn is_reply(reply: &[u8]) -> bool {
    reply.strip_prefix(&WHOLE).and_then(<[u8]>::first).is_some_and(|kind| KINDS.contains(kind))
}
