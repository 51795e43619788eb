//! Gets of SNMP version 2c: RFC 1901, RFC 3416, and the encoding of X.690.

use super::{Number, PayloadError, Piece, What};

/// Tags; X.690 section 8.
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const NULL: u8 = 0x05;
const OID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// Tags of PDUs; RFC 3416 section 3.
const GET: u8 = 0xA0;
const RESPONSE: u8 = 0xA2;
/// Instead of values, and their names; RFC 3416 section 3.
const EXCEPTIONS: [(u8, &str); 3] =
    [(0x80, "noSuchObject"), (0x81, "noSuchInstance"), (0x82, "endOfMibView")];
/// Version 2c; RFC 1901 section 3.
const VERSION: u8 = 1;
/// The first byte of request ids, which keeps their encoding 4 bytes long. Arbitrary, as are the
/// bits of the others: 1 to 127 would do.
const ID_HEAD: u8 = 0x40;
const ID: Number = Number::Be(3);
/// The code of the first exception: above those of errors. Arbitrary.
const FIRST_EXCEPTION: u16 = 0x100;
/// Names of error codes; RFC 3416 section 3.
const ERRORS: [&str; 19] = [
    "noError",
    "tooBig",
    "noSuchName",
    "badValue",
    "readOnly",
    "genErr",
    "noAccess",
    "wrongType",
    "wrongLength",
    "wrongEncoding",
    "wrongValue",
    "noCreation",
    "inconsistentValue",
    "resourceUnavailable",
    "commitFailed",
    "undoFailed",
    "authorizationError",
    "notWritable",
    "inconsistentName",
];
/// Bytes of the longest content here: its length then takes one byte. X.690 section 8.1.3.4.
const MOST: usize = 127;

/// A get of one object, such as 1.3.6.1.2.1.1.3.0.
// cold: set-up
pub(super) fn request(community: &str, oid: &str) -> Result<Vec<Piece>, PayloadError> {
    let wrong = || PayloadError::Oid { requested: oid.to_owned() };
    let name = element(OID, &encode_oid(oid).ok_or_else(wrong)?);
    let binding = element(SEQUENCE, &[&name[..], &[NULL, 0]].concat());
    let after = [&[INTEGER, 1, 0, INTEGER, 1, 0][..], &element(SEQUENCE, &binding)].concat();
    let pdu = [INTEGER, 4, ID_HEAD].len() + ID.width() + after.len();
    let head = [&[INTEGER, 1, VERSION][..], &element(OCTETS, community.as_bytes())].concat();
    let len = head.len() + 2 + pdu;
    if len > MOST {
        let (what, least) = ("an SNMP message (community and OID)", 0);
        return Err(PayloadError::Size { what, requested: len, least, most: MOST });
    }
    let head = [&[SEQUENCE, len as u8], &head[..], &[GET, pdu as u8, INTEGER, 4, ID_HEAD]].concat();
    Ok([Piece::Bytes(head), Piece::Field(What::Id(ID)), Piece::Bytes(after)].into())
}

/// A short element; one that is too long makes the message too long.
// cold: set-up
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, content.len().min(0xFF) as u8], content].concat()
}

/// The first two numbers in one byte, the others in 7 bits a byte; X.690 section 8.19.
// cold: set-up
fn encode_oid(oid: &str) -> Option<Vec<u8>> {
    let parts = oid.trim_start_matches('.').split('.').map(|part| part.parse::<u32>().ok());
    let parts = parts.collect::<Option<Vec<_>>>()?;
    let [first @ 0..=2, second, rest @ ..] = &parts[..] else { return None };
    if *second > 39 {
        return None;
    }
    let mut bytes = [(first * 40 + second) as u8].to_vec();
    for part in rest {
        let groups = (0..5).rev().map(|at| (part >> (7 * at) & 0x7F) as u8);
        let mut groups = groups.skip_while(|group| *group == 0).peekable();
        if groups.peek().is_none() {
            bytes.push(0);
        }
        while let Some(group) = groups.next() {
            bytes.push(group | if groups.peek().is_some() { 0x80 } else { 0 });
        }
    }
    Some(bytes)
}

/// The content of the first element if it has this tag, and what follows it.
#[inline]
fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, len], rest) = bytes.split_first_chunk()?;
    let (len, rest) = match len {
        0x81 => rest.split_first().map(|(len, rest)| (usize::from(*len), rest))?,
        0x82 => {
            let (len, rest) = rest.split_first_chunk()?;
            (usize::from(u16::from_be_bytes(*len)), rest)
        }
        _ => (usize::from(len), rest),
    };
    if found == tag { rest.split_at_checked(len) } else { None }
}

/// The request id and what follows it, in a response.
#[inline]
fn response(reply: &[u8]) -> Option<(&[u8], &[u8])> {
    let (message, _) = take(reply, SEQUENCE)?;
    let (_version, rest) = take(message, INTEGER)?;
    let (_community, rest) = take(rest, OCTETS)?;
    let (pdu, _) = take(rest, RESPONSE)?;
    take(pdu, INTEGER)
}

#[inline]
pub(super) fn id(reply: &[u8]) -> Option<u64> {
    let (id, _) = response(reply)?;
    match id {
        [ID_HEAD, rest @ ..] if rest.len() == ID.width() => ID.read(rest, 0),
        _ => None,
    }
}

/// An error status, or an exception instead of the first value.
#[inline]
pub(super) fn code(reply: &[u8]) -> Option<u16> {
    let (status, rest) = take(response(reply)?.1, INTEGER)?;
    let status = status.iter().fold(0, |sum: u16, byte| sum << 8 | u16::from(*byte));
    if status != 0 {
        return Some(status);
    }
    let (_index, rest) = take(rest, INTEGER)?;
    let (binding, _) = take(take(rest, SEQUENCE)?.0, SEQUENCE)?;
    let (_, value) = take(binding, OID)?;
    let tag = value.first()?;
    let found =
        EXCEPTIONS.iter().zip(FIRST_EXCEPTION..).find(|((exception, _), _)| exception == tag);
    found.map(|(_, code)| code)
}

// cold: for reports
pub(super) fn code_name(code: u16) -> String {
    let exception = code.checked_sub(FIRST_EXCEPTION).map(usize::from);
    let exception = exception.and_then(|at| EXCEPTIONS.get(at)).map(|(_, name)| *name);
    let name = exception.or_else(|| ERRORS.get(usize::from(code)).copied());
    name.map_or_else(|| code.to_string(), str::to_owned)
}
