//! Control messages to bytes and back. Decoding is total: no bytes make it panic, and what it
//! accepts encodes to the same bytes again.

use super::{
    Body, CHUNK_LEN, CONTROL_TAG, COOKIE_LEN, CloseReason, HEAD_LEN, HELLO_LEN, LONGEST,
    LONGEST_BODY, LONGEST_NOTE, MAC_LEN, Message, RejectReason, Seal, VERSION,
};

/// Tells control messages from other datagrams that begin with the same tag. Arbitrary.
const MAGIC: [u8; 4] = *b"udpC";

/// The flag of messages under a secret key. Arbitrary; the same in every version.
const KEYED: u8 = 1;

// Kinds: arbitrary, in the order of a session. From 128 on they come from servers.
const HELLO: u8 = 1;
const OPEN: u8 = 2;
const REQUEST: u8 = 3;
const PULL: u8 = 4;
const SYNC: u8 = 5;
const CLOSE: u8 = 6;

// Kinds of servers, as above; each is 128 and what it mostly replies to.
const CHALLENGE: u8 = 129;
const OPENED: u8 = 130;
const ANSWER: u8 = 131;
const CHUNK: u8 = 132;
const SYNC_REPLY: u8 = 133;
const CLOSED: u8 = 134;

// The rest of the servers' kinds; arbitrary, and Refused is the same in every version.
const WORKING: u8 = 160;
const LARGE: u8 = 161;
const REFUSED: u8 = 255;

/// Why a datagram is no message for us. In the order in which it is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Something else altogether.
    NotControl,
    /// Shorter than any message, or longer than the longest.
    Length,
    /// Another version of this protocol; see [`peek`] for which.
    Version,
    /// Sealed with a key where we have none, or without where we have one.
    Keyed,
    /// The code at its end is not what our key makes of it.
    Mac,
    /// Well sealed, but no message that this version knows.
    Body,
}

/// What every version writes at the same places. Nothing here is proved to be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peek {
    /// The writer's version.
    pub version: u8,
    /// Whether it was sealed with a key.
    pub keyed: bool,
    /// The session, or the nonce.
    pub session: u64,
    /// Whether it is a client's first message.
    pub hello: bool,
    /// The reason, where it is Refused.
    pub refusal: Option<RejectReason>,
}

/// Reads what every version has at the same places; `None` for what is no control message.
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
        HELLO if rest.take()? == [0; HELLO_LEN - HEAD_LEN - MAC_LEN] => Body::Hello,
        CHALLENGE => Body::Challenge { cookie: rest.take()? },
        OPEN => Body::Open { cookie: rest.take()? },
        OPENED => Body::Opened { session: rest.u64()? },
        REQUEST => Body::Request(rest.all(LONGEST_BODY)?),
        WORKING => Body::Working,
        ANSWER => Body::Answer(rest.all(LONGEST_BODY)?),
        LARGE => Body::Large { len: rest.u32()? },
        PULL => Body::Pull { offset: rest.u32()? },
        CHUNK => Body::Chunk { offset: rest.u32()?, bytes: rest.all(CHUNK_LEN)? },
        SYNC => Body::Sync { t1: rest.u64()?, note: rest.all(LONGEST_NOTE)? },
        SYNC_REPLY => Body::SyncReply { t1: rest.u64()?, t2: rest.u64()?, t3: rest.u64()? },
        CLOSE => Body::Close,
        CLOSED => Body::Closed(CloseReason::from_code(number)),
        REFUSED => Body::Refused(RejectReason::from_code(number)),
        _ => return Err(Fault::Body),
    };
    if rest.0.is_empty() { Ok(body) } else { Err(Fault::Body) }
}

/// What is left to read.
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

/// Writes and seals a message. What is longer than its place is cut there, which is a bug of the
/// caller's.
#[must_use]
pub fn encode(message: &Message<'_>, seal: &Seal) -> Vec<u8> {
    let mut out = Vec::with_capacity(HELLO_LEN);
    let (kind, number) = kind(message);
    out.extend_from_slice(&CONTROL_TAG.to_be_bytes());
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&[VERSION, kind, if seal.keyed { KEYED } else { 0 }]);
    out.extend_from_slice(&message.session.to_be_bytes());
    out.extend_from_slice(&number.to_be_bytes());
    match &message.body {
        Body::Hello => out.resize(HELLO_LEN - MAC_LEN, 0),
        Body::Challenge { cookie } | Body::Open { cookie } => out.extend_from_slice(cookie),
        Body::Opened { session } => out.extend_from_slice(&session.to_be_bytes()),
        Body::Request(bytes) | Body::Answer(bytes) => put(&mut out, bytes, LONGEST_BODY),
        Body::Large { len: number } | Body::Pull { offset: number } => {
            out.extend_from_slice(&number.to_be_bytes());
        }
        Body::Chunk { offset, bytes } => {
            out.extend_from_slice(&offset.to_be_bytes());
            put(&mut out, bytes, CHUNK_LEN);
        }
        Body::Sync { t1, note } => {
            out.extend_from_slice(&t1.to_be_bytes());
            put(&mut out, note, LONGEST_NOTE);
        }
        Body::SyncReply { t1, t2, t3 } => {
            [t1, t2, t3].iter().for_each(|t| out.extend_from_slice(&t.to_be_bytes()));
        }
        Body::Working | Body::Close | Body::Closed(_) | Body::Refused(_) => {}
    }
    let mac = seal.tagger.tag(&[&out]);
    out.extend_from_slice(&mac);
    out
}

fn put(out: &mut Vec<u8>, bytes: &[u8], most: usize) {
    debug_assert!(bytes.len() <= most, "{} bytes where {most} fit", bytes.len());
    out.extend_from_slice(&bytes[..bytes.len().min(most)]);
}

/// The kind, and what stands in the place of the number.
const fn kind(message: &Message<'_>) -> (u8, u32) {
    let number = message.number;
    match message.body {
        Body::Hello => (HELLO, number),
        Body::Challenge { .. } => (CHALLENGE, number),
        Body::Open { .. } => (OPEN, number),
        Body::Opened { .. } => (OPENED, number),
        Body::Request(_) => (REQUEST, number),
        Body::Working => (WORKING, number),
        Body::Answer(_) => (ANSWER, number),
        Body::Large { .. } => (LARGE, number),
        Body::Pull { .. } => (PULL, number),
        Body::Chunk { .. } => (CHUNK, number),
        Body::Sync { .. } => (SYNC, number),
        Body::SyncReply { .. } => (SYNC_REPLY, number),
        Body::Close => (CLOSE, number),
        Body::Closed(reason) => (CLOSED, reason.code()),
        Body::Refused(reason) => (REFUSED, reason.code()),
    }
}

const _: () = assert!(COOKIE_LEN == HELLO_LEN - HEAD_LEN - MAC_LEN);

#[cfg(test)]
mod tests;
