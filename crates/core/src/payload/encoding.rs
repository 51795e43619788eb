//! Text to bytes and back, in the encodings of the Encoding Standard (encoding.spec.whatwg.org).

use std::fmt;
use std::str::FromStr;

use encoding_rs::{DecoderResult, EncoderResult, UTF_8, UTF_16BE, UTF_16LE};

use super::PayloadError;

/// A file of text without the byte order mark of UTF-8, which some editors put first.
pub(super) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)
}

/// An encoding of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding(&'static encoding_rs::Encoding);

impl Encoding {
    /// The default.
    pub const UTF_8: Self = Self(UTF_8);

    /// The encoding of a label in any case: `utf-8`, `gbk`, `latin1`. Labels have their meaning on
    /// the web: `latin1` and `ascii` are windows-1252, and `gb2312` is GBK.
    ///
    /// # Errors
    /// [`PayloadError::Encoding`], also for labels of encodings that the web gave up.
    pub fn parse(label: &str) -> Result<Self, PayloadError> {
        encoding_rs::Encoding::for_label_no_replacement(label.as_bytes())
            .map(Self)
            .ok_or_else(|| PayloadError::Encoding { asked: label.to_owned() })
    }

    /// Its name in the Encoding Standard: `UTF-8`, `GBK`, `windows-1252`.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Text as bytes, without a byte order mark.
    ///
    /// # Errors
    /// [`PayloadError::Unmappable`] names the first character that the encoding does not have.
    pub fn encode(self, text: &str) -> Result<Vec<u8>, PayloadError> {
        // The standard has only decoders of these two.
        if self.0 == UTF_16LE {
            return Ok(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
        }
        if self.0 == UTF_16BE {
            return Ok(text.encode_utf16().flat_map(u16::to_be_bytes).collect());
        }
        /// Bytes added if the encoder lacks room: more than any character takes. Arbitrary.
        const MORE: usize = 64;
        let mut encoder = self.0.new_encoder();
        let mut bytes = Vec::with_capacity(text.len() + MORE);
        let mut from = 0;
        loop {
            let rest = &text[from..];
            let (result, read) =
                encoder.encode_from_utf8_to_vec_without_replacement(rest, &mut bytes, true);
            from += read;
            match result {
                EncoderResult::InputEmpty => return Ok(bytes),
                EncoderResult::OutputFull => bytes.reserve(text.len() + MORE),
                EncoderResult::Unmappable(character) => {
                    // It has been read, too.
                    let position = text[..from].chars().count();
                    let encoding = self.name();
                    return Err(PayloadError::Unmappable { character, position, encoding });
                }
            }
        }
    }

    /// How many bytes at the end begin a character without ending it, 0 to 3.
    pub fn begun(self, bytes: &[u8]) -> usize {
        /// The longest beginning, in bytes: of the four that UTF-8, GB 18030 and UTF-16 have.
        const LONGEST: usize = 3;
        let whole = |kept: usize| {
            let text = bytes.get(..bytes.len().saturating_sub(kept)).unwrap_or_default();
            self.0.decode_without_bom_handling_and_without_replacement(text).is_some()
        };
        if whole(0) {
            return 0;
        }
        // It ends in a beginning where something can follow that makes it well-formed.
        let mut decoder = self.0.new_decoder_without_bom_handling();
        let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len());
        let mut text = String::with_capacity(room.unwrap_or_default());
        let (result, _) = decoder.decode_to_string_without_replacement(bytes, &mut text, false);
        if result != DecoderResult::InputEmpty {
            return 0;
        }
        (1..=LONGEST.min(bytes.len())).find(|kept| whole(*kept)).unwrap_or(0)
    }

    /// Whether a newline is one byte that means nothing else: not so in UTF-16.
    pub fn one_byte_newline(self) -> bool {
        self.0 != UTF_16LE && self.0 != UTF_16BE
    }

    /// Decodes text; `None` if it is malformed, or has control characters other than tabs and
    /// newlines, which could control a terminal.
    pub fn decode(self, bytes: &[u8]) -> Option<String> {
        let text = self.0.decode_without_bom_handling_and_without_replacement(bytes)?;
        let odd =
            |character: char| character.is_control() && !matches!(character, '\t' | '\n' | '\r');
        if text.contains(odd) { None } else { Some(text.into_owned()) }
    }
}

impl Default for Encoding {
    fn default() -> Self {
        Self::UTF_8
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Encoding {
    type Err = PayloadError;

    fn from_str(label: &str) -> Result<Self, PayloadError> {
        Self::parse(label)
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
            let encoding = Encoding::parse(label).unwrap();
            assert_eq!(encoding.encode(text).unwrap(), bytes, "{label}");
            assert_eq!(encoding.decode(bytes).unwrap(), text, "{label}");
        }
    }

    #[test]
    fn characters_without_bytes_are_named() {
        let error = Encoding::parse("gbk").unwrap().encode("好的😀!").unwrap_err();
        let (character, position, encoding) = ('😀', 3, "GBK");
        assert_eq!(error, PayloadError::Unmappable { character, position, encoding });
        assert!(error.to_string().contains("U+1F600"), "{error}");
    }

    #[test]
    fn malformed_text_and_control_characters_are_refused() {
        let gbk = Encoding::parse("gbk").unwrap();
        assert_eq!(gbk.decode(&[0xC4]), None, "half a character");
        assert_eq!(Encoding::UTF_8.decode(&[0xC4, 0xE3]), None);
        assert_eq!(Encoding::UTF_8.decode(b"a\0b"), None);
        assert_eq!(Encoding::UTF_8.decode(b"\x1b[2J"), None, "what a terminal obeys");
        assert_eq!(Encoding::parse("latin2").unwrap().decode(&[0x9B]), None, "ESC [ in one");
        assert_eq!(Encoding::UTF_8.decode(b"a\tb\r\n").unwrap(), "a\tb\r\n");
        assert_eq!(Encoding::UTF_8.decode(b"").unwrap(), "");
    }

    proptest::proptest! {
        #[test]
        fn whatever_arrives_is_text_or_not(bytes: Vec<u8>, text: String) {
            // These have other bytes for each character; in others, a few share theirs.
            let exact = ["utf-8", "utf-16le", "koi8-r"];
            let shared = ["gbk", "gb18030", "big5", "iso-2022-jp", "euc-kr"];
            for label in exact.iter().chain(&shared) {
                let encoding = Encoding::parse(label).unwrap();
                if let Some(text) = encoding.decode(&bytes) {
                    assert!(text.len() <= bytes.len() * 4, "{label}");
                }
                if let Ok(bytes) = encoding.encode(&text)
                    && let Some(arrived) = encoding.decode(&bytes)
                    && exact.contains(label)
                {
                    assert_eq!(arrived, text, "{label}");
                }
            }
        }
    }

    #[test]
    fn unknown_labels_are_errors() {
        for label in ["", "utf-9", "hz-gb-2312", "replacement"] {
            let error = Encoding::parse(label).unwrap_err();
            assert_eq!(error, PayloadError::Encoding { asked: label.to_owned() });
        }
        assert_eq!(Encoding::parse(" GB2312 ").unwrap().name(), "GBK");
    }
}
