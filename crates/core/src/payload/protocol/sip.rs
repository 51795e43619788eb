//! OPTIONS of SIP, RFC 3261.

use super::{Number, PayloadError, Per, Piece, What};
use crate::unit::hash_u64;

/// The beginning of every branch, in lower case; RFC 3261 section 8.1.1.7.
const COOKIE: &[u8] = b"z9hG4bK";
/// The id, which follows it.
const ID: Number = Number::Hex(16);
/// The parameter of Via that has the branch; RFC 3261 section 20.42.
const BRANCH: &[u8] = b"branch=";
/// The first bytes of responses, before three digits and a blank; RFC 3261 section 7.2.
const STATUS: &[u8] = b"SIP/2.0 ";
/// Codes from here on are errors, and those below 200 are not final; RFC 3261 section 7.2.
const FIRST_ERROR: u16 = 300;
const FIRST_FINAL: u16 = 200;
/// A name that does not exist (RFC 6761 section 6.4): servers reply to the source (RFC 3581).
const US: &str = "udperf.invalid";

/// A request to this URI, each a dialogue of its own.
// cold: set-up
pub(super) fn request(uri: &str, seed: u64) -> Result<Vec<Piece>, PayloadError> {
    let is_uri = uri
        .split_once(':')
        .is_some_and(|(scheme, rest)| matches!(scheme, "sip" | "sips") && !rest.is_empty());
    if !is_uri || !uri.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte)) {
        return Err(PayloadError::Uri { requested: uri.to_owned() });
    }
    let text = |text: &[&str]| Piece::Bytes(text.concat().into_bytes());
    let tag = What::Random { key: hash_u64(seed), number: Number::Hex(8), per: Per::Request };
    let cookie = "z9hG4bK";
    let pieces = [
        text(&["OPTIONS ", uri, " SIP/2.0\r\nVia: SIP/2.0/UDP ", US, ";rport;branch=", cookie]),
        Piece::Field(What::Id(ID)),
        text(&["\r\nMax-Forwards: 70\r\nFrom: <sip:udperf@", US, ">;tag="]),
        Piece::Field(tag),
        text(&["\r\nTo: <", uri, ">\r\nCall-ID: "]),
        Piece::Field(What::Id(ID)),
        text(&["@", US, "\r\nCSeq: 1 OPTIONS\r\nContact: <sip:udperf@", US, ">\r\n"]),
        text(&["Accept: application/sdp\r\nContent-Length: 0\r\n\r\n"]),
    ];
    Ok(pieces.into())
}

/// The status code of a response.
#[inline]
fn status(reply: &[u8]) -> Option<u16> {
    let rest = reply.strip_prefix(STATUS)?;
    let code = Number::Dec(3).read(rest, 0)?;
    (rest.get(3) == Some(&b' ')).then_some(code as u16)
}

/// The id in the branch of the topmost Via, wherever that header stands.
#[inline]
pub(super) fn id(reply: &[u8]) -> Option<u64> {
    status(reply)?;
    let len = BRANCH.len() + COOKIE.len();
    let at = reply.windows(len).position(|window| {
        let (name, cookie) = window.split_at(BRANCH.len());
        name.eq_ignore_ascii_case(BRANCH) && cookie.eq_ignore_ascii_case(COOKIE)
    })?;
    ID.read(reply, at + len)
}

/// Whether a response is not final: 1xx.
#[inline]
pub(super) fn is_provisional(reply: &[u8]) -> bool {
    status(reply).is_some_and(|code| code < FIRST_FINAL)
}

#[inline]
pub(super) fn code(reply: &[u8]) -> Option<u16> {
    status(reply).filter(|code| *code >= FIRST_ERROR)
}
