//! Encodes and decodes control messages. Decoding never panics, and an accepted message encodes to
//! the same bytes.

use super::{
    Body, CHUNK_LEN, CONTROL_TAG, COOKIE_LEN, CloseReason, HEAD_LEN, LONGEST, LONGEST_BODY,
    LONGEST_NOTE, MAC_LEN, Message, RejectReason, Seal, VERSION,
};

/// Distinguishes control messages from other datagrams with the same tag. Arbitrary.
const MAGIC: [u8; 4] = *b"udpC";

/// The flag of messages under a secret key. Arbitrary; the same in every version.
const KEYED: u8 = 1;

// Kinds of clients: arbitrary, in the order of a session.
const HELLO: u8 = 1;
const OPEN: u8 = 2;
const REQUEST: u8 = 3;
const PULL: u8 = 4;
const SYNC: u8 = 5;
const CLOSE: u8 = 6;
// Kinds of servers: 128 and what it mostly replies to; the rest arbitrary. Refused is the same in
// every version.
const CHALLENGE: u8 = 129;
const OPENED: u8 = 130;
const ANSWER: u8 = 131;
const CHUNK: u8 = 132;
const SYNC_REPLY: u8 = 133;
const CLOSED: u8 = 134;
// See above.
const WORKING: u8 = 160;
const LARGE: u8 = 161;
const REFUSED: u8 = 255;

/// Why a datagram is not a message for this end, in the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Not a control message.
    NotControl,
    /// Shorter than any message, or longer than the longest.
    Length,
    /// Another version of this protocol; see [`peek`].
    Version,
    /// Sealed with a key while this end has none, or the reverse.
    Keyed,
    /// The code at its end does not match this key.
    Mac,
    /// Correctly sealed, but unknown to this version.
    Body,
}

/// The fields that every version has at the same places, unverified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peek {
    /// The sender's version.
    pub version: u8,
    /// Whether it was sealed with a key.
    pub keyed: bool,
    /// The session, or the nonce.
    pub session: u64,
    /// Whether it is a client's first message.
    pub hello: bool,
    /// The reason, if it is Refused.
    pub refusal: Option<RejectReason>,
}

/// Reads the fields of every version; `None`: not a control message.
#[must_use]
pub fn peek(datagram: &[u8]) -> Option<Peek> {
    let head = head(datagram).ok()?;
    Some(Peek {
        version: head.version,
        keyed: head.flags & KEYED != 0,
        session: head.session,
        hello: head.kind == HELLO,
        refusal: (head.kind == REFUSED).then(|| RejectReason::from_code(head.number)),
    })
}

struct Head {
    version: u8,
    kind: u8,
    flags: u8,
    session: u64,
    number: u32,
}

fn head(datagram: &[u8]) -> Result<Head, Fault> {
    let mut rest = Reader(datagram);
    if rest.take() != Ok(CONTROL_TAG.to_be_bytes()) || rest.take() != Ok(MAGIC) {
        return Err(Fault::NotControl);
    }
    if !(HEAD_LEN + MAC_LEN..=LONGEST).contains(&datagram.len()) {
        return Err(Fault::Length);
    }
    let [version, kind, flags] = rest.take()?;
    Ok(Head { version, kind, flags, session: rest.u64()?, number: rest.u32()? })
}

/// Reads a message and checks its seal.
///
/// # Errors
/// A [`Fault`] for everything that [`encode`] does not write with an equal seal.
pub fn decode<'a>(datagram: &'a [u8], seal: &Seal) -> Result<Message<'a>, Fault> {
    let head = head(datagram)?;
    if head.version != VERSION {
        return Err(Fault::Version);
    }
    if (head.flags & KEYED != 0) != seal.keyed {
        return Err(Fault::Keyed);
    }
    let (sealed, mac) = datagram.split_last_chunk().ok_or(Fault::Length)?;
    if !seal.tagger.verify(&[sealed], mac) {
        return Err(Fault::Mac);
    }
    if head.flags & !KEYED != 0 {
        return Err(Fault::Body);
    }
    let body = body(head.kind, head.number, sealed.get(HEAD_LEN..).ok_or(Fault::Length)?)?;
    let is_reason = matches!(body, Body::Closed(_) | Body::Refused(_));
    let number = if is_reason { 0 } else { head.number };
    Ok(Message { session: head.session, number, body })
}

