//! Numbers with units: the only time type, packet and bit rates, payload sizes; parsing and
//! printing of each. Also functions that all modules share.

mod code;
mod nanos;
mod nearest;
mod rate;
mod size;

pub use code::{ErrorCode, ErrorName};
pub use nanos::Nanos;
pub use nearest::{did_you_mean, nearest};
pub use rate::{MAX_PPS, PacketRate, Rate};
pub use size::{MAX_PAYLOAD, MIN_PAYLOAD, PayloadSize, parse_buffer, parse_count, parse_sizes};

/// The saturating sum of counts, which may be from a document or a peer.
pub fn sum_counts(counts: impl IntoIterator<Item = u64>) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}

/// A word that is not a number with a unit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages describe the variants")]
pub enum UnitError {
    #[error("'{word}' is not a duration; use seconds as a plain number, or 500ms, 10s, 2m")]
    Duration { word: String },
    #[error("'{word}' is not a rate; use max, 100k (datagrams/s), 1Gbit (payload bits/s) or 50%")]
    Rate { word: String },
    #[error("rate '{word}' is out of range; {range}")]
    RateRange { word: String, range: &'static str },
    #[error(
        "'{word}' is not a payload size; use bytes such as 64 or 8K, a range 64..1024*2 or \
         64..256+64, rfc2544 or imix"
    )]
    Size { word: String },
    #[error(
        "payload size {bytes} is out of range; use 16 bytes (the udperf header) to 65507 bytes \
         (the largest UDP payload over IPv4)"
    )]
    SizeRange { bytes: u64 },
    #[error("'{word}' is not a number of {what}; use a whole number, K/M/G = {factor}")]
    Count { word: String, what: &'static str, factor: u64 },
}

/// Splits a number from the letters after it: `"1.5Gbit"` gives `(1.5, "Gbit")`.
fn split_number(word: &str) -> Option<(f64, &str)> {
    let end = word.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(word.len());
    let (number, unit) = word.split_at(end);
    let number: f64 = number.parse().ok()?;
    number.is_finite().then_some((number, unit.trim_start()))
}

/// The prefixes of units, and the power of 1000 or 1024 that each stands for.
const PREFIXES: [(&str, i32); 4] = [("T", 4), ("G", 3), ("M", 2), ("k", 1)];

fn factor(prefix: &str, kilo: f64) -> Option<f64> {
    let found = PREFIXES.iter().find(|(letter, _)| prefix.eq_ignore_ascii_case(letter));
    found.map(|(_, power)| kilo.powi(*power)).or_else(|| prefix.is_empty().then_some(1.0))
}

/// Scales a number by the largest prefix that leaves it at or above `least`.
fn scaled(value: f64, kilo: f64, least: f64) -> (f64, &'static str) {
    let scales = PREFIXES.map(|(letter, power)| (kilo.powi(power), letter));
    let found = scales.into_iter().find(|(factor, _)| value >= factor * least);
    found.map_or((value, ""), |(factor, letter)| (value / factor, letter))
}

/// The median; between the two middle values their mean. `None` without values.
pub fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    let upper = values.get(values.len() / 2)?;
    Some(f64::midpoint(values[(values.len() - 1) / 2], *upper))
}

/// The lower of the two middle values, which was measured. `None` without values.
pub fn lower_median<T: PartialOrd>(values: impl IntoIterator<Item = T>) -> Option<T> {
    let mut values: Vec<T> = values.into_iter().collect();
    values.sort_unstable_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    (!values.is_empty()).then(|| values.swap_remove((values.len() - 1) / 2))
}

/// The increment of SplitMix64: 2⁶⁴ divided by the golden ratio, odd.
const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// The hash of an integer: each bit of the input changes half of the output on average. A
/// bijection.
#[inline]
pub const fn hash_u64(value: u64) -> u64 {
    hash_nth(value, 0)
}

/// Value `n` of the sequence `key`: output `n` of SplitMix64 (Steele, Lea, Flood: Fast splittable
/// pseudorandom number generators, 2014) with the state `key`.
#[inline]
pub const fn hash_nth(key: u64, n: u64) -> u64 {
    let value = key.wrapping_add(n.wrapping_add(1).wrapping_mul(GAMMA));
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

/// Control characters that [`strip_control`] keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// None: the text is part of a line.
    Nothing,
    /// Line breaks.
    Lines,
    /// Line breaks, and the colours of a terminal (SGR, ECMA-48 section 8.3.117).
    LinesAndColors,
}

