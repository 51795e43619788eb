//! Reading a file by TFTP, RFC 1350: the first block.

use super::{PayloadError, Piece, What};
use crate::payload::bytes_at::{Abort, BytesAt};

/// Opcodes; RFC 1350 section 5.
const READ: [u8; 2] = [0, 1];
const DATA: [u8; 2] = [0, 3];
const ACK: [u8; 2] = [0, 4];
const ERROR: [u8; 2] = [0, 5];
/// The transfer mode; RFC 1350 section 5.
const MODE: &[u8] = b"\0octet\0";
/// The place of the block number in DATA.
const BLOCK_AT: u16 = 2;
/// After a DATA packet with a whole block, which is not the last one, an ERROR ends the transfer:
/// opcode, code 0, text; RFC 1350 sections 5 and 7.
const ABORT: Abort = (4 + 512, b"\0\x05\0\0first block read\0");
/// Bytes of the longest file name. Arbitrary: a request then fits the 512 bytes of a packet.
const LONGEST_NAME: usize = 500;
/// Names of error codes; RFC 1350 section 5 and RFC 2347.
const ERRORS: [&str; 9] = [
    "undefined error",
    "file not found",
    "access violation",
    "disk full",
    "illegal operation",
    "unknown transfer ID",
    "file exists",
    "no such user",
    "option refused",
];

// cold: set-up
pub(super) fn request(path: &str) -> Result<Vec<Piece>, PayloadError> {
    let requested = path.len();
    if !(1..=LONGEST_NAME).contains(&requested) || path.contains('\0') {
        let (what, least, most) =
            ("the file name of --path, which has no zero byte,", 1, LONGEST_NAME);
        return Err(PayloadError::Size { what, requested, least, most });
    }
    Ok([Piece::Bytes([&READ, path.as_bytes(), MODE].concat())].into())
}

/// The acknowledgement of the block in a reply, which is the last one.
// cold: set-up
pub(super) fn second() -> (Vec<Piece>, BytesAt, Abort) {
    let block = What::Reply { offset: BLOCK_AT, count: 2 };
    let pieces = [Piece::Bytes(ACK.into()), Piece::Field(block)];
    (pieces.into(), BytesAt { bytes: DATA.into(), offset: 0 }, ABORT)
}

/// Whether this is a reply to a read request: the first block, or an error.
#[inline]
pub(super) fn is_reply(reply: &[u8]) -> bool {
    match reply.split_first_chunk() {
        Some((&DATA, [0, 1, ..])) => true,
        Some((&ERROR, rest)) => rest.len() >= 2,
        _ => false,
    }
}

/// The code of an error.
#[inline]
pub(super) fn code(reply: &[u8]) -> Option<u16> {
    let (_, rest) = reply.split_first_chunk().filter(|(opcode, _)| **opcode == ERROR)?;
    rest.first_chunk().map(|code| u16::from_be_bytes(*code))
}

// cold: for reports
pub(super) fn code_name(code: u16) -> String {
    ERRORS.get(usize::from(code)).map_or_else(|| code.to_string(), |name| (*name).to_owned())
}
