//! How figures of a comparison are written, the same in every format.

use super::document::{
    ComparedCell, Comparison, Effect, EffectKind, InvalidSide, Judgement, Verdict,
};
use crate::report::format::text::style::percent;
use crate::unit::{show_bits, show_nanos, show_pps};

pub(crate) fn value(unit: &str, value: f64) -> String {
    match unit {
        "share" => percent(value),
        "ns" => show_nanos(value.round() as u64),
        "pps" => show_pps(value),
        "bits_per_second" => show_bits(value),
        _ => digits(value),
    }
}

/// The center of a side; a dash if unknown.
pub(crate) fn center(judgement: &Judgement, center: Option<f64>) -> String {
    center.map_or_else(|| "–".to_owned(), |center| value(&judgement.unit, center))
}

/// The effect: `-10.0%`, points for shares, units for differences.
pub(crate) fn change(judgement: &Judgement) -> String {
    judgement.effect.map_or_else(String::new, |effect| one(judgement, effect, effect.value))
}

/// The interval: `-12.1 … -8.0%`.
pub(crate) fn interval(judgement: &Judgement) -> String {
    let Some(effect) = judgement.effect else { return String::new() };
    if effect.low == effect.high {
        return String::new();
    }
    let (low, high) = (one(judgement, effect, effect.low), one(judgement, effect, effect.high));
    let unit: String = high.chars().skip_while(|&c| !c.is_alphabetic() && c != '%').collect();
    format!("{} … {high}", low.trim_end_matches(&unit).trim_end())
}

/// The corrected p in its significant digits.
pub(crate) fn p(judgement: &Judgement) -> String {
    match judgement.p_corrected {
        None => String::new(),
        Some(p) if p < 0.0001 => "<0.0001".to_owned(),
        Some(p) if p < 0.01 => format!("{p:.4}"),
        Some(p) => format!("{p:.2}"),
    }
}

/// The threshold in the form of the effect: `2%`, or a difference.
pub(crate) fn threshold(judgement: &Judgement) -> String {
    match judgement.effect {
        Some(effect) if effect.kind == EffectKind::Difference => {
            one(judgement, effect, judgement.threshold).trim_start_matches('+').to_owned()
        }
        // Rounded, since 0.07 of 1 is not 7 of 100 in binary.
        _ => format!("{}%", (judgement.threshold * 1e4).round() / 1e2),
    }
}

/// One figure in a line: `rx_pps 281 kpps → 253 kpps, -10.0% (-12.1 … -8.0%), p 0.0002, beyond
/// 2%`.
pub(crate) fn sentence(judgement: &Judgement) -> String {
    let (base, new) = (&judgement.base, &judgement.new);
    let (base, new) = (center(judgement, base.center), center(judgement, new.center));
    let mut parts = vec![format!("{} {base} → {new}", judgement.metric)];
    let mut effect = change(judgement);
    let interval = interval(judgement);
    if !interval.is_empty() {
        effect.push_str(&format!(" ({interval})"));
    }
    parts.push(effect);
    let p = p(judgement);
    if !p.is_empty() {
        parts.push(format!("p {p}"));
    }
    let threshold = threshold(judgement);
    parts.push(match judgement.verdict {
        Verdict::Worse | Verdict::Better => format!("beyond {threshold}"),
        Verdict::Same => format!("within {threshold}"),
        Verdict::Undecided | Verdict::CannotCompare => judgement.why.clone(),
    });
    parts.retain(|part| !part.is_empty());
    parts.join(", ")
}

/// The headline: the verdict, the changes in rate, loss and latency, and those in costs.
pub(crate) fn headline(comparison: &Comparison) -> String {
    let (base, new) = names(comparison);
    if comparison.verdict == Verdict::CannotCompare {
        let reasons = named(comparison.invalid.iter().map(|reason| {
            let side = if reason.side == "base" { base } else { new };
            format!("{side} is invalid: {}", self::reason(reason))
        }));
        return format!("cannot compare {new} with {base}: {reasons}");
    }
    let mut parts = vec![format!("{new} is {}", summary(comparison))];
    for costs in [false, true] {
        for verdict in [Verdict::Worse, Verdict::Better] {
            let moved = named(moved(comparison, verdict, costs).map(|(cell, judgement)| {
                format!("{} {} {}", cell.id, judgement.metric, change(judgement))
            }));
            let of = if costs { "costs " } else { "" };
            parts.extend((!moved.is_empty()).then(|| format!("{of}{}: {moved}", verdict.word())));
        }
    }
    parts.join("; ")
}

