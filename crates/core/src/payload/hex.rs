//! Bytes as people write them: two hexadecimal digits for each.

use std::fmt::Write;

use super::PayloadError;

/// Bytes in a row of a dump. As all hex dumps have it.
const ROW: usize = 16;
/// What may stand between bytes, besides white space.
const BETWEEN: [char; 4] = [':', '-', ',', '.'];

/// Reads bytes: two digits each, with or without white space, `:`, `-`, `,` or `.` between them,
/// and with or without `0x` before them. Nothing at all is no bytes.
///
/// # Errors
/// [`PayloadError::HexDigit`] and [`PayloadError::HexHalf`], with the place.
pub fn parse(text: &str) -> Result<Vec<u8>, PayloadError> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    // The first digit of a byte, and where it stands.
    let mut half: Option<(u32, char, usize)> = None;
    let mut word_begins = true;
    let mut characters = text.chars().zip(1..).peekable();
    while let Some((found, position)) = characters.next() {
        if found.is_whitespace() || BETWEEN.contains(&found) {
            if let Some((_, found, position)) = half {
                return Err(PayloadError::HexHalf { found, position });
            }
            word_begins = true;
            continue;
        }
        let prefix = found == '0' && matches!(characters.peek(), Some(('x' | 'X', _)));
        if word_begins && prefix {
            characters.next();
            word_begins = false;
            continue;
        }
        word_begins = false;
        let digit = found.to_digit(16).ok_or(PayloadError::HexDigit { found, position })?;
        match half.take() {
            // Two digits below 16 make a byte.
            Some((high, ..)) => bytes.push((high << 4 | digit) as u8),
            None => half = Some((digit, found, position)),
        }
    }
    match half {
        Some((_, found, position)) => Err(PayloadError::HexHalf { found, position }),
        None => Ok(bytes),
    }
}

/// Bytes on one line, as [`parse`] reads them: `0a 0b ff`.
pub fn show(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 3);
    for byte in bytes {
        let blank = if text.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{blank}{byte:02x}");
    }
    text
}

/// Bytes in rows of 16, each with its offset and its ASCII characters.
pub fn dump(bytes: &[u8]) -> String {
    let rows = bytes.chunks(ROW).zip((0..).step_by(ROW)).map(|(row, offset)| {
        let printable = |byte: &u8| byte.is_ascii_graphic() || *byte == b' ';
        let ascii = row.iter().map(|byte| if printable(byte) { char::from(*byte) } else { '.' });
        let ascii = ascii.collect::<String>();
        format!("{offset:04x}  {:<width$}  {ascii}", show(row), width = ROW * 3 - 1)
    });
    rows.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_as_people_write_it() {
        for text in ["0a0bff", "0A 0B FF", "0a:0b:ff", "0x0a0bff", "0x0a 0x0b, 0xff", " 0a-0b.ff\n"]
        {
            assert_eq!(parse(text).unwrap(), [0x0A, 0x0B, 0xFF], "{text}");
        }
        assert_eq!(parse("").unwrap(), [0_u8; 0]);
        assert_eq!(parse("00").unwrap(), [0]);
    }

    #[test]
    fn errors_name_the_place() {
        for (text, error) in [
            ("0a xy", PayloadError::HexDigit { found: 'x', position: 4 }),
            ("0a\u{e9}", PayloadError::HexDigit { found: '\u{e9}', position: 3 }),
            ("0a0x0b", PayloadError::HexDigit { found: 'x', position: 4 }),
            ("0a b 0c", PayloadError::HexHalf { found: 'b', position: 4 }),
            ("0a0", PayloadError::HexHalf { found: '0', position: 3 }),
        ] {
            assert_eq!(parse(text).unwrap_err(), error, "{text}");
        }
        let error = parse("0a b").unwrap_err().to_string();
        assert!(error.contains("such as 0b"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn reading_ends_well_or_names_a_place(text in "[0-9a-fxX:, .\u{e9}]{0,40}") {
            let characters = text.chars().count();
            match parse(&text) {
                Ok(bytes) => assert_eq!(parse(&show(&bytes)), Ok(bytes)),
                Err(PayloadError::HexDigit { found, position })
                | Err(PayloadError::HexHalf { found, position }) => {
                    assert!((1..=characters).contains(&position));
                    assert_eq!(text.chars().nth(position - 1), Some(found));
                }
                Err(other) => panic!("{other}"),
            }
        }
    }

    #[test]
    fn a_dump_has_offsets_and_characters() {
        let rows = "0000  68 65 6c 6c 6f 2c 20 64 61 74 61 67 72 61 6d 21  hello, datagram!\n\
                    0010  00 01                                            ..";
        assert_eq!(dump(b"hello, datagram!\x00\x01"), rows);
        assert_eq!((dump(&[]), show(&[0, 0xAB])), (String::new(), "00 ab".to_owned()));
    }
}
