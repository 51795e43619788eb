//! Replies of memcached over UDP: its protocol.txt, "UDP protocol".

use crate::payload::number::Number;

/// Bytes of the frame header: request id, sequence number, datagrams in all, reserved, two each.
pub(crate) const FRAME_LEN: usize = 8;
/// Bytes before the key.
pub(crate) const GET: &[u8] = b"get ";
/// Bytes after the key.
pub(crate) const END_OF_LINE: &[u8] = b"\r\n";
/// What begins the reply of a key that is there.
const VALUE: &[u8] = b"VALUE ";

/// What begins the others, and what they are called.
const CODES: [(&[u8], &str); 4] = [
    (b"END\r\n", "miss"),
    (b"ERROR\r\n", "ERROR"),
    (b"CLIENT_ERROR ", "CLIENT_ERROR"),
    (b"SERVER_ERROR ", "SERVER_ERROR"),
];

#[inline]
pub(super) fn id(reply: &[u8]) -> Option<u64> {
    let [_, _, high, low, total_high, total_low, ..] = reply.first_chunk::<FRAME_LEN>()?;
    // Which of how many this is.
    if [high, low] >= [total_high, total_low] {
        return None;
    }
    Number::Be(2).read(reply, 0)
}

/// Index of this datagram in its reply, and the number of its datagrams; `None` for a whole reply.
#[inline]
pub(super) fn part(reply: &[u8]) -> Option<(u16, u16)> {
    let [_, _, high, low, total_high, total_low, ..] = reply.first_chunk::<FRAME_LEN>()?;
    id(reply)?;
    match u16::from_be_bytes([*total_high, *total_low]) {
        0 | 1 => None,
        of => Some((u16::from_be_bytes([*high, *low]), of)),
    }
}

/// Whether this is not the first datagram of its reply.
#[inline]
fn is_continuation(reply: &[u8]) -> bool {
    matches!(part(reply), Some((1.., _)))
}

/// Whether this is the first datagram of the reply to a request.
#[inline]
pub(super) fn answers(request: &[u8], reply: &[u8]) -> bool {
    if id(reply).is_none() || is_continuation(reply) || request.get(..2) != reply.get(..2) {
        return false;
    }
    let key = request.get(FRAME_LEN + GET.len()..).and_then(|key| key.strip_suffix(END_OF_LINE));
    let body = reply.get(FRAME_LEN..).unwrap_or_default();
    let found = body.strip_prefix(VALUE).zip(key).and_then(|(rest, key)| rest.strip_prefix(key));
    found.is_some_and(|rest| rest.first() == Some(&b' ')) || code(reply).is_some()
}

/// That the key is not there, or an error.
#[inline]
pub(super) fn code(reply: &[u8]) -> Option<u16> {
    if is_continuation(reply) {
        return None;
    }
    let body = reply.get(FRAME_LEN..)?;
    let found = CODES.iter().zip(1..).find(|((start, _), _)| body.starts_with(start));
    found.map(|(_, code)| code)
}

// cold: for reports
pub(super) fn code_name(code: u16) -> String {
    let known = usize::from(code).checked_sub(1).and_then(|at| CODES.get(at));
    known.map_or_else(|| code.to_string(), |(_, name)| (*name).to_owned())
}
