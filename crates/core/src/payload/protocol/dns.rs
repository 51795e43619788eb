//! DNS, RFC 1035, with EDNS, RFC 6891.

use std::sync::Arc;

use super::edns::{EdnsOptions, Subnet, repeats_cookie};
use super::question::{
    LONGEST_LABEL, LONGEST_NAME, NAME_BUFFER_LEN, encode_name, entries, number_of_type,
};
use super::{Alphabet, Compiler, Number, PayloadError, Per, Piece, What};
use crate::unit::hash_u64;

/// The class of questions, IN; RFC 1035 §3.2.4.
const IN: u16 = 1;
/// Bytes of the header; RFC 1035 §4.1.1.
pub(super) const HEADER_LEN: usize = 12;
/// Bits of byte 2; TC: the reply was truncated; RFC 1035 §4.1.1.
const QR: u8 = 0x80;
const OPCODE: u8 = 0x78;
const TC: u8 = 0x02;
/// The code of a truncated reply, above the 12 bits of RCODE (RFC 6891 §6.1.3). Arbitrary.
const TRUNCATED: u16 = 0x1000;
/// The type of the record of EDNS, and the offset of the upper bits of RCODE; RFC 6891 §6.1.
const OPT: [u8; 2] = [0, 41];
const OPT_RCODE_AT: usize = 4;
/// Bytes of a record between name and data, and the offset of the length of data; RFC 1035 §4.1.3.
const RECORD_LEN: usize = 10;
const DATA_LEN_AT: usize = 8;
/// Bytes of type and class in a question; RFC 1035 §4.1.2.
pub(super) const KIND_LEN: usize = 4;
/// The bits of a label's length that make it a pointer; RFC 1035 §4.1.4.
const POINTER: u8 = 0xC0;
/// Maximum labels and pointers in a name of 255 bytes (RFC 1035 §3.1): a pointer before each label.
const NAME_STEPS: usize = 256;

/// RCODEs of IANA's registry "DNS RCODEs", counted in the same way; 16 is that of OPT.
const RCODES: &str = "\
    0 NOERROR FORMERR SERVFAIL NXDOMAIN NOTIMP REFUSED YXDOMAIN YXRRSET NXRRSET NOTAUTH NOTZONE \
    DSOTYPENI 16 BADVERS BADKEY BADTIME BADMODE BADNAME BADALG BADTRUNC BADCOOKIE";

/// The names in questions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are as named")]
pub enum Names {
    /// Always this name.
    One(String),
    /// A name per line, with an optional type, in dnsperf's format. A line that is not a question
    /// is an error if `strict`; otherwise it is skipped and counted.
    Lines { bytes: Arc<Vec<u8>>, strict: bool },
}

/// Queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// The names in questions.
    pub names: Names,
    /// The record type where a line has none: `A`, `AAAA`, `TYPE65280`.
    pub rtype: String,
    /// The longest reply in bytes that EDNS allows; `None`: no EDNS.
    pub edns: Option<u16>,
    /// Request signatures, too: the DO bit, RFC 3225.
    pub dnssec: bool,
    /// Request recursion: the RD bit.
    pub recursion: bool,
    /// Put a label of so many random letters in front of each name, 1 to 63.
    pub random_subdomain: Option<usize>,
    /// Options of EDNS.
    pub options: EdnsOptions,
}

impl Dns {
    /// Queries for one name as resolvers send them: with recursion and EDNS of 1232 bytes.
    pub fn of(name: &str) -> Self {
        Self {
            names: Names::One(name.to_owned()),
            rtype: "A".to_owned(),
            edns: Some(1_232),
            dnssec: false,
            recursion: true,
            random_subdomain: None,
            options: EdnsOptions::default(),
        }
    }

