//! Numbers with units: the only time type, packet and bit rates, payload sizes; parsing and
//! printing of each. Also functions that all modules share: a hash of integers, medians, and
//! removal of control characters from text.

mod hash;
mod median;
mod nanos;
mod rate;
mod show;
mod size;
mod text;

pub use hash::{hash_nth, hash_u64};
pub use median::{lower_median, median};
pub use nanos::Nanos;
pub use rate::{MAX_PPS, PacketRate, Rate};
pub use show::{show_bits, show_bytes, show_nanos, show_nanos_above, show_pps};
pub use size::{MAX_PAYLOAD, MIN_PAYLOAD, PayloadSize, parse_buffer, parse_count, parse_sizes};
pub use text::{Keep, strip_control};

/// The saturating sum of counts, which may be from a document or a peer.
pub fn sum_counts(counts: impl IntoIterator<Item = u64>) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}

/// A word that is not a number with a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages describe the variants")]
pub enum UnitError {
    #[error("'{asked}' is not a duration; use seconds as a plain number, or 500ms, 10s, 2m")]
    Duration { asked: String },
    #[error("'{asked}' is not a rate; use max, 100k (datagrams/s), 1Gbit (payload bits/s) or 50%")]
    Rate { asked: String },
    #[error("rate '{asked}' is out of range; {range}")]
    RateRange { asked: String, range: &'static str },
    #[error(
        "'{asked}' is not a payload size; use bytes such as 64 or 8K, a range 64..1024*2 or \
         64..256+64, rfc2544 or imix"
    )]
    Size { asked: String },
    #[error(
        "payload size {asked} is out of range; use 16 bytes (the udperf header) to 65507 bytes \
         (the largest UDP payload over IPv4)"
    )]
    SizeRange { asked: String },
    #[error("'{asked}' is not a number of {what}; use a whole number, K/M/G = {factor}")]
    Count { asked: String, what: &'static str, factor: u64 },
}

/// Splits a number from the letters behind it: `"1.5Gbit"` gives `(1.5, "Gbit")`.
fn split_number(word: &str) -> Option<(f64, &str)> {
    let end = word.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(word.len());
    let number: f64 = word.get(..end)?.parse().ok()?;
    number.is_finite().then_some((number, word.get(end..)?.trim_start()))
}

/// The factor that one of the letters K, M, G, T stands for, with `kilo` as the base; 1 for "".
fn prefix(letter: &str, kilo: f64) -> Option<f64> {
    Some(match letter {
        "" => 1.0,
        "k" | "K" => kilo,
        "m" | "M" => kilo.powi(2),
        "g" | "G" => kilo.powi(3),
        "t" | "T" => kilo.powi(4),
        _ => return None,
    })
}
