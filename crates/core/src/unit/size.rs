//! Payload sizes: single, in lists, and as a mix.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{UnitError, factor, split_number};

/// The smallest payload in bytes: the data header (see `wire`).
pub const MIN_PAYLOAD: usize = 16;

/// The largest payload in bytes: 65,535 less 20 bytes of IPv4 and 8 of UDP header (RFC 768).
pub const MAX_PAYLOAD: usize = 65_507;

/// Frames of RFC 2544 section 9.1 less 14 bytes Ethernet header, 4 FCS, 20 IPv4 and 8 UDP.
const RFC2544_PAYLOADS: [u16; 7] = [18, 82, 210, 466, 978, 1234, 1472];

/// The simple IMIX of test equipment: frames of 64, 594 and 1518 bytes as 7:4:1, less 46 bytes of
/// headers, without clusters.
const IMIX_CYCLE: [u16; 12] = [18, 548, 18, 18, 548, 18, 1472, 18, 548, 18, 548, 18];

/// Maximum sizes of one list, as `16..65507+1` would make 65,492 cells. Arbitrary.
const MAX_SIZES: usize = 1_024;

/// The payload of a cell. Both ends compute the size of a datagram from its sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PayloadSize {
    /// Every datagram carries this many bytes.
    Fixed(u16),
    /// The simple IMIX, 7:4:1 of 18, 548 and 1472 bytes.
    Imix,
    /// Each has its own length, set by its writer. Cannot be parsed.
    Varied {
        /// The mean in bytes, rounded.
        mean: u16,
        /// The largest in bytes.
        largest: u16,
    },
}

impl PayloadSize {
    /// One size; [`UnitError::SizeRange`] outside 16 to 65,507 bytes.
    pub fn fixed(bytes: u64) -> Result<Self, UnitError> {
        u16::try_from(bytes)
            .ok()
            .filter(|&size| (MIN_PAYLOAD..=MAX_PAYLOAD).contains(&usize::from(size)))
            .map(Self::Fixed)
            .ok_or(UnitError::SizeRange { bytes })
    }

    /// The payload bytes of the datagram with this sequence number.
    #[inline]
    pub const fn at(self, sequence: u64) -> usize {
        match self {
            Self::Imix => IMIX_CYCLE[(sequence % IMIX_CYCLE.len() as u64) as usize] as usize,
            _ => self.largest(),
        }
    }

    /// The largest payload in bytes.
    pub const fn largest(self) -> usize {
        match self {
            Self::Fixed(size) | Self::Varied { largest: size, .. } => size as usize,
            Self::Imix => 1_472,
        }
    }

    /// The mean payload in bytes.
    pub fn mean(self) -> f64 {
        match self {
            Self::Fixed(size) | Self::Varied { mean: size, .. } => f64::from(size),
            Self::Imix => IMIX_CYCLE.map(f64::from).iter().sum::<f64>() / IMIX_CYCLE.len() as f64,
        }
    }
}

impl fmt::Display for PayloadSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => f.pad(&size.to_string()),
            Self::Imix => f.pad("imix"),
            Self::Varied { .. } => f.pad("varied"),
        }
    }
}

impl FromStr for PayloadSize {
    type Err = UnitError;

    fn from_str(word: &str) -> Result<Self, UnitError> {
        if word.eq_ignore_ascii_case("imix") {
            return Ok(Self::Imix);
        }
        Self::fixed(bytes(word)?)
    }
}

/// Parses one element of a size list: a size, `a..b*f` (multiplying), `a..b+s` (adding), `a..b`
/// (doubling), `rfc2544` or `imix`.
pub fn parse_sizes(word: &str) -> Result<Vec<PayloadSize>, UnitError> {
    let word = word.trim();
    if word.eq_ignore_ascii_case("rfc2544") {
        return Ok(RFC2544_PAYLOADS.map(PayloadSize::Fixed).to_vec());
    }
    let Some((from, rest)) = word.split_once("..") else {
        return Ok(vec![word.parse()?]);
    };
    let malformed = || UnitError::Size { word: word.to_owned() };
    let (to, step) = match rest.find(['*', '+']) {
        Some(at) => (&rest[..at], &rest[at..]),
        None => (rest, "*2"),
    };
    let (first, last) = (bytes(from)?, bytes(to)?);
    let by = bytes(&step[1..])?;
    let multiply = step.starts_with('*');
    if first > last || by == 0 || (multiply && by < 2) {
        return Err(malformed());
    }
    let next = |size: &u64| if multiply { size.checked_mul(by) } else { size.checked_add(by) };
    PayloadSize::fixed(last)?;
    let sizes: Vec<_> = std::iter::successors(Some(first), next)
        .take_while(|&size| size <= last)
        .take(MAX_SIZES + 1)
        .map(PayloadSize::fixed)
        .collect::<Result<_, _>>()?;
    if sizes.len() > MAX_SIZES { Err(malformed()) } else { Ok(sizes) }
}

