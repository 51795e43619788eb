//! Responses of CoAP in several messages: in blocks (RFC 7959), or after an empty acknowledgement
//! (RFC 7252 §5.2.2).

use std::cmp::Ordering;

use super::Number;
use super::coap::{
    ACK, CONFIRMABLE, MESSAGE_ID, TOKEN, TYPE, URI_PATH, URI_QUERY, VERSION, VERSIONS, empty_id, id,
};

/// The number of the option Block2, and the bits of its value besides the number of the block: more
/// blocks follow, and the size as a power of two above 16 bytes; RFC 7959 §2.1 and §2.2.
const BLOCK2: u16 = 23;
const MORE: u32 = 1 << 3;
const SIZE: u32 = 7;
/// The size that is reserved; RFC 7959 §2.2.
const RESERVED_SIZE: u32 = 7;
/// The byte before the payload; RFC 7252 §3.
const PAYLOAD: u8 = 0xFF;
/// The class of codes of success; RFC 7252 §5.2.
const SUCCESS: u8 = 2;
/// Bytes of the longest Block2 with its header; RFC 7252 §3.1.
const OPTION_LEN: usize = 5;

/// The value of a Block2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Block(u32);

impl Block {
    /// The Block2 of a response.
    #[inline]
    fn of(reply: &[u8]) -> Option<Self> {
        let (mut at, mut number) = (TOKEN.end, 0_u16);
        loop {
            let head = *reply.get(at).filter(|head| **head != PAYLOAD)?;
            at += 1;
            let mut extended = |nibble: u8| {
                let more = match nibble {
                    ..=12 => 0,
                    13 => 1,
                    14 => 2,
                    _ => return None,
                };
                let bytes = reply.get(at..at + more)?;
                at += more;
                Some(match *bytes {
                    [] => u16::from(nibble),
                    [one] => 13 + u16::from(one),
                    // RFC 7252 §3.1: 269 is added.
                    [high, low] => u16::from_be_bytes([high, low]).saturating_add(269),
                    _ => return None,
                })
            };
            let (delta, len) = (extended(head >> 4)?, extended(head & 0xF)?);
            number = number.saturating_add(delta);
            let end = at + usize::from(len);
            let value = reply.get(at..end)?;
            if number == BLOCK2 {
                let value = value.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
                return (len <= 3 && value & SIZE != RESERVED_SIZE).then_some(Self(value));
            }
            if number > BLOCK2 {
                return None;
            }
            at = end;
        }
    }

    /// Offset of its first byte in the whole response.
    const fn offset(self) -> u32 {
        (self.0 >> 4) << (4 + (self.0 & SIZE))
    }

    const fn next(self) -> Self {
        Self((((self.0 >> 4) + 1) << 4) | (self.0 & SIZE))
    }
}

/// How far an exchange has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExchangeProgress {
    /// The number of its latest request, from 0.
    pub step: u16,
    /// The byte of the whole response at which the requested block begins.
    pub(super) offset: u32,
}

impl ExchangeProgress {
    /// At this request, of which any part may come.
    pub(in crate::payload) const fn at(step: u16) -> Self {
        Self { step, offset: 0 }
    }
}

/// What a message is for the latest request of an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageOf {
    /// Its response, or an empty message that refers to it.
    Latest,
    /// A message for an earlier request.
    Earlier,
    /// No message of this exchange.
    Other,
}

/// Requests for the blocks of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::payload) struct Blocks {
    /// The most blocks of a response.
    pub(in crate::payload) most: u16,
    /// The number of the last option of a request.
    last_option: u8,
}