    pub(super) fn compile(&self, to: &mut Compiler, seed: u64) -> Result<(), PayloadError> {
        if self.dnssec && self.edns.is_none() {
            return Err(PayloadError::DnssecWithoutEdns);
        }
        if !self.options.is_empty() && self.edns.is_none() {
            return Err(PayloadError::OptionsWithoutEdns);
        }
        if let Some(requested) = self.random_subdomain
            && !(1..=LONGEST_LABEL).contains(&requested)
        {
            let (what, least, most) = ("a random label", 1, LONGEST_LABEL);
            return Err(PayloadError::Size { what, requested, least, most });
        }
        to.requests.longest_cookie = self.options.longest_server_cookie();
        let unknown = || PayloadError::RecordType { requested: self.rtype.clone() };
        let default = number_of_type(self.rtype.as_bytes()).ok_or_else(unknown)?;
        match &self.names {
            Names::One(name) => {
                let query = if name.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
                    let mut buffer = [0; NAME_BUFFER_LEN];
                    let len = encode_name(name.as_bytes(), &mut buffer);
                    len.and_then(|len| self.check(len).map(|()| &buffer[..len]))
                        .map(|name| self.query(name, default, None, seed))
                } else {
                    Err("it is not in printable ASCII; write it in Punycode, xn--…")
                };
                let wrong = |why: &str| PayloadError::Name { name: name.clone(), why: why.into() };
                to.line(&query.map_err(wrong)?)
            }
            Names::Lines { bytes, strict } => self.lines(bytes, *strict, default, to, seed),
        }
    }

    /// The query for an encoded name; `subnet`: that of this query.
    // cold: set-up
    pub(super) fn query(
        &self,
        name: &[u8],
        rtype: u16,
        subnet: Option<Subnet>,
        seed: u64,
    ) -> Vec<Piece> {
        let (before, after) = self.around_name(subnet, seed);
        let name = [name, &rtype.to_be_bytes()].concat();
        [before, vec![Piece::Bytes(name)], after].concat()
    }

    /// Whether a name of this many bytes is short enough for the random label.
    pub(super) fn check(&self, name_len: usize) -> Result<(), &'static str> {
        match name_len + self.random_subdomain.map_or(0, |count| 1 + count) {
            ..=LONGEST_NAME => Ok(()),
            _ => Err("the name is too long"),
        }
    }

    /// What precedes the name in a query, and what follows the type; `subnet`: that of this query.
    // cold: set-up
    pub(super) fn around_name(
        &self,
        subnet: Option<Subnet>,
        seed: u64,
    ) -> (Vec<Piece>, Vec<Piece>) {
        let mut after = IN.to_be_bytes().to_vec();
        let mut last = None;
        if let Some(size) = self.edns {
            // Root, type OPT, size; RCODE and version 0, DO; options: RFC 6891 §6.1.2.
            let [high, low] = size.to_be_bytes();
            after.extend([0, 0, 41, high, low, 0, 0, u8::from(self.dnssec) << 7, 0]);
            let (data, field) = self.options.record(subnet, seed);
            after.extend(data);
            last = field;
        }
        // Counts: one question, no answers, no authorities, and OPT.
        let edns = u8::from(self.edns.is_some());
        let header = vec![u8::from(self.recursion), 0, 0, 1, 0, 0, 0, 0, 0, edns];
        let mut before = vec![Piece::Field(What::Id(Number::Be(2))), Piece::Bytes(header)];
        if let Some(count) = self.random_subdomain {
            let (key, alphabet, count) = (hash_u64(seed), Alphabet::Letters, count as u16);
            before.push(Piece::Bytes(vec![count as u8]));
            let per = Per::Request;
            before.push(Piece::Field(What::Characters { key, alphabet, count, per }));
        }
        let last = last.map(Piece::Field);
        (before, [Piece::Bytes(after)].into_iter().chain(last).collect())
    }
}

/// The id of a reply, whatever its OPCODE.
#[inline]
pub(super) fn id(reply: &[u8]) -> Option<u64> {
    let header = reply.first_chunk::<HEADER_LEN>().filter(|header| header[2] & QR != 0)?;
    Number::Be(2).read(header, 0)
}

/// Whether a reply has the OPCODE, id and question of a request. Servers may omit the question in
/// errors; then the id is enough, unless another name is answered. A cookie in the reply has to
/// begin with that of the request.
#[inline]
pub(super) fn answers(request: &[u8], reply: &[u8]) -> bool {
    let Some(header) = reply.first_chunk::<HEADER_LEN>() else { return false };
    let same_opcode = request.get(2).is_some_and(|byte| (byte ^ header[2]) & OPCODE == 0);
    if id(reply).is_none() || request.get(..2) != reply.get(..2) || !same_opcode {
        return false;
    }
    let Some(end) = name_end(request, HEADER_LEN) else { return false };
    let Some(name) = request.get(HEADER_LEN..end) else { return false };
    if !repeats_cookie(request, end + KIND_LEN, || opt_data(reply)) {
        return false;
    }
    match [header[4], header[5]] {
        _ if reply.len() == HEADER_LEN => code(reply).is_some(),
        [0, 0] if header[6..8] == [0, 0] => code(reply).is_some(),
        // The first record is an answer, and has the name.
        [0, 0] => same_name(reply, HEADER_LEN, name).is_some(),
        [0, 1] => {
            let kind = request.get(end..end + KIND_LEN);
            same_name(reply, HEADER_LEN, name)
                .is_some_and(|end| kind.is_some() && kind == reply.get(end..end + KIND_LEN))
        }
        _ => false,
    }
}

