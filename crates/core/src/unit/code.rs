//! Names by which errors in replies are counted.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Keep, is_control, strip_control};

/// Maximum bytes of a name: with its length, what serde has arrays for.
const LONGEST: usize = 31;

/// The name or number by which an error in a reply is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErrorCode {
    /// A number of the protocol.
    Number(u16),
    /// A name of the user, or one found in the reply.
    Name(ErrorName),
}

impl ErrorCode {
    /// A first reply without the bytes that its second request needs.
    pub const SHORT_REPLY: Self = Self::Name(ErrorName::of(b"short reply"));
}

impl Default for ErrorCode {
    fn default() -> Self {
        Self::Number(0)
    }
}

impl From<u16> for ErrorCode {
    fn from(number: u16) -> Self {
        Self::Number(number)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// The name of an error, 31 bytes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorName {
    len: u8,
    bytes: [u8; LONGEST],
}

impl ErrorName {
    /// Replies that fit no expected rule.
    pub const UNEXPECTED: Self = Self::of(b"unexpected");
    /// Replies that fit a rule in which they leave the name empty.
    pub const UNNAMED: Self = Self::of(b"unnamed");

    /// The name in these bytes; further bytes are cut off.
    #[inline]
    pub const fn of(name: &[u8]) -> Self {
        let mut bytes = [0; LONGEST];
        let len = if name.len() < LONGEST { name.len() } else { LONGEST };
        let (name, _) = name.split_at(len);
        bytes.split_at_mut(len).0.copy_from_slice(name);
        Self { len: len as u8, bytes }
    }

    /// The name if all of it has space and can be printed.
    pub fn parse(name: &str) -> Option<Self> {
        let fits = (1..=LONGEST).contains(&name.len()) && !name.contains(is_control);
        fits.then(|| Self::of(name.as_bytes()))
    }
}

impl fmt::Display for ErrorName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The length may be from another process.
        let bytes = self.bytes.get(..self.len.into()).unwrap_or(&self.bytes);
        f.write_str(&strip_control(&String::from_utf8_lossy(bytes), Keep::Nothing))
    }
}
