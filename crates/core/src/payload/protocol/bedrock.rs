//! Unconnected pings of RakNet, as servers of Minecraft: Bedrock Edition answer them:
//! <https://minecraft.wiki/w/RakNet>, "Unconnected Ping".

use super::{IdAt, Number, Piece};
use crate::unit::hash_u64;

/// The kinds of ping and pong.
const PING: u8 = 0x01;
const PONG: u8 = 0x1C;
/// The bytes that identify messages outside a connection.
const MAGIC: [u8; 16] = *b"\0\xFF\xFF\0\xFE\xFE\xFE\xFE\xFD\xFD\xFD\xFD\x12\x34\x56\x78";
/// The place of the time, which a pong returns.
const TIME: IdAt = IdAt { offset: 1, number: Number::Be(8) };
/// The offset of the magic bytes in a pong, after the time and the id of the server.
const MAGIC_AT: usize = 17;

/// A ping whose time is the id.
// cold: set-up
pub(super) fn request(seed: u64) -> Vec<Piece> {
    let client = hash_u64(seed).to_be_bytes();
    let pieces = [
        Piece::Bytes([PING].into()),
        Piece::Field(super::What::Id(TIME.number)),
        Piece::Bytes([&MAGIC[..], &client].concat()),
    ];
    pieces.into()
}

/// The id of a pong.
#[inline]
pub(super) fn id(reply: &[u8]) -> Option<u64> {
    let has_magic = reply.get(MAGIC_AT..).is_some_and(|rest| rest.starts_with(&MAGIC));
    if has_magic && reply.first() == Some(&PONG) {
        TIME.number.read(reply, TIME.offset)
    } else {
        None
    }
}