#[inline]
pub(super) fn name_end(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let len = *message.get(at)?;
        if len & POINTER == POINTER {
            return Some(at + 2);
        }
        at += 1 + usize::from(len);
        if len == 0 {
            return Some(at);
        }
    }
}

/// The end of the name at `at` of a message if it equals `name`, in any case.
#[inline]
fn same_name(message: &[u8], mut at: usize, name: &[u8]) -> Option<usize> {
    // The common case: neither compressed nor in another case.
    if message.get(at..at + name.len()) == Some(name) {
        return Some(at + name.len());
    }
    let (mut rest, mut end) = (name, None);
    for _ in 0..NAME_STEPS {
        let len = *message.get(at)?;
        if len & POINTER == POINTER {
            let low = *message.get(at + 1)?;
            end = end.or(Some(at + 2));
            at = usize::from(u16::from_be_bytes([len & !POINTER, low]));
            continue;
        }
        let next = at + 1 + usize::from(len);
        let label = message.get(at..next)?;
        let (expected, after) = rest.split_at_checked(label.len())?;
        // Lengths of labels are below any letter, so that case does not touch them.
        if !label.eq_ignore_ascii_case(expected) {
            return None;
        }
        if len == 0 {
            return Some(end.unwrap_or(next));
        }
        (rest, at) = (after, next);
    }
    None
}

/// RCODE with the bits of OPT, or that the reply was truncated.
#[inline]
pub(super) fn code(reply: &[u8]) -> Option<u16> {
    let header = reply.first_chunk::<HEADER_LEN>()?;
    let upper = if header[10..] == [0, 0] { 0 } else { opt_rcode(reply, header).unwrap_or(0) };
    match u16::from(upper) << 4 | u16::from(header[3] & 0xF) {
        0 if header[2] & TC != 0 => Some(TRUNCATED),
        0 => None,
        rcode => Some(rcode),
    }
}

/// The upper bits of RCODE in OPT; `None` without it, or if the reply ends before it.
#[inline]
fn opt_rcode(reply: &[u8], header: &[u8; HEADER_LEN]) -> Option<u8> {
    opt(reply, header)?.get(OPT_RCODE_AT).copied()
}

/// The data of OPT, where its options are.
pub(super) fn opt_data(reply: &[u8]) -> Option<&[u8]> {
    let record = opt(reply, reply.first_chunk()?)?;
    let len = u16::from_be_bytes([record[DATA_LEN_AT], record[DATA_LEN_AT + 1]]);
    record.get(RECORD_LEN..RECORD_LEN + usize::from(len))
}

/// The record OPT after its name, and all bytes that follow.
#[inline]
fn opt<'a>(reply: &'a [u8], header: &[u8; HEADER_LEN]) -> Option<&'a [u8]> {
    let count = |at: usize| u32::from(u16::from_be_bytes([header[at], header[at + 1]]));
    let mut at = HEADER_LEN;
    for _ in 0..count(4) {
        at = name_end(reply, at)? + KIND_LEN;
    }
    let others = count(6) + count(8);
    for number in 0..others + count(10) {
        at = name_end(reply, at)?;
        let record = reply.get(at..at + RECORD_LEN)?;
        if number >= others && record[..2] == OPT {
            return reply.get(at..);
        }
        let data = u16::from_be_bytes([record[DATA_LEN_AT], record[DATA_LEN_AT + 1]]);
        at += RECORD_LEN + usize::from(data);
    }
    None
}

// cold: for reports
pub(super) fn code_name(code: u16) -> String {
    if code == TRUNCATED {
        return "TRUNCATED".to_owned();
    }
    let known = entries(RCODES).find(|(_, number)| *number == code);
    known.map_or_else(|| code.to_string(), |(name, _)| name.to_owned())
}
