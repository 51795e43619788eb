//! From pieces to requests: all combinations of choices are written out before anything is sent.

use super::patch::{Patch, What};
use super::requests::{IdAt, RequestGroup, RequestOrder, Requests, Variant};
use super::{Input, PayloadError};
use crate::unit::{MAX_PAYLOAD, hash_u64};

/// Maximum combinations of choices in one line. Arbitrary: a few choices of a few words each; with
/// the longest payload a line stays below 270 MB.
const MAX_WAYS: usize = 4_096;

/// A part of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// The same in every request.
    Bytes(Vec<u8>),
    /// Written anew for each.
    Field(What),
    /// One of several, in turns.
    Choice(Vec<Vec<u8>>),
}

/// The places of ids in all requests compiled so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ids {
    /// In none.
    None,
    /// In all, here.
    Here(IdAt),
    /// In all, but not always at one place.
    Moving(IdAt, IdAt),
    /// In some.
    Some,
}

#[derive(Debug)]
pub(super) struct Compiler {
    requests: Requests,
    ids: Option<Ids>,
    /// Bytes of all variants, each counted by how often its line sends it.
    sum: f64,
}

impl Compiler {
    pub(super) fn new(seed: u64, order: RequestOrder) -> Self {
        let requests = Requests {
            bytes: Vec::new(),
            patches: Vec::new(),
            variants: Vec::new(),
            groups: Vec::new(),
            order,
            key: hash_u64(seed),
            id: None,
            id_bits: 0,
            message_id_bits: None,
            largest: 0,
            same_len: None,
            mean_len: 0.0,
            recorded: None,
            input: None,
            notes: Vec::new(),
        };
        Self { requests, ids: None, sum: 0.0 }
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
        self.requests.groups.push(RequestGroup { first, count: index(ways)? });
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
        self.note_ids(&patches);
        let range = self.range_of(patches)?;
        let requests = &mut self.requests;
        requests.same_len = match requests.variants.is_empty() {
            true => Some(len),
            false => requests.same_len.filter(|same| *same == len),
        };
        requests.largest = requests.largest.max(len);
        requests.variants.push(Variant { start, len: index(len)?, patches: range });
        Ok(len)
    }

    /// Stores patches; those of the variant before are shared if they are equal.
    fn range_of(&mut self, patches: Vec<Patch>) -> Result<(u32, u32), PayloadError> {
        let requests = &mut self.requests;
        if let Some(last) = requests.variants.last() {
            let (from, to) = last.patches;
            if requests.patches[from as usize..to as usize] == patches[..] {
                return Ok(last.patches);
            }
        }
        let from = index(requests.patches.len())?;
        requests.patches.extend(patches);
        Ok((from, index(requests.patches.len())?))
    }

    fn note_ids(&mut self, patches: &[Patch]) {
        let mut here = None;
        let mut bits = u32::MAX;
        for patch in patches {
            if let What::PartOfId(number) = patch.what {
                self.requests.message_id_bits = Some(number.bits());
            }
            if let What::Id(number) = patch.what {
                here = here.or(Some(IdAt { offset: patch.offset as usize, number }));
                bits = bits.min(number.bits());
            }
        }
        let is_first = self.ids.is_none();
        self.ids = Some(match (self.ids, here) {
            (None | Some(Ids::None), None) => Ids::None,
            (None, Some(here)) => Ids::Here(here),
            (Some(Ids::Here(there)), Some(here)) if there != here => Ids::Moving(there, here),
            (Some(as_before @ (Ids::Here(_) | Ids::Moving(..))), Some(_)) => as_before,
            _ => Ids::Some,
        });
        let bits = if here.is_some() { bits } else { 0 };
        let before = if is_first { bits } else { self.requests.id_bits };
        self.requests.id_bits = before.min(bits);
    }

    /// Moments of the lines in nanoseconds since the first; unused if lines are drawn at random.
    pub(super) fn recorded(&mut self, moments: Vec<u64>) {
        self.requests.recorded = (self.requests.order == RequestOrder::Turns).then_some(moments);
    }

    /// The account of the file of the lines, and the notes on it.
    pub(super) fn read_from(&mut self, input: Input, notes: Vec<String>) {
        (self.requests.input, self.requests.notes) = (Some(input), notes);
    }

    /// Returns all that was added; an error if that is nothing.
    pub(super) fn finish(mut self) -> Result<(Requests, Ids), PayloadError> {
        let ids = self.ids.ok_or(PayloadError::Nothing)?;
        if let Ids::Here(spot) = ids {
            self.requests.id = Some(spot);
        }
        self.requests.mean_len = self.sum / self.requests.groups.len() as f64;
        Ok((self.requests, ids))
    }
}

/// A number of bytes, patches or variants, in 32 bits to keep them small.
fn index(count: usize) -> Result<u32, PayloadError> {
    u32::try_from(count).map_err(|_| PayloadError::TooMuch)
}

impl Requests {
    /// Puts an id into each request, over what stands there, last of all patches.
    pub(super) fn put_id(&mut self, at: IdAt) -> Result<Ids, PayloadError> {
        let IdAt { offset, number } = at;
        let width = number.width();
        let short = self.variants.iter().map(|variant| variant.len as usize);
        let mut short = short.filter(|len| offset.saturating_add(width) > *len);
        if let Some(len) = short.next() {
            return Err(PayloadError::IdBeyond { offset, width, len });
        }
        let patch = Patch { offset: index(offset)?, what: What::Id(number) };
        // Each list of patches gets one of its own behind it; variants share lists as before.
        let before = std::mem::take(&mut self.patches);
        let mut shared = None;
        for variant in &mut self.variants {
            let (old, new) = match shared {
                Some((old, new)) if old == variant.patches => (old, new),
                _ => {
                    let from = index(self.patches.len())?;
                    let (first, last) = variant.patches;
                    self.patches.extend(&before[first as usize..last as usize]);
                    self.patches.push(patch);
                    (variant.patches, (from, index(self.patches.len())?))
                }
            };
            shared = Some((old, new));
            variant.patches = new;
        }
        self.id = Some(at);
        self.id_bits = number.bits();
        Ok(Ids::Here(at))
    }

    /// Whether all requests are equal, except for times.
    pub(super) fn are_equal(&self) -> bool {
        self.variants.len() == 1 && self.patches.iter().all(|patch| patch.what.is_time())
    }
}
