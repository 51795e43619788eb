//! How figures of a comparison are written, the same in every format.

use super::document::{
    ComparedCell, Comparison, Effect, EffectKind, InvalidSide, Judgement, Verdict,
};
use super::validity::{BASE, NEW};
use crate::report::format::text::style::{counted, percent};
use crate::unit::{show_bits, show_nanos, show_pps, show_requests};

pub(crate) fn value(unit: &str, value: f64) -> String {
    match unit {
        "share" => percent(value),
        "ns" => show_nanos(value.round() as u64),
        "pps" => show_pps(value),
        "requests_per_second" => show_requests(value),
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
        // A p below the usual limit is not shown as the limit.
        Some(p) if p < 0.05 => format!("{:.4}", p.min(0.0499)),
        Some(p) if p < 0.1 => format!("{p:.4}"),
        Some(p) => format!("{p:.2}"),
    }
}

/// The threshold in the form of the effect: `2%`, or a difference.
fn threshold(judgement: &Judgement) -> String {
    match judgement.effect {
        Some(effect) if effect.kind == EffectKind::Difference => {
            one(judgement, effect, judgement.threshold).trim_start_matches('+').to_owned()
        }
        // Rounded, since 0.07 of 1 is not 7 of 100 in binary.
        _ => format!("{}%", (judgement.threshold * 1e4).round() / 1e2),
    }
}

