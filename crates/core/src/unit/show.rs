//! How numbers with units are shown to people: three significant digits, decimal prefixes for
//! rates and counts, binary ones for memory.

/// A duration: `0 ns`, `830 ns`, `12.3 µs`, `4.56 ms`, `1.20 s`.
pub fn show_nanos(ns: u64) -> String {
    let value = ns as f64;
    // What rounds to 1000 of a unit belongs to the next one.
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

/// A bit rate: `1.20 Gbit/s`.
pub fn show_bits(bits_per_second: f64) -> String {
    format!("{}bit/s", prefixed(bits_per_second))
}

/// Memory: `212992` is `208 KiB`.
pub fn show_bytes(bytes: u64) -> String {
    let value = bytes as f64;
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{} KiB", trimmed(value / 1_024.0)),
        1_048_576..1_073_741_824 => format!("{} MiB", trimmed(value / 1_048_576.0)),
        _ => format!("{} GiB", trimmed(value / 1_073_741_824.0)),
    }
}

/// A number and its decimal prefix, separated by a space: `271 k`, `1.20 G`, `12 `.
fn prefixed(value: f64) -> String {
    // 999.5 k and above rounds to 1000 k, which belongs to the next prefix.
    let (scaled, letter) = scaled(value, 0.9995);
    format!("{} {letter}", digits(scaled))
}

/// Scales a number by the largest decimal prefix that leaves it at or above `least`.
pub(super) fn scaled(value: f64, least: f64) -> (f64, &'static str) {
    [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")]
        .into_iter()
        .find(|(factor, _)| value >= factor * least)
        .map_or((value, ""), |(factor, letter)| (value / factor, letter))
}

/// Three significant digits.
fn digits(value: f64) -> String {
    match value {
        v if v >= 99.95 => format!("{v:.0}"),
        v if v >= 9.995 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// At most one decimal, none where it would be zero.
fn trimmed(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_whatever_the_magnitude() {
        assert_eq!(show_nanos(0), "0 ns");
        assert_eq!(show_nanos(999), "999 ns");
        assert_eq!(show_nanos(1_234), "1.23 µs");
        assert_eq!(show_nanos(999_499), "999 µs");
        assert_eq!(show_nanos(999_500), "1.00 ms");
        assert_eq!(show_nanos(63_000_000), "63.0 ms");
        assert_eq!(show_nanos(999_999_999), "1.00 s");
        assert_eq!(show_nanos(1_200_000_000), "1.20 s");
        assert_eq!(show_pps(271_345.0), "271 kpps");
        assert_eq!(show_pps(999_700.0), "1.00 Mpps");
        assert_eq!(show_pps(12.0), "12.0 pps");
        assert_eq!(show_bits(1.234e9), "1.23 Gbit/s");
        assert_eq!(show_bytes(212_992), "208 KiB");
        assert_eq!(show_bytes(4 << 20), "4 MiB");
    }

    #[test]
    fn an_upper_limit_is_never_rounded_down() {
        let shown =
            [0, 300, 999, 20_543, 80_649_999, 99_940_000, 999_500_000].map(show_nanos_above);
        let expected = ["1 ns", "301 ns", "1.00 µs", "20.6 µs", "80.7 ms", "100 ms", "1.00 s"];
        assert_eq!(shown, expected);
        assert_eq!(show_nanos_above(u64::MAX), show_nanos(u64::MAX));
    }
}