/// Whether a character controls a terminal or page, or changes what the text around it looks like:
/// control characters, line and paragraph separators, and embeddings, overrides and isolates of the
/// bidirectional algorithm (Unicode Standard Annex 9, section 2).
pub fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Replaces control characters by blanks, so that foreign text cannot control the terminal.
pub fn strip_control(text: &str, keep: Keep) -> String {
    let is_stripped = |c: char| is_control(c) && (c != '\n' || keep == Keep::Nothing);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_stripped) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(len) = color_len(rest).filter(|_| keep == Keep::LinesAndColors) {
            out.push_str(&rest[..len]);
            rest = &rest[len..];
        } else {
            out.push(' ');
            rest = rest.strip_prefix(is_stripped).unwrap_or_default();
        }
    }
    out + rest
}

/// The length of the colour command that the text begins with.
fn color_len(text: &str) -> Option<usize> {
    let after = text.strip_prefix("\u{1b}[")?;
    let end = after.find(|c: char| !(c.is_ascii_digit() || c == ';'))?;
    after[end..].starts_with('m').then(|| text.len() - after.len() + end + 1)
}

/// A duration: `0 ns`, `830 ns`, `12.3 µs`, `4.56 ms`, `1.20 s`.
pub fn show_nanos(ns: u64) -> String {
    let value = ns as f64;
    // 999.5 and above would round to 1000 of a unit.
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..999_500 => format!("{} µs", digits(value / 1e3)),
        999_500..999_500_000 => format!("{} ms", digits(value / 1e6)),
        _ => format!("{} s", digits(value / 1e9)),
    }
}

/// An upper limit: the smallest duration in three digits that is longer than `ns`.
pub fn show_nanos_above(ns: u64) -> String {
    let step = 10_u64.pow(ns.checked_ilog10().map_or(0, |power| power.saturating_sub(2)));
    show_nanos((ns / step).saturating_add(1).saturating_mul(step))
}

/// A packet rate: `271 kpps`.
pub fn show_pps(pps: f64) -> String {
    format!("{}pps", prefixed(pps))
}

/// A rate of requests: `271k requests/s`.
pub fn show_requests(per_second: f64) -> String {
    format!("{} requests/s", show_number(per_second))
}

/// What the rates of a run count, which decides their unit in text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RateUnit {
    #[default]
    /// Datagrams per second.
    Packets,
    /// Requests per second.
    Requests,
}

impl RateUnit {
    /// The unit for requests, or for other datagrams.
    pub const fn of(are_requests: bool) -> Self {
        if are_requests { Self::Requests } else { Self::Packets }
    }

    /// The unit for runs of this kind.
    pub fn of_kind(kind: &str) -> Self {
        Self::of(matches!(kind, "load" | "ping"))
    }

    /// Shows a rate: `271 kpps`, `271k requests/s`.
    pub const fn show(self) -> fn(f64) -> String {
        match self {
            Self::Packets => show_pps,
            Self::Requests => show_requests,
        }
    }

    /// Shows a rate where there is no room for the unit: `271 kpps`, `271k/s`.
    pub const fn show_short(self) -> fn(f64) -> String {
        match self {
            Self::Packets => show_pps,
            Self::Requests => |per_second| show_number(per_second) + "/s",
        }
    }

    /// The unit after a number and its prefix.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Packets => "pps",
            Self::Requests => " requests/s",
        }
    }
}

/// A number and its decimal prefix: `271k`, `1.20G`, `12.0`.
pub fn show_number(value: f64) -> String {
    prefixed(value).replace(' ', "")
}

/// A bit rate: `1.20 Gbit/s`.
pub fn show_bits(bits_per_second: f64) -> String {
    format!("{}bit/s", prefixed(bits_per_second))
}

/// A count in full, so that ledgers add up, with separators: `40,043,438`.
pub fn grouped(count: u64) -> String {
    group_digits(&count.to_string())
}