/// One line: `rx_pps 281 kpps → 253 kpps, -10.0% (-12.1 … -8.0%), p 0.0002, beyond 2%`.
pub(crate) fn sentence(judgement: &Judgement) -> String {
    let [base, new] = [&judgement.base, &judgement.new].map(|side| center(judgement, side.center));
    let wrapped = |text: String, before: &str, after: &str| match text.as_str() {
        "" => text,
        _ => format!("{before}{text}{after}"),
    };
    let threshold = threshold(judgement);
    let parts = [
        format!("{} {base} → {new}", judgement.metric),
        change(judgement) + &wrapped(interval(judgement), " (", ")"),
        wrapped(p(judgement), "p ", ""),
        match judgement.verdict {
            Verdict::Worse | Verdict::Better => format!("beyond {threshold}"),
            Verdict::Same => format!("within {threshold}"),
            Verdict::Undecided | Verdict::CannotCompare => judgement.why.clone(),
        },
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// The headline: the verdict, the changes in rate, loss and latency, and those in costs.
pub(crate) fn headline(comparison: &Comparison) -> String {
    let (base, new) = names(comparison);
    if comparison.verdict == Verdict::CannotCompare {
        let is_invalid = |side: &str| comparison.invalid.iter().any(|one| one.side == side);
        let sides = match (is_invalid(BASE), is_invalid(NEW)) {
            (true, true) => format!("{base} and {new} are"),
            (true, false) => format!("{base} is"),
            (false, _) => format!("{new} is"),
        };
        return format!("cannot compare {new} with {base}: {sides} invalid");
    }
    let mut parts = vec![format!("{new} is {}", summary(comparison))];
    for costs in [false, true] {
        for verdict in [Verdict::Worse, Verdict::Better] {
            let all: Vec<_> = changes(comparison, verdict, costs)
                .map(|(cell, one)| format!("{} {} {}", cell.id, one.metric, change(one)))
                .collect();
            let of = if costs { "costs " } else { "" };
            let named = all[..all.len().min(NAMED)].join(", ");
            let more = match all.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let part = || format!("{of}{}: {named}{more}", verdict.word());
            parts.extend((!all.is_empty()).then(part));
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
fn changes(
    comparison: &Comparison,
    verdict: Verdict,
    costs: bool,
) -> impl Iterator<Item = (&ComparedCell, &Judgement)> {
    let all =
        comparison.cells.iter().flat_map(|cell| cell.metrics.iter().map(move |one| (cell, one)));
    // A cost per datagram is not a property that users of a service see.
    all.filter(move |(_, one)| {
        one.verdict == verdict && one.metric.ends_with("_per_datagram") == costs
    })
}

/// Number of figures in a headline. Arbitrary: they fit in one or two lines.
const NAMED: usize = 4;

/// The verdict, and the number of cells with each.
fn summary(comparison: &Comparison) -> String {
    let verdict = comparison.verdict;
    let is_change = matches!(verdict, Verdict::Worse | Verdict::Better);
    let costs_alone = is_change && changes(comparison, verdict, false).next().is_none();
    let word = format!("{}{}", verdict.word(), if costs_alone { " in costs" } else { "" });
    let counts = [Verdict::Worse, Verdict::Undecided, Verdict::Better, Verdict::Same].map(|of| {
        let count = comparison.cells.iter().filter(|cell| cell.verdict == of).count();
        (count > 0).then(|| format!("{count} {}", of.word()))
    });
    let counts: Vec<_> = counts.into_iter().flatten().collect();
    let cells = counted(comparison.cells.len() as u64, "cell");
    match counts.len() {
        0 | 1 => format!("{word}, {cells}"),
        _ => format!("{word}: of {cells} {}", counts.join(", ")),
    }
}

/// An effect of this size: `-10.0%`.
pub(super) fn one(judgement: &Judgement, effect: Effect, value: f64) -> String {
    match (effect.kind, judgement.unit.as_str()) {
        // Above a factor of ten, percentages are hard to read.
        (EffectKind::Ratio, _) if value >= 10.0 => format!("×{}", digits(value)),
        (EffectKind::Ratio, _) => signed(&format!("{:+.1}", (value - 1.0) * 100.0), "%"),
        (EffectKind::Difference, "share") => {
            let points = value * 100.0;
            let digits = if points.abs() >= 0.095 || points == 0.0 { 1 } else { 3 };
            signed(&format!("{points:+.digits$}"), " points")
        }
        (EffectKind::Difference, unit) => {
            let sign = if value < 0.0 { "-" } else { "+" };
            format!("{sign}{}", self::value(unit, value.abs()))
        }
    }
}

/// `+0.0` and `-0.0` become `0`.
fn signed(number: &str, unit: &str) -> String {
    let is_zero = number.trim_start_matches(['+', '-']).chars().all(|c| c == '0' || c == '.');
    if is_zero { "0".to_owned() + unit } else { format!("{number}{unit}") }
}

/// Three significant digits.
pub(super) fn digits(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let decimals = (2 - value.abs().log10().floor() as i32).clamp(0, 6) as usize;
    format!("{value:.decimals$}")
}

pub(super) fn names(comparison: &Comparison) -> (&'static str, &'static str) {
    if comparison.head.kind == "ab" { ("A", "B") } else { ("base", "new") }
}

#[cfg(test)]
mod tests {
    use super::EffectKind::{Difference, Ratio};
    use super::*;
    use crate::compare::fixture;

    #[test]
    fn effects_depend_on_their_kind_and_unit() {
        for (unit, kind, effect, expected) in [
            ("ns", Ratio, [0.9, 0.88, 0.92], ["-10.0%", "-12.0 … -8.0%"]),
            ("ns", Ratio, [1.0, 1.0, 1.0], ["0%", ""]),
            ("ns", Ratio, [25.0, 9.0, 30.0], ["×25.0", "+800.0% … ×30.0"]),
            ("share", Difference, [0.02, 0.01, 0.03], ["+2.0 points", "+1.0 … +3.0 points"]),
            ("number", Difference, [3.0, 2.0, 4.0], ["+3.00", "+2.00 … +4.00"]),
        ] {
            let judgement = fixture::judgement(["x", unit, "lower"], [1.0; 2], kind, effect);
            assert_eq!([change(&judgement), interval(&judgement)], expected);
            assert_eq!(p(&judgement), "0.0002");
        }
    }

    #[test]
    fn a_p_below_the_limit_is_not_shown_as_the_limit() {
        let mut judgement = fixture::judgement(["x", "ns", "lower"], [1.0; 2], Ratio, [1.0; 3]);
        for (value, shown) in [
            (0.00004, "<0.0001"),
            (0.0101, "0.0101"),
            (0.0496, "0.0496"),
            (0.04998, "0.0499"),
            (0.05, "0.0500"),
            (0.234, "0.23"),
        ] {
            judgement.p_corrected = Some(value);
            assert_eq!(p(&judgement), shown);
        }
    }

    #[test]
    fn headline_lists_costs_apart() {
        let mut comparison = fixture::comparison();
        assert_eq!(
            headline(&comparison),
            "new is worse: of 2 cells 1 worse, 1 undecided; worse: plain/64/max rx_pps -10.0%; \
             better: plain/64/50% p50 -10.0%"
        );
        let metrics = &mut comparison.cells[0].metrics;
        metrics.push(metrics[0].clone());
        "cpu_ns_per_datagram".clone_into(&mut metrics[2].metric);
        let costs = "; costs worse: plain/64/max cpu_ns_per_datagram -10.0%";
        let text = headline(&comparison);
        assert!(text.ends_with(costs), "{text}");
        let metrics = &mut comparison.cells[0].metrics;
        metrics.remove(0);
        metrics.extend(vec![metrics[1].clone(); 6]);
        let text = headline(&comparison);
        assert!(text.starts_with("new is worse in costs: of 2 cells"), "{text}");
        assert!(text.ends_with("cpu_ns_per_datagram -10.0% and 3 more"), "{text}");
    }

    #[test]
    fn values_have_units() {
        for (unit, number, expected) in [
            ("share", 0.0123, "1.23%"),
            ("ns", 3810.0, "3.81 µs"),
            ("number", 0.0, "0"),
            ("number", 1.234, "1.23"),
            ("number", 12345.0, "12345"),
        ] {
            assert_eq!(value(unit, number), expected);
        }
    }
}