/// Parses a size of memory: K, M, G = 1024, also as `KiB` or `KB`.
pub fn parse_buffer(word: &str) -> Result<usize, UnitError> {
    // The kernel has an int for SO_RCVBUF (net/core/sock.c).
    let value = scaled(word, 1024.0).filter(|value| (1..=i32::MAX as u64).contains(value));
    let error = || UnitError::Count { word: word.to_owned(), what: "bytes", factor: 1024 };
    value.map(|value| value as usize).ok_or_else(error)
}

/// Parses a number of datagrams: K, M, G = 1000.
pub fn parse_count(word: &str) -> Result<u64, UnitError> {
    let error = || UnitError::Count { word: word.to_owned(), what: "datagrams", factor: 1000 };
    scaled(word, 1000.0).filter(|&count| count > 0).ok_or_else(error)
}

/// A payload size in bytes, not yet checked for range.
fn bytes(word: &str) -> Result<u64, UnitError> {
    scaled(word, 1024.0).ok_or_else(|| UnitError::Size { word: word.to_owned() })
}

fn scaled(word: &str, kilo: f64) -> Option<u64> {
    let (number, unit) = split_number(word.trim())?;
    let prefix = unit.strip_suffix("iB").or_else(|| unit.strip_suffix('B')).unwrap_or(unit);
    let value = number * factor(prefix, kilo)?;
    // Above 2^53 a double cannot represent every whole number.
    (value.fract() == 0.0 && value <= 9_007_199_254_740_992.0).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_lists() {
        for (word, sizes) in [
            ("64", &[64][..]),
            ("8K", &[8192]),
            ("64..1024*2", &[64, 128, 256, 512, 1024]),
            ("64..512", &[64, 128, 256, 512]),
            ("64..256+64", &[64, 128, 192, 256]),
            ("100..1000*3", &[100, 300, 900]),
            ("rfc2544", &[18, 82, 210, 466, 978, 1234, 1472]),
        ] {
            let found = parse_sizes(word).unwrap();
            assert!(found.iter().map(|size| size.largest()).eq(sizes.iter().copied()), "{word}");
        }
        assert_eq!(parse_sizes("imix").unwrap(), [PayloadSize::Imix]);
    }

    #[test]
    fn rejects_sizes_out_of_range_and_malformed_lists() {
        for word in ["15", "65508", "0", "1M", "16..70000", "8..64", "4294967360"] {
            assert!(matches!(parse_sizes(word), Err(UnitError::SizeRange { .. })), "{word}");
        }
        for word in
            ["", "x", "64..", "512..64", "64..128*1", "64..128+0", "1.5", "-4", "16..65507+1"]
        {
            assert!(matches!(parse_sizes(word), Err(UnitError::Size { .. })), "{word}");
        }
    }

    #[test]
    fn imix_has_its_ratio() {
        let count = |size| (0..12).filter(|&s| PayloadSize::Imix.at(s) == size).count();
        assert_eq!((count(18), count(548), count(1472)), (7, 4, 1));
        assert!((PayloadSize::Imix.mean() - 315.833).abs() < 0.001);
    }

    #[test]
    fn memory_is_binary_and_counts_are_decimal() {
        assert_eq!(["4M", "4MiB"].map(parse_buffer), [Ok(4 << 20), Ok(4 << 20)]);
        assert_eq!(parse_count("10k"), Ok(10_000));
        assert!(["0", "3G"].map(parse_buffer).iter().all(Result::is_err));
        assert!(parse_count("0").is_err());
    }
}