/// The digits of a count of any size, with separators.
pub fn group_digits(digits: &str) -> String {
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

/// Memory: `212992` is `208 KiB`.
pub fn show_bytes(bytes: u64) -> String {
    match scaled(bytes as f64, 1_024.0, 1.0) {
        (_, "") => format!("{bytes} B"),
        (value, prefix) => {
            // At most one decimal, none if it would be zero.
            let text = format!("{value:.1}");
            let text = text.strip_suffix(".0").unwrap_or(&text);
            format!("{text} {}iB", prefix.to_ascii_uppercase())
        }
    }
}

/// A number and its decimal prefix, separated by a space: `271 k`, `1.20 G`, `12 `.
fn prefixed(value: f64) -> String {
    // 999.5 and above would round to 1000.
    let (scaled, letter) = scaled(value, 1e3, 0.9995);
    format!("{} {letter}", digits(scaled))
}

fn digits(value: f64) -> String {
    match value {
        v if v >= 99.95 => format!("{v:.0}"),
        v if v >= 9.995 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_the_outputs_of_splitmix64() {
        // The first outputs of the generator for the state 1234567.
        assert_eq!(hash_nth(1_234_567, 0), 6_457_827_717_110_365_317);
        assert_eq!(hash_nth(1_234_567, 1), 3_203_168_211_198_807_973);
        assert_eq!(hash_u64(1_234_567), hash_nth(1_234_567, 0));
    }

    #[test]
    fn computes_medians() {
        assert_eq!((median([]), lower_median::<u64>([])), (None, None));
        for (values, mean, lower) in [
            (vec![9.0, 1.0, 4.0], 4.0, 4.0),
            (vec![4.0, 1.0], 2.5, 1.0),
            (vec![9.0, 4.0, 7.0, 1.0], 5.5, 4.0),
            (vec![f64::INFINITY, f64::INFINITY], f64::INFINITY, f64::INFINITY),
        ] {
            assert_eq!(median(values.clone()), Some(mean), "{values:?}");
            assert_eq!(lower_median(values.clone()), Some(lower), "{values:?}");
        }
    }

    #[test]
    fn strips_control_characters() {
        let text = "a\u{1b}]0;title\u{7}b\rc\u{9b}2Jd\te\n\u{1b}[31mµ\u{7f}";
        let plain = "a ]0;title b c 2Jd e";
        assert_eq!(strip_control(text, Keep::Nothing), format!("{plain}  [31mµ "));
        assert_eq!(strip_control(text, Keep::Lines), format!("{plain}\n [31mµ "));
        let colored = strip_control(text, Keep::LinesAndColors);
        assert_eq!(colored, format!("{plain}\n\u{1b}[31mµ "));
        let reordered = "\u{202a}a\u{202e}b\u{2066}c\u{2069}\u{2028}d\u{200f}";
        assert_eq!(strip_control(reordered, Keep::Lines), " a b c  d\u{200f}");
        // Commands that only start like a colour.
        let cut = "\u{1b}[2J\u{1b}[31mx\u{1b}[";
        assert_eq!(strip_control(cut, Keep::LinesAndColors), " [2J\u{1b}[31mx [");
    }

    #[test]
    fn shows_three_digits() {
        for (shown, expected) in [
            (show_nanos(0), "0 ns"),
            (show_nanos(999), "999 ns"),
            (show_nanos(1_234), "1.23 µs"),
            (show_nanos(999_499), "999 µs"),
            (show_nanos(999_500), "1.00 ms"),
            (show_nanos(63_000_000), "63.0 ms"),
            (show_nanos(999_999_999), "1.00 s"),
            (show_pps(271_345.0), "271 kpps"),
            (show_pps(999_700.0), "1.00 Mpps"),
            (show_pps(12.0), "12.0 pps"),
            (show_bits(1.234e9), "1.23 Gbit/s"),
            (show_bytes(1_000), "1000 B"),
            (show_bytes(212_992), "208 KiB"),
            (show_bytes(4 << 20), "4 MiB"),
        ] {
            assert_eq!(shown, expected);
        }
    }

    #[test]
    fn upper_limits_are_never_rounded_down() {
        let shown =
            [0, 300, 999, 20_543, 80_649_999, 99_940_000, 999_500_000].map(show_nanos_above);
        let expected = ["1 ns", "301 ns", "1.00 µs", "20.6 µs", "80.7 ms", "100 ms", "1.00 s"];
        assert_eq!(shown, expected);
        assert_eq!(show_nanos_above(u64::MAX), show_nanos(u64::MAX));
    }
}
