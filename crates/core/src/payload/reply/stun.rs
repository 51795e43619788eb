//! Replies of STUN, RFC 8489.

use crate::payload::number::Number;

/// Bytes of the header; RFC 8489 §5.
pub(crate) const HEADER_LEN: usize = 20;
/// The magic cookie; RFC 8489 §5.
pub(crate) const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
/// Where the id stands: in the last 8 of the 12 bytes of the transaction id; RFC 8489 §5.
pub(crate) const ID_AT: usize = 12;
/// A success response to a binding request, and an error response; RFC 8489 §5 and §18.2.
const SUCCESS: [u8; 2] = [0x01, 0x01];
/// As above.
const ERROR: [u8; 2] = [0x01, 0x11];
/// The attribute ERROR-CODE; RFC 8489 §14.8.
const ERROR_CODE: [u8; 2] = [0x00, 0x09];

#[inline]
pub(super) fn id(reply: &[u8]) -> Option<u64> {
    let header = reply.first_chunk::<HEADER_LEN>()?;
    let kind = [header[0], header[1]];
    let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let is_whole = reply.len() >= HEADER_LEN + len;
    let is_ours = (kind == SUCCESS || kind == ERROR) && header[4..8] == COOKIE && is_whole;
    if !is_ours {
        return None;
    }
    Number::Be(8).read(header, ID_AT)
}

/// Whether a reply has the whole transaction id of a request.
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
