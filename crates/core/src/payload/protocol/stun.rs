//! STUN, RFC 8489.

use super::{FINGERPRINT_LEN, Number, Piece, What};
use crate::unit::hash_u64;

/// Bytes of the header; RFC 8489 §5.
const HEADER_LEN: usize = 20;
/// The magic cookie; RFC 8489 §5.
const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
/// The offset of the id: the last 8 of the 12 bytes of the transaction id; RFC 8489 §5.
pub(super) const ID_AT: usize = 12;
/// A success response to a binding request, and an error response; RFC 8489 §5 and §18.2.
const SUCCESS: [u8; 2] = [0x01, 0x01];
const ERROR: [u8; 2] = [0x01, 0x11];
/// The attribute ERROR-CODE; RFC 8489 §14.8.
const ERROR_CODE: [u8; 2] = [0x00, 0x09];

pub(super) fn request(fingerprint: bool, seed: u64) -> Vec<Piece> {
    let attributes = if fingerprint { FINGERPRINT_LEN as u8 } else { 0 };
    // The transaction id has 4 bytes more than an id of udperf.
    let rest_of_id = (hash_u64(seed) as u32).to_be_bytes();
    let head = [[0, 1, 0, attributes], COOKIE, rest_of_id].concat();
    let fingerprint = fingerprint.then_some(Piece::Field(What::Fingerprint));
    let pieces = [Piece::Bytes(head), Piece::Field(What::Id(Number::Be(8)))];
    pieces.into_iter().chain(fingerprint).collect()
}

#[inline]
pub(super) fn id(reply: &[u8]) -> Option<u64> {
    let header = reply.first_chunk::<HEADER_LEN>()?;
    let kind = [header[0], header[1]];
    let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let is_complete = reply.len() >= HEADER_LEN + len;
    let is_reply = (kind == SUCCESS || kind == ERROR) && header[4..8] == COOKIE && is_complete;
    if is_reply { Number::Be(8).read(header, ID_AT) } else { None }
}

#[inline]
pub(super) fn answers(request: &[u8], reply: &[u8]) -> bool {
    id(reply).is_some() && request.get(4..HEADER_LEN) == reply.get(4..HEADER_LEN)
}

/// The code of an error response, 300 to 699; 0 where it has none.
#[inline]
pub(super) fn code(reply: &[u8]) -> Option<u16> {
    let (header, mut rest) = reply.split_first_chunk::<HEADER_LEN>()?;
    if header[..2] != ERROR {
        return None;
    }
    while let Some(([kind, more, high, low], value)) = rest.split_first_chunk::<4>() {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        if [*kind, *more] == ERROR_CODE
            && let Some([_, _, class, number]) = value.first_chunk()
        {
            return Some(u16::from(class & 7) * 100 + u16::from(*number));
        }
        // Attributes begin at multiples of 4 bytes; RFC 8489 §14.
        rest = value.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(0)
}

// cold: for reports
pub(super) fn code_name(code: u16) -> String {
    if code == 0 { "error without a code".to_owned() } else { code.to_string() }
}
