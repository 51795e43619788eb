//! Bytes as what is shown of them: as text where they are such.

use std::collections::HashMap;

use super::manner::Manner;

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
    pub(super) fn next(&mut self, from: u32, bytes: &[u8], manner: &Manner) -> Vec<TextPiece> {
        let mut all = self.begun.remove(&from).unwrap_or_default();
        all.extend_from_slice(bytes);
        let whole = all.len() - manner.begun(&all);
        if whole < all.len() {
            self.begun.insert(from, all.split_off(whole));
        }
        split(all, manner)
    }

    /// The incomplete character of a peer that ended.
    pub(super) fn rest(&mut self, from: u32, manner: &Manner) -> Vec<TextPiece> {
        self.begun.remove(&from).map_or_else(Vec::new, |rest| split(rest, manner))
    }

    pub(super) fn holds(&self, from: u32) -> bool {
        self.begun.contains_key(&from)
    }
}

/// Splits into lines unless all bytes are text.
fn split(bytes: Vec<u8>, manner: &Manner) -> Vec<TextPiece> {
    if bytes.is_empty() {
        return Vec::new();
    }
    let text = manner.text(&bytes);
    if text.is_some() || manner.hex || !manner.one_byte_newline() {
        return vec![TextPiece { bytes, text }];
    }
    let mut pieces: Vec<TextPiece> = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let text = manner.text(line);
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
    use crate::payload::Encoding;

    #[test]
    fn characters_stay_whole_wherever_a_stream_is_cut() {
        let text = "a你é😀\n好b";
        for label in ["utf-8", "gb18030", "utf-16le", "utf-16be"] {
            let encoding = Encoding::parse(label).unwrap();
            let bytes = encoding.encode(text).unwrap();
            let manner = Manner::new(Some(encoding), false, true);
            for cut in 0..=bytes.len() {
                let mut pieces = Pieces::default();
                let mut shown = pieces.next(1, &bytes[..cut], &manner);
                assert_eq!(pieces.next(2, &bytes, &manner).len(), 1);
                shown.extend(pieces.next(1, &bytes[cut..], &manner));
                let shown: String = shown.into_iter().map(|piece| piece.text.unwrap()).collect();
                assert_eq!(shown, text, "{label} {cut}");
                assert!(!pieces.holds(1), "{label} {cut}");
            }
        }
    }

    #[test]
    fn a_line_that_is_no_text_leaves_the_others_alone() {
        let manner = Manner::new(None, false, true);
        let mut pieces = Pieces::default();
        let shown = pieces.next(1, b"one\ntwo\n\xFF\xFE\nthree\n\xE4\xBD", &manner);
        let piece = |bytes: &[u8], text: Option<&str>| TextPiece {
            bytes: bytes.to_vec(),
            text: text.map(str::to_owned),
        };
        let expected = [
            piece(b"one\ntwo\n", Some("one\ntwo\n")),
            piece(b"\xFF\xFE\n", None),
            piece(b"three\n", Some("three\n")),
        ];
        assert!(shown.iter().eq(&expected), "{shown:?}");
        assert!(pieces.holds(1));
        assert_eq!(pieces.rest(1, &manner), [piece(b"\xE4\xBD", None)], "the end cuts it");
    }
}