/// Why a side is invalid: `plain/64/max: none of 100 datagrams arrived; … (10 of 10 runs)`.
pub(crate) fn reason(reason: &InvalidSide) -> String {
    let cell = reason.cell.as_ref().map_or_else(String::new, |cell| format!("{cell}: "));
    format!("{cell}{} ({} of {} runs)", reason.message, reason.runs, reason.of)
}

/// The figures with this verdict: either costs, or all others.
fn moved(
    comparison: &Comparison,
    verdict: Verdict,
    costs: bool,
) -> impl Iterator<Item = (&ComparedCell, &Judgement)> {
    let all =
        comparison.cells.iter().flat_map(|cell| cell.metrics.iter().map(move |one| (cell, one)));
    all.filter(move |(_, judgement)| {
        judgement.verdict == verdict && is_cost(&judgement.metric) == costs
    })
}

/// Whether a metric is a cost per datagram, not a property that users of a service see.
fn is_cost(metric: &str) -> bool {
    metric.ends_with("_per_datagram")
}

/// Number of figures or reasons in a headline. Arbitrary: they fit in one or two lines.
const NAMED: usize = 4;

/// The first few, and how many more there are; empty without any.
fn named(all: impl Iterator<Item = String>) -> String {
    let all: Vec<_> = all.collect();
    let more = all.len().saturating_sub(NAMED);
    let first = all[..all.len() - more].join(", ");
    if more > 0 { format!("{first} and {more} more") } else { first }
}

/// The verdict, and the number of cells with each.
fn summary(comparison: &Comparison) -> String {
    let all = comparison.cells.len();
    let verdict = comparison.verdict;
    let is_move = matches!(verdict, Verdict::Worse | Verdict::Better);
    let costs_alone = is_move && moved(comparison, verdict, false).next().is_none();
    let word = format!("{}{}", verdict.word(), if costs_alone { " in costs" } else { "" });
    let counts = [Verdict::Worse, Verdict::Undecided, Verdict::Better, Verdict::Same].map(|of| {
        let count = comparison.cells.iter().filter(|cell| cell.verdict == of).count();
        (of.word(), count)
    });
    let counts: Vec<_> =
        counts.iter().filter(|(_, n)| *n > 0).map(|(word, n)| format!("{n} {word}")).collect();
    let cells = if all == 1 { "1 cell".to_owned() } else { format!("{all} cells") };
    if counts.len() < 2 {
        return format!("{word}, {cells}");
    }
    format!("{word}: of {cells} {}", counts.join(", "))
}

fn one(judgement: &Judgement, effect: Effect, value: f64) -> String {
    match (effect.kind, judgement.unit.as_str()) {
        // Above a factor of ten, percentages are hard to read.
        (EffectKind::Ratio, _) if value >= 10.0 => format!("×{}", digits(value)),
        (EffectKind::Ratio, _) => signed(&format!("{:+.1}", (value - 1.0) * 100.0), "%"),
        (EffectKind::Difference, "share") => {
            let points = value * 100.0;
            let shown = if points.abs() >= 0.095 || points == 0.0 {
                format!("{points:+.1}")
            } else {
                format!("{points:+.3}")
            };
            signed(&shown, " points")
        }
        (EffectKind::Difference, unit) => {
            let sign = if value < 0.0 { "-" } else { "+" };
            format!("{sign}{}", self::value(unit, value.abs()))
        }
    }
}

/// `+0.0` and `-0.0` become `0`.
fn signed(number: &str, unit: &str) -> String {
    let nothing = number.trim_start_matches(['+', '-']).chars().all(|c| c == '0' || c == '.');
    if nothing { "0".to_owned() + unit } else { format!("{number}{unit}") }
}

/// Three significant digits.
pub(super) fn digits(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let decimals = (2 - value.abs().log10().floor() as i32).clamp(0, 6) as usize;
    format!("{value:.decimals$}")
}

