//! Encodes and decodes control messages. An accepted message encodes to the same bytes.

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
// Kinds of servers: 128 and what it replies to; the rest arbitrary. Refused is always the same.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Not a control message.
    NotControl,
    /// Another version of this protocol; see [`peek`].
    Version,
    /// Sealed with a key while this end has none, or the reverse.
    Keyed,
    /// The code at its end does not match this key.
    Mac,
    /// Its length is wrong, or this version does not know its kind or its flags.
    Malformed,
}

/// The fields that every version has at the same places, unverified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peek {
    /// The sender's version.
    pub version: u8,
    kind: u8,
    flags: u8,
    /// The session, or the nonce.
    pub session: u64,
    number: u32,
}

impl Peek {
    /// Whether it was sealed with a key.
    pub const fn is_keyed(&self) -> bool {
        self.flags & KEYED != 0
    }

    /// Whether it is a client's first message.
    pub const fn is_hello(&self) -> bool {
        self.kind == HELLO
    }

    /// The reason, if it is Refused.
    pub fn refusal(&self) -> Option<RejectReason> {
        (self.kind == REFUSED).then(|| RejectReason::from_code(self.number))
    }
}

/// Reads the fields of every version.
///
/// # Errors
/// [`Fault::NotControl`] or [`Fault::Malformed`].
pub fn peek(datagram: &[u8]) -> Result<Peek, Fault> {
    let mut rest = Reader(datagram);
    if rest.take() != Ok(CONTROL_TAG.to_be_bytes()) || rest.take() != Ok(MAGIC) {
        return Err(Fault::NotControl);
    }
    if !(HEAD_LEN + MAC_LEN..=LONGEST).contains(&datagram.len()) {
        return Err(Fault::Malformed);
    }
    let [version, kind, flags] = rest.take()?;
    Ok(Peek { version, kind, flags, session: rest.u64()?, number: rest.u32()? })
}

/// Reads a message and checks its seal.
///
/// # Errors
/// A [`Fault`] for everything that [`encode`] does not write with an equal seal.
pub fn decode<'a>(datagram: &'a [u8], seal: &Seal) -> Result<Message<'a>, Fault> {
    let head = peek(datagram)?;
    if head.version != VERSION {
        return Err(Fault::Version);
    }
    if head.is_keyed() != seal.keyed {
        return Err(Fault::Keyed);
    }
    let (sealed, mac) = datagram.split_last_chunk().ok_or(Fault::Malformed)?;
    if !seal.tagger.verify(&[sealed], mac) {
        return Err(Fault::Mac);
    }
    if head.flags & !KEYED != 0 {
        return Err(Fault::Malformed);
    }
    let body = body(head.kind, head.number, &sealed[HEAD_LEN..])?;
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
        _ => return Err(Fault::Malformed),
    };
    if rest.0.is_empty() { Ok(body) } else { Err(Fault::Malformed) }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (first, rest) = self.0.split_first_chunk().ok_or(Fault::Malformed)?;
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
        if self.0.len() > most { Err(Fault::Malformed) } else { Ok(std::mem::take(&mut self.0)) }
    }
}

/// Encodes and seals a message. A body beyond [`LONGEST_BODY`] is cut: a bug of the caller.
pub fn encode(message: &Message<'_>, seal: &Seal) -> Vec<u8> {
    let number = match message.body {
        Body::Closed(reason) => reason.code(),
        Body::Refused(reason) => reason.code(),
        _ => message.number,
    };
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
        Body::Closed(_) => (CLOSED, Vec::new()),
        Body::Refused(_) => (REFUSED, Vec::new()),
    };
    debug_assert!(body.len() <= LONGEST_BODY, "{} bytes where {LONGEST_BODY} fit", body.len());
    body.truncate(LONGEST_BODY);
    let mut out = CONTROL_TAG.to_be_bytes().to_vec();
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
mod tests {
    use super::super::{HELLO_LEN, Key};
    use super::*;

