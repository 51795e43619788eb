//! Requests, compiled: bytes to copy and places to patch.

use std::ops::Range;

use super::input::Input;
use super::number::Number;
use super::patch::{Moment, Patch};
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

/// The bytes of a request before they are patched, and the range of its patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Variant {
    pub(super) start: usize,
    pub(super) len: u32,
    pub(super) patches: (u32, u32),
}

/// The variants of a line or question, which share its turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestGroup {
    pub(super) first: u32,
    /// At least one.
    pub(super) count: u32,
}

/// The place of an id in a request or reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdAt {
    /// Its first byte, from 0.
    pub offset: usize,
    /// Its format.
    pub number: Number,
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
#[derive(Debug, Clone)]
pub struct Requests {
    pub(super) bytes: Vec<u8>,
    pub(super) patches: Vec<Patch>,
    pub(super) variants: Vec<Variant>,
    pub(super) groups: Vec<RequestGroup>,
    pub(super) order: RequestOrder,
    pub(super) key: u64,
    /// The place of the id, if it is the same in all.
    pub(super) id: Option<IdAt>,
    /// Bits of it that every request has.
    pub(super) id_bits: u32,
    /// Number of id bits in a separate field that servers use to detect duplicates.
    pub(super) message_id_bits: Option<u32>,
    pub(super) largest: usize,
    pub(super) same_len: Option<usize>,
    pub(super) mean_len: f64,
    pub(super) recorded: Option<Vec<u64>>,
    pub(super) input: Option<Input>,
    pub(super) notes: Vec<String>,
}

impl Requests {
    /// Bytes of the longest request, for which [`Self::write`] needs room.
    pub const fn largest(&self) -> usize {
        self.largest
    }

    /// Bytes of each request, where all are of one length.
    pub const fn same_len(&self) -> Option<usize> {
        self.same_len
    }

    /// Bytes of a request on average.
    pub const fn mean_len(&self) -> f64 {
        self.mean_len
    }

    /// How many bits of an id each request carries; 0 where requests carry none.
    pub const fn id_bits(&self) -> u32 {
        self.id_bits
    }

    /// Bits of the message id in each request, by which a CoAP server detects duplicates (RFC 7252
    /// section 4.5); `None` for other requests.
    pub const fn message_id_bits(&self) -> Option<u32> {
        self.message_id_bits
    }

    /// Times of the packets of a capture, one per request, in nanoseconds since the first, never
    /// decreasing: faults of its clock, listed in [`Self::input`], are corrected. `None` without a
    /// capture.
    pub fn recorded(&self) -> Option<&[u64]> {
        self.recorded.as_deref()
    }

    /// The number of different requests before fields are filled in: lines, questions and packets,
    /// with all their choices.
    pub fn variants(&self) -> usize {
        self.variants.len()
    }

    /// The account of the file of requests; `None` if it is not counted.
    pub const fn input(&self) -> Option<&Input> {
        self.input.as_ref()
    }

    /// Notes for the user, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
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
        let Some(bytes) = self.bytes.get(variant.start..variant.start + variant.len as usize)
        else {
            return 0;
        };
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
        let group = self.groups[line as usize];
        let choice = (round % u64::from(group.count)) as u32;
        &self.variants[(group.first + choice) as usize]
    }
}