/// The names of the two sides.
pub(super) fn names(comparison: &Comparison) -> (&'static str, &'static str) {
    if comparison.head.kind == "ab" { ("A", "B") } else { ("base", "new") }
}

/// The smallest and the largest run; `None` without runs, or if one is not a number.
pub(super) fn ends(runs: &[Option<f64>]) -> Option<(f64, f64)> {
    let runs: Vec<f64> = runs.iter().copied().collect::<Option<_>>()?;
    let low = runs.iter().copied().min_by(f64::total_cmp)?;
    Some((low, runs.iter().copied().max_by(f64::total_cmp)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judgement(
        unit: &'static str,
        kind: EffectKind,
        value: f64,
        low: f64,
        high: f64,
    ) -> Judgement {
        let effect = Effect { kind, value, low, high };
        super::super::fixture::judgement(["x", unit, "lower"], [1.0; 2], effect)
    }

    #[test]
    fn effects_are_written_by_their_kind() {
        let of = |unit, kind, value, low, high| {
            let judgement = judgement(unit, kind, value, low, high);
            (change(&judgement), interval(&judgement))
        };
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        use EffectKind::{Difference, Ratio};
        assert_eq!(of("ns", Ratio, 0.9, 0.88, 0.92), pair("-10.0%", "-12.0 … -8.0%"));
        assert_eq!(of("ns", Ratio, 1.0, 1.0, 1.0), pair("0%", ""));
        assert_eq!(of("ns", Ratio, 25.0, 9.0, 30.0), pair("×25.0", "+800.0% … ×30.0"));
        assert_eq!(
            of("share", Difference, 0.02, 0.01, 0.03),
            pair("+2.0 points", "+1.0 … +3.0 points")
        );
        assert_eq!(of("number", Difference, 3.0, 2.0, 4.0), pair("+3.00", "+2.00 … +4.00"));
        assert_eq!(p(&judgement("ns", Ratio, 1.0, 1.0, 1.0)), "0.0002");
    }

    #[test]
    fn a_headline_names_what_users_see_and_lists_costs_apart() {
        let mut comparison = super::super::fixture::comparison();
        assert_eq!(
            headline(&comparison),
            "new is worse: of 2 cells 1 worse, 1 undecided; worse: plain/64/max rx_pps -10.0%; \
             better: plain/64/50% p50 -10.0%"
        );
        let cost = Judgement {
            metric: "cpu_ns_per_datagram".to_owned(),
            ..comparison.cells[0].metrics[0].clone()
        };
        comparison.cells[0].metrics.push(cost);
        let said = headline(&comparison);
        assert!(said.ends_with("; costs worse: plain/64/max cpu_ns_per_datagram -10.0%"), "{said}");
        comparison.cells[0].metrics.remove(0);
        let said = headline(&comparison);
        assert!(said.starts_with("new is worse in costs: of 2 cells"), "{said}");
        let more = vec![comparison.cells[0].metrics[1].clone(); 6];
        comparison.cells[0].metrics.extend(more);
        let said = headline(&comparison);
        assert!(said.ends_with("cpu_ns_per_datagram -10.0% and 3 more"), "{said}");
    }

    #[test]
    fn a_headline_says_which_side_cannot_be_compared_and_why() {
        let mut comparison = super::super::fixture::comparison();
        comparison.verdict = Verdict::CannotCompare;
        comparison.invalid = vec![InvalidSide {
            side: "base".to_owned(),
            cell: Some("plain/64/max".to_owned()),
            code: "nothing_arrived".to_owned(),
            message: "none of 9 datagrams arrived".to_owned(),
            runs: 3,
            of: 10,
        }];
        assert_eq!(
            headline(&comparison),
            "cannot compare new with base: base is invalid: plain/64/max: none of 9 datagrams \
             arrived (3 of 10 runs)"
        );
    }

    #[test]
    fn figures_have_their_units() {
        assert_eq!(value("share", 0.0123), "1.23%");
        assert_eq!(value("ns", 3810.0), "3.81 µs");
        assert_eq!(value("number", 0.0), "0");
        assert_eq!(value("number", 1.234), "1.23");
        assert_eq!(value("number", 12345.0), "12345");
    }
}
