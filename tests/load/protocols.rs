//! The bytes of replies, made from those of requests without a word of the program's own code.

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// RFC 1035.
    Dns,
    /// What came goes back.
    Echo,
    /// What came goes back; it is text with ten digits of an id from the second byte on.
    Text,
    /// The text protocol of memcached in its frames (protocol.txt, "UDP protocol").
    Memcached,
}

/// Where the id of [`Protocol::Text`] begins.
const DIGITS_AT: usize = 1;

/// Bytes of the header of DNS; RFC 1035 §4.1.1.
const DNS_HEADER: usize = 12;

/// The bit of byte 2 that a reply was cut short; RFC 1035 §4.1.1.
const TC: u8 = 0x02;

/// What stands for [`TC`] in a list, above all codes of four bits.
pub const TRUNCATED: u8 = 0x10;

impl Protocol {
    /// The answer.
    pub fn answer(self, request: &[u8]) -> Vec<u8> {
        let mut reply = request.to_vec();
        match self {
            Self::Dns => reply[2] |= 0x80,
            Self::Echo | Self::Text => {}
            Self::Memcached => return frame(request, 0, 1, &value(request)),
        }
        reply
    }

    /// Another error.
    pub fn error(self, request: &[u8], code: u8) -> Vec<u8> {
        let mut reply = self.answer(request);
        match self {
            Self::Dns if code == TRUNCATED => reply[2] |= TC,
            Self::Dns => reply[3] = reply[3] & 0xF0 | code,
            Self::Memcached => return frame(request, 0, 1, b"END\r\n"),
            Self::Echo | Self::Text => panic!("{self:?} has no errors"),
        }
        reply
    }

    /// What people call it.
    pub fn error_name(self, code: u8) -> &'static str {
        match (self, code) {
            (Self::Dns, 2) => "SERVFAIL",
            (Self::Dns, 3) => "NXDOMAIN",
            (Self::Dns, 5) => "REFUSED",
            (Self::Dns, TRUNCATED) => "TRUNCATED",
            (Self::Memcached, _) => "miss",
            _ => panic!("{self:?} has no name for {code}"),
        }
    }

    /// The answer to a request that was never sent: tests send fewer than 16384 by a port.
    pub fn other_id(self, request: &[u8]) -> Vec<u8> {
        let mut reply = self.answer(request);
        match self {
            Self::Text => reply[DIGITS_AT] = b'9',
            _ => reply[0] ^= 0x40,
        }
        reply
    }

    /// The answer to another question with the same id.
    pub fn other_question(self, request: &[u8]) -> Vec<u8> {
        let mut reply = self.answer(request);
        match self {
            Self::Dns => {
                assert_ne!(reply[DNS_HEADER + 1], b'q');
                reply[DNS_HEADER + 1] = b'q';
            }
            Self::Echo => *reply.last_mut().unwrap() ^= 1,
            Self::Memcached => return frame(request, 0, 1, b"VALUE another 0 1\r\nx\r\nEND\r\n"),
            Self::Text => panic!("any text with the id is an answer"),
        }
        reply
    }

    /// The answer in upper case.
    pub fn other_case(self, request: &[u8]) -> Vec<u8> {
        assert_eq!(self, Self::Dns);
        let mut reply = self.answer(request);
        let end = DNS_HEADER + request[DNS_HEADER..].iter().position(|byte| *byte == 0).unwrap();
        reply[DNS_HEADER..end].make_ascii_uppercase();
        assert_ne!(reply[DNS_HEADER..end], request[DNS_HEADER..end]);
        reply
    }

    /// The first bytes of the answer, too few to tell what it is.
    pub fn cut(self, request: &[u8]) -> Vec<u8> {
        let len = match self {
            Self::Dns => DNS_HEADER - 1,
            Self::Echo => request.len() - 1,
            Self::Text => DIGITS_AT + 9,
            Self::Memcached => 7,
        };
        self.answer(request)[..len].to_vec()
    }

    /// The answer in `more + 1` datagrams.
    pub fn parts(self, request: &[u8], more: u16) -> Vec<Vec<u8>> {
        assert_eq!(self, Self::Memcached);
        let body = |part| if part == 0 { value(request) } else { b"more of it".to_vec() };
        (0..=more).map(|part| frame(request, part, more + 1, &body(part))).collect()
    }
}

/// A datagram of memcached: the request's id, which of how many this is, and what is reserved.
fn frame(request: &[u8], part: u16, of: u16, body: &[u8]) -> Vec<u8> {
    [&request[..2], &part.to_be_bytes(), &of.to_be_bytes(), &[0, 0], body].concat()
}

/// The value of the key that a get of memcached names.
fn value(request: &[u8]) -> Vec<u8> {
    let key = request[8..].strip_prefix(b"get ").and_then(|rest| rest.strip_suffix(b"\r\n"));
    [b"VALUE ", key.unwrap(), b" 0 4\r\nwell\r\nEND\r\n"].concat()
}
