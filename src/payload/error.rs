//! What a payload cannot be.

/// A payload that cannot be made as asked. Each variant says what was asked, what is wrong and
/// what mends it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// A label that names no encoding.
    #[error(
        "encoding '{asked}' is unknown; write a label of the Encoding Standard such as utf-8, \
         gbk, big5, shift_jis, euc-kr, koi8-r or latin1"
    )]
    Encoding {
        /// As typed.
        asked: String,
    },
    /// A character that the encoding does not have.
    #[error(
        "'{character}' (U+{:04X}), character {position}, cannot be written in {encoding}; leave \
         it away, or choose utf-8", u32::from(*.character)
    )]
    Unmappable {
        /// The character.
        character: char,
        /// Which of the text it is, in characters from 1.
        position: usize,
        /// The name of the encoding.
        encoding: &'static str,
    },
    /// Something in hex that is no digit.
    #[error(
        "'{found}', character {position}, is no hex digit; write two of 0-9 a-f for each byte, \
         such as 0a 0b or 0x0a0b"
    )]
    HexDigit {
        /// What stands there.
        found: char,
        /// Where it stands, in characters from 1.
        position: usize,
    },
    /// A byte in hex with one digit.
    #[error(
        "the hex digit '{found}', character {position}, is half a byte; write two digits for \
         each byte, such as 0{found}"
    )]
    HexHalf {
        /// The digit.
        found: char,
        /// Where it stands, in characters from 1.
        position: usize,
    },
}
