//! Queries of DNS, RFC 1035, with EDNS, RFC 6891.

use crate::payload::PayloadError;
use crate::payload::compile::{Compiler, Piece};
use crate::payload::number::Number;
use crate::payload::patch::{Alphabet, What};
use crate::unit::hash_u64;

/// The longest label in bytes; RFC 1035 §2.3.4.
const LONGEST_LABEL: usize = 63;
/// The longest name in bytes, with the empty label at its end; RFC 1035 §2.3.4.
const LONGEST_NAME: usize = 255;
/// The class of questions, IN; RFC 1035 §3.2.4.
const IN: u16 = 1;

/// Mnemonics of IANA's registry "Resource Record (RR) TYPEs", 2026, in rows of consecutive numbers.
const TYPES: [(u16, &str); 7] = [
    (
        1,
        "A NS MD MF CNAME SOA MB MG MR NULL WKS PTR HINFO MINFO MX TXT RP AFSDB X25 ISDN RT NSAP \
         NSAP-PTR SIG KEY PX GPOS AAAA LOC NXT EID NIMLOC SRV ATMA NAPTR KX CERT A6 DNAME SINK OPT \
         APL DS SSHFP IPSECKEY RRSIG NSEC DNSKEY DHCID NSEC3 NSEC3PARAM TLSA SMIMEA",
    ),
    (55, "HIP NINFO RKEY TALINK CDS CDNSKEY OPENPGPKEY CSYNC ZONEMD SVCB HTTPS DSYNC HHIT BRID"),
    (99, "SPF UINFO UID GID UNSPEC NID L32 L64 LP EUI48 EUI64"),
    (128, "NXNAME"),
    (249, "TKEY TSIG IXFR AXFR MAILB MAILA ANY URI CAA AVC DOA AMTRELAY RESINFO WALLET CLA IPN"),
    (32_768, "TA DLV"),
    // Other spellings of 255; NSAPPTR, 23, has one more below.
    (255, "*"),
];

/// The names in questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// Always this name.
    One(String),
    /// A name per line, with an optional type, in dnsperf's format. Empty lines and comments, which
    /// begin with a semicolon or a hash, are skipped.
    Lines {
        /// The file.
        bytes: Vec<u8>,
        /// Whether a line that is not a question is an error; otherwise it is skipped and counted.
        strict: bool,
    },
}

/// Queries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// The names in questions.
    pub names: Names,
    /// The type of records where no line has its own: `A`, `AAAA`, `TYPE65280`.
    pub rtype: String,
    /// The longest reply in bytes that is asked for by EDNS; `None`: no EDNS.
    pub edns: Option<u16>,
    /// Ask for signatures, too: the DO bit, RFC 3225.
    pub dnssec: bool,
    /// Ask the server to ask others: the RD bit.
    pub recursion: bool,
    /// Put a label of so many random letters in front of each name, 1 to 63.
    pub random_subdomain: Option<usize>,
}

impl Dns {
    /// Queries for one name as resolvers send them: for recursion, with EDNS of 1232 bytes.
    pub fn of(name: &str) -> Self {
        Self {
            names: Names::One(name.to_owned()),
            rtype: "A".to_owned(),
            edns: Some(1_232),
            dnssec: false,
            recursion: true,
            random_subdomain: None,
        }
    }

