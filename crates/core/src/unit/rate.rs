//! Rates of datagrams, as requested and as scheduled.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{UnitError, factor, scaled, split_number};

/// The highest packet rate: almost three times the rate of the fastest socket path, and the highest
/// at which a schedule skips missed slots faster than they are due (6 ns per slot, measured).
pub const MAX_PPS: u64 = 100_000_000;

/// The resolution of [`PacketRate`]. Arbitrary: bit rates are met within 1e-6 from 1 kpps on.
const MILLI: f64 = 1e3;

/// A packet rate from 0.001 to 10⁸ datagrams a second: an integer, so that schedules never drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PacketRate {
    milli_pps: u64,
}

impl PacketRate {
    /// Whether a rate received from a peer is within range.
    pub const fn is_sound(self) -> bool {
        0 < self.milli_pps && self.milli_pps <= MAX_PPS * 1_000
    }

    /// The nearest rate; [`UnitError::RateRange`] below 0.001 or above [`MAX_PPS`].
    pub fn from_pps(pps: f64) -> Result<Self, UnitError> {
        let milli = (pps * MILLI).round();
        if !(1.0..=MAX_PPS as f64 * MILLI).contains(&milli) {
            let range = "0.001 to 100M datagrams a second are possible";
            return Err(UnitError::RateRange { word: pps.to_string(), range });
        }
        // The range check above keeps the value far below 2^53.
        Ok(Self { milli_pps: milli as u64 })
    }

    /// Thousandths of a datagram a second; at least 1.
    pub const fn milli_pps(self) -> u64 {
        self.milli_pps
    }

    /// A thousand datagrams a second.
    pub const KILO: Self = Self { milli_pps: 1_000_000 };

    /// Datagrams a second.
    pub fn pps(self) -> f64 {
        self.milli_pps as f64 / MILLI
    }
}

/// A requested rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// As fast as the engine goes.
    Max,
    /// Datagrams a second.
    Pps(PacketRate),
    /// Bits of payload a second.
    Bits(f64),
    /// This share (0.5 for 50 %) of what `max` delivered for the same size and engine.
    OfMax(f64),
}

impl Rate {
    /// The packet rate at a payload of `mean_bytes`; `None` for [`Rate::Max`] and [`Rate::OfMax`];
    /// [`UnitError::RateRange`] if it is outside [`PacketRate`].
    pub fn at_size(self, mean_bytes: f64) -> Result<Option<PacketRate>, UnitError> {
        match self {
            Self::Max | Self::OfMax(_) => Ok(None),
            Self::Pps(rate) => Ok(Some(rate)),
            Self::Bits(bits) => PacketRate::from_pps(bits / (mean_bytes * 8.0)).map(Some),
        }
    }
}

impl FromStr for Rate {
    type Err = UnitError;

    fn from_str(word: &str) -> Result<Self, UnitError> {
        let malformed = || UnitError::Rate { word: word.to_owned() };
        let range = |range| UnitError::RateRange { word: word.to_owned(), range };
        let trimmed = word.trim();
        if trimmed.eq_ignore_ascii_case("max") {
            return Ok(Self::Max);
        }
        let (number, unit) = split_number(trimmed).ok_or_else(malformed)?;
        if unit == "%" {
            if !(number > 0.0 && number <= 100.0) {
                return Err(range("a share of max lies above 0 % and at most at 100 %"));
            }
            return Ok(Self::OfMax(number / 100.0));
        }
        let lower = unit.to_ascii_lowercase();
        let bits = lower.strip_suffix("bit").or_else(|| lower.strip_suffix("bps"));
        let prefix = bits.unwrap_or_else(|| lower.strip_suffix("pps").unwrap_or(&lower));
        let value = number * factor(prefix, 1e3).ok_or_else(malformed)?;
        if bits.is_some() {
            // The bounds are those of PacketRate at the smallest and largest payload; arbitrary.
            if !(1.0..=1e15).contains(&value) {
                return Err(range("1bit to 1000Tbit are possible"));
            }
            return Ok(Self::Bits(value));
        }
        PacketRate::from_pps(value)
            .map(Self::Pps)
            .map_err(|_| range("0.001 to 100M datagrams a second are possible; 0 sends nothing"))
    }
}

impl fmt::Display for Rate {
    /// The shortest word that reads back as the same rate: `max`, `100k`, `1Gbit`, `50%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Max => f.write_str("max"),
            Self::Pps(rate) => f.write_str(&short(rate.pps())),
            Self::Bits(bits) => write!(f, "{}bit", short(bits)),
            Self::OfMax(share) => write!(f, "{}%", tidy(share * 100.0)),
        }
    }
}

fn short(value: f64) -> String {
    let (scaled, letter) = scaled(value, 1e3, 1.0);
    format!("{}{letter}", tidy(scaled))
}

/// Removes the error of binary fractions: 50.00000000000001 becomes 50.
fn tidy(value: f64) -> f64 {
    (value * 1e9).round() / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_shows_rates() {
        let pps = |pps| Rate::Pps(PacketRate::from_pps(pps).unwrap());
        for (word, rate, shown) in [
            ("max", Rate::Max, "max"),
            ("100k", pps(100_000.0), "100k"),
            ("100kpps", pps(100_000.0), "100k"),
            ("1.25M", pps(1_250_000.0), "1.25M"),
            ("1Gbit", Rate::Bits(1e9), "1Gbit"),
            ("10Mbps", Rate::Bits(1e7), "10Mbit"),
            ("50%", Rate::OfMax(0.5), "50%"),
            ("12.5%", Rate::OfMax(0.125), "12.5%"),
        ] {
            assert_eq!(word.parse(), Ok(rate));
            assert_eq!(rate.to_string(), shown);
        }
        assert_eq!(Rate::Bits(1e9).at_size(64.0), PacketRate::from_pps(1_953_125.0).map(Some));
    }

    #[test]
    fn rejects_zero_and_invalid_rates() {
        for word in ["0", "0%", "101%", "2G", "1e9", "-5", "fast", "", "k", "10q", "9999999Tbit"] {
            assert!(word.parse::<Rate>().is_err(), "{word}");
        }
    }
}
