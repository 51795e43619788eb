//! The first line of a page: whether the run is valid, what it found, and what to fix first.

use super::element;
use crate::document::Report;
use crate::report::checks::fail_if::gate_rows;
use crate::report::format::text::style::percent;
use crate::report::format::text::{Figure, Outline, Row, TableModel, p99};
use crate::unit::show_nanos;

/// Why the run is invalid or failed, or else what it found; then the warning to heed first.
pub(super) fn verdict(report: &Report, outline: &Outline) -> String {
    // These say what to fix.
    if !outline.invalid.is_empty() {
        let invalid = outline.invalid.iter().map(|text| element("p class=\"invalid\"", text));
        return invalid.collect();
    }
    let mut out = String::new();
    let gates = gate_rows(report);
    let failed: Vec<_> = gates.iter().filter(|gate| gate[3].starts_with("failed")).collect();
    if let [first, ..] = failed[..] {
        let (of, [gate, cell, value, _]) = (gates.len(), &first[..]) else { return out };
        let more = if failed.len() > 1 { "; the first: " } else { ": " };
        let text = format!("Failed: {} of {of} gates{more}{gate} in {cell}, {value}", failed.len());
        out += &element("p class=\"invalid\"", &text);
    } else {
        let passed = match gates.len() {
            0 => None,
            1 => Some("the gate passed".to_owned()),
            all => Some(format!("all {all} gates passed")),
        };
        let found: Vec<_> = passed.into_iter().chain(found(report)).collect();
        out += &element("p class=\"valid\"", &format!("Valid: {}", found.join("; ")));
    }
    if let Some((message, about)) = outline.warnings.first().filter(|_| outline.is_distorted) {
        let about = if about.is_empty() { String::new() } else { format!(" [{about}]") };
        out += &element("p class=\"doubt\"", &format!("Fix first: {message}{about}"));
    }
    out
}

/// The highest rate, the highest loss and the lowest p99, each with its cell if there are several.
fn found(report: &Report) -> Vec<String> {
    let table = TableModel::of(report);
    let is_one = table.rows.len() == 1;
    let name = |row: &Row<'_>| match is_one {
        true => String::new(),
        false => format!(" ({})", table.name(row)),
    };
    // Rates of super-packets that were never split are not comparable.
    let is_any_split = table.rows.iter().any(|row| !row.is_unsplit());
    let comparable = table.rows.iter().filter(|row| !(is_any_split && row.is_unsplit()));
    let rates = comparable.filter_map(|row| Some((row, row.pps()?)));
    let losses = table.rows.iter().filter_map(|row| Some((row, row.worst_loss()?)));
    let latencies = table.rows.iter().filter_map(|row| match row.percentile(0.99, p99) {
        Figure::Known(ns) => Some((row, ns)),
        _ => None,
    });
    let highest = |all: &mut dyn Iterator<Item = (&Row<'_>, f64)>| {
        all.map(|(row, value)| (name(row), value))
            .reduce(|best, one| if one.1 > best.1 { one } else { best })
    };
    let (most, least) = if is_one { ("", "") } else { ("up to ", "at best ") };
    let (outcome, lost) = (table.outcome(), if table.has_requests { "no reply" } else { "lost" });
    let show = table.show_rate();
    let rate = highest(&mut { rates });
    let rate = rate.map(|(name, pps)| format!("{most}{} {outcome}{name}", show(pps)));
    let loss = highest(&mut { losses }).map(|(name, share)| match share > 0.0 {
        true => format!("{most}{} {lost}{name}", percent(share)),
        false => format!("0 {lost}"),
    });
    let p99 = latencies.min_by_key(|(_, ns)| *ns);
    let p99 = p99.map(|(row, ns)| format!("p99 {least}{}{}", show_nanos(ns), name(row)));
    [rate, loss, p99].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::checks::fail_if::gates;
    use crate::report::fixture;
    use crate::report::format::text::outline;

    fn shown(report: &Report) -> Vec<String> {
        let lines = verdict(report, &outline(report));
        lines.lines().map(|line| line.replace("</p>", "").replace("<p class=\"", "")).collect()
    }

    #[test]
    fn the_first_line_says_what_was_found_or_what_failed() {
        let mut report = fixture::default_run();
        let lines = shown(&report);
        let found = "valid\">Valid: up to 312 kpps delivered (batch/64); up to 0.12% lost \
                     (offload/64); p99 at best 74.9 µs (plain/64)";
        assert_eq!(lines[0], found);
        assert!(lines[1].starts_with("doubt\">Fix first: GSO met GRO on loopback"), "{lines:?}");
        let conditions = ["rx_pps<1k", "loss>0.1%"].map(|text| text.parse().unwrap());
        report.gates = gates(&report, &conditions);
        let failed = "invalid\">Failed: 1 of 36 gates: loss&gt;0.1% in offload/64/max, 0.1209%";
        assert_eq!(shown(&report)[0], failed);
        report.cells.truncate(2);
        (report.warnings, report.gates) = (Vec::new(), gates(&report, &conditions[..1]));
        let valid = "valid\">Valid: the gate passed; 271 kpps delivered; 0 lost; p99 74.9 µs";
        assert_eq!(shown(&report), [valid]);
        report.cells[0].ledger.received = Some(0);
        (report.invalid_because, report.valid) = (Vec::new(), false);
        let lines = shown(&report);
        assert!(lines[0].starts_with("invalid\">Invalid: ") && lines.len() == 1, "{lines:?}");
    }
}
