//! Lengths and checksums of a request or of marked parts of it, which are computed last.

use std::ops::Range;

use super::number::Number;
use super::patch::Patch;

/// Maximum parts of a request, and maximum lengths and checksums. Arbitrary: protocols nest a few.
pub(super) const MOST: usize = 8;
/// Maximum characters of the name of a part: those of a [`SpanName`].
pub(super) const LONGEST_NAME: usize = 8;
/// Digits of the longest length, [`crate::unit::MAX_PAYLOAD`].
const LEN_DIGITS: usize = 5;

/// The name of a part, its characters in one number; 0: the whole request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SpanName(u64);

impl SpanName {
    pub(super) const WHOLE: Self = Self(0);

    /// Letters and digits, [`LONGEST_NAME`] of them at most.
    pub(super) fn parse(word: &str) -> Option<Self> {
        let is_valid = (1..=LONGEST_NAME).contains(&word.len())
            && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
        is_valid.then(|| Self(word.bytes().fold(0, |name, byte| name << 8 | u64::from(byte))))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SumKind {
    /// Bytes of the part.
    Len,
    /// The Internet checksum, RFC 1071.
    Inet,
    /// CRC-32 of IEEE 802.3, as of zlib.
    Crc32,
}

/// A length or checksum; its own bytes count as zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) kind: SumKind,
    pub(super) number: Number,
    pub(super) of: SpanName,
}

impl Sum {
    /// Bytes it takes at most.
    pub(super) const fn width(self) -> usize {
        if self.number.varies() { LEN_DIGITS } else { self.number.width() }
    }
}

/// A sum at its offset, over the bytes from `from` to `to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlacedSum {
    pub(super) sum: Sum,
    pub(super) at: usize,
    pub(super) from: usize,
    pub(super) to: usize,
}

impl PlacedSum {
    const fn place(&self) -> Range<usize> {
        self.at..self.at + self.sum.width()
    }

    const fn has_inside(&self, other: &Self) -> bool {
        self.from <= other.at && other.at < self.to
    }

    /// Writes its value into the request, where its bytes are zero.
    #[inline]
    pub(super) fn apply(&self, request: &mut [u8]) {
        let part = request.get(self.from..self.to).unwrap_or_default();
        let value = match self.sum.kind {
            SumKind::Len => part.len() as u64,
            SumKind::Inet => (!fold(sum_words(part, true))).into(),
            SumKind::Crc32 => crc32fast::hash(part).into(),
        };
        self.write(value, request);
    }

    #[inline]
    pub(super) fn write(&self, value: u64, request: &mut [u8]) {
        let end = self.at + self.sum.number.width_of(value);
        if let Some(out) = request.get_mut(self.at..end) {
            self.sum.number.write(value, out);
        }
    }
}

/// A checksum of requests of one layout: only bytes that differ are added when it is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct FixedSum {
    placed: PlacedSum,
    /// The sum of the bytes that are the same in all requests; of CRC-32, that of the bytes before
    /// `changed`.
    base: u64,
    /// The first byte that may differ.
    changed: usize,
}

impl FixedSum {
    /// One of all `sums`; `request` has zeros where fields and checksums are.
    pub(super) fn new(
        placed: PlacedSum,
        patches: &[Patch],
        sums: &[PlacedSum],
        request: &[u8],
    ) -> Self {
        let PlacedSum { from, to, .. } = placed;
        let sums = sums.iter().filter(|other| other.sum.kind != SumKind::Len);
        let places = patches.iter().map(|patch| patch.place()).chain(sums.map(PlacedSum::place));
        let inside = places.filter(|place| place.end > from && place.start < to);
        let changed = inside.map(|place| place.start.max(from)).min().unwrap_or(to);
        let base = match placed.sum.kind {
            SumKind::Crc32 => crc32fast::hash(&request[from..changed]).into(),
            _ => sum_words(&request[from..to], true),
        };
        Self { placed, base, changed }
    }

    /// Writes the checksum; `earlier` ones are written.
    #[inline]
    pub(super) fn apply(&self, patches: &[Patch], earlier: &[Self], request: &mut [u8]) {
        let PlacedSum { sum, from, to, .. } = self.placed;
        let value = match sum.kind {
            SumKind::Crc32 => {
                let mut crc = crc32fast::Hasher::new_with_initial(self.base as u32);
                crc.update(request.get(self.changed..to).unwrap_or_default());
                crc.finalize().into()
            }
            _ => {
                let sums = earlier.iter().map(|sum| sum.placed.place());
                let mut sum = self.base;
                for place in patches.iter().map(|patch| patch.place()).chain(sums) {
                    let (start, end) = (place.start.max(from), place.end.min(to));
                    if let Some(bytes) = request.get(start..end) {
                        sum += sum_words(bytes, (start - from) % 2 == 0);
                    }
                }
                (!fold(sum)).into()
            }
        };
        self.placed.write(value, request);
    }
}

/// The sum of 16-bit words, not folded; `is_even`: the first byte is the upper one of its word.
#[inline]
pub(super) fn sum_words(bytes: &[u8], is_even: bool) -> u64 {
    let (upper, lower) = if is_even { (8, 0) } else { (0, 8) };
    let pair = |pair: &[u8; 2]| (u64::from(pair[0]) << upper) + (u64::from(pair[1]) << lower);
    let (pairs, rest) = bytes.as_chunks();
    let last = rest.first().map_or(0, |byte| u64::from(*byte) << upper);
    pairs.iter().map(pair).sum::<u64>() + last
}

