//! Request files with many lines. They stay in memory as read; an index finds a line, which is
//! composed when it is sent.

use std::sync::Arc;

use super::compose::Output;
use super::field::{Piece, TemplatePart, TemplateParts};
use super::patch::Moment;
use super::{Encoding, PayloadError, question};

/// Bytes of a file above which its lines are composed when sent. Arbitrary: compiled requests of
/// short lines take 40 times as much.
pub(super) const LARGE_FILE: usize = 1 << 20;
/// Maximum lines of a block of the index, and bytes before its last line. Arbitrary: an index takes
/// 0.75 bytes per line, and a search reads some 200 bytes.
const BLOCK_LINES: u8 = 16;
const BLOCK_BYTES: u32 = 1 << 16;

/// The lines of a file, each with its number and offset, without a byte order mark; they may end in
/// CR LF.
pub(super) fn lines_of(bytes: &[u8]) -> impl Iterator<Item = (&[u8], usize, usize)> {
    let mut next = Some(if bytes.starts_with(b"\xEF\xBB\xBF") { 3 } else { 0 });
    (1..).map_while(move |number| {
        let start = next?;
        let rest = bytes.get(start..)?;
        let line = first_of(rest);
        next = rest.get(line.len()).map(|_| start + line.len() + 1);
        Some((line.strip_suffix(b"\r").unwrap_or(line), number, start))
    })
}

/// Bytes up to the next newline.
#[inline]
fn first_of(bytes: &[u8]) -> &[u8] {
    memchr::memchr(b'\n', bytes).map_or(bytes, |end| &bytes[..end])
}

/// Successive lines of a file.
#[derive(Debug, Clone, Copy)]
struct Block {
    /// The offset of its first line.
    start: u32,
    /// Used lines before it.
    before: u32,
    /// Which of its lines are used.
    used: u16,
}

/// Where the used lines of a file are.
#[derive(Debug, Default)]
pub(super) struct LineIndex {
    blocks: Vec<Block>,
    in_last: u8,
    count: u32,
}

impl LineIndex {
    /// Adds the next line of the file.
    pub(super) fn add(&mut self, start: usize, is_used: bool) -> Result<(), PayloadError> {
        let start = u32::try_from(start).map_err(|_| PayloadError::TooMuch)?;
        let is_full = |last: &Block| {
            self.in_last == BLOCK_LINES || start.saturating_sub(last.start) > BLOCK_BYTES
        };
        if self.blocks.last().is_none_or(is_full) {
            // One without used lines is not needed.
            self.blocks.pop_if(|last| last.used == 0);
            self.blocks.push(Block { start, before: self.count, used: 0 });
            self.in_last = 0;
        }
        if let Some(last) = self.blocks.last_mut().filter(|_| is_used) {
            last.used |= 1 << self.in_last;
            self.count += 1;
        }
        self.in_last += 1;
        Ok(())
    }

    /// Used lines.
    pub(super) const fn count(&self) -> usize {
        self.count as usize
    }

    /// The used line with this number, from 0, of the file.
    #[inline]
    fn line<'a>(&self, bytes: &'a [u8], number: u64) -> Option<&'a [u8]> {
        let is_it = |block: &&Block| {
            let number = number.checked_sub(block.before.into());
            number.is_some_and(|number| number < u64::from(block.used.count_ones()))
        };
        // All blocks are full if all lines are used.
        let likely = self.blocks.get((number / u64::from(BLOCK_LINES)) as usize).filter(is_it);
        let block = likely.or_else(|| {
            let after = self.blocks.partition_point(|block| u64::from(block.before) <= number);
            self.blocks.get(after.checked_sub(1)?)
        })?;
        let mut used = block.used;
        for _ in u64::from(block.before)..number {
            used &= used.wrapping_sub(1);
        }
        let mut rest = bytes.get(block.start as usize..)?;
        for _ in 0..used.trailing_zeros() {
            rest = rest.get(first_of(rest).len() + 1..)?;
        }
        let line = first_of(rest);
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

/// How a line becomes a request.
#[derive(Debug)]
pub(super) enum LineKind {
    /// A template.
    Text { encoding: Encoding, fields: bool, seed: u64 },
    /// A question of DNS, between these pieces; with this type where a line has none.
    Names { before: Vec<Piece>, after: Vec<Piece>, rtype: u16 },
}

/// A file of requests.
#[derive(Debug)]
pub(super) struct LineFile {
    pub(super) bytes: Arc<Vec<u8>>,
    pub(super) index: LineIndex,
    pub(super) kind: LineKind,
}

impl LineFile {
    /// Writes the used line with this number; `None` if it does not fit. `way` selects choices.
    #[inline]
    pub(super) fn write(
        &self,
        number: u64,
        way: u64,
        moment: Moment<'_>,
        slot: &mut [u8],
    ) -> Option<usize> {
        let line = self.index.line(&self.bytes, number)?;
        let mut output = Output::new(slot, moment, way);
        match &self.kind {
            LineKind::Text { encoding, fields, seed } => {
                if !fields || memchr::memchr2(b'{', b'}', line).is_none() {
                    output.text(line, *encoding)?;
                } else {
                    template(&mut output, TemplateParts::new(line, false, true, *seed), *encoding)?;
                }
            }
            LineKind::Names { before, after, rtype } => {
                let mut name = [0; question::NAME_BUFFER_LEN];
                let (len, rtype) = question::read(line, *rtype, &mut name).ok()?;
                output.pieces(before)?;
                output.bytes(name.get(..len)?)?;
                output.bytes(&rtype.to_be_bytes())?;
                output.pieces(after)?;
            }
        }
        output.finish()
    }
}

#[inline]
fn template(output: &mut Output<'_>, steps: TemplateParts<'_>, encoding: Encoding) -> Option<()> {
    for step in steps {
        match step.ok()? {
            TemplatePart::Bytes(text) => output.text(text, encoding),
            TemplatePart::Field(what) => output.field(what),
            TemplatePart::Choice(words) => {
                let count = memchr::memchr_iter(b'|', words).count() + 1;
                let chosen = output.choice(count);
                output.text(words.split(|byte| *byte == b'|').nth(chosen)?, encoding)
            }
            TemplatePart::Begin(name) => output.begin(name),
            TemplatePart::End(name) => output.end(name),
            TemplatePart::Sum(sum) => output.sum(sum),
        }?;
    }
    Some(())
}
