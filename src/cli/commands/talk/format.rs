//! How text becomes bytes, and bytes become text.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::payload::{Encoding, hex};

/// How lines are sent and shown; shared by both threads, as `/encoding` changes both.
#[derive(Debug, Clone)]
pub(super) struct LineFormat {
    /// `None`: bytes are sent as they are, and shown as UTF-8.
    encoding: Arc<Mutex<Option<Encoding>>>,
    pub(super) hex: bool,
    pub(super) newline: bool,
}

impl LineFormat {
    pub(super) fn new(encoding: Option<Encoding>, hex: bool, newline: bool) -> Self {
        Self { encoding: Arc::new(Mutex::new(encoding)), hex, newline }
    }

    pub(super) fn set(&self, encoding: Encoding) {
        *self.encoding.lock().unwrap_or_else(PoisonError::into_inner) = Some(encoding);
    }

    pub(super) fn encoding(&self) -> Option<Encoding> {
        *self.encoding.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of a line; `ended`: it was read with a newline.
    pub(super) fn bytes(&self, line: &[u8], ended: bool) -> Result<Vec<u8>, String> {
        let text = std::str::from_utf8(line);
        if self.hex {
            let text = text.map_err(|_| "it is not hex")?;
            return hex::parse(text).map_err(|error| error.to_string());
        }
        let end = if ended && self.newline { "\n" } else { "" };
        let Some(encoding) = self.encoding() else { return Ok([line, end.as_bytes()].concat()) };
        let text = text.map_err(|_| "it is not UTF-8; omit --encoding to send it as it is")?;
        encoding.encode(&(text.to_owned() + end)).map_err(|error| error.to_string())
    }

    pub(super) fn text(&self, bytes: &[u8]) -> Option<String> {
        if self.hex { None } else { self.encoding().unwrap_or(Encoding::UTF_8).decode(bytes) }
    }

    /// How many bytes at the end begin a character; only the last line matters.
    pub(super) fn begun(&self, bytes: &[u8]) -> usize {
        if self.hex {
            return 0;
        }
        let encoding = self.encoding().unwrap_or(Encoding::UTF_8);
        let line = if encoding.one_byte_newline() {
            bytes.rsplit(|byte| *byte == b'\n').next().unwrap_or_default()
        } else {
            bytes
        };
        encoding.incomplete_tail(line)
    }

    pub(super) fn one_byte_newline(&self) -> bool {
        self.encoding().unwrap_or(Encoding::UTF_8).one_byte_newline()
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct TextPiece {
    pub(super) bytes: Vec<u8>,
    /// `None` if the bytes are not text.
    pub(super) text: Option<String>,
}

/// Splits streams into text and lines that are not text, never within a character.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// Incomplete characters by peer number.
    begun: HashMap<u32, Vec<u8>>,
}

impl Pieces {
    /// The pieces of the next bytes; an incomplete character is held back.
    pub(super) fn next(&mut self, from: u32, bytes: &[u8], format: &LineFormat) -> Vec<TextPiece> {
        let mut all = self.begun.remove(&from).unwrap_or_default();
        all.extend_from_slice(bytes);
        let complete = all.len() - format.begun(&all);
        if complete < all.len() {
            self.begun.insert(from, all.split_off(complete));
        }
        split(all, format)
    }

    pub(super) fn rest(&mut self, from: u32, format: &LineFormat) -> Vec<TextPiece> {
        self.begun.remove(&from).map_or_else(Vec::new, |rest| split(rest, format))
    }

    pub(super) fn holds(&self, from: u32) -> bool {
        self.begun.contains_key(&from)
    }
}

fn split(bytes: Vec<u8>, format: &LineFormat) -> Vec<TextPiece> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let text = format.text(&bytes);
    if text.is_some() || format.hex || !format.one_byte_newline() {
        return vec![TextPiece { bytes, text }];
    }
    let mut pieces: Vec<TextPiece> = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let text = format.text(line);
        match (pieces.last_mut(), text) {
            (Some(TextPiece { bytes, text: Some(before) }), Some(text)) => {
                bytes.extend_from_slice(line);
                before.push_str(&text);
            }
            (_, text) => pieces.push(TextPiece { bytes: line.to_vec(), text }),
        }
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_stay_whole_wherever_a_stream_is_cut() {
        let text = "a你é😀\n好b";
        for label in ["utf-8", "gb18030", "utf-16le", "utf-16be"] {
            let encoding: Encoding = label.parse().unwrap();
            let bytes = encoding.encode(text).unwrap();
            let format = LineFormat::new(Some(encoding), false, true);
            for cut in 0..=bytes.len() {
                let mut pieces = Pieces::default();
                let mut shown = pieces.next(1, &bytes[..cut], &format);
                assert_eq!(pieces.next(2, &bytes, &format).len(), 1);
                shown.extend(pieces.next(1, &bytes[cut..], &format));
                let shown: String = shown.into_iter().map(|piece| piece.text.unwrap()).collect();
                assert_eq!(shown, text, "{label} {cut}");
                assert!(!pieces.holds(1), "{label} {cut}");
            }
        }
    }
}