fn body(kind: u8, number: u32, bytes: &[u8]) -> Result<Body<'_>, Fault> {
    let mut rest = Reader(bytes);
    let body = match kind {
        HELLO if rest.take()? == [0; COOKIE_LEN] => Body::Hello,
        CHALLENGE => Body::Challenge(rest.take()?),
        OPEN => Body::Open(rest.take()?),
        OPENED => Body::Opened(rest.u64()?),
        REQUEST => Body::Request(rest.all(LONGEST_BODY)?),
        WORKING => Body::Working,
        ANSWER => Body::Answer(rest.all(LONGEST_BODY)?),
        LARGE => Body::Large(rest.u32()?),
        PULL => Body::Pull(rest.u32()?),
        CHUNK => Body::Chunk(rest.u32()?, rest.all(CHUNK_LEN)?),
        SYNC => Body::Sync(rest.u64()?, rest.all(LONGEST_NOTE)?),
        SYNC_REPLY => Body::SyncReply([rest.u64()?, rest.u64()?, rest.u64()?]),
        CLOSE => Body::Close,
        CLOSED => Body::Closed(CloseReason::from_code(number)),
        REFUSED => Body::Refused(RejectReason::from_code(number)),
        _ => return Err(Fault::Body),
    };
    if rest.0.is_empty() { Ok(body) } else { Err(Fault::Body) }
}

/// The bytes left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (first, rest) = self.0.split_first_chunk().ok_or(Fault::Body)?;
        self.0 = rest;
        Ok(*first)
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, Fault> {
        self.take().map(u64::from_be_bytes)
    }

    fn all(&mut self, most: usize) -> Result<&'a [u8], Fault> {
        if self.0.len() > most { Err(Fault::Body) } else { Ok(std::mem::take(&mut self.0)) }
    }
}

/// Encodes and seals a message. A body beyond [`LONGEST_BODY`] is cut: a bug of the caller.
#[must_use]
pub fn encode(message: &Message<'_>, seal: &Seal) -> Vec<u8> {
    let mut number = message.number;
    let (kind, mut body) = match message.body {
        Body::Hello => (HELLO, vec![0; COOKIE_LEN]),
        Body::Challenge(cookie) => (CHALLENGE, cookie.to_vec()),
        Body::Open(cookie) => (OPEN, cookie.to_vec()),
        Body::Opened(session) => (OPENED, session.to_be_bytes().to_vec()),
        Body::Request(bytes) => (REQUEST, bytes.to_vec()),
        Body::Working => (WORKING, Vec::new()),
        Body::Answer(bytes) => (ANSWER, bytes.to_vec()),
        Body::Large(len) => (LARGE, len.to_be_bytes().to_vec()),
        Body::Pull(offset) => (PULL, offset.to_be_bytes().to_vec()),
        Body::Chunk(offset, bytes) => (CHUNK, [&offset.to_be_bytes(), bytes].concat()),
        Body::Sync(t1, note) => (SYNC, [&t1.to_be_bytes(), note].concat()),
        Body::SyncReply(times) => (SYNC_REPLY, times.map(u64::to_be_bytes).concat()),
        Body::Close => (CLOSE, Vec::new()),
        Body::Closed(reason) => {
            number = reason.code();
            (CLOSED, Vec::new())
        }
        Body::Refused(reason) => {
            number = reason.code();
            (REFUSED, Vec::new())
        }
    };
    debug_assert!(body.len() <= LONGEST_BODY, "{} bytes where {LONGEST_BODY} fit", body.len());
    body.truncate(LONGEST_BODY);
    let mut out = Vec::with_capacity(HEAD_LEN + body.len() + MAC_LEN);
    out.extend_from_slice(&CONTROL_TAG.to_be_bytes());
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, kind, if seal.keyed { KEYED } else { 0 }]);
    out.extend_from_slice(&message.session.to_be_bytes());
    out.extend_from_slice(&number.to_be_bytes());
    out.extend_from_slice(&body);
    let mac = seal.tagger.tag(&[&out]);
    out.extend_from_slice(&mac);
    out
}

#[cfg(test)]
mod tests;
