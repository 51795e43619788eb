//! Compiles pieces into requests. All combinations of choices are written out before sending.

use super::PayloadError;
use super::patch::{Patch, What};
use super::requests::{IdAt, PatchRange, RequestOrder, Requests, Variant};
use crate::unit::{MAX_PAYLOAD, hash_u64};

/// Maximum combinations of choices in one line. Arbitrary: 270 MB of the longest payload.
const MAX_WAYS: usize = 4_096;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Bytes(Vec<u8>),
    /// Written for each request.
    Field(What),
    /// One of several, in turns.
    Choice(Vec<Vec<u8>>),
}

/// The place of the id if all requests have it there, `None` if none has one, or what is wrong.
pub(super) type IdPlace = Result<Option<IdAt>, PayloadError>;

#[derive(Debug)]
pub(super) struct Compiler {
    pub(super) requests: Requests,
    id_place: Option<IdPlace>,
    /// Bytes of all variants, each counted by how often its line sends it.
    sum: f64,
}

impl Compiler {
    pub(super) fn new(seed: u64, order: RequestOrder) -> Self {
        let requests = Requests { order, key: hash_u64(seed), ..Requests::default() };
        Self { requests, id_place: None, sum: 0.0 }
    }

    /// Adds a line: one request, or one for each combination of choices in it.
    pub(super) fn line(&mut self, pieces: &[Piece]) -> Result<(), PayloadError> {
        let ways = pieces.iter().try_fold(1_usize, |ways, piece| match piece {
            Piece::Choice(words) => ways.checked_mul(words.len()),
            _ => Some(ways),
        });
        let ways = ways.filter(|ways| (1..=MAX_WAYS).contains(ways));
        let ways = ways.ok_or(PayloadError::TooManyWays { most: MAX_WAYS })?;
        let first = index(self.requests.variants.len())?;
        for way in 0..ways {
            let len = self.variant(pieces, way)?;
            self.sum += len as f64 / ways as f64;
        }
        self.requests.groups.push(first..index(self.requests.variants.len())?);
        Ok(())
    }

    /// Adds the request that chooses by `way`, and returns its length.
    fn variant(&mut self, pieces: &[Piece], mut way: usize) -> Result<usize, PayloadError> {
        let requests = &mut self.requests;
        let start = requests.bytes.len();
        let mut patches = Vec::new();
        for piece in pieces {
            match piece {
                Piece::Bytes(bytes) => requests.bytes.extend(bytes),
                Piece::Choice(words) => {
                    requests.bytes.extend(&words[way % words.len()]);
                    way /= words.len();
                }
                Piece::Field(what) => {
                    let offset = index(requests.bytes.len() - start)?;
                    patches.push(Patch { offset, what: *what });
                    requests.bytes.resize(requests.bytes.len() + what.width(), 0);
                }
            }
        }
        let len = requests.bytes.len() - start;
        if len > MAX_PAYLOAD {
            return Err(PayloadError::TooLong { bytes: len });
        }
        let previous = requests.variants.last().copied().unwrap_or_default();
        let range = requests.store(&patches, previous.patches)?;
        requests.same_len = match requests.variants.is_empty() {
            true => Some(len),
            false => requests.same_len.filter(|same| *same == len),
        };
        requests.largest = requests.largest.max(len);
        requests.variants.push(Variant { start, len: index(len)?, patches: range });
        self.note_id(&patches);
        Ok(len)
    }

    fn note_id(&mut self, patches: &[Patch]) {
        let requests = &mut self.requests;
        let (mut here, mut bits) = (None, u32::MAX);
        for patch in patches {
            match patch.what {
                What::PartOfId(number) => requests.message_id_bits = Some(number.bits()),
                What::Id(number) => {
                    here = here.or(Some(IdAt { offset: patch.offset as usize, number }));
                    bits = bits.min(number.bits());
                }
                _ => {}
            }
        }
        let bits = if here.is_some() { bits } else { 0 };
        let is_first = self.id_place.is_none();
        requests.id_bits = if is_first { bits } else { requests.id_bits.min(bits) };
        self.id_place = Some(match (self.id_place.take(), here) {
            (None, here) => Ok(here),
            (Some(Ok(None)), None) => Ok(None),
            (Some(Ok(Some(there))), Some(here)) if there != here => {
                let (here, there) = (there.to_string(), here.to_string());
                Err(PayloadError::MovingId { here, there })
            }
            (Some(before @ (Ok(Some(_)) | Err(PayloadError::MovingId { .. }))), Some(_)) => before,
            _ => Err(PayloadError::SomeIds),
        });
    }

    pub(super) fn finish(mut self) -> Result<(Requests, IdPlace), PayloadError> {
        let id_place = self.id_place.ok_or(PayloadError::Nothing)?;
        self.requests.mean_len = self.sum / self.requests.groups.len() as f64;
        Ok((self.requests, id_place))
    }
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
        let width = number.width();
        let mut lens = self.variants.iter().map(|variant| variant.len as usize);
        if let Some(len) = lens.find(|len| offset.saturating_add(width) > *len) {
            return Err(PayloadError::IdBeyond { offset, width, len });
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
        Ok(())
    }

    pub(super) fn are_equal(&self) -> bool {
        self.variants.len() == 1 && self.patches.iter().all(|patch| patch.what.is_time())
    }
}
