//! Replies of DNS, RFC 1035.

use crate::payload::number::Number;

/// Bytes of the header; RFC 1035 §4.1.1.
pub(crate) const HEADER_LEN: usize = 12;

/// The bits of byte 2: this is a reply (QR), and it was cut short (TC); RFC 1035 §4.1.1.
const QR: u8 = 0x80;
/// As above.
const TC: u8 = 0x02;

/// The code of a reply that was cut short, above all that 12 bits of RCODE can be (RFC 6891
/// §6.1.3). Arbitrary.
const TRUNCATED: u16 = 0x1000;

/// The id of a reply.
#[inline]
pub(super) fn id(reply: &[u8]) -> Option<u64> {
    let header = reply.first_chunk::<HEADER_LEN>()?;
    if header[2] & QR == 0 {
        return None;
    }
    Number::Be(2).read(header, 0)
}

/// Whether a reply has the id and the question of a request, which has one. Servers that could not
/// read the question leave it away; then the id is enough.
#[inline]
pub(super) fn answers(request: &[u8], reply: &[u8]) -> bool {
    let Some(header) = reply.first_chunk::<HEADER_LEN>() else { return false };
    if header[2] & QR == 0 || request.get(..2) != reply.get(..2) {
        return false;
    }
    match [header[4], header[5]] {
        [0, 0] => header[3] & 0xF != 0,
        [0, 1] => {
            let end = name_end(request);
            let (Some(asked), Some(name)) =
                (request.get(HEADER_LEN..end), reply.get(HEADER_LEN..end))
            else {
                return false;
            };
            // A name that is compressed in the first question has nothing to point at. The lengths
            // of labels are below any letter, so that case does not touch them.
            let kind = request.get(end..end + 4);
            (name == asked || name.eq_ignore_ascii_case(asked))
                && kind.is_some()
                && kind == reply.get(end..end + 4)
        }
        _ => false,
    }
}

/// Where the name in the question ends.
#[inline]
fn name_end(message: &[u8]) -> usize {
    let mut at = HEADER_LEN;
    while let Some(&len) = message.get(at) {
        at += 1 + usize::from(len);
        if len == 0 {
            break;
        }
    }
    at
}

/// RCODE, or that the reply was cut short.
#[inline]
pub(super) fn code(reply: &[u8]) -> Option<u16> {
    let header = reply.first_chunk::<HEADER_LEN>()?;
    match u16::from(header[3] & 0xF) {
        0 if header[2] & TC != 0 => Some(TRUNCATED),
        0 => None,
        rcode => Some(rcode),
    }
}

// cold: for reports
pub(super) fn code_name(code: u16) -> String {
    match code {
        TRUNCATED => "TRUNCATED".to_owned(),
        code => domain::base::iana::Rcode::masked_from_int(code as u8).to_string(),
    }
}
