//! Text to bytes and back, in the encodings of the Encoding Standard (encoding.spec.whatwg.org).

use std::str::FromStr;

use encoding_rs::{DecoderResult, EncoderResult, UTF_8, UTF_16BE, UTF_16LE};

use super::PayloadError;

/// An encoding of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding(&'static encoding_rs::Encoding);

impl Encoding {
    /// The default; RFC 3629.
    pub const UTF_8: Self = Self(UTF_8);

    /// Its name in the Encoding Standard: `UTF-8`, `GBK`, `windows-1252`.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Text as bytes, without a byte order mark; [`PayloadError::Unmappable`] if not possible.
    pub fn encode(self, text: &str) -> Result<Vec<u8>, PayloadError> {
        // The standard has only decoders of these two.
        if !self.one_byte_newline() {
            let to_bytes = if self.0 == UTF_16LE { u16::to_le_bytes } else { u16::to_be_bytes };
            return Ok(text.encode_utf16().flat_map(to_bytes).collect());
        }
        let mut encoder = self.0.new_encoder();
        let capacity = encoder.max_buffer_length_from_utf8_without_replacement(text.len());
        let mut bytes = Vec::with_capacity(capacity.unwrap_or_default());
        match encoder.encode_from_utf8_to_vec_without_replacement(text, &mut bytes, true) {
            (EncoderResult::InputEmpty, _) => Ok(bytes),
            (EncoderResult::OutputFull, _) => Err(PayloadError::TooLong { bytes: text.len() }),
            (EncoderResult::Unmappable(character), read) => {
                let position = text[..read].chars().count();
                Err(PayloadError::Unmappable { character, position, encoding: self.name() })
            }
        }
    }

    /// Writes text as bytes, like [`Self::encode`], into `out`; `None` if it does not fit or cannot
    /// be written.
    pub(super) fn encode_into(self, text: &str, out: &mut [u8]) -> Option<usize> {
        if !self.one_byte_newline() {
            let to_bytes = if self.0 == UTF_16LE { u16::to_le_bytes } else { u16::to_be_bytes };
            let mut len = 0;
            for unit in text.encode_utf16() {
                out.get_mut(len..len + 2)?.copy_from_slice(&to_bytes(unit));
                len += 2;
            }
            return Some(len);
        }
        let (mut encoder, mut rest, mut len) = (self.0.new_encoder(), text, 0);
        // An encoder stops when less is left than one character may need.
        let mut part = [0; 64];
        loop {
            let (result, read, written) =
                encoder.encode_from_utf8_without_replacement(rest, &mut part, true);
            out.get_mut(len..len + written)?.copy_from_slice(&part[..written]);
            len += written;
            rest = rest.get(read..)?;
            match result {
                EncoderResult::InputEmpty => return Some(len),
                EncoderResult::OutputFull => {}
                EncoderResult::Unmappable(_) => return None,
            }
        }
    }

    /// How many bytes at the end begin a character without ending it, 0 to 3.
    pub fn incomplete_tail(self, bytes: &[u8]) -> usize {
        /// The longest incomplete character of UTF-8, GB 18030 and UTF-16, in bytes.
        const LONGEST: usize = 3;
        let is_valid_without = |tail: &usize| {
            let text = bytes.get(..bytes.len().saturating_sub(*tail)).unwrap_or_default();
            self.0.decode_without_bom_handling_and_without_replacement(text).is_some()
        };
        if is_valid_without(&0) {
            return 0;
        }
        // Whether more bytes can make it well-formed.
        let mut decoder = self.0.new_decoder_without_bom_handling();
        let capacity = decoder.max_utf8_buffer_length_without_replacement(bytes.len());
        let mut text = String::with_capacity(capacity.unwrap_or_default());
        let (result, _) = decoder.decode_to_string_without_replacement(bytes, &mut text, false);
        if result != DecoderResult::InputEmpty {
            return 0;
        }
        (1..=LONGEST.min(bytes.len())).find(is_valid_without).unwrap_or(0)
    }

    /// Whether a newline is one byte that has no other meaning; false for UTF-16.
    pub fn one_byte_newline(self) -> bool {
        self.0 != UTF_16LE && self.0 != UTF_16BE
    }

    /// Decodes text; `None` if it is malformed, or has control characters other than tabs and
    /// newlines, which could control a terminal.
    pub fn decode(self, bytes: &[u8]) -> Option<String> {
        let text = self.0.decode_without_bom_handling_and_without_replacement(bytes)?;
        let is_control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
        (!text.contains(is_control)).then(|| text.into_owned())
    }
}

impl FromStr for Encoding {
    type Err = PayloadError;

    /// The encoding of a label in any case: `utf-8`, `gbk`, `latin1`. Labels have their meaning on
    /// the web: `latin1` and `ascii` are windows-1252, and `gb2312` is GBK.
    fn from_str(label: &str) -> Result<Self, PayloadError> {
        encoding_rs::Encoding::for_label_no_replacement(label.as_bytes())
            .map(Self)
            .ok_or_else(|| PayloadError::Encoding { requested: label.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_encoded_and_decoded() {
        for (label, text, bytes) in [
            ("utf-8", "é", &[0xC3, 0xA9][..]),
            ("UTF8", "你好", &[0xE4, 0xBD, 0xA0, 0xE5, 0xA5, 0xBD]),
            ("gbk", "你好, a", &[0xC4, 0xE3, 0xBA, 0xC3, 0x2C, 0x20, 0x61]),
            ("gb18030", "😀", &[0x94, 0x39, 0xFC, 0x36]),
            ("latin1", "é€", &[0xE9, 0x80]),
            ("shift_jis", "あ", &[0x82, 0xA0]),
            ("iso-2022-jp", "あ", &[0x1B, 0x24, 0x42, 0x24, 0x22, 0x1B, 0x28, 0x42]),
            ("utf-16le", "é", &[0xE9, 0]),
            ("utf-16be", "😀", &[0xD8, 0x3D, 0xDE, 0]),
        ] {
            let encoding: Encoding = label.parse().unwrap();
            assert_eq!(encoding.encode(text).unwrap(), bytes, "{label}");
            assert_eq!(encoding.decode(bytes).unwrap(), text, "{label}");
        }
    }

    #[test]
    fn unknown_labels_and_unmappable_characters_are_errors() {
        for label in ["", "utf-9", "hz-gb-2312", "replacement"] {
            let error = label.parse::<Encoding>().unwrap_err();
            assert_eq!(error, PayloadError::Encoding { requested: label.to_owned() });
        }
        let gbk = " GB2312 ".parse::<Encoding>().unwrap();
        let error = gbk.encode("好的😀!").unwrap_err();
        let (character, position, encoding) = ('😀', 3, "GBK");
        assert_eq!(error, PayloadError::Unmappable { character, position, encoding });
        assert!(error.to_string().contains("U+1F600"), "{error}");
    }

    #[test]
    fn malformed_text_and_control_characters_are_not_decoded() {
        for (label, bytes, text) in [
            // Half a character.
            ("gbk", &[0xC4][..], None),
            ("utf-8", &[0xC4, 0xE3], None),
            ("utf-8", b"a\0b", None),
            ("utf-8", b"\x1b[2J", None),
            // ESC [ in one byte.
            ("latin2", &[0x9B], None),
            ("utf-8", b"a\tb\r\n", Some("a\tb\r\n")),
            ("utf-8", b"", Some("")),
        ] {
            let decoded = label.parse::<Encoding>().unwrap().decode(bytes);
            assert_eq!(decoded.as_deref(), text, "{label} {bytes:?}");
        }
    }
}
