//! Bytes as text: two hexadecimal digits for each.

use super::PayloadError;

/// Bytes in a row of a dump, as in xxd(1).
const ROW: usize = 16;
/// Characters that may separate bytes, besides white space. Arbitrary.
const SEPARATORS: [char; 4] = [':', '-', ',', '.'];

/// Reads bytes: two digits each, with or without separators (white space, `:`, `-`, `,` or `.`) and
/// prefixes (`0x`). Errors are [`PayloadError::HexDigit`] and [`PayloadError::HexHalf`].
pub fn parse(text: &str) -> Result<Vec<u8>, PayloadError> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    // The first digit of a byte, and its position.
    let mut half: Option<(u32, char, usize)> = None;
    let mut word_begins = true;
    let mut characters = text.chars().zip(1..).peekable();
    while let Some((found, position)) = characters.next() {
        let is_separator = found.is_whitespace() || SEPARATORS.contains(&found);
        let is_prefix = word_begins
            && found == '0'
            && characters.next_if(|(next, _)| matches!(next, 'x' | 'X')).is_some();
        word_begins = is_separator;
        match half.take() {
            Some((_, found, position)) if is_separator => {
                return Err(PayloadError::HexHalf { found, position });
            }
            _ if is_separator || is_prefix => {}
            first => {
                let digit = found.to_digit(16).ok_or(PayloadError::HexDigit { found, position })?;
                match first {
                    // Two digits below 16 make a byte.
                    Some((high, ..)) => bytes.push((high << 4 | digit) as u8),
                    None => half = Some((digit, found, position)),
                }
            }
        }
    }
    half.map_or(Ok(bytes), |(_, found, position)| Err(PayloadError::HexHalf { found, position }))
}

/// Bytes on one line, as [`parse`] reads them: `0a 0b ff`.
pub fn show(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// Bytes in rows of 16, each with its offset and its ASCII characters.
pub fn dump(bytes: &[u8]) -> String {
    let rows = bytes.chunks(ROW).zip((0..).step_by(ROW)).map(|(row, offset)| {
        let printable =
            |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '.' };
        let ascii: String = row.iter().map(printable).collect();
        format!("{offset:04x}  {:<width$}  {ascii}", show(row), width = ROW * 3 - 1)
    });
    rows.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_shows_bytes() {
        for text in ["0a0bff", "0A 0B FF", "0a:0b:ff", "0x0a0bff", "0x0a 0x0b, 0xff", " 0a-0b.ff\n"]
        {
            assert_eq!(parse(text).unwrap(), [0x0A, 0x0B, 0xFF], "{text}");
        }
        assert_eq!(parse(&show(&[0, 0xAB, 0xFF])), Ok(vec![0, 0xAB, 0xFF]));
        let rows = "0000  68 65 6c 6c 6f 2c 20 64 61 74 61 67 72 61 6d 21  hello, datagram!\n\
                    0010  00 01                                            ..";
        assert_eq!(dump(b"hello, datagram!\x00\x01"), rows);
        assert_eq!(dump(&[]), "");
    }

    #[test]
    fn errors_have_their_position() {
        let digit = |found, position| PayloadError::HexDigit { found, position };
        let half = |found, position| PayloadError::HexHalf { found, position };
        for (text, error) in [
            ("0a xy", digit('x', 4)),
            ("0a\u{e9}", digit('\u{e9}', 3)),
            ("0a0x0b", digit('x', 4)),
            ("0a b 0c", half('b', 4)),
            ("0a0", half('0', 3)),
        ] {
            assert_eq!(parse(text).unwrap_err(), error, "{text}");
        }
        let error = parse("0a b").unwrap_err().to_string();
        assert!(error.contains("such as 0b"), "{error}");
    }
}
