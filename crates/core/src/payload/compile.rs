//! Compiles pieces into requests. All combinations of choices are written out before sending.

use super::PayloadError;
use super::field::Piece;
use super::lines::LineFile;
use super::number::Number;
use super::patch::{Patch, What};
use super::requests::{IdAt, PatchRange, RequestOrder, Requests, Variant};
use super::spans::{FixedSum, Spans, Sum, SumKind};
use crate::document::InputSummary;
use crate::unit::{MAX_PAYLOAD, hash_u64};

/// Maximum combinations of choices in one line. Arbitrary: 270 MB of the longest payload.
const MAX_WAYS: usize = 4_096;

/// Digits of fields without leading zeros, for the mean length: those of an id or random number of
/// 53 bits, and of a counter or length. The latter is arbitrary.
const LONG_DIGITS: f64 = 15.9;
const SHORT_DIGITS: f64 = 4.0;

/// The lengths of a request, and the place of its id.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shape {
    least: usize,
    most: usize,
    mean: f64,
    /// The first id, and where it is at most.
    id: Option<(IdAt, usize)>,
    id_bits: Option<u32>,
    message_id_bits: Option<u32>,
    has_times: bool,
    /// Bytes that its fields need of the reply to the first request.
    reply_len: usize,
    /// Whether values determine lengths or other bytes, so that no id may be put over them.
    is_computed: bool,
}

impl Shape {
    /// A part that takes so many bytes at least, in the mean, and at most.
    pub(super) fn part(&mut self, least: usize, mean: f64, most: usize) {
        self.least += least;
        self.mean += mean;
        self.most += most;
    }

    pub(super) fn bytes(&mut self, count: usize) {
        self.part(count, count as f64, count);
    }

    pub(super) fn field(&mut self, what: What) {
        self.has_times |= what.is_time();
        self.reply_len = self.reply_len.max(what.needs_reply());
        match what {
            What::MessageId { step_bits } => self.message_id_bits = Some(u16::BITS - step_bits),
            What::Id(number) => {
                self.id = self.id.or(Some((IdAt { offset: self.least, number }, self.most)));
                let bits = number.bits();
                self.id_bits = Some(self.id_bits.map_or(bits, |least| least.min(bits)));
            }
            _ => {}
        }
        if what.varies() {
            self.is_computed = true;
            let is_long = matches!(what, What::Id(_) | What::Random { .. });
            self.part(1, if is_long { LONG_DIGITS } else { SHORT_DIGITS }, what.width());
        } else {
            self.bytes(what.width());
        }
    }

    pub(super) fn sum(&mut self, sum: Sum) {
        self.is_computed = true;
        match sum.number.varies() {
            true => self.part(1, SHORT_DIGITS, sum.width()),
            false => self.bytes(sum.width()),
        }
    }

    /// The shape of pieces without choices.
    pub(super) fn of(pieces: &[Piece]) -> Self {
        let mut shape = Self::default();
        for piece in pieces {
            match piece {
                Piece::Bytes(bytes) => shape.bytes(bytes.len()),
                Piece::Field(what) => shape.field(*what),
                Piece::Sum(sum) => shape.sum(*sum),
                Piece::Choice(_) | Piece::Begin(_) | Piece::End(_) => {}
            }
        }
        shape
    }

    const fn varies(&self) -> bool {
        self.least < self.most
    }

    fn id_place(&self) -> IdPlace {
        match self.id {
            Some((here, most)) if here.offset != most => {
                let there = IdAt { offset: most, ..here }.to_string();
                let format = Some(here.number);
                Err(PayloadError::MovingId { here: here.to_string(), there, format })
            }
            id => Ok(id.map(|(at, _)| at)),
        }
    }
}

/// The place of the id if all requests have it there, `None` if none has one, or what is wrong.
pub(super) type IdPlace = Result<Option<IdAt>, PayloadError>;

/// The place of ids that are here and there.
fn one_place(there: IdPlace, here: IdPlace) -> IdPlace {
    let format = match (id_format(&there), id_format(&here)) {
        (Some(there), Some(here)) => here.filter(|_| here == there),
        (None, None) if there == Ok(None) && here == Ok(None) => return Ok(None),
        _ => return Err(PayloadError::SomeIds),
    };
    match (there, here) {
        (Ok(Some(there)), Ok(Some(here))) if there == here => Ok(Some(here)),
        (Ok(Some(there)), Ok(Some(here))) => {
            let (here, there) = (there.to_string(), here.to_string());
            Err(PayloadError::MovingId { here, there, format })
        }
        (Err(PayloadError::MovingId { here, there, .. }), _)
        | (_, Err(PayloadError::MovingId { here, there, .. })) => {
            Err(PayloadError::MovingId { here, there, format })
        }
        (there, _) => there,
    }
}

