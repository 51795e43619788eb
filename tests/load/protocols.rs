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
    /// RFC 3261: requests as in [`SIP`].
    Sip,
}

/// A request of SIP with its rules: the id is in the branch, and three digits are the status.
pub const SIP: &str = "--text 'OPTIONS sip:a@127.0.0.1 SIP/2.0\r\n\
    Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK{id};rport\r\nMax-Forwards: 70\r\n\
    From: <sip:b@127.0.0.1>;tag={id}\r\nTo: <sip:a@127.0.0.1>\r\nCall-ID: {counter}\r\n\
    CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n' --expect 'prefix:SIP/2.0 200 '
    --error 'regex:^SIP/2.0 (?<name>[3-6][0-9][0-9]) '";

/// What the branch of a request begins with; RFC 3261 §8.1.1.7.
const BRANCH: &[u8] = b"branch=z9hG4bK";

/// Where the id's digits begin in a message of SIP.
fn after_branch(message: &[u8]) -> usize {
    let at = message.windows(BRANCH.len()).position(|window| window == BRANCH);
    at.unwrap() + BRANCH.len()
}

/// The headers of a request that a reply repeats (RFC 3261 §8.2.6.2), from the last to the first.
fn sip(request: &[u8], status: &str) -> Vec<u8> {
    let request = String::from_utf8(request.to_vec()).unwrap();
    let repeated = |line: &&str| !line.is_empty() && !line.starts_with("Max-Forwards");
    let lines: Vec<_> = request.split("\r\n").skip(1).filter(repeated).collect();
    let headers: String = lines.iter().rev().map(|line| format!("{line}\r\n")).collect();
    format!("SIP/2.0 {status}\r\n{headers}\r\n").into_bytes()
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
            Self::Sip => return sip(request, "200 OK"),
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
            Self::Sip if code == 4 => return sip(request, "404 Not Found"),
            Self::Sip => return sip(request, "100 Trying"),
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
            (Self::Sip, 4) => "404",
            (Self::Sip, _) => "unexpected",
            _ => panic!("{self:?} has no name for {code}"),
        }
    }

    /// The answer to a request that was never sent: tests send fewer than 16384 by a port.
    pub fn other_id(self, request: &[u8]) -> Vec<u8> {
        let mut reply = self.answer(request);
        match self {
            Self::Text => reply[DIGITS_AT] = b'9',
            Self::Sip => {
                let at = after_branch(&reply);
                reply[at] = b'9';
            }
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
            Self::Text | Self::Sip => panic!("any text with the id is an answer"),
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
            Self::Sip => after_branch(&self.answer(request)) + 9,
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