impl Blocks {
    /// For requests of this path.
    // cold: set-up
    pub(super) fn of(path: &str, most: u16) -> Self {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, q)| (path, Some(q)));
        let last_option = match query {
            Some(_) => URI_QUERY,
            None if path.split('/').any(|part| !part.is_empty()) => URI_PATH,
            None => 0,
        };
        Self { most, last_option }
    }

    /// Bits of the message id that distinguish the requests of an exchange.
    #[inline]
    pub(in crate::payload) const fn step_bits(self) -> u32 {
        u16::BITS - self.most.saturating_sub(1).leading_zeros()
    }

    /// Bytes of the longest request, whose first one has so many.
    pub(in crate::payload) const fn largest(self, first: usize) -> usize {
        if self.most > 1 { first + OPTION_LEN } else { first }
    }

    /// Whether to request another block after this response to the request `step`.
    #[inline]
    pub(in crate::payload) fn follow(self, reply: &[u8], step: u16) -> bool {
        step + 1 < self.most
            && reply.get(1).is_some_and(|code| code >> 5 == SUCCESS)
            && Block::of(reply).is_some_and(|block| block.0 & MORE != 0)
    }

    /// How far an exchange is after it requests what follows this response.
    #[inline]
    pub(in crate::payload) fn after(self, reply: &[u8], step: u16) -> ExchangeProgress {
        let next = Block::of(reply).map(Block::next);
        ExchangeProgress { step: step + 1, offset: next.map_or(0, Block::offset) }
    }

    /// Completes the request `step`, which equals the first one in `slot` up to `len`: another
    /// message id, and the block after that of a response. Returns its length.
    #[inline]
    pub(in crate::payload) fn complete(
        self,
        reply: &[u8],
        step: u16,
        len: usize,
        slot: &mut [u8],
    ) -> Option<usize> {
        let value = Block::of(reply)?.next().0.to_be_bytes();
        // RFC 7959 §2.2: up to three bytes.
        let value = &value[if value[1] > 0 {
            1
        } else if value[2] > 0 {
            2
        } else {
            3
        }..];
        *slot.get_mut(MESSAGE_ID.end - 1)? |= step as u8;
        let (delta, count) = (BLOCK2 as u8 - self.last_option, value.len() as u8);
        let rest = slot.get_mut(len..)?;
        let head: &[u8] = match delta {
            ..13 => &[delta << 4 | count],
            _ => &[13 << 4 | count, delta - 13],
        };
        let (first, rest) = rest.split_at_mut_checked(head.len())?;
        first.copy_from_slice(head);
        rest.get_mut(..value.len())?.copy_from_slice(value);
        Some(len + head.len() + value.len())
    }

    /// What this message is for an exchange with this id, in whose token it has it, or in whose
    /// message id if it is empty.
    #[inline]
    pub(in crate::payload) fn place(
        self,
        reply: &[u8],
        id: u64,
        progress: ExchangeProgress,
    ) -> MessageOf {
        let is_ack = reply.first().is_some_and(|first| first & TYPE == ACK);
        if is_ack || empty_id(reply).is_some() {
            let Some(found) = Number::Be(2).read(reply, MESSAGE_ID.start) else {
                return MessageOf::Other;
            };
            let step = found & ((1 << self.step_bits()) - 1);
            if found - step != (id << self.step_bits()) & 0xFFFF {
                return MessageOf::Other;
            }
            match step.cmp(&progress.step.into()) {
                Ordering::Less => return MessageOf::Earlier,
                Ordering::Greater => return MessageOf::Other,
                Ordering::Equal => {}
            }
        }
        let block = Block::of(reply).filter(|_| empty_id(reply).is_none());
        match block.map(|block| block.offset().cmp(&progress.offset)) {
            None | Some(Ordering::Equal) => MessageOf::Latest,
            Some(Ordering::Less) => MessageOf::Earlier,
            Some(Ordering::Greater) => MessageOf::Other,
        }
    }

    /// The low bits of the id that an empty message has, and how many there are.
    #[inline]
    pub(in crate::payload) fn empty_id_of(self, reply: &[u8]) -> Option<(u64, u32)> {
        empty_id(reply).map(|id| (id >> self.step_bits(), u16::BITS - self.step_bits()))
    }
}

/// The acknowledgement of a confirmable response; RFC 7252 §4.2.
#[inline]
pub(in crate::payload) fn acknowledgement_of(reply: &[u8]) -> Option<[u8; 4]> {
    let [first, _, high, low, ..] = *reply else { return None };
    let is_confirmable = first & (VERSIONS | TYPE) == VERSION | CONFIRMABLE;
    (is_confirmable && id(reply).is_some()).then_some([VERSION | ACK, 0, high, low])
}
