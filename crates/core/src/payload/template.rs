//! Requests as users write them: text, hex digits or bytes, with fields in braces.

use super::compile::Piece;
use super::number::Number;
use super::patch::{Alphabet, What};
use super::{Encoding, PayloadError, hex};
use crate::unit::hash_u64;

/// Maximum random characters of one field: what a datagram holds.
const MAX_CHARACTERS: u16 = 65_507;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TemplateBody {
    Text(Encoding),
    Hex,
    Bytes,
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
    let mut reader = Reader { source, body, seed, pieces: Vec::new(), fields: 0 };
    let (mut at, mut literal) = (0, 0);
    while let Some(&byte) = source.get(at).filter(|_| fields) {
        let doubled = source.get(at + 1) == Some(&byte);
        match byte {
            b'{' | b'}' if doubled => {
                reader.literal(literal, at + 1)?;
                at += 2;
                literal = at;
            }
            b'{' => {
                reader.literal(literal, at)?;
                at = reader.field(at)?;
                literal = at;
            }
            b'}' => return Err(PayloadError::Unopened { column: reader.column(at) }),
            _ => at += 1,
        }
    }
    reader.literal(literal, source.len())?;
    Ok(reader.pieces)
}

struct Reader<'a> {
    source: &'a [u8],
    body: TemplateBody,
    seed: u64,
    pieces: Vec<Piece>,
    fields: u64,
}

impl Reader<'_> {
    /// The number of the character at this offset, from 1.
    fn column(&self, at: usize) -> usize {
        let before = self.source.get(..at).unwrap_or_default();
        String::from_utf8_lossy(before).chars().count() + 1
    }

    fn literal(&mut self, from: usize, to: usize) -> Result<(), PayloadError> {
        if from >= to {
            return Ok(());
        }
        let bytes = self.bytes(&self.source[from..to]);
        let bytes = bytes.map_err(|error| error.moved_by(self.column(from) - 1))?;
        self.pieces.push(Piece::Bytes(bytes));
        Ok(())
    }

    fn bytes(&self, part: &[u8]) -> Result<Vec<u8>, PayloadError> {
        let text = || String::from_utf8_lossy(part);
        match self.body {
            TemplateBody::Text(encoding) => encoding.encode(&text()),
            TemplateBody::Hex => hex::parse(&text()),
            TemplateBody::Bytes => Ok(part.to_vec()),
        }
    }

    /// Reads the field that begins here; returns its end.
    fn field(&mut self, at: usize) -> Result<usize, PayloadError> {
        let column = self.column(at);
        let rest = self.source.get(at + 1..).unwrap_or_default();
        let close = rest.iter().position(|byte| matches!(byte, b'{' | b'}'));
        let close = close.filter(|close| rest[*close] == b'}');
        let close = close.ok_or(PayloadError::Unclosed { column })?;
        let word = String::from_utf8_lossy(&rest[..close]).into_owned();
        self.fields += 1;
        let piece = self.piece(&word, column)?;
        if let (TemplateBody::Text(encoding), Piece::Field(what)) = (self.body, &piece)
            && what.is_text()
            && encoding.encode("0")? != b"0"
        {
            let encoding = encoding.name();
            return Err(PayloadError::FieldEncoding { field: word, column, encoding });
        }
        self.pieces.push(piece);
        Ok(at + 1 + close + 1)
    }

    fn choice(&self, words: &str, column: usize) -> Result<Piece, PayloadError> {
        if words.is_empty() {
            return Err(PayloadError::EmptyChoice { column });
        }
        // Behind `{choice:`, which has eight characters.
        let mut before = column + 7;
        let mut list = Vec::new();
        for word in words.split('|') {
            list.push(self.bytes(word.as_bytes()).map_err(|error| error.moved_by(before))?);
            before += word.chars().count() + 1;
        }
        Ok(Piece::Choice(list))
    }

    fn piece(&self, word: &str, column: usize) -> Result<Piece, PayloadError> {
        let (name, format) =
            word.split_once(':').map_or((word, None), |(name, format)| (name, Some(format)));
        let bad = || PayloadError::Format { field: word.to_owned(), column };
        let is_hex = self.body == TemplateBody::Hex;
        let number = |default| match format {
            Some(format) => Number::parse(format).ok_or_else(bad),
            None => Ok(if is_hex { Number::Be(4) } else { default }),
        };
        let key = hash_u64(self.seed ^ hash_u64(self.fields));
        Ok(Piece::Field(match name {
            "choice" => return self.choice(format.unwrap_or_default(), column),
            "id" => What::Id(number(Number::Dec(10))?),
            "counter" => What::Counter(number(Number::Dec(10))?),
            "random" => match format.and_then(|format| characters(format, key)) {
                Some(what) => what,
                None => What::Random { key, number: number(Number::Hex(8))? },
            },
            "time" => time(format.unwrap_or("ns"), is_hex).ok_or_else(bad)?,
            _ => return Err(PayloadError::Field { field: word.to_owned(), column }),
        }))
    }
}

/// `alnum:N` and `letters:N`.
fn characters(format: &str, key: u64) -> Option<What> {
    let (alphabet, count) = format.split_once(':')?;
    let alphabet = match alphabet {
        "alnum" => Alphabet::Alnum,
        "letters" => Alphabet::Letters,
        _ => return None,
    };
    let count = count.parse().ok().filter(|count| (1..=MAX_CHARACTERS).contains(count))?;
    Some(What::Characters { key, alphabet, count })
}

/// `ns`, `us`, `ms` or `s`, with an optional format; a format alone, of nanoseconds; or `rfc3339`.
fn time(format: &str, is_hex: bool) -> Option<What> {
    if format == "rfc3339" {
        return Some(What::Rfc3339);
    }
    let (unit, number) = match (format.split_once(':'), Number::parse(format)) {
        (Some((unit, number)), _) => (unit, Some(Number::parse(number)?)),
        (None, Some(number)) => ("ns", Some(number)),
        (None, None) => (format, None),
    };
    // The digits are enough until the year 2286.
    let (unit_ns, digits) = match unit {
        "ns" => (1, 19),
        "us" => (1_000, 16),
        "ms" => (1_000_000, 13),
        "s" => (1_000_000_000, 10),
        _ => return None,
    };
    let default = if is_hex { Number::Be(8) } else { Number::Dec(digits) };
    Some(What::Time { unit_ns, number: number.unwrap_or(default) })
}
