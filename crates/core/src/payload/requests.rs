//! Compiled requests: bytes to copy and places to patch.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use super::PayloadError;
use super::number::Number;
use super::patch::{Moment, Patch};
use crate::document::InputSummary;
use crate::unit::hash_nth;

/// The order of lines, questions and choices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RequestOrder {
    /// One after the other, then from the first again.
    #[default]
    Turns,
    /// Each as likely as another, drawn by the seed.
    Random,
}

/// A range of [`Requests::patches`].
pub(super) type PatchRange = (u32, u32);

/// The bytes of a request before they are patched, and its patches.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Variant {
    pub(super) start: usize,
    pub(super) len: u32,
    pub(super) patches: PatchRange,
}

/// The place of an id in a request or reply, as text `OFFSET:FORMAT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdAt {
    /// Its first byte, from 0.
    pub offset: usize,
    /// Its format.
    pub number: Number,
}

impl fmt::Display for IdAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.offset, self.number)
    }
}

impl FromStr for IdAt {
    type Err = PayloadError;

    fn from_str(word: &str) -> Result<Self, PayloadError> {
        let parsed = word.split_once(':').and_then(|(offset, format)| {
            Some(Self { offset: offset.parse().ok()?, number: Number::parse(format)? })
        });
        parsed.ok_or_else(|| PayloadError::Place { requested: word.to_owned() })
    }
}

/// Which request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestNumber {
    /// Selects the content: the line, question or choice, and the value of `{counter}`. Each phase
    /// of a run begins with 0.
    pub turn: u64,
    /// A number unique in the run; random labels and fields are derived from it.
    pub unique: u64,
}

impl From<u64> for RequestNumber {
    fn from(number: u64) -> Self {
        Self { turn: number, unique: number }
    }
}

/// Compiled requests. Number `n` depends only on `n` and its id, except for times.
#[derive(Debug, Clone, Default)]
pub struct Requests {
    pub(super) bytes: Vec<u8>,
    pub(super) patches: Vec<Patch>,
    pub(super) variants: Vec<Variant>,
    /// The variants of each line or question, at least one, which share its turns.
    pub(super) groups: Vec<Range<u32>>,
    pub(super) order: RequestOrder,
    pub(super) key: u64,
    /// How many bits of an id each request carries; 0 if requests carry none.
    pub id_bits: u32,
    /// Bits of the message id by which a CoAP server detects duplicates (RFC 7252 section 4.5).
    pub message_id_bits: Option<u32>,
    /// Bytes of the longest request, for which [`Self::write`] needs space.
    pub largest: usize,
    /// Bytes of each request, if all have one length.
    pub same_len: Option<usize>,
    /// Mean bytes of a request.
    pub mean_len: f64,
    /// Times of the packets of a capture in nanoseconds since the first, never decreasing; faults
    /// of its clock, listed in `input`, are corrected.
    pub recorded: Option<Vec<u64>>,
    /// The summary of the file of requests; `None` if its records are not counted.
    pub input: Option<InputSummary>,
}

impl Requests {
    /// The number of different requests before fields are filled in.
    pub fn variants(&self) -> usize {
        self.variants.len()
    }

    /// The bits of an id that each request carries.
    #[inline]
    pub fn id_mask(&self) -> u64 {
        u64::MAX.checked_shr(u64::BITS - self.id_bits).unwrap_or(0)
    }

    /// Writes request number `n` into `slot` and returns its length in bytes, 0 if it does not fit.
    /// `now_ns` is the time since 1970 for fields that hold it.
    #[inline]
    pub fn write(
        &self,
        n: impl Into<RequestNumber>,
        id: u64,
        now_ns: u64,
        slot: &mut [u8],
    ) -> usize {
        let RequestNumber { turn, unique } = n.into();
        let variant = self.variant(turn);
        let range = variant.start..variant.start + variant.len as usize;
        let Some(bytes) = self.bytes.get(range) else { return 0 };
        let Some(request) = slot.get_mut(..bytes.len()) else { return 0 };
        request.copy_from_slice(bytes);
        let moment = Moment { n: turn, unique, id, now_ns };
        for patch in self.patches_of(variant) {
            patch.apply(moment, request);
        }
        bytes.len()
    }

    /// Places of request number `n` that depend on when it was written.
    #[inline]
    pub(super) fn times(&self, n: u64) -> impl Iterator<Item = Range<usize>> {
        let patches = self.patches_of(self.variant(n)).iter();
        patches.filter(|patch| patch.what.is_time()).map(|patch| patch.place())
    }

    #[inline]
    fn patches_of(&self, variant: &Variant) -> &[Patch] {
        let (from, to) = variant.patches;
        self.patches.get(from as usize..to as usize).unwrap_or_default()
    }

    #[inline]
    fn variant(&self, n: u64) -> &Variant {
        // There is at least one group, and each has at least one variant.
        if let [only] = &self.variants[..] {
            return only;
        }
        let count = self.groups.len() as u64;
        let (line, round) = match self.order {
            RequestOrder::Turns => (n % count, n / count),
            RequestOrder::Random => {
                let drawn = hash_nth(self.key, n);
                (((u128::from(drawn) * u128::from(count)) >> 64) as u64, drawn & 0xFFFF_FFFF)
            }
        };
        let group = &self.groups[line as usize];
        let choice = (round % u64::from(group.end - group.start)) as u32;
        &self.variants[(group.start + choice) as usize]
    }
}
