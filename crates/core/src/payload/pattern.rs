//! Patterns of replies: text or bytes anywhere or at an offset, and regular expressions.

use std::fmt;
use std::str::FromStr;

use memchr::memmem::Finder;
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::util::syntax;
use regex_automata::{Input, PatternID, meta};

use super::{Encoding, PayloadError, hex};
use crate::unit::MAX_PAYLOAD;

/// Maximum bytes of a compiled expression. Arbitrary: long lists of words need a tenth of it.
const COMPILED_BYTES: usize = 1 << 18;
/// Groups of an expression whose place is looked up, from the whole match on. Arbitrary.
const GROUPS: usize = 16;

/// A regular expression on bytes: `.` is any byte but a newline, and classes are ASCII.
///
/// A search takes time linear in the reply. Each clone has its own memory, which the first searches
/// allocate, as much as replies need; one thread then uses it without a lock.
#[derive(Debug, Clone)]
pub struct Regex {
    source: String,
    compiled: meta::Regex,
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Regex {}

impl FromStr for Regex {
    type Err = PayloadError;

    // cold: set-up
    fn from_str(source: &str) -> Result<Self, PayloadError> {
        // Lazy automata would allocate memory while they search.
        let config = meta::Config::new().hybrid(false).dfa(false).utf8_empty(false);
        let config = config.nfa_size_limit(Some(COMPILED_BYTES));
        let bytes = syntax::Config::new().unicode(false).utf8(false);
        let compiled = meta::Builder::new().configure(config).syntax(bytes).build(source);
        match compiled {
            Ok(compiled) => Ok(Self { source: source.to_owned(), compiled }),
            Err(error) => Err(regex_error(source, &error)),
        }
    }
}

// cold: set-up
fn regex_error(source: &str, error: &meta::BuildError) -> PayloadError {
    let (start, why) = match error.syntax_error() {
        Some(regex_syntax::Error::Parse(error)) => (error.span().start, error.kind().to_string()),
        Some(regex_syntax::Error::Translate(error)) => {
            (error.span().start, error.kind().to_string())
        }
        _ => return PayloadError::LargeRegex { regex: source.to_owned(), most: COMPILED_BYTES },
    };
    let before = source.get(..start.offset).unwrap_or_default();
    let position = before.chars().count() + 1;
    PayloadError::Regex { regex: source.to_owned(), position, why }
}

impl Regex {
    /// The number of the group with this name, if its place can be looked up.
    // cold: set-up
    pub(super) fn named_group(&self, name: &str) -> Option<usize> {
        self.compiled.group_info().to_index(PatternID::ZERO, name).filter(|group| *group < GROUPS)
    }

    /// Whether it has a group beside the whole match.
    // cold: set-up
    pub(super) fn has_group(&self) -> bool {
        self.compiled.group_info().group_len(PatternID::ZERO) > 1
    }

    #[inline]
    pub(super) fn is_match(&self, reply: &[u8]) -> bool {
        self.compiled.is_match(Input::new(reply))
    }

    /// The bytes of a group in the first match, empty if the group is no part of it; `None` without
    /// a match.
    #[inline]
    pub(super) fn group<'a>(&self, reply: &'a [u8], group: usize) -> Option<&'a [u8]> {
        let mut slots = [None::<NonMaxUsize>; 2 * GROUPS];
        let slots = slots.get_mut(..2 * (group + 1))?;
        self.compiled.search_slots(&Input::new(reply), slots)?;
        let place = match *slots {
            [.., Some(start), Some(end)] => start.get()..end.get(),
            _ => 0..0,
        };
        reply.get(place)
    }
}

/// A rule that replies fit or do not fit, as typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReplyRule {
    /// The reply begins with this text.
    Prefix(String),
    /// The reply contains this text.
    Text(String),
    /// The reply has these bytes: at an offset, or anywhere.
    Hex {
        /// The offset from 0; `None`: anywhere.
        at: Option<usize>,
        /// The bytes, at least one.
        bytes: Vec<u8>,
    },
    /// The byte at this offset has this value.
    Byte {
        /// The offset from 0.
        at: usize,
        /// The value.
        value: u8,
    },
    /// The expression matches somewhere in the reply.
    Regex(Regex),
}

impl ReplyRule {
    /// The first characters of each kind of rule.
    pub(super) const KINDS: [&str; 6] = ["prefix:", "text:", "hex:", "hex@", "byte@", "regex:"];

