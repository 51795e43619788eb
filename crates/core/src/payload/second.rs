//! The second request of an exchange, with fields from the reply to the first one.

use super::bytes_at::BytesAt;
use super::protocol::{Blocks, ExchangeProgress, Follow, Matching, MessageOf, acknowledgement_of};
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
    pub(super) follow: Follow,
    pub(super) is_required: bool,
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

    /// Whether a run that never sends it does not test what was requested; with presets, the server
    /// decides whether it follows.
    pub const fn is_required(&self) -> bool {
        self.is_required
    }

    /// Bytes of the longest one.
    pub fn largest(&self) -> usize {
        let first = self.requests.largest;
        match &self.follow {
            Follow::Once { abort, .. } => first.max(abort.map_or(0, |(_, bytes)| bytes.len())),
            Follow::Blocks(blocks) => blocks.largest(first),
        }
    }

    /// The most requests of an exchange.
    pub const fn most_requests(&self) -> u16 {
        match &self.follow {
            Follow::Once { .. } => 2,
            Follow::Blocks(blocks) => blocks.most,
        }
    }

    /// Whether exchanges may have a second request; otherwise, replies are only acknowledged.
    pub const fn is_sent_as_request(&self) -> bool {
        self.most_requests() > 1
    }

    /// Whether exchanges may have a second request that is answered.
    pub const fn expects_reply(&self) -> bool {
        self.is_sent_as_request() && self.matching.expects_reply()
    }

    /// Whether content distinguishes replies that it follows from its own replies.
    pub const fn is_conditional(&self) -> bool {
        match &self.follow {
            Follow::Once { only_if, .. } => only_if.is_some(),
            Follow::Blocks(_) => true,
        }
    }

    /// Whether it follows this reply to the request `step` of the exchange, from 0.
    #[inline]
    pub fn follows(&self, reply: &[u8], step: u16) -> bool {
        match &self.follow {
            Follow::Once { only_if, .. } => {
                step == 0 && only_if.as_ref().is_none_or(|bytes| bytes.are_in(reply))
            }
            Follow::Blocks(blocks) => blocks.follow(reply, step),
        }
    }

    /// How far an exchange is when it follows this reply to the request `step`.
    #[inline]
    pub fn after(&self, reply: &[u8], step: u16) -> ExchangeProgress {
        match &self.follow {
            Follow::Once { .. } => ExchangeProgress::at(step + 1),
            Follow::Blocks(blocks) => blocks.after(reply, step),
        }
    }

    /// How messages of CoAP are matched; `None` for other protocols.
    #[inline]
    pub const fn messages(&self) -> Option<Messages<'_>> {
        match &self.follow {
            Follow::Once { .. } => None,
            Follow::Blocks(blocks) => Some(Messages { matching: &self.matching, blocks }),
        }
    }

    /// Writes it, after a reply to the request `step`, into `slot` and returns its length; `None`
    /// if the reply is too short for its fields.
    #[inline]
    pub fn write(
        &self,
        (reply, step): (&[u8], u16),
        n: RequestNumber,
        id: u64,
        now_ns: u64,
        slot: &mut [u8],
    ) -> Option<usize> {
        if reply.len() < self.requests.reply_len {
            return None;
        }
        match &self.follow {
            Follow::Once { abort: Some((len, bytes)), .. } if reply.len() >= *len => {
                slot.get_mut(..bytes.len())?.copy_from_slice(bytes);
                Some(bytes.len())
            }
            Follow::Once { .. } => Some(self.requests.write_after(reply, n, id, now_ns, slot)),
            Follow::Blocks(blocks) => {
                let len = self.requests.write(n, id, now_ns, slot);
                blocks.complete(reply, step + 1, len, slot)
            }
        }
    }
}

/// How messages of CoAP are matched with requests.
#[derive(Debug, Clone, Copy)]
pub struct Messages<'a> {
    matching: &'a Matching,
    blocks: &'a Blocks,
}

impl Messages<'_> {
    /// The id of a message and how many of its bits are known: that in the token, or the low bits
    /// in the message id of an empty message.
    #[inline]
    pub fn id_of(self, message: &[u8]) -> Option<(u64, u32)> {
        let whole = self.matching.id_of(message).map(|id| (id, u64::BITS));
        whole.or_else(|| self.blocks.empty_id_of(message))
    }

    /// What this message is for the latest request of an exchange with this id.
    #[inline]
    pub fn place(self, message: &[u8], id: u64, progress: ExchangeProgress) -> MessageOf {
        self.blocks.place(message, id, progress)
    }

    /// The acknowledgement to send for this message, if it needs one.
    #[inline]
    pub fn acknowledgement_of(self, message: &[u8]) -> Option<[u8; 4]> {
        acknowledgement_of(message)
    }
}
