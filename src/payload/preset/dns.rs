//! Queries of DNS, RFC 1035, with EDNS, RFC 6891.

use std::str::FromStr;

use domain::base::iana::Rtype;
use domain::base::{MessageBuilder, Name};

use crate::payload::PayloadError;
use crate::payload::compile::{Compiler, Piece};
use crate::payload::number::Number;
use crate::payload::patch::{Alphabet, What};
use crate::unit::hash_u64;

/// The longest label in bytes; RFC 1035 §2.3.4.
const LONGEST_LABEL: usize = 63;

/// Where the name begins; RFC 1035 §4.1.1.
const NAME_AT: usize = 12;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// Always this name.
    One(String),
    /// A name a line, each with or without a type behind it, as dnsperf has it. Empty lines, and
    /// those that begin with a semicolon or a hash, are skipped.
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
    /// What is asked for.
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
    #[must_use]
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
            Names::One(name) => to.line(&self.query(name, default, seed)?),
            Names::Lines { bytes, strict } => self.lines(bytes, *strict, default, to, seed),
        }
    }

    pub(super) fn query(
        &self,
        name: &str,
        kind: Rtype,
        seed: u64,
    ) -> Result<Vec<Piece>, PayloadError> {
        let name = match self.random_subdomain {
            Some(count) if name == "." => "a".repeat(count),
            Some(count) => format!("{}.{name}", "a".repeat(count)),
            None => name.to_owned(),
        };
        let message = self.message(&name, kind)?;
        let mut pieces =
            vec![Piece::Field(What::Id(Number::Be(2))), Piece::Bytes(message[2..NAME_AT].to_vec())];
        let mut rest = NAME_AT;
        if let Some(count) = self.random_subdomain {
            let letters = What::Characters {
                key: hash_u64(seed),
                alphabet: Alphabet::Letters,
                count: u16::try_from(count).unwrap_or_default(),
            };
            pieces.push(Piece::Bytes(vec![message[NAME_AT]]));
            pieces.push(Piece::Field(letters));
            rest += 1 + count;
        }
        pieces.push(Piece::Bytes(message[rest..].to_vec()));
        Ok(pieces)
    }

    /// The query without its id.
    fn message(&self, name: &str, kind: Rtype) -> Result<Vec<u8>, PayloadError> {
        let wrong = |why: String| PayloadError::Name { name: name.to_owned(), why };
        if !name.is_ascii() {
            return Err(wrong("it is not in ASCII; write it in Punycode, xn--…".to_owned()));
        }
        let parsed = Name::<Vec<u8>>::from_str(name).map_err(|error| wrong(error.to_string()))?;
        let full = |_| wrong("it does not fit into a message".to_owned());
        let mut message = MessageBuilder::new_vec();
        message.header_mut().set_rd(self.recursion);
        let mut question = message.question();
        question.push((parsed, kind)).map_err(full)?;
        let mut additional = question.additional();
        if let Some(size) = self.edns {
            let opt = additional.opt(|opt| {
                opt.set_udp_payload_size(size);
                opt.set_dnssec_ok(self.dnssec);
                Ok(())
            });
            opt.map_err(full)?;
        }
        Ok(additional.finish())
    }
}

/// A type of record by its mnemonic in IANA's registry "Resource Record (RR) TYPEs", or as `TYPE`
/// and its number, RFC 3597 §5.
pub(super) fn rtype(word: &[u8]) -> Option<Rtype> {
    let number = word.get(..4).filter(|prefix| prefix.eq_ignore_ascii_case(b"TYPE"));
    if let Some((_, digits)) = number.and_then(|_| word.split_at_checked(4))
        && digits.first().is_some_and(u8::is_ascii_digit)
    {
        return std::str::from_utf8(digits).ok()?.parse().ok().map(Rtype::from_int);
    }
    // Two that the library writes in another way.
    match word {
        b"*" => Some(Rtype::ANY),
        _ if word.eq_ignore_ascii_case(b"NSAP-PTR") => Some(Rtype::NSAPPTR),
        _ => Rtype::from_mnemonic(word),
    }
}
