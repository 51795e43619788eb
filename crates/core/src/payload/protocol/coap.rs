//! CoAP, RFC 7252.

use std::ops::Range;

use super::{Number, PayloadError, Piece, What};

/// Method 0.01, GET; RFC 7252 §12.1.1.
const GET: u8 = 1;
/// The numbers of the options for parts of the path and of the query; RFC 7252 §5.10.
pub(super) const URI_PATH: u8 = 11;
pub(super) const URI_QUERY: u8 = 15;
/// The longest part in bytes; RFC 7252 §5.10.
const LONGEST_PART: usize = 255;
/// The places of the message id and of the token, which has the maximum length; RFC 7252 §3.
pub(super) const MESSAGE_ID: Range<usize> = 2..4;
pub(super) const TOKEN: Range<usize> = 4..12;
pub(super) const TOKEN_LEN: u8 = 8;
/// The only version, in the first two bits; RFC 7252 §3.
pub(super) const VERSION: u8 = 1 << 6;
/// The bits of the version, and of the length of the token; RFC 7252 §3.
pub(super) const VERSIONS: u8 = 3 << 6;
const LEN: u8 = 0xF;
/// The bits of the type, and types; RESET: the server cannot process a message; RFC 7252 §3.
pub(super) const TYPE: u8 = 3 << 4;
pub(super) const CONFIRMABLE: u8 = 0;
const NON_CONFIRMABLE: u8 = 1 << 4;
pub(super) const ACK: u8 = 2 << 4;
const RESET: u8 = 3 << 4;
/// The code of empty messages, 0.00, which stands for a reset; RFC 7252 §4.1.
const EMPTY: u16 = 0;
/// Classes of codes that are responses: 2.xx, 4.xx and 5.xx; RFC 7252 §5.2.
const RESPONSES: [u8; 3] = [2, 4, 5];

/// A get of this path; so many bits of the message id distinguish the requests of an exchange.
pub(super) fn request(
    path: &str,
    confirmable: bool,
    step_bits: u32,
) -> Result<Vec<Piece>, PayloadError> {
    let kind = if confirmable { CONFIRMABLE } else { NON_CONFIRMABLE };
    Ok(with_ids(kind, GET, options(path)?, step_bits))
}

/// A captured request with a new message id and a token of udperf; `None` if the message is not a
/// request.
// cold: set-up
pub(in crate::payload) fn with_own_ids(message: &[u8]) -> Option<Vec<Piece>> {
    let [first, code, _, _, ..] = *message else { return None };
    let (kind, token_len) = (first & TYPE, usize::from(first & LEN));
    // Class 0 has requests, and the empty message; RFC 7252 §12.1.
    let is_request = first & VERSIONS == VERSION && (GET..32).contains(&code);
    let rest = message.get(TOKEN.start + token_len..)?;
    let fits = is_request && matches!(kind, CONFIRMABLE | NON_CONFIRMABLE);
    (fits && token_len <= TOKEN.len()).then(|| with_ids(kind, code, rest.to_vec(), 0))
}

fn with_ids(kind: u8, code: u8, rest: Vec<u8>, step_bits: u32) -> Vec<Piece> {
    let head = Piece::Bytes([VERSION | kind | TOKEN_LEN, code].into());
    let message_id = Piece::Field(What::MessageId { step_bits });
    [head, message_id, Piece::Field(What::Id(Number::Be(TOKEN_LEN))), Piece::Bytes(rest)].into()
}

/// The options of a path and query; RFC 7252 §3.1.
fn options(path: &str) -> Result<Vec<u8>, PayloadError> {
    let (path, query) = path.split_once('?').map_or((path, None), |(path, q)| (path, Some(q)));
    let parts = path.split('/').filter(|part| !part.is_empty()).map(|part| (URI_PATH, part));
    let words = query.into_iter().flat_map(|query| query.split('&'));
    let (mut before, mut bytes) = (0, Vec::with_capacity(path.len()));
    for (number, value) in parts.chain(words.map(|word| (URI_QUERY, word))) {
        // The difference to the previous number, below 13 here.
        let delta = (number - before) << 4;
        before = number;
        match value.len() {
            len @ 0..13 => bytes.push(delta | len as u8),
            // A byte follows with the length above 13.
            len @ 13..=LONGEST_PART => bytes.extend([delta | 13, (len - 13) as u8]),
            requested => {
                let (what, least, most) = ("a part of a path", 1, LONGEST_PART);
                return Err(PayloadError::Size { what, requested, least, most });
            }
        }
        bytes.extend(value.as_bytes());
    }
    Ok(bytes)
}

/// The token of a reply; empty acknowledgements and resets have none.
#[inline]
pub(super) fn id(reply: &[u8]) -> Option<u64> {
    let [first, code, ..] = *reply else { return None };
    let is_reply = first & !TYPE == VERSION | TOKEN_LEN && RESPONSES.contains(&(code >> 5));
    if is_reply { Number::Be(TOKEN_LEN).read(reply, TOKEN.start) } else { None }
}

/// The message id of an acknowledgement or a reset without anything else; RFC 7252 §4.1.
#[inline]
pub(super) fn empty_id(reply: &[u8]) -> Option<u64> {
    let [first, 0, _, _] = *reply else { return None };
    let is_empty = first == VERSION | ACK || first == VERSION | RESET;
    if is_empty { Number::Be(2).read(reply, MESSAGE_ID.start) } else { None }
}

#[inline]
pub(super) fn is_empty_ack(reply: &[u8]) -> bool {
    empty_id(reply).is_some() && reply[0] & TYPE == ACK
}

/// Whether a reply has the token of a request, and its message id if it is an acknowledgement.
#[inline]
pub(super) fn answers(request: &[u8], reply: &[u8]) -> bool {
    let has_message_id = request.get(MESSAGE_ID) == reply.get(MESSAGE_ID);
    if empty_id(reply).is_some() {
        return has_message_id;
    }
    let is_ack = reply.first().is_some_and(|first| first & TYPE == ACK);
    id(reply).is_some() && request.get(TOKEN) == reply.get(TOKEN) && (!is_ack || has_message_id)
}

/// A code of class 4 or 5, as it is on the wire, or that the message was a reset.
#[inline]
pub(super) fn code(reply: &[u8]) -> Option<u16> {
    if empty_id(reply).is_some() {
        return (!is_empty_ack(reply)).then_some(EMPTY);
    }
    let code = *reply.get(1)?;
    matches!(code >> 5, 4 | 5).then_some(code.into())
}

// cold: for reports
pub(super) fn code_name(code: u16) -> String {
    if code == EMPTY { "RST".to_owned() } else { format!("{}.{:02}", code >> 5, code & 0x1F) }
}
