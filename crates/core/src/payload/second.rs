//! The second request of an exchange, with fields from the reply to the first one.

use super::bytes_at::{Abort, BytesAt};
use super::protocol::Matching;
use super::requests::{RequestNumber, Requests};

/// A second request, before it is compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct Then {
    /// Text, or hex digits, with fields.
    pub template: String,
    pub is_hex: bool,
    /// What a reply must have to be followed by it; without that, the exchange ends with the reply.
    pub only_if: Option<BytesAt>,
}

/// A compiled second request.
#[derive(Debug, Clone)]
pub struct SecondRequest {
    pub(super) requests: Requests,
    pub(super) matching: Matching,
    pub(super) only_if: Option<BytesAt>,
    pub(super) abort: Option<Abort>,
}

impl SecondRequest {
    /// How its replies are matched.
    pub const fn matching(&self) -> &Matching {
        &self.matching
    }

    /// How replies to both requests are matched, in words; once if that is the same.
    pub fn both_matched(first: &Matching, second: Option<&Self>) -> String {
        let first = first.to_string();
        let second = second.map(Self::matching).filter(|second| second.expects_reply());
        match second.map(ToString::to_string).filter(|second| *second != first) {
            Some(second) => format!("{first}, then by {second}"),
            None => first,
        }
    }

    /// Bytes of the longest one.
    pub fn largest(&self) -> usize {
        self.requests.largest.max(self.abort.map_or(0, |(_, bytes)| bytes.len()))
    }

    /// Whether content distinguishes replies that it follows from its own replies.
    pub const fn is_conditional(&self) -> bool {
        self.only_if.is_some()
    }

    /// Whether it follows this reply to the first request.
    #[inline]
    pub fn follows(&self, reply: &[u8]) -> bool {
        self.only_if.as_ref().is_none_or(|bytes| bytes.are_in(reply))
    }

    /// Writes it into `slot` and returns its length; `None` if the reply is too short for its
    /// fields.
    #[inline]
    pub fn write(
        &self,
        reply: &[u8],
        n: RequestNumber,
        id: u64,
        now_ns: u64,
        slot: &mut [u8],
    ) -> Option<usize> {
        if reply.len() < self.requests.reply_len {
            return None;
        }
        if let Some((len, bytes)) = self.abort
            && reply.len() >= len
        {
            slot.get_mut(..bytes.len())?.copy_from_slice(bytes);
            return Some(bytes.len());
        }
        Some(self.requests.write_after(reply, n, id, now_ns, slot))
    }
}