/// The format of ids if they have one; `None` if there are none.
fn id_format(place: &IdPlace) -> Option<Option<Number>> {
    match place {
        Ok(Some(at)) => Some(Some(at.number)),
        Err(PayloadError::MovingId { format, .. }) => Some(*format),
        _ => None,
    }
}

#[derive(Debug)]
pub(super) struct Compiler {
    pub(super) requests: Requests,
    id_place: Option<IdPlace>,
    /// Mean bytes of all lines, added up.
    sum: f64,
    lines: usize,
    /// The number of the line in a file, from 1; 0: there are none.
    pub(super) line_number: usize,
    /// Bytes of a file above which its lines are composed when sent.
    pub(super) large_file: usize,
}

impl Compiler {
    pub(super) fn new(seed: u64, order: RequestOrder, large_file: usize) -> Self {
        let requests = Requests { order, key: hash_u64(seed), ..Requests::default() };
        Self { requests, id_place: None, sum: 0.0, lines: 0, line_number: 0, large_file }
    }

    /// Adds a line: one request, or one for each combination of choices in it.
    pub(super) fn line(&mut self, pieces: &[Piece]) -> Result<(), PayloadError> {
        let counts = pieces.iter().map(|piece| match piece {
            Piece::Choice(words) => words.len(),
            _ => 1,
        });
        let ways = ways(counts)?;
        let first = index(self.requests.variants.len())?;
        for way in 0..ways {
            let shape = self.variant(pieces, way)?;
            self.shape(&shape, 1.0 / ways as f64)?;
        }
        self.lines += 1;
        self.requests.groups.push(first..index(self.requests.variants.len())?);
        Ok(())
    }

    /// Adds the lengths and the id of lines that are composed when they are sent.
    pub(super) fn composed(&mut self, shape: &Shape, lines: usize) -> Result<(), PayloadError> {
        self.lines += lines;
        self.shape(shape, lines as f64)
    }

    /// Describes a file of which each line became a request.
    pub(super) fn summarize_lines(&mut self) {
        let count = self.lines as u64;
        let (format, records, used) = ("lines".to_owned(), count, count);
        let summary = InputSummary { format, records, used, ..InputSummary::default() };
        self.requests.input = Some(summary);
    }

    /// Sets the file of lines that are composed when sent.
    pub(super) fn set_file(&mut self, file: LineFile) {
        self.requests.file = (file.index.count() > 0).then(|| file.into());
    }

    /// Adds the request that chooses by `way`.
    fn variant(&mut self, pieces: &[Piece], mut way: usize) -> Result<Shape, PayloadError> {
        let requests = &mut self.requests;
        let start = requests.bytes.len();
        let mut chosen = Vec::with_capacity(pieces.len());
        for piece in pieces {
            chosen.push(match piece {
                Piece::Choice(words) => {
                    let word = &words[way % words.len()];
                    way /= words.len();
                    Piece::Bytes(word.clone())
                }
                _ => piece.clone(),
            });
        }
        let shape = Shape::of(&chosen);
        let len = index(shape.most)?;
        if shape.varies() {
            let program = Some(index(requests.programs.len())?);
            requests.programs.push(chosen);
            requests.variants.push(Variant { len, program, ..Variant::default() });
            return Ok(shape);
        }
        let (mut patches, mut spans) = (Vec::new(), Spans::new());
        for piece in &chosen {
            let at = requests.bytes.len() - start;
            let mut reserve = |width| requests.bytes.resize(start + at + width, 0);
            // Templates have been checked, so that spans have no faults.
            let _ = match piece {
                Piece::Bytes(bytes) => {
                    requests.bytes.extend(bytes);
                    Ok(())
                }
                Piece::Field(what) => {
                    patches.push(Patch { offset: index(at)?, what: *what });
                    reserve(what.width());
                    Ok(())
                }
                Piece::Sum(sum) => {
                    reserve(sum.width());
                    spans.sum(*sum, at)
                }
                Piece::Begin(name) => spans.begin(*name, at),
                Piece::End(name) => spans.end(*name, at),
                Piece::Choice(_) => Ok(()),
            };
        }
        let previous = requests.variants.last().copied().unwrap_or_default();
        let patch_range = requests.store(&patches, previous.patches)?;
        let first = index(requests.sums.len())?;
        let sums = spans.close(shape.most).unwrap_or_default();
        let request = &mut requests.bytes[start..];
        for placed in &*sums {
            match placed.sum.kind {
                // Known before it is sent.
                SumKind::Len => placed.apply(request),
                _ => requests.sums.push(FixedSum::new(*placed, &patches, sums, request)),
            }
        }
        let sums = (first, index(requests.sums.len())?);
        let patches = patch_range;
        requests.variants.push(Variant { start, len, patches, sums, program: None });
        Ok(shape)
    }

