//! memcached over UDP: its protocol.txt, "UDP protocol".

use super::{Number, PayloadError, Piece, What, template};

/// The longest key in bytes; memcached's protocol.txt, "Keys".
const LONGEST_KEY: usize = 250;
/// Bytes of the frame header: request id, sequence number, datagrams in all, reserved, two each.
const FRAME_LEN: usize = 8;
/// Bytes before the key (the frame header after the request id, number 0 of 1), and after it.
const HEAD: &[u8] = b"\0\0\0\x01\0\0get ";
const END_OF_LINE: &[u8] = b"\r\n";
/// The first bytes of replies: with a value, and others with their names.
const VALUE: &[u8] = b"VALUE ";
const CODES: [(&[u8], &str); 4] = [
    (b"END\r\n", "miss"),
    (b"ERROR\r\n", "ERROR"),
    (b"CLIENT_ERROR ", "CLIENT_ERROR"),
    (b"SERVER_ERROR ", "SERVER_ERROR"),
];

pub(super) fn request(key: &str, seed: u64) -> Result<Vec<Piece>, PayloadError> {
    let pieces = template::text(key, seed)?;
    let is_printable = |bytes: &[u8]| bytes.iter().all(|byte| *byte > b' ' && *byte != 0x7F);
    // The longest one; `None`: a piece cannot be part of a key.
    let len = pieces.iter().try_fold(0, |len, piece| match piece {
        Piece::Bytes(bytes) => is_printable(bytes).then_some(len + bytes.len()),
        Piece::Choice(words) => {
            let longest = words.iter().map(Vec::len).max().unwrap_or(0);
            words.iter().all(|word| is_printable(word)).then_some(len + longest)
        }
        Piece::Field(what) => what.is_text().then_some(len + what.width()),
        Piece::Sum(sum) => sum.number.is_text().then_some(len + sum.width()),
        Piece::Begin(_) | Piece::End(_) => Some(len),
    });
    if !len.is_some_and(|len| (1..=LONGEST_KEY).contains(&len)) {
        return Err(PayloadError::Key { key: key.to_owned(), most: LONGEST_KEY });
    }
    let head = [Piece::Field(What::Id(Number::Be(2))), Piece::Bytes(HEAD.to_vec())];
    Ok([&head, &pieces[..], &[Piece::Bytes(END_OF_LINE.to_vec())]].concat())
}

/// Index of this datagram in its reply, and the number of its datagrams.
#[inline]
fn index_of(reply: &[u8]) -> Option<(u16, u16)> {
    let [_, _, high, low, total_high, total_low, ..] = *reply.first_chunk::<FRAME_LEN>()?;
    Some((u16::from_be_bytes([high, low]), u16::from_be_bytes([total_high, total_low])))
}

#[inline]
pub(super) fn id(reply: &[u8]) -> Option<u64> {
    let (index, of) = index_of(reply)?;
    if index < of { Number::Be(2).read(reply, 0) } else { None }
}

/// The same; `None` for a complete reply.
#[inline]
pub(super) fn part(reply: &[u8]) -> Option<(u16, u16)> {
    index_of(reply).filter(|(index, of)| index < of && *of > 1)
}

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
    let key = request.get(2 + HEAD.len()..).and_then(|key| key.strip_suffix(END_OF_LINE));
    let body = reply.get(FRAME_LEN..).unwrap_or_default();
    let found = body.strip_prefix(VALUE).zip(key).and_then(|(rest, key)| rest.strip_prefix(key));
    found.is_some_and(|rest| rest.first() == Some(&b' ')) || code(reply).is_some()
}

/// An error, or that the key does not exist.
#[inline]
pub(super) fn code(reply: &[u8]) -> Option<u16> {
    let body = reply.get(FRAME_LEN..).filter(|_| !is_continuation(reply))?;
    let found = CODES.iter().zip(1..).find(|((start, _), _)| body.starts_with(start));
    found.map(|(_, code)| code)
}

// cold: for reports
pub(super) fn code_name(code: u16) -> String {
    let known = usize::from(code).checked_sub(1).and_then(|at| CODES.get(at));
    known.map_or_else(|| code.to_string(), |(_, name)| (*name).to_owned())
}