    fn seals() -> [Seal; 3] {
        let key = |text: &[u8]| Seal::new(Some(&Key::from_bytes(text).unwrap()));
        [Seal::new(None), key(b"one"), key(b"other")]
    }

    #[test]
    fn messages_decode_only_with_the_same_seal() {
        let long = [0xA5; LONGEST];
        let bodies = [
            Body::Hello,
            Body::Challenge([7; COOKIE_LEN]),
            Body::Open([8; COOKIE_LEN]),
            Body::Opened(9),
            Body::Request(b""),
            Body::Request(&long[..LONGEST_BODY]),
            Body::Working,
            Body::Answer(b"so"),
            Body::Large(u32::MAX),
            Body::Pull(1_159),
            Body::Chunk(0, &long[..CHUNK_LEN]),
            Body::Sync(u64::MAX, &long[..LONGEST_NOTE]),
            Body::SyncReply([1, 2, 3]),
            Body::Close,
            Body::Closed(CloseReason::GoingDown),
            Body::Refused(RejectReason::Other(77)),
        ];
        let seals = seals();
        for (body, (at, seal)) in
            bodies.iter().flat_map(|b| seals.iter().enumerate().map(move |s| (b, s)))
        {
            let is_reason = matches!(body, Body::Closed(_) | Body::Refused(_));
            let number = if is_reason { 0 } else { 0x0102_0304 };
            let message = Message { session: 0xFEED, number, body: *body };
            let bytes = encode(&message, seal);
            assert!(bytes.len() <= LONGEST);
            assert_eq!(decode(&bytes, seal), Ok(message));
            for (other, seal) in seals.iter().enumerate().filter(|(other, _)| *other != at) {
                let expected = if at * other == 0 { Fault::Keyed } else { Fault::Mac };
                assert_eq!(decode(&bytes, seal), Err(expected));
            }
        }
    }

    #[test]
    fn layout_matches_the_documentation() {
        let [public, keyed, _] = seals();
        let message = Message { session: 0x1122_3344_5566_7788, number: 5, body: Body::Hello };
        let mut bytes = encode(&message, &public);
        assert_eq!(bytes.len(), HELLO_LEN);
        assert_eq!(&bytes[..9], [0, 1, b'u', b'd', b'p', b'C', VERSION, 1, 0]);
        assert_eq!(&bytes[9..17], [0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]);
        assert_eq!(&bytes[17..21], [0, 0, 0, 5]);
        assert_eq!(encode(&message, &keyed)[8], 1);
        // Another version, of which the first fields are known.
        bytes[6] = VERSION + 1;
        assert_eq!(decode(&bytes, &public), Err(Fault::Version));
        let head = peek(&bytes).unwrap();
        assert_eq!((head.version, head.session), (VERSION + 1, message.session));
        assert_eq!((head.is_hello(), head.refusal()), (true, None));
        let refused = Message { body: Body::Refused(RejectReason::Busy), ..message };
        let bytes = encode(&refused, &public);
        assert_eq!(bytes.len(), HEAD_LEN + MAC_LEN);
        assert_eq!((bytes[7], &bytes[17..21]), (255, [0, 0, 0, 5].as_slice()));
        let head = peek(&bytes).unwrap();
        assert_eq!((head.is_hello(), head.refusal()), (false, Some(RejectReason::Busy)));
        assert_eq!(decode(b"", &public), Err(Fault::NotControl));
        assert_eq!(decode(b"\0\x01udpC", &public), Err(Fault::Malformed));
    }

    #[test]
    fn rejects_changed_and_truncated_messages() {
        for seal in seals() {
            let body = Body::Sync(17, b"note");
            let bytes = encode(&Message { session: 1, number: 2, body }, &seal);
            for bit in 0..bytes.len() * 8 {
                let mut changed = bytes.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert!(decode(&changed, &seal).is_err(), "bit {bit}");
            }
            for len in 0..bytes.len() {
                assert!(decode(&bytes[..len], &seal).is_err(), "{len} bytes");
            }
            assert_eq!(decode(&[&bytes[..], &[0]].concat(), &seal), Err(Fault::Mac));
        }
    }
}
