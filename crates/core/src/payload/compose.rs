//! Requests whose length depends on the values of fields: written from the beginning each time.

use super::Encoding;
use super::field::Piece;
use super::patch::{Moment, What};
use super::spans::{SpanName, Spans, Sum, close_gap};

/// A request while it is written.
#[derive(Debug)]
pub(super) struct Output<'a> {
    slot: &'a mut [u8],
    at: usize,
    moment: Moment<'a>,
    /// Selects choices, as the digits of a number do whose bases are their counts.
    way: u64,
    spans: Spans,
}

impl<'a> Output<'a> {
    pub(super) const fn new(slot: &'a mut [u8], moment: Moment<'a>, way: u64) -> Self {
        Self { slot, at: 0, moment, way, spans: Spans::new() }
    }

    /// The next bytes; `None` if the slot is too short.
    #[inline]
    fn take(&mut self, len: usize) -> Option<(&mut [u8], &mut [u8])> {
        let (before, rest) = self.slot.split_at_mut_checked(self.at)?;
        let out = rest.get_mut(..len)?;
        self.at += len;
        Some((before, out))
    }

    #[inline]
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.take(bytes.len())?.1.copy_from_slice(bytes);
        Some(())
    }

    /// Text in UTF-8, to be sent in this encoding.
    #[inline]
    pub(super) fn text(&mut self, text: &[u8], encoding: Encoding) -> Option<()> {
        if encoding == Encoding::UTF_8 {
            return self.bytes(text);
        }
        let rest = self.slot.get_mut(self.at..)?;
        self.at += encoding.encode_into(std::str::from_utf8(text).ok()?, rest)?;
        Some(())
    }

    #[inline]
    pub(super) fn field(&mut self, what: What) -> Option<()> {
        let moment = self.moment;
        let (before, out) = self.take(what.width_of(&moment))?;
        what.write(&moment, before, out);
        Some(())
    }

    /// Which of `count` words is sent.
    #[inline]
    pub(super) fn choice(&mut self, count: usize) -> usize {
        let count = count.max(1) as u64;
        let chosen = self.way % count;
        self.way /= count;
        chosen as usize
    }

    #[inline]
    pub(super) fn begin(&mut self, name: SpanName) -> Option<()> {
        self.spans.begin(name, self.at).ok()
    }

    #[inline]
    pub(super) fn end(&mut self, name: SpanName) -> Option<()> {
        self.spans.end(name, self.at).ok()
    }

    #[inline]
    pub(super) fn sum(&mut self, sum: Sum) -> Option<()> {
        self.spans.sum(sum, self.at).ok()?;
        self.take(sum.width())?.1.fill(0);
        Some(())
    }

    pub(super) fn pieces(&mut self, pieces: &[Piece]) -> Option<()> {
        pieces.iter().try_for_each(|piece| match piece {
            Piece::Bytes(bytes) => self.bytes(bytes),
            Piece::Field(what) => self.field(*what),
            Piece::Choice(words) => {
                let chosen = self.choice(words.len());
                self.bytes(words.get(chosen)?)
            }
            Piece::Begin(name) => self.begin(*name),
            Piece::End(name) => self.end(*name),
            Piece::Sum(sum) => self.sum(*sum),
        })
    }

    /// Computes lengths and checksums, and returns the length of the request.
    #[inline]
    pub(super) fn finish(mut self) -> Option<usize> {
        if self.spans.is_empty() {
            return Some(self.at);
        }
        let mut len = self.at;
        let sums = self.spans.close(len).ok()?;
        for at in 0..sums.len() {
            let placed = sums[at];
            placed.apply(self.slot.get_mut(..len)?);
            let end = placed.at + placed.sum.width();
            let written = (placed.to - placed.from) as u64;
            if placed.sum.number.varies() {
                let digits_end = placed.at + placed.sum.number.width_of(written);
                close_gap(self.slot, len, (digits_end, end), sums);
                len -= end - digits_end;
            }
        }
        Some(len)
    }
}
