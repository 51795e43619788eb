//! Compiled requests: bytes to copy and places to patch.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use super::PayloadError;
use super::compose::Output;
use super::field::Piece;
use super::lines::LineFile;
use super::number::Number;
use super::patch::{Moment, Patch};
use super::spans::FixedSum;
use crate::document::InputSummary;
use crate::unit::{MAX_PAYLOAD, hash_nth};

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
    /// A range of [`Requests::sums`].
    pub(super) sums: PatchRange,
    /// One of [`Requests::programs`] instead of the above.
    pub(super) program: Option<u32>,
}

/// The place of an id in a request or reply, as text `OFFSET:FORMAT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdAt {
    /// Its first byte, from 0.
    pub offset: usize,
    /// Its format.
    pub number: Number,
}

impl IdAt {
    /// The same, if a reply can have it there.
    // cold: set-up
    pub(super) fn in_reply(self) -> Result<Self, PayloadError> {
        let rule = || format!("id@{}", self.offset);
        let fits = self.offset.saturating_add(self.number.width()) <= MAX_PAYLOAD;
        fits.then_some(self).ok_or_else(|| PayloadError::BeyondReply { rule: rule() })
    }
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
            let number = Number::parse(format).filter(|number| !number.varies())?;
            Some(Self { offset: offset.parse().ok()?, number })
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
    /// The number of its flow in the run, from 0.
    pub stream: u64,
    /// Its number in the flow, from 0; phases of a run continue it.
    pub place: u64,
}

impl From<u64> for RequestNumber {
    fn from(number: u64) -> Self {
        Self { turn: number, unique: number, stream: 0, place: number }
    }
}

/// Compiled requests. Number `n` depends only on `n`, its id and its time.
#[derive(Debug, Clone, Default)]
pub struct Requests {
    pub(super) bytes: Vec<u8>,
    pub(super) patches: Vec<Patch>,
    pub(super) sums: Vec<FixedSum>,
    /// Requests whose length depends on values.
    pub(super) programs: Vec<Vec<Piece>>,
    pub(super) variants: Vec<Variant>,
    /// The variants of each line or question, at least one, which share its turns.
    pub(super) groups: Vec<Range<u32>>,
    /// A large file, whose lines are composed when sent, instead of all of the above.
    pub(super) file: Option<Arc<LineFile>>,
    /// An id over what stands in its lines.
    pub(super) id_over: Option<IdAt>,
    pub(super) shortest: usize,
    /// The line of the shortest one, from 1; 0: it is of no file of lines.
    pub(super) shortest_line: usize,
    /// Whether values determine lengths or checksums.
    pub(super) is_computed: bool,
    pub(super) order: RequestOrder,
    pub(super) key: u64,
    /// The key of Message-Authenticators.
    pub(super) secret: Vec<u8>,
    /// How many bits of an id each request carries; 0 if requests carry none.
    pub id_bits: u32,
    /// Bits of the message id by which a CoAP server detects duplicates (RFC 7252 section 4.5).
    pub message_id_bits: Option<u32>,
    /// Whether any request has a time in it.
    pub has_times: bool,
    /// Bytes of the longest request, for which [`Self::write`] needs space.
    pub largest: usize,
    /// The most bytes of the cookie that queries of DNS get, which the server has sent to their
    /// port; 0: they get none.
    pub longest_cookie: usize,
    /// Bytes that the reply to the first request must have for the fields of this second one.
    pub reply_len: usize,
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
    /// The number of different requests before fields are filled in; of a large file, its lines.
    pub fn variants(&self) -> usize {
        self.file.as_ref().map_or(self.variants.len(), |file| file.index.count())
    }

    /// The bytes and lines of a large file, whose lines are composed when they are sent.
    pub fn large_file(&self) -> Option<(usize, usize)> {
        self.file.as_ref().map(|file| (file.bytes.len(), file.index.count()))
    }

    /// The bits of an id that each request carries.
    #[inline]
    pub fn id_mask(&self) -> u64 {
        u64::MAX.checked_shr(u64::BITS - self.id_bits).unwrap_or(0)
    }

    /// Writes request number `n` into `slot` and returns its length in bytes, 0 if it does not fit.
    /// `now_ns` is its time since 1970 for fields that hold it.
    #[inline]
    pub fn write(
        &self,
        n: impl Into<RequestNumber>,
        id: u64,
        now_ns: u64,
        slot: &mut [u8],
    ) -> usize {
        self.write_after(&[], n.into(), id, now_ns, slot)
    }

    /// The same, with fields from `reply`, the reply to the first request of the exchange.
    #[inline]
    pub(super) fn write_after(
        &self,
        reply: &[u8],
        RequestNumber { turn, unique, stream, place }: RequestNumber,
        id: u64,
        now_ns: u64,
        slot: &mut [u8],
    ) -> usize {
        let secret = &self.secret;
        let moment = Moment { n: turn, unique, stream, place, id, now_ns, reply, secret };
        if let Some(file) = &self.file {
            return self.compose_line(file, moment, slot).unwrap_or(0);
        }
        let variant = self.variant(turn);
        if let Some(program) = variant.program {
            let program = self.programs.get(program as usize).map_or(&[][..], |pieces| pieces);
            let mut output = Output::new(slot, moment, 0);
            return output.pieces(program).and_then(|()| output.finish()).unwrap_or(0);
        }
        let range = variant.start..variant.start + variant.len as usize;
        let Some(bytes) = self.bytes.get(range) else { return 0 };
        let Some(request) = slot.get_mut(..bytes.len()) else { return 0 };
        request.copy_from_slice(bytes);
        let (from, to) = variant.patches;
        let patches = self.patches.get(from as usize..to as usize).unwrap_or_default();
        for patch in patches {
            patch.apply(&moment, request);
        }
        let (from, to) = variant.sums;
        let sums = self.sums.get(from as usize..to as usize).unwrap_or_default();
        for (at, sum) in sums.iter().enumerate() {
            sum.apply(patches, &sums[..at], request);
        }
        bytes.len()
    }

    #[inline]
    fn compose_line(&self, file: &LineFile, moment: Moment<'_>, slot: &mut [u8]) -> Option<usize> {
        let (line, round) = self.line(file.index.count() as u64, moment.n);
        let len = file.write(line, round, moment, slot)?;
        if let Some(IdAt { offset, number }) = self.id_over {
            number.write(moment.id, slot.get_mut(offset..offset + number.width())?);
        }
        Some(len)
    }

    /// The line of request number `n` among so many, and a number that selects its choices.
    #[inline]
    fn line(&self, count: u64, n: u64) -> (u64, u64) {
        match self.order {
            RequestOrder::Turns => (n % count, n / count),
            RequestOrder::Random => {
                let drawn = hash_nth(self.key, n);
                (((u128::from(drawn) * u128::from(count)) >> 64) as u64, drawn & 0xFFFF_FFFF)
            }
        }
    }

    #[inline]
    fn variant(&self, n: u64) -> &Variant {
        // There is at least one group, and each has at least one variant.
        if let [only] = &self.variants[..] {
            return only;
        }
        let (line, round) = self.line(self.groups.len() as u64, n);
        let group = &self.groups[line as usize];
        let choice = (round % u64::from(group.end - group.start)) as u32;
        &self.variants[(group.start + choice) as usize]
    }
}
