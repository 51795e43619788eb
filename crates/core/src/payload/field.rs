//! Parts of requests, and how fields are written in braces.

use super::PayloadError;
use super::number::Number;
use super::patch::{Alphabet, Per, What};
use super::spans::{SpanFault, SpanName, Sum, SumKind};
use crate::unit::{MAX_PAYLOAD, hash_u64};

/// Maximum random characters of one field: what a datagram holds.
const MAX_CHARACTERS: u16 = 65_507;

/// A part of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Bytes(Vec<u8>),
    /// Written for each request.
    Field(What),
    /// One of several, in turns.
    Choice(Vec<Vec<u8>>),
    /// Where a part begins and ends, for sums.
    Begin(SpanName),
    End(SpanName),
    /// A length or checksum.
    Sum(Sum),
}

/// A part of a template, as it is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum TemplatePart<'a> {
    /// To be encoded.
    Bytes(&'a [u8]),
    Field(What),
    /// Words separated by `|`, to be encoded.
    Choice(&'a [u8]),
    Begin(SpanName),
    End(SpanName),
    Sum(Sum),
}

/// The parts of a template, one after the other.
#[derive(Debug)]
pub(super) struct TemplateParts<'a> {
    source: &'a [u8],
    is_hex: bool,
    fields: bool,
    seed: u64,
    at: usize,
    count: u64,
    /// Where the latest part begins.
    pub(super) start: usize,
}

impl<'a> Iterator for TemplateParts<'a> {
    type Item = Result<TemplatePart<'a>, PayloadError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.source.get(self.at..).filter(|rest| !rest.is_empty())?;
        self.start = self.at;
        let brace = if self.fields { memchr::memchr2(b'{', b'}', rest) } else { None };
        let end = brace.unwrap_or(rest.len());
        let mut len = end;
        if let Some(&brace) = rest.get(end) {
            let is_doubled = rest.get(end + 1) == Some(&brace);
            if is_doubled {
                len += 1;
                self.at += 1;
            } else if brace == b'}' {
                let column = column(self.source, self.at + end);
                return Some(Err(PayloadError::Unopened { column }));
            } else if end == 0 {
                return Some(self.field());
            }
        }
        self.at += len;
        Some(Ok(TemplatePart::Bytes(&rest[..len])))
    }
}

impl<'a> TemplateParts<'a> {
    pub(super) const fn new(source: &'a [u8], is_hex: bool, fields: bool, seed: u64) -> Self {
        Self { source, is_hex, fields, seed, at: 0, count: 0, start: 0 }
    }

    /// Reads the field that begins here.
    #[inline]
    fn field(&mut self) -> Result<TemplatePart<'a>, PayloadError> {
        let rest = self.source.get(self.at + 1..).unwrap_or_default();
        let close = memchr::memchr2(b'{', b'}', rest).filter(|close| rest[*close] == b'}');
        let unclosed = || PayloadError::Unclosed { column: column(self.source, self.at) };
        let word = &rest[..close.ok_or_else(unclosed)?];
        self.count += 1;
        let step = std::str::from_utf8(word).ok().map_or(Err(Fault::Field), |word| self.step(word));
        self.at += word.len() + 2;
        step.map_err(|fault| self.fault_of(fault, self.start))
    }

    fn step(&self, word: &'a str) -> Result<TemplatePart<'a>, Fault> {
        let (name, options) = match word.split_once(':') {
            Some((name, options)) => (name, Some(options)),
            None => (word, None),
        };
        if name == "choice" {
            let words = options.map(str::as_bytes).filter(|words| !words.is_empty());
            return words.map(TemplatePart::Choice).ok_or(Fault::EmptyChoice);
        }
        let key = hash_u64(self.seed ^ hash_u64(self.count));
        Options { name, options, is_hex: self.is_hex }.step(key)
    }

    /// The text of the field that begins at this offset.
    // cold: for errors
    pub(super) fn word_at(&self, start: usize) -> String {
        let rest = self.source.get(start + 1..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'}').unwrap_or(rest.len());
        String::from_utf8_lossy(&rest[..end]).into_owned()
    }

    fn fault_of(&self, fault: Fault, start: usize) -> PayloadError {
        let (field, column) = (self.word_at(start), column(self.source, start));
        match fault {
            Fault::Field => PayloadError::Field { field, column },
            Fault::Format => PayloadError::Format { field, column },
            Fault::EmptyChoice => PayloadError::EmptyChoice { column },
            Fault::Span(fault) => PayloadError::Span { field, column, why: fault.why() },
        }
    }

    pub(super) fn fault(&self, fault: SpanFault, start: usize) -> PayloadError {
        self.fault_of(Fault::Span(fault), start)
    }
}