/// A sum in 16 bits, in which overflow is added again: RFC 1071 §1.
#[inline]
pub(super) const fn fold(mut sum: u64) -> u16 {
    while sum > 0xFFFF {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    sum as u16
}

/// What is wrong with the parts of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SpanFault {
    TooMany,
    BeginsTwice,
    EndsWithoutBeginning,
    Unknown,
    /// Its value depends on that of another one, which depends on its value.
    Circular,
}

impl SpanFault {
    // cold: for errors
    pub(super) const fn why(self) -> &'static str {
        match self {
            Self::TooMany => {
                "is one too many: a request has 8 parts, and 8 lengths and checksums at most; omit \
                 some"
            }
            Self::BeginsTwice => "begins a part that has begun before; choose another name",
            Self::EndsWithoutBeginning => {
                "ends a part that has not begun, or has ended; write {begin:NAME} before it, once"
            }
            Self::Unknown => {
                "is of a part that is not marked; mark it by {begin:NAME} and {end:NAME}, or omit \
                 of=NAME for the whole datagram"
            }
            Self::Circular => {
                "depends on itself, or on another one that depends on it; give a length a format \
                 of fixed width such as dec5, or choose parts that do not contain both"
            }
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Span {
    name: SpanName,
    from: u32,
    /// `u32::MAX`: that of the request.
    to: u32,
}

/// The marked parts of a request, and its sums, as far as they are known.
#[derive(Debug)]
pub(super) struct Spans {
    spans: [Span; MOST],
    span_count: usize,
    sums: [PlacedSum; MOST],
    sum_count: usize,
}

impl Spans {
    pub(super) const fn new() -> Self {
        let sum = Sum { kind: SumKind::Len, number: Number::Plain, of: SpanName::WHOLE };
        Self {
            spans: [Span { name: SpanName::WHOLE, from: 0, to: 0 }; MOST],
            span_count: 0,
            sums: [PlacedSum { sum, at: 0, from: 0, to: 0 }; MOST],
            sum_count: 0,
        }
    }

    #[inline]
    pub(super) const fn is_empty(&self) -> bool {
        self.sum_count == 0
    }

    fn find(&mut self, name: SpanName) -> Option<&mut Span> {
        self.spans[..self.span_count].iter_mut().find(|span| span.name == name)
    }

    pub(super) fn begin(&mut self, name: SpanName, at: usize) -> Result<(), SpanFault> {
        if self.find(name).is_some() {
            return Err(SpanFault::BeginsTwice);
        }
        let span = self.spans.get_mut(self.span_count).ok_or(SpanFault::TooMany)?;
        *span = Span { name, from: at as u32, to: u32::MAX };
        self.span_count += 1;
        Ok(())
    }

    pub(super) fn end(&mut self, name: SpanName, at: usize) -> Result<(), SpanFault> {
        let span = self.find(name).filter(|span| span.to == u32::MAX);
        span.ok_or(SpanFault::EndsWithoutBeginning)?.to = at as u32;
        Ok(())
    }

    pub(super) fn sum(&mut self, sum: Sum, at: usize) -> Result<(), SpanFault> {
        let place = self.sums.get_mut(self.sum_count).ok_or(SpanFault::TooMany)?;
        *place = PlacedSum { sum, at, from: 0, to: 0 };
        self.sum_count += 1;
        Ok(())
    }

    /// The sums of a request of this length, in the order in which they can be computed: lengths
    /// without leading zeros, which move what follows them; other lengths; checksums. What is
    /// wrong, and the offset of the sum.
    pub(super) fn close(&mut self, len: usize) -> Result<&mut [PlacedSum], (SpanFault, usize)> {
        let spans = &self.spans[..self.span_count];
        let sums = &mut self.sums[..self.sum_count];
        for placed in &mut *sums {
            (placed.from, placed.to) = (0, len);
            if placed.sum.of != SpanName::WHOLE {
                let span = spans.iter().find(|span| span.name == placed.sum.of);
                let span = span.ok_or((SpanFault::Unknown, placed.at))?;
                (placed.from, placed.to) = (span.from as usize, len.min(span.to as usize));
            }
        }
        sums.sort_unstable_by_key(|placed| match placed.sum.kind {
            SumKind::Len => (u8::from(!placed.sum.number.varies()), placed.at),
            SumKind::Inet | SumKind::Crc32 => (2, placed.at),
        });
        let varying = sums.iter().take_while(|placed| placed.sum.number.varies()).count();
        for placed in &sums[..varying] {
            if sums[..varying].iter().any(|other| placed.has_inside(other)) {
                return Err((SpanFault::Circular, placed.at));
            }
        }
        let lens = sums.iter().take_while(|placed| placed.sum.kind == SumKind::Len).count();
        for first in lens..sums.len() {
            let rest = &sums[first..];
            let depends =
                |on: &PlacedSum| rest.iter().any(|other| other.at != on.at && on.has_inside(other));
            let next = rest.iter().position(|placed| !depends(placed));
            let next = next.ok_or((SpanFault::Circular, sums[first].at))?;
            sums.swap(first, first + next);
        }
        Ok(sums)
    }
}

/// Removes the bytes from `at` to `end` of a request of this length, and moves what is there.
pub(super) fn close_gap(
    request: &mut [u8],
    len: usize,
    (at, end): (usize, usize),
    sums: &mut [PlacedSum],
) {
    if len <= request.len() {
        request.copy_within(end..len, at);
    }
    let moved = |offset: usize| if offset >= end { offset - (end - at) } else { offset };
    for placed in sums {
        (placed.at, placed.from, placed.to) =
            (moved(placed.at), moved(placed.from), moved(placed.to));
    }
}