    // cold: set-up
    pub(super) fn compile(&self, encoding: Encoding) -> Result<Test, PayloadError> {
        let encoded = |text: &str, kind: &str| {
            let bytes = encoding.encode(text);
            bytes.map_err(|error| error.moved_by(kind.len()).in_rule(&self.to_string()))
        };
        Ok(match self {
            Self::Prefix(text) => Test::At(0, encoded(text, "prefix:")?),
            Self::Text(text) => Test::Anywhere(finder(&encoded(text, "text:")?)),
            Self::Hex { at: Some(at), bytes } => Test::At(*at, bytes.clone()),
            Self::Hex { at: None, bytes } => Test::Anywhere(finder(bytes)),
            Self::Byte { at, value } => Test::At(*at, vec![*value]),
            Self::Regex(regex) => Test::Regex(regex.clone()),
        })
    }
}

// cold: set-up
pub(super) fn finder(bytes: &[u8]) -> Box<Finder<'static>> {
    Box::new(Finder::new(bytes).into_owned())
}

impl fmt::Display for ReplyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(text) => write!(f, "prefix:{text}"),
            Self::Text(text) => write!(f, "text:{text}"),
            Self::Hex { at: None, bytes } => write!(f, "hex:{}", hex::show(bytes)),
            Self::Hex { at: Some(at), bytes } => write!(f, "hex@{at}:{}", hex::show(bytes)),
            Self::Byte { at, value } => write!(f, "byte@{at}={value:#04x}"),
            Self::Regex(regex) => write!(f, "regex:{}", regex.source),
        }
    }
}

impl fmt::Display for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl FromStr for ReplyRule {
    type Err = PayloadError;

    // cold: set-up
    fn from_str(word: &str) -> Result<Self, PayloadError> {
        let unknown = || PayloadError::ReplyRule { requested: word.to_owned() };
        let kind = Self::KINDS.into_iter().find(|kind| word.starts_with(kind));
        let (kind, rest) = word.split_at(kind.ok_or_else(unknown)?.len());
        let bytes = |digits: &str| {
            let position = word.chars().count() - digits.chars().count();
            hex::parse(digits).map_err(|error| error.moved_by(position).in_rule(word))
        };
        let offset = |digits: &str| digits.parse().map_err(|_| unknown());
        let rule = match kind {
            "prefix:" => Self::Prefix(rest.to_owned()),
            "text:" => Self::Text(rest.to_owned()),
            "hex:" => Self::Hex { at: None, bytes: bytes(rest)? },
            "hex@" => {
                let (at, digits) = rest.split_once(':').ok_or_else(unknown)?;
                Self::Hex { at: Some(offset(at)?), bytes: bytes(digits)? }
            }
            "byte@" => {
                let (at, value) = rest.split_once('=').ok_or_else(unknown)?;
                Self::Byte { at: offset(at)?, value: byte(value).ok_or_else(unknown)? }
            }
            _ => Self::Regex(rest.parse()?),
        };
        let is_empty = match &rule {
            Self::Prefix(text) | Self::Text(text) => text.is_empty(),
            Self::Hex { bytes, .. } => bytes.is_empty(),
            Self::Regex(regex) => regex.source.is_empty(),
            Self::Byte { .. } => false,
        };
        let end = match &rule {
            Self::Hex { at, bytes } => at.unwrap_or(0).saturating_add(bytes.len()),
            Self::Byte { at, .. } => at.saturating_add(1),
            Self::Prefix(_) | Self::Text(_) | Self::Regex(_) => 0,
        };
        match is_empty {
            true => Err(PayloadError::EmptyRule { rule: word.to_owned() }),
            false if end > MAX_PAYLOAD => Err(PayloadError::BeyondReply { rule: word.to_owned() }),
            false => Ok(rule),
        }
    }
}

/// A byte in decimal, or in hexadecimal after `0x`.
fn byte(word: &str) -> Option<u8> {
    match word.strip_prefix("0x") {
        Some(digits) => u8::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}

/// A compiled [`ReplyRule`].
#[derive(Debug, Clone)]
pub(super) enum Test {
    At(usize, Vec<u8>),
    Anywhere(Box<Finder<'static>>),
    Regex(Regex),
}

impl Test {
    /// Whether a reply fits. A rule that needs missing bytes does not fit.
    #[inline]
    pub(super) fn fits(&self, reply: &[u8]) -> bool {
        match self {
            Self::At(at, bytes) => reply.get(*at..).is_some_and(|rest| rest.starts_with(bytes)),
            Self::Anywhere(finder) => finder.find(reply).is_some(),
            Self::Regex(regex) => regex.is_match(reply),
        }
    }
}
