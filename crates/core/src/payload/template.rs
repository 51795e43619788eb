//! Requests as users write them: text, hex digits or bytes, with fields in braces.

use super::compile::{Shape, ways};
use super::field::{Piece, TemplatePart, TemplateParts, column};
use super::spans::Spans;
use super::{Encoding, PayloadError, hex};

/// The beginning of a choice.
const CHOICE: &str = "{choice:";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TemplateBody {
    Text(Encoding),
    Hex,
    Bytes,
}

impl TemplateBody {
    fn bytes(self, part: &[u8]) -> Result<Vec<u8>, PayloadError> {
        let text = || String::from_utf8_lossy(part);
        match self {
            Self::Text(encoding) => encoding.encode(&text()),
            Self::Hex => hex::parse(&text()),
            Self::Bytes => Ok(part.to_vec()),
        }
    }

    /// The bytes of a part, which begins at this offset of a template.
    fn bytes_at(self, part: &[u8], start: usize, template: &[u8]) -> Result<Vec<u8>, PayloadError> {
        self.bytes(part).map_err(|error| error.moved_by(column(template, start) - 1))
    }
}

pub(super) fn text(text: &str, seed: u64) -> Result<Vec<Piece>, PayloadError> {
    parse(text.as_bytes(), TemplateBody::Text(Encoding::UTF_8), true, seed)
}

/// Reads a request; with `fields`, `{{` and `}}` stand for braces.
pub(super) fn parse(
    source: &[u8],
    body: TemplateBody,
    fields: bool,
    seed: u64,
) -> Result<Vec<Piece>, PayloadError> {
    check(source, body, fields, seed)?;
    let mut steps = TemplateParts::new(source, body == TemplateBody::Hex, fields, seed);
    let mut pieces = Vec::new();
    while let Some(step) = steps.next() {
        pieces.push(match step? {
            TemplatePart::Bytes(part) => Piece::Bytes(body.bytes_at(part, steps.start, source)?),
            TemplatePart::Field(what) => Piece::Field(what),
            TemplatePart::Choice(words) => {
                let list = words.split(|byte| *byte == b'|').map(|word| body.bytes(word));
                Piece::Choice(list.collect::<Result<_, _>>()?)
            }
            TemplatePart::Begin(name) => Piece::Begin(name),
            TemplatePart::End(name) => Piece::End(name),
            TemplatePart::Sum(sum) => Piece::Sum(sum),
        });
    }
    Ok(pieces)
}

/// Finds all errors of a request, and returns its shape. Text in UTF-8 allocates nothing.
pub(super) fn check(
    source: &[u8],
    body: TemplateBody,
    fields: bool,
    seed: u64,
) -> Result<Shape, PayloadError> {
    let mut shape = Shape::default();
    let has_fields = fields && memchr::memchr2(b'{', b'}', source).is_some();
    if !has_fields && body == TemplateBody::Text(Encoding::UTF_8) {
        shape.bytes(source.len());
        return Ok(shape);
    }
    let mut steps = TemplateParts::new(source, body == TemplateBody::Hex, fields, seed);
    let (mut spans, mut choices) = (Spans::new(), 1);
    let len_of = |part: &[u8], start| match body {
        TemplateBody::Text(encoding) if encoding == Encoding::UTF_8 => Ok(part.len()),
        _ => body.bytes_at(part, start, source).map(|bytes| bytes.len()),
    };
    while let Some(step) = steps.next() {
        let step = step?;
        let start = steps.start;
        let is_text = match &step {
            TemplatePart::Field(what) => what.is_text(),
            TemplatePart::Sum(sum) => sum.number.is_text(),
            _ => false,
        };
        if let TemplateBody::Text(encoding) = body
            && is_text
            && encoding.encode("0")? != b"0"
        {
            let encoding = encoding.name();
            let (field, column) = (steps.word_at(start), column(source, start));
            return Err(PayloadError::FieldEncoding { field, column, encoding });
        }
        // Where a field begins stands for its place: fields have the same order.
        let fault = match step {
            TemplatePart::Bytes(part) => {
                shape.bytes(len_of(part, start)?);
                continue;
            }
            TemplatePart::Choice(words) => {
                choices =
                    ways([choices, add_choice(&mut shape, words, start, len_of)?].into_iter())?;
                continue;
            }
            TemplatePart::Field(what) => {
                shape.field(what);
                continue;
            }
            TemplatePart::Sum(sum) => {
                shape.sum(sum);
                spans.sum(sum, start)
            }
            TemplatePart::Begin(name) => spans.begin(name, start),
            TemplatePart::End(name) => spans.end(name, start),
        };
        fault.map_err(|fault| steps.fault(fault, start))?;
    }
    match spans.close(source.len()) {
        Ok(_) => Ok(shape),
        Err((fault, at)) => Err(steps.fault(fault, at)),
    }
}

/// Adds a choice to a shape, and returns how many words it has.
fn add_choice(
    shape: &mut Shape,
    words: &[u8],
    start: usize,
    len_of: impl Fn(&[u8], usize) -> Result<usize, PayloadError>,
) -> Result<usize, PayloadError> {
    let (mut count, mut sum, mut least, mut most) = (0, 0, usize::MAX, 0);
    let mut at = start + CHOICE.len();
    for word in words.split(|byte| *byte == b'|') {
        let len = len_of(word, at)?;
        at += word.len() + 1;
        count += 1;
        sum += len;
        (least, most) = (least.min(len), most.max(len));
    }
    shape.part(least, sum as f64 / count as f64, most);
    Ok(count)
}