    fn shape(&mut self, shape: &Shape, weight: f64) -> Result<(), PayloadError> {
        if shape.most > MAX_PAYLOAD {
            return Err(PayloadError::TooLong { bytes: shape.most });
        }
        let requests = &mut self.requests;
        let same = (!shape.varies()).then_some(shape.most);
        let is_first = self.id_place.is_none();
        requests.same_len =
            if is_first { same } else { requests.same_len.filter(|_| requests.same_len == same) };
        requests.largest = requests.largest.max(shape.most);
        if is_first || shape.least < requests.shortest {
            (requests.shortest, requests.shortest_line) = (shape.least, self.line_number);
        }
        requests.has_times |= shape.has_times;
        requests.reply_len = requests.reply_len.max(shape.reply_len);
        requests.is_computed |= shape.is_computed;
        requests.message_id_bits = shape.message_id_bits.or(requests.message_id_bits);
        self.sum += shape.mean * weight;
        let bits = shape.id_bits.unwrap_or(0);
        requests.id_bits = if is_first { bits } else { requests.id_bits.min(bits) };
        self.id_place = Some(match (self.id_place.take(), shape.id_place()) {
            (None, here) => here,
            // The first line that differs.
            (Some(before @ Err(PayloadError::Line { .. })), _) => before,
            (Some(before), here) => match one_place(before, here) {
                Err(error @ PayloadError::SomeIds) if self.line_number > 0 => {
                    Err(error.in_line(self.line_number))
                }
                place => place,
            },
        });
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<(Requests, IdPlace), PayloadError> {
        let id_place = self.id_place.ok_or(PayloadError::Nothing)?;
        self.requests.mean_len = self.sum / self.lines as f64;
        if self.requests.longest_cookie > 0 {
            let bytes = self.requests.largest + self.requests.longest_cookie;
            if bytes > MAX_PAYLOAD {
                return Err(PayloadError::TooLong { bytes });
            }
            (self.requests.largest, self.requests.same_len) = (bytes, None);
        }
        Ok((self.requests, id_place))
    }
}

/// The combinations of choices among so many each.
pub(super) fn ways(mut counts: impl Iterator<Item = usize>) -> Result<usize, PayloadError> {
    let ways = counts.try_fold(1_usize, usize::checked_mul);
    let ways = ways.filter(|ways| (1..=MAX_WAYS).contains(ways));
    ways.ok_or(PayloadError::TooManyWays { most: MAX_WAYS })
}

/// A number of bytes, patches or variants, in 32 bits to keep them small.
fn index(count: usize) -> Result<u32, PayloadError> {
    u32::try_from(count).map_err(|_| PayloadError::TooMuch)
}

impl Requests {
    /// Stores patches and returns their range; the previous range if its patches are equal.
    fn store(&mut self, patches: &[Patch], before: PatchRange) -> Result<PatchRange, PayloadError> {
        if self.patches[before.0 as usize..before.1 as usize] == *patches {
            return Ok(before);
        }
        let from = index(self.patches.len())?;
        self.patches.extend(patches);
        Ok((from, index(self.patches.len())?))
    }

    /// Puts an id into each request, over what stands there, as the last patch.
    pub(super) fn put_id(&mut self, at: IdAt) -> Result<(), PayloadError> {
        let IdAt { offset, number } = at;
        let (width, len) = (number.width(), self.shortest);
        if self.is_computed {
            return Err(PayloadError::IdOverComputed);
        }
        if offset.saturating_add(width) > len {
            let error = PayloadError::IdBeyond { offset, width, len };
            return Err(match self.shortest_line {
                0 => error,
                number => error.in_line(number),
            });
        }
        let patch = Patch { offset: index(offset)?, what: What::Id(number) };
        let before = std::mem::take(&mut self.patches);
        let mut variants = std::mem::take(&mut self.variants);
        let mut range = (0, 0);
        for variant in &mut variants {
            let (from, to) = variant.patches;
            let patches = [&before[from as usize..to as usize], &[patch]].concat();
            range = self.store(&patches, range)?;
            variant.patches = range;
        }
        self.variants = variants;
        self.id_bits = number.bits();
        self.id_over = self.file.is_some().then_some(at);
        Ok(())
    }

    pub(super) fn are_equal(&self) -> bool {
        self.variants.len() == 1
            && self.programs.is_empty()
            && self.patches.iter().all(|patch| patch.what.is_time())
    }
}