    pub(super) fn compile(&self, to: &mut Compiler, seed: u64) -> Result<(), PayloadError> {
        if self.dnssec && self.edns.is_none() {
            return Err(PayloadError::DnssecWithoutEdns);
        }
        if let Some(asked) = self.random_subdomain
            && !(1..=LONGEST_LABEL).contains(&asked)
        {
            let (least, most) = (1, LONGEST_LABEL);
            return Err(PayloadError::Size { what: "a random label", asked, least, most });
        }
        let default = rtype(self.rtype.as_bytes());
        let default =
            default.ok_or_else(|| PayloadError::RecordType { asked: self.rtype.clone() })?;
        match &self.names {
            Names::One(name) => {
                let query = self.query(name.as_bytes(), default, seed);
                let wrong = |why: &str| PayloadError::Name { name: name.clone(), why: why.into() };
                if !name.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
                    let why = "it is not in printable ASCII; write it in Punycode, xn--…";
                    return Err(wrong(why));
                }
                to.line(&query.map_err(wrong)?)
            }
            Names::Lines { bytes, strict } => self.lines(bytes, *strict, default, to, seed),
        }
    }

    /// The query for a name in the text form of RFC 1035 §5.1, or what is wrong with the name.
    pub(super) fn query(
        &self,
        name: &[u8],
        rtype: u16,
        seed: u64,
    ) -> Result<Vec<Piece>, &'static str> {
        let name = encode_name(name)?;
        let random = self.random_subdomain.unwrap_or_default();
        if name.len() + self.random_subdomain.map_or(0, |count| 1 + count) > LONGEST_NAME {
            return Err("the name is too long");
        }
        // Counts: one question, no answers, no authorities, and OPT.
        let edns = u8::from(self.edns.is_some());
        let header = [u8::from(self.recursion), 0, 0, 1, 0, 0, 0, 0, 0, edns];
        let mut pieces = vec![Piece::Field(What::Id(Number::Be(2))), Piece::Bytes(header.to_vec())];
        if random > 0 {
            let letters = What::Characters {
                key: hash_u64(seed),
                alphabet: Alphabet::Letters,
                count: random as u16,
            };
            pieces.push(Piece::Bytes(vec![random as u8]));
            pieces.push(Piece::Field(letters));
        }
        let mut rest = name;
        rest.extend([rtype.to_be_bytes(), IN.to_be_bytes()].concat());
        if let Some(size) = self.edns {
            // Root, type OPT, size; RCODE and version 0, DO; no options: RFC 6891 §6.1.2.
            let [high, low] = size.to_be_bytes();
            rest.extend([0, 0, 41, high, low, 0, 0, u8::from(self.dnssec) << 7, 0, 0, 0]);
        }
        pieces.push(Piece::Bytes(rest));
        Ok(pieces)
    }
}

/// A name from the text form of RFC 1035 §5.1 (`\X`, `\DDD`, any other byte as it is) as labels
/// with the root behind them, or what is wrong with it. The dot at the end is optional.
fn encode_name(text: &[u8]) -> Result<Vec<u8>, &'static str> {
    let (mut name, mut label) = (Vec::new(), Vec::new());
    let mut bytes = if text == b"." { [].iter() } else { text.iter() };
    if text.is_empty() {
        return Err("it is empty");
    }
    let mut has_ended = true;
    while let Some(&byte) = bytes.next() {
        has_ended = byte == b'.';
        match (byte, bytes.as_slice()) {
            (b'.', _) if label.is_empty() => return Err("empty label"),
            (b'.', _) => end_label(&mut name, &mut label)?,
            (b'\\', [hundreds @ b'0'..=b'9', rest @ ..]) => {
                let [tens @ b'0'..=b'9', ones @ b'0'..=b'9', rest @ ..] = rest else {
                    return Err("three digits have to follow a backslash and a digit");
                };
                let digit = |byte: &u8| u16::from(byte - b'0');
                let value = digit(hundreds) * 100 + digit(tens) * 10 + digit(ones);
                label.push(u8::try_from(value).map_err(|_| "\\DDD is at most \\255")?);
                bytes = rest.iter();
            }
            (b'\\', [escaped, rest @ ..]) => {
                label.push(*escaped);
                bytes = rest.iter();
            }
            (b'\\', []) => return Err("it ends in a backslash"),
            _ => label.push(byte),
        }
    }
    if !has_ended {
        end_label(&mut name, &mut label)?;
    }
    name.push(0);
    if name.len() > LONGEST_NAME { Err("the name is too long") } else { Ok(name) }
}

fn end_label(name: &mut Vec<u8>, label: &mut Vec<u8>) -> Result<(), &'static str> {
    let len = u8::try_from(label.len()).ok().filter(|len| usize::from(*len) <= LONGEST_LABEL);
    name.push(len.ok_or("a label is too long")?);
    name.append(label);
    Ok(())
}

/// A type of record by its mnemonic in IANA's registry, or as `TYPE` and its number, RFC 3597 §5.
pub(super) fn rtype(word: &[u8]) -> Option<u16> {
    if let Some((prefix, digits)) = word.split_at_checked(4)
        && prefix.eq_ignore_ascii_case(b"TYPE")
        && digits.first().is_some_and(u8::is_ascii_digit)
    {
        return std::str::from_utf8(digits).ok()?.parse().ok();
    }
    let word = if word.eq_ignore_ascii_case(b"NSAPPTR") { b"NSAP-PTR" } else { word };
    let mut all = TYPES.iter().flat_map(|(first, row)| row.split(' ').zip(*first..));
    all.find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes())).map(|(_, number)| number)
}
