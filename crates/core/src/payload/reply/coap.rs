//! Replies of CoAP, RFC 7252.

use crate::payload::number::Number;

/// The place of the message id; RFC 7252 §3.
const MESSAGE_ID: std::ops::Range<usize> = 2..4;
/// The offset of the token; RFC 7252 §3.
pub(crate) const TOKEN_AT: usize = 4;
/// Bytes of the token, which are the most there can be; RFC 7252 §3.
pub(crate) const TOKEN_LEN: u8 = 8;
/// The only version, in the first two bits; RFC 7252 §3.
pub(crate) const VERSION: u8 = 1 << 6;
/// The type of a message that is sent again until it is acknowledged; RFC 7252 §3.
pub(crate) const CONFIRMABLE: u8 = 0 << 4;
/// The type of a message that is sent once; RFC 7252 §3.
pub(crate) const NON_CONFIRMABLE: u8 = 1 << 4;
/// The type of an acknowledgement; RFC 7252 §3.
const ACK: u8 = 2 << 4;
/// The type of a reset: the server cannot process a message; RFC 7252 §3.
const RESET: u8 = 3 << 4;
/// The bits of the type; RFC 7252 §3.
const TYPE: u8 = 0x30;
/// The code of a reset, in place of that of a response: 0.00 is that of empty messages; RFC 7252
/// §4.1.
const EMPTY: u16 = 0;
/// Classes of codes that are responses: 2.xx, 4.xx and 5.xx; RFC 7252 §5.2.
const RESPONSES: [u8; 3] = [2, 4, 5];

/// The token of a reply; empty acknowledgements and resets have none.
#[inline]
pub(super) fn id(reply: &[u8]) -> Option<u64> {
    let [first, code, ..] = reply.first_chunk::<TOKEN_AT>()?;
    let is_version = first & 0xC0 == VERSION;
    if !is_version || first & 0xF != TOKEN_LEN || !RESPONSES.contains(&(code >> 5)) {
        return None;
    }
    Number::Be(TOKEN_LEN).read(reply, TOKEN_AT)
}

/// The message id of an acknowledgement or a reset without anything else; RFC 7252 §4.1.
#[inline]
pub(super) fn empty_id(reply: &[u8]) -> Option<u64> {
    let [first, 0, ..] = *reply else { return None };
    // Version and type; there is no token.
    let is_empty = [VERSION | ACK, VERSION | RESET].contains(&first) && reply.len() == TOKEN_AT;
    Number::Be(2).read(reply, MESSAGE_ID.start).filter(|_| is_empty)
}

#[inline]
pub(super) fn is_empty_ack(reply: &[u8]) -> bool {
    empty_id(reply).is_some() && reply[0] & TYPE == ACK
}

/// Whether a reply has the token of a request, and its message id if it acknowledges it or is
/// empty.
#[inline]
pub(super) fn answers(request: &[u8], reply: &[u8]) -> bool {
    if empty_id(reply).is_some() {
        return request.get(MESSAGE_ID) == reply.get(MESSAGE_ID);
    }
    let token = TOKEN_AT..TOKEN_AT + usize::from(TOKEN_LEN);
    let is_ack = reply.first().is_some_and(|first| first & TYPE == ACK);
    id(reply).is_some()
        && request.get(token.clone()) == reply.get(token)
        && (!is_ack || request.get(MESSAGE_ID) == reply.get(MESSAGE_ID))
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
    if code == EMPTY {
        return "RST".to_owned();
    }
    format!("{}.{:02}", code >> 5, code & 0x1F)
}
