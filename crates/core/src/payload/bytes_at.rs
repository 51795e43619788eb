//! Bytes at a place of a reply: what makes a second request follow it.

use std::fmt;
use std::str::FromStr;

use super::{PayloadError, hex};
use crate::unit::MAX_PAYLOAD;

/// Bytes at a place of a reply, as text `HEX@OFFSET`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are as named")]
pub struct BytesAt {
    pub bytes: Vec<u8>,
    pub offset: usize,
}

impl BytesAt {
    /// Whether a reply has them.
    #[inline]
    pub fn are_in(&self, reply: &[u8]) -> bool {
        reply.get(self.offset..).is_some_and(|rest| rest.starts_with(&self.bytes))
    }
}

impl fmt::Display for BytesAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, "@{}", self.offset)
    }
}

impl FromStr for BytesAt {
    type Err = PayloadError;

    fn from_str(word: &str) -> Result<Self, PayloadError> {
        let parsed = word.split_once('@').and_then(|(digits, offset)| {
            let bytes = hex::parse(digits).ok().filter(|bytes| !bytes.is_empty())?;
            Some(Self { bytes, offset: offset.parse().ok()? })
        });
        let Self { bytes, offset } =
            parsed.ok_or_else(|| PayloadError::BytesAt { requested: word.to_owned() })?;
        if offset.saturating_add(bytes.len()) > MAX_PAYLOAD {
            return Err(PayloadError::BeyondReply { rule: word.to_owned() });
        }
        Ok(Self { bytes, offset })
    }
}

/// The bytes that end an exchange instead of the second request, after a reply of so many bytes.
pub(super) type Abort = (usize, &'static [u8]);