/// What is wrong with a field.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Field,
    Format,
    EmptyChoice,
    Span(SpanFault),
}

/// The name of a field, and what follows it, separated by colons.
struct Options<'a> {
    name: &'a str,
    options: Option<&'a str>,
    is_hex: bool,
}

impl Options<'_> {
    fn parts(&self) -> impl Iterator<Item = &str> {
        self.options.into_iter().flat_map(|options| options.split(':'))
    }

    /// The number format, if it is the only option.
    fn only_number(&self) -> Result<Option<Number>, Fault> {
        let parse = |options| Number::parse(options).ok_or(Fault::Format);
        self.options.map(parse).transpose()
    }

    /// The format of a field without one: this one, or u32be in hex digits.
    fn or(&self, number: Option<Number>, default: Number) -> Number {
        number.unwrap_or(if self.is_hex { Number::Be(4) } else { default })
    }

    #[inline]
    fn step<'a>(&self, key: u64) -> Result<TemplatePart<'a>, Fault> {
        let span = || self.options.and_then(SpanName::parse).ok_or(Fault::Format);
        let plain = |number| self.or(number, Number::Dec(10));
        Ok(match self.name {
            "id" => TemplatePart::Field(What::Id(plain(self.only_number()?))),
            "stream" => TemplatePart::Field(What::Stream(plain(self.only_number()?))),
            "counter" => TemplatePart::Field(self.counter()?),
            "random" => TemplatePart::Field(self.random(key)?),
            "time" => TemplatePart::Field(self.time().ok_or(Fault::Format)?),
            "begin" => TemplatePart::Begin(span()?),
            "end" => TemplatePart::End(span()?),
            "len" => TemplatePart::Sum(self.sum(SumKind::Len, Number::Dec(5), Number::Be(2))?),
            "inet_checksum" => {
                TemplatePart::Sum(self.sum(SumKind::Inet, Number::Hex(4), Number::Be(2))?)
            }
            "crc32" => {
                TemplatePart::Sum(self.sum(SumKind::Crc32, Number::Hex(8), Number::Be(4))?)
            }
            name => match name.strip_prefix("reply@").zip(self.options) {
                Some((offset, count)) => {
                    TemplatePart::Field(reply_bytes(offset, count).ok_or(Fault::Format)?)
                }
                None => return Err(Fault::Field),
            },
        })
    }

    /// A number format, `start=N`, `step=N` and `stream`.
    fn counter(&self) -> Result<What, Fault> {
        let (mut number, mut start, mut step, mut per) = (None, 0, 1, Per::Request);
        for part in self.parts() {
            match part.split_once('=') {
                Some(("start", value)) => start = integer(value).ok_or(Fault::Format)?,
                Some(("step", value)) => step = integer(value).ok_or(Fault::Format)?,
                None if part == "stream" => per = Per::Stream,
                None if number.is_none() => {
                    number = Some(Number::parse(part).ok_or(Fault::Format)?);
                }
                _ => return Err(Fault::Format),
            }
        }
        Ok(What::Counter { number: self.or(number, Number::Dec(10)), start, step, per })
    }

    /// A number format, or `alnum:N` or `letters:N`; and `stream`.
    fn random(&self, key: u64) -> Result<What, Fault> {
        let (mut number, mut alphabet, mut count, mut per) = (None, None, None, Per::Request);
        for part in self.parts() {
            match (part, alphabet) {
                ("stream", _) => per = Per::Stream,
                ("alnum", None) if number.is_none() => alphabet = Some(Alphabet::Alnum),
                ("letters", None) if number.is_none() => alphabet = Some(Alphabet::Letters),
                (_, Some(_)) if count.is_none() => {
                    let parsed =
                        part.parse().ok().filter(|count| (1..=MAX_CHARACTERS).contains(count));
                    count = Some(parsed.ok_or(Fault::Format)?);
                }
                (_, None) if number.is_none() => {
                    number = Some(Number::parse(part).ok_or(Fault::Format)?);
                }
                _ => return Err(Fault::Format),
            }
        }
        Ok(match alphabet {
            Some(alphabet) => {
                What::Characters { key, alphabet, count: count.ok_or(Fault::Format)?, per }
            }
            None => What::Random { key, number: self.or(number, Number::Hex(8)), per },
        })
    }

    /// `ns`, `us`, `ms`, `s`, `nsec` or `ntp`, with an optional format; a format alone, of
    /// nanoseconds; or `rfc3339`.
    fn time(&self) -> Option<What> {
        let options = self.options.unwrap_or("ns");
        if options == "rfc3339" {
            return Some(What::Rfc3339);
        }
        let (unit, number) = match (options.split_once(':'), Number::parse(options)) {
            (Some((unit, number)), _) => (unit, Some(Number::parse(number)?)),
            (None, Some(number)) => ("ns", Some(number)),
            (None, None) => (options, None),
        };
        // The digits are enough until the year 2286, and have no leading zero.
        let (unit_ns, digits) = match unit {
            "ns" => (1, 19),
            "us" => (1_000, 16),
            "ms" => (1_000_000, 13),
            "s" => (1_000_000_000, 10),
            "nsec" | "ntp" if number.is_some_and(Number::varies) => return None,
            "nsec" => return Some(What::TimeNsec(self.or(number, Number::Dec(9)))),
            "ntp" => return Some(What::TimeNtp(number.unwrap_or(Number::Be(8)))),
            _ => return None,
        };
        let default = if self.is_hex { Number::Be(8) } else { Number::Dec(digits) };
        let number = match number {
            Some(Number::Plain) => Number::Dec(digits),
            number => number.unwrap_or(default),
        };
        Some(What::Time { unit_ns, number })
    }

    /// A number format, and `of=NAME`.
    fn sum(&self, kind: SumKind, in_text: Number, in_hex: Number) -> Result<Sum, Fault> {
        let (mut number, mut of) = (None, SpanName::WHOLE);
        for part in self.parts() {
            match part.split_once('=') {
                Some(("of", name)) => of = SpanName::parse(name).ok_or(Fault::Format)?,
                None if number.is_none() => {
                    number = Some(Number::parse(part).ok_or(Fault::Format)?);
                }
                _ => return Err(Fault::Format),
            }
        }
        let number = number.unwrap_or(if self.is_hex { in_hex } else { in_text });
        match kind {
            SumKind::Inet | SumKind::Crc32 if number.varies() => Err(Fault::Format),
            _ => Ok(Sum { kind, number, of }),
        }
    }
}

/// A number of 64 bits; a negative one counts from 2^64 downwards.
fn integer(word: &str) -> Option<u64> {
    let negative = || word.strip_prefix('-')?.parse().ok().map(u64::wrapping_neg);
    word.parse().ok().filter(|_| !word.starts_with('+')).or_else(negative)
}

/// The number of the character at this offset, from 1.
// cold: for errors
pub(super) fn column(template: &[u8], at: usize) -> usize {
    let before = template.get(..at).unwrap_or_default();
    String::from_utf8_lossy(before).chars().count() + 1
}
/// `OFFSET:N` behind `reply@`, within a datagram.
fn reply_bytes(offset: &str, count: &str) -> Option<What> {
    let (offset, count): (u16, u16) = (offset.parse().ok()?, count.parse().ok()?);
    let end = usize::from(offset) + usize::from(count);
    (count > 0 && end <= MAX_PAYLOAD).then_some(What::Reply { offset, count })
}
