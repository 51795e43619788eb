//! Numbers of fixed width, which are written in place, and decimals without leading zeros.

use std::fmt;

/// Digits of 2⁶⁴ - 1 in base 10 and 16.
const LONGEST_DEC: u8 = 20;
const LONGEST_HEX: u8 = 16;
/// Bits of [`Number::Plain`], which every JSON parser preserves, and their digits; RFC 8259 §6.
const PLAIN_BITS: u32 = 53;
const PLAIN_DIGITS: usize = 16;
const PLAIN_MASK: u64 = (1 << PLAIN_BITS) - 1;

/// A format of numbers; one that is too large loses its highest digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number {
    /// So many bytes in network byte order: `u8`, `u16be`, `u24be`, `u32be`, `u48be`, `u64be`.
    Be(u8),
    /// So many bytes in little-endian order: `u16le`, `u24le`, `u32le`, `u48le`, `u64le`.
    Le(u8),
    /// So many hexadecimal digits in lower case: `hex1` to `hex16`.
    Hex(u8),
    /// So many decimal digits: `dec1` to `dec20`.
    Dec(u8),
    /// Decimal digits without leading zeros, as in JSON, of the lowest 53 bits: `dec`.
    Plain,
}

impl Number {
    /// Reads `u16be`, `hex8`, `dec10` and the like; `None` for anything else.
    pub fn parse(word: &str) -> Option<Self> {
        let count = |digits: &str, longest: u8| {
            let count = digits.parse().ok().filter(|_| !digits.starts_with('+'))?;
            (1..=longest).contains(&count).then_some(count)
        };
        Some(match word {
            "u8" => Self::Be(1),
            "u16be" => Self::Be(2),
            "u32be" => Self::Be(4),
            "u24be" => Self::Be(3),
            "u48be" => Self::Be(6),
            "u64be" => Self::Be(8),
            "u16le" => Self::Le(2),
            "u32le" => Self::Le(4),
            "u24le" => Self::Le(3),
            "u48le" => Self::Le(6),
            "u64le" => Self::Le(8),
            "dec" => Self::Plain,
            _ => match word.split_at_checked(3)? {
                ("hex", digits) => Self::Hex(count(digits, LONGEST_HEX)?),
                ("dec", digits) => Self::Dec(count(digits, LONGEST_DEC)?),
                _ => return None,
            },
        })
    }

    /// Bytes it takes at most.
    pub const fn width(self) -> usize {
        match self {
            Self::Be(count) | Self::Le(count) | Self::Hex(count) | Self::Dec(count) => {
                count as usize
            }
            Self::Plain => PLAIN_DIGITS,
        }
    }

    /// Whether the bytes it takes depend on the number.
    pub const fn varies(self) -> bool {
        matches!(self, Self::Plain)
    }

    /// Bytes that this number takes.
    #[inline]
    pub const fn width_of(self, value: u64) -> usize {
        match self {
            Self::Plain => match (value & PLAIN_MASK).checked_ilog10() {
                Some(log) => log as usize + 1,
                None => 1,
            },
            _ => self.width(),
        }
    }

    /// Bits of a number that always fit, 1 to 64.
    pub const fn bits(self) -> u32 {
        match self {
            Self::Be(count) | Self::Le(count) => 8 * count as u32,
            Self::Hex(count) => 4 * count as u32,
            Self::Dec(count) if count >= LONGEST_DEC => u64::BITS,
            Self::Dec(count) => 10_u64.pow(count as u32).ilog2(),
            Self::Plain => PLAIN_BITS,
        }
    }

    /// Whether it is written in ASCII characters.
    pub const fn is_text(self) -> bool {
        matches!(self, Self::Hex(_) | Self::Dec(_) | Self::Plain)
    }

    /// Writes a number over `out`, which is as long as [`Self::width_of`].
    #[inline]
    pub fn write(self, mut value: u64, out: &mut [u8]) {
        let set = |(byte, of): (&mut u8, u8)| *byte = of;
        match self {
            // Known lengths make single stores.
            Self::Be(_) => match out {
                [a] => *a = value as u8,
                [a, b] => [*a, *b] = (value as u16).to_be_bytes(),
                [a, b, c, d] => [*a, *b, *c, *d] = (value as u32).to_be_bytes(),
                [a, b, c, d, e, f, g, h] => {
                    [*a, *b, *c, *d, *e, *f, *g, *h] = value.to_be_bytes();
                }
                _ => out.iter_mut().rev().zip(value.to_le_bytes()).for_each(set),
            },
            Self::Le(_) => out.iter_mut().zip(value.to_le_bytes()).for_each(set),
            Self::Hex(_) => {
                for byte in out.iter_mut().rev() {
                    let digit = (value & 0xF) as u8;
                    *byte = if digit < 10 { b'0' + digit } else { b'a' + digit - 10 };
                    value >>= 4;
                }
            }
            Self::Dec(_) | Self::Plain => {
                if self == Self::Plain {
                    value &= PLAIN_MASK;
                }
                // Two at a time: half as many dependent divisions.
                for pair in out.rchunks_mut(2) {
                    let low = (value % 100) as u8;
                    value /= 100;
                    if let [tens, ones] = pair {
                        (*tens, *ones) = (b'0' + low / 10, b'0' + low % 10);
                    } else if let [ones] = pair {
                        *ones = b'0' + low % 10;
                    }
                }
            }
        }
    }

    /// Reads the number that all these bytes are; `None` if they are none.
    #[inline]
    pub fn read_all(self, bytes: &[u8]) -> Option<u64> {
        let is_all = match self {
            Self::Plain => bytes.iter().all(u8::is_ascii_digit),
            _ => bytes.len() == self.width(),
        };
        if is_all { self.read(bytes, 0) } else { None }
    }

    /// Reads the number at `offset`; `None` if there is none.
    #[inline]
    pub fn read(self, bytes: &[u8], offset: usize) -> Option<u64> {
        let bytes = bytes.get(offset..)?;
        let is_end = |byte: &u8| !byte.is_ascii_digit();
        let width = match self {
            Self::Plain => bytes.iter().position(is_end).unwrap_or(bytes.len()),
            _ => self.width(),
        };
        let bytes = bytes.get(..width)?;
        match self {
            Self::Plain if !(1..=PLAIN_DIGITS).contains(&width) => None,
            Self::Be(_) => Some(match *bytes {
                [a, b] => u16::from_be_bytes([a, b]).into(),
                [a, b, c, d, e, f, g, h] => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
                _ => bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
            }),
            Self::Le(_) => {
                Some(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
            }
            Self::Hex(_) => bytes.iter().try_fold(0, |sum: u64, byte| {
                Some(sum << 4 | u64::from(char::from(*byte).to_digit(16)?))
            }),
            Self::Dec(_) | Self::Plain => bytes.iter().try_fold(0, |sum: u64, byte| {
                let digit = char::from(*byte).to_digit(10)?;
                sum.checked_mul(10)?.checked_add(digit.into())
            }),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Be(1) | Self::Le(1) => f.write_str("u8"),
            Self::Be(count) => write!(f, "u{}be", 8 * u32::from(*count)),
            Self::Le(count) => write!(f, "u{}le", 8 * u32::from(*count)),
            Self::Hex(count) => write!(f, "hex{count}"),
            Self::Dec(count) => write!(f, "dec{count}"),
            Self::Plain => f.write_str("dec"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_at_their_width() {
        for (word, value, bytes) in [
            ("u8", 0x102, &[2][..]),
            ("u16be", 0x102, &[1, 2]),
            ("u16le", 0x102, &[2, 1]),
            ("u24be", 0x0102_0304, &[2, 3, 4]),
            ("u24le", 0x0102_0304, &[4, 3, 2]),
            ("u48be", 0x0102, &[0, 0, 0, 0, 1, 2]),
            ("u48le", 0x0102, &[2, 1, 0, 0, 0, 0]),
            ("dec", 0, b"0"),
            ("dec", 1_042, b"1042"),
            ("dec", u64::MAX, b"9007199254740991"),
            ("u32be", 0x102, &[0, 0, 1, 2]),
            ("u64le", u64::MAX - 1, &[0xFE, 255, 255, 255, 255, 255, 255, 255]),
            ("hex8", 0xBEEF, b"0000beef"),
            ("hex2", 0xBEEF, b"ef"),
            ("dec3", 1_042, b"042"),
            ("dec20", u64::MAX, b"18446744073709551615"),
        ] {
            let number = Number::parse(word).unwrap();
            let mut out = vec![0; number.width_of(value)];
            number.write(value, &mut out);
            assert_eq!((&out[..], number.to_string().as_str()), (bytes, word));
        }
        assert_eq!(Number::Dec(3).bits(), 9, "512 <= 1000 < 1024");
    }

    #[test]
    fn invalid_formats_and_digits_are_not_read() {
        for (number, bytes, offset, value) in [
            (Number::Be(2), &[1, 2][..], 1, None),
            (Number::Be(2), &[1, 2], usize::MAX, None),
            (Number::Dec(3), b"1x3", 0, None),
            // Beyond 64 bits.
            (Number::Dec(20), b"99999999999999999999", 0, None),
            (Number::Hex(2), b"BE", 0, Some(0xBE)),
            (Number::Plain, b"[17]", 1, Some(17)),
            (Number::Plain, b"[]", 1, None),
            (Number::Plain, b"12345678901234567", 0, None),
        ] {
            assert_eq!(number.read(bytes, offset), value, "{number}");
        }
        for word in ["", "u40be", "hex0", "hex17", "dec21", "dec0", "hex+4", "u16", "DEC3"] {
            assert_eq!(Number::parse(word), None, "{word}");
        }
    }
}
