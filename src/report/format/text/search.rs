//! The text of a search: its results, and the latency at each rate up to them.

use super::rows::INFINITE;
use super::style::{Color, GAP, Styler, align, counted, dotted, percent, wrap};
use super::table::UNKNOWN;
use super::{NARROWEST, Style, head, warnings};
use crate::document::{
    CurvePoint, Found, LimitedBy, Report, SearchDocument, TrialCount, TrialVerdict,
};
use crate::unit::show_nanos;

/// The result of a search as text, ending in a line break.
#[must_use]
pub fn search(document: &SearchDocument, style: Style) -> String {
    let styler = Styler { color: style.color };
    let width = style.width.max(NARROWEST);
    let mut parts: Vec<_> = head::invalid(&document.report, styler, width).into_iter().collect();
    parts.extend([head::draw(&document.report, styler, width), goals(document, styler, width)]);
    let asks = document.report.cells.iter().any(|cell| cell.exchange.is_some());
    for found in &document.searches {
        let mut lines = result(found, styler, width);
        lines.extend(notes(found, styler, width));
        parts.push(lines.join("\n"));
        if !found.curve.is_empty() {
            parts.push(curve(found, asks, styler));
        }
    }
    if document.searches.is_empty() {
        parts.push(styler.paint(Color::Warning, "Partial: no result yet."));
    }
    parts.extend(warnings::draw(&passing(document), Style { width, ..style }));
    parts.join("\n\n") + "\n"
}

fn goals(document: &SearchDocument, styler: Styler, width: usize) -> String {
    let mut items = vec![format!("the highest rate of {} with", document.inner)];
    items[0] = format!("{} {}", items[0], document.goals.join(" and "));
    items.extend(
        document.searches.first().map(|found| format!("within {}", percent(found.precision))),
    );
    styler.paint_lines(Color::Quiet, wrap(&dotted(&items), width, 2)).join("\n")
}

/// One result: `64 B gso+batch  243 kpps passed (2 of 2) · 245 kpps failed (0 of 2) · …`.
fn result(found: &Found, styler: Styler, width: usize) -> Vec<String> {
    let tried = |of: Option<TrialCount>| {
        of.map_or_else(String::new, |of| format!(" ({} of {})", of.k, of.n))
    };
    let mut items = vec![match found.low_pps {
        Some(low) => {
            let low = styler.paint(Color::Good, &rate(low));
            format!("{low} passed{}", tried(found.passed))
        }
        None if found.limited_by == LimitedBy::NotSettled => "no rate found".to_owned(),
        None => styler.paint(Color::Bad, "no rate passed"),
    }];
    items
        .extend(found.high_pps.map(|high| format!("{} failed{}", rate(high), tried(found.failed))));
    let there = found.p99_ns.filter(|_| found.low_pps.is_some());
    let at_low = found.curve.iter().find(|point| Some(point.rate_pps) == found.low_pps);
    let loss = at_low.and_then(|point| point.loss);
    items.extend(there.map(|ns| format!("p99 {} there", percentile(ns, 0.99, loss))));
    items.push(match found.limited_by {
        LimitedBy::Target => "limit: the target".to_owned(),
        LimitedBy::Generator => styler.paint(Color::Warning, "limit: the generator"),
        LimitedBy::MaxRate => "limit: --max-rate".to_owned(),
        LimitedBy::NotSettled => styler.paint(Color::Warning, "not settled"),
    });
    let label = format!("{} B {}", found.size, found.engine);
    let title = styler.paint(Color::Title, &label);
    wrap(
        &format!("{}  {}", crate::report::format::text::style::glue(&title), dotted(&items)),
        width,
        2,
    )
}

fn notes(found: &Found, styler: Styler, width: usize) -> Vec<String> {
    let mut notes = Vec::new();
    match (found.limited_by, found.generator_pps) {
        (LimitedBy::Generator, Some(most)) => notes.push(format!(
            "The target handles at least that; the generator's maximum was {}.",
            rate(most)
        )),
        (LimitedBy::Generator, None) => notes.push(
            "The generator was late or lost replies above it, so the target may take more."
                .to_owned(),
        ),
        (LimitedBy::NotSettled, _) => notes.push(format!(
            "The search ended undecided: {}.",
            if found.disturbed.saturating_mul(2) > found.trials.len() as u64 {
                "stop other programs on this machine"
            } else {
                "use longer trials (--time), or more of them (--repeat)"
            }
        )),
        _ => {}
    }
    if let Some(verified) = found.verified {
        let (at, of) = (rate(verified.rate_pps), verified.of);
        notes.push(format!("At {at} goals held in {} of {of} trials.", verified.passed));
    }
    if found.disturbed > 0 {
        let all = found.trials.len() as u64;
        notes.push(format!(
            "{} of {} disturbed: workers stalled, or the generator was late; they were repeated, \
             and counted as failed only if all repeats were disturbed, too.",
            found.disturbed,
            if all == 1 { "1 trial was".to_owned() } else { counted(all, "trial") + " were" }
        ));
    }
    if notes.is_empty() {
        return Vec::new();
    }
    let lines = wrap(&notes.join(" "), width.saturating_sub(2), 0);
    let indented = lines.into_iter().map(|line| format!("  {line}")).collect();
    styler.paint_lines(Color::Quiet, indented)
}

fn curve(found: &Found, asks: bool, styler: Styler) -> String {
    let (delivered, lost) = if asks { ("answered", "no reply") } else { ("delivered", "lost") };
    let titles = ["rate", delivered, lost, "p50", "p99", "held"];
    let titles = titles.map(|title| styler.paint(Color::Quiet, title)).to_vec();
    let row = |point| row(point).map(|figure| styler.figure(&figure)).to_vec();
    let rows: Vec<_> = [titles].into_iter().chain(found.curve.iter().map(row)).collect();
    // Apart from the text before it.
    let lines = align(&rows, |_| false);
    lines.lines().map(|line| format!("{:GAP$}{line}", "")).collect::<Vec<_>>().join("\n")
}

fn row(point: &CurvePoint) -> [String; 6] {
    let known = |figure: Option<String>| figure.unwrap_or_else(|| UNKNOWN.to_owned());
    [
        rate(point.rate_pps),
        known(point.delivered_pps.map(rate)),
        known(point.loss.map(percent)),
        known(point.p50_ns.map(|ns| percentile(ns, 0.5, point.loss))),
        known(point.p99_ns.map(|ns| percentile(ns, 0.99, point.loss))),
        format!("{}/{}", point.passed, point.trials),
    ]
}

/// A percentile; infinite if it falls among lost datagrams.
fn percentile(ns: u64, quantile: f64, loss: Option<f64>) -> String {
    match loss {
        Some(loss) if loss > 1.0 - quantile => INFINITE.to_owned(),
        _ => show_nanos(ns),
    }
}

/// The report with the cells of passed trials only, because failed ones have warnings by design.
fn passing(document: &SearchDocument) -> Report {
    let trials = document.searches.iter().flat_map(|found| &found.trials);
    // Those that have cells, in the order of the cells.
    let decided = trials.filter(|trial| matches!(trial.purpose.as_str(), "final" | "verify"));
    let cells = document.report.cells.iter().zip(decided);
    let passed = cells.filter(|(_, trial)| trial.verdict == TrialVerdict::Pass);
    let cells = passed.map(|(cell, _)| cell.clone()).collect();
    Report { cells, ..document.report.clone() }
}

/// A rate with enough digits to distinguish the two bounds: `243.1 kpps`.
fn rate(pps: f64) -> String {
    let (value, prefix) = match pps {
        pps if pps >= 999_950.0 => (pps / 1e6, "M"),
        pps if pps >= 999.95 => (pps / 1e3, "k"),
        pps => (pps, ""),
    };
    let decimals = match value {
        value if value >= 999.95 => 0,
        value if value >= 99.995 => 1,
        value if value >= 9.9995 => 2,
        _ => 3,
    };
    format!("{value:.decimals$} {prefix}pps")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{ProbeFigures, TrialDocument, TrialFigures, Verified};
    use crate::report::fixture;

    fn trial(rate_pps: f64, verdict: TrialVerdict) -> TrialDocument {
        TrialDocument {
            rate_pps,
            time_ns: 2_000_000_000,
            purpose: "final".to_owned(),
            sent_pps: rate_pps,
            verdict,
            invalid_because: Vec::new(),
            figures: TrialFigures::default(),
        }
    }

    fn document() -> SearchDocument {
        let point = |rate_pps, passed, loss| CurvePoint {
            rate_pps,
            trials: 2,
            delivered_pps: Some(rate_pps * (1.0 - loss)),
            loss: Some(loss),
            p50_ns: Some(83_200),
            p99_ns: Some(170_000),
            passed,
        };
        let mut passed = fixture::cell("plain", 64, "243100", 243_100.0);
        passed.warnings.push(fixture::warning("stalls", "workers stood still"));
        let mut failed = fixture::cell("plain", 64, "245000", 245_000.0);
        failed.warnings.push(fixture::warning("no_reply", "as it should be"));
        let found = Found {
            id: "plain/64".to_owned(),
            size: 64,
            engine: "plain".to_owned(),
            low_pps: Some(243_100.0),
            high_pps: Some(245_000.0),
            limited_by: LimitedBy::Target,
            passed: Some(TrialCount { k: 2, n: 2 }),
            failed: Some(TrialCount { k: 0, n: 2 }),
            trial_ns: 2_000_000_000,
            precision: 0.01,
            p99_ns: Some(170_000),
            verified: Some(Verified { rate_pps: 218_790.0, passed: 2, of: 2 }),
            generator_pps: None,
            disturbed: 1,
            probe: ProbeFigures { delivered_pps: Some(250e3), sent_pps: 300e3 },
            curve: vec![point(24_310.0, 1, 0.0), point(245e3, 0, 0.02)],
            trials: vec![trial(243_100.0, TrialVerdict::Pass), trial(245e3, TrialVerdict::Fail)],
        };
        SearchDocument {
            report: fixture::report_of(vec![passed, failed]),
            inner: "bench".to_owned(),
            goals: vec!["loss<=0.1%".to_owned(), "p99<=200us".to_owned()],
            searches: vec![found],
        }
    }

    fn text(document: &SearchDocument) -> String {
        search(document, Style { color: false, width: 110, verbose: false })
    }

    #[test]
    fn a_result_is_a_line_and_its_curve_a_table() {
        let text = text(&document());
        for part in [
            "the highest rate of bench with loss<=0.1% and p99<=200us · within 1.00%",
            "64 B plain 243.1 kpps passed (2 of 2) · 245.0 kpps failed (0 of 2) · \
             p99 170 µs there · limit: the target\n",
            "At 218.8 kpps goals held in 2 of 2 trials. 1 of 2 trials were disturbed",
            "delivered   lost      p50     p99  held\n",
            "245.0 kpps  240.1 kpps  2.00%  83.2 µs       ∞   0/2",
            "! workers stood still",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains("as it should be"), "{text}");
    }

    #[test]
    fn the_limit_of_a_search_is_shown() {
        let mut document = document();
        let found = &mut document.searches[0];
        (found.limited_by, found.generator_pps) = (LimitedBy::Generator, Some(1.2e6));
        let shown = text(&document);
        assert!(shown.contains("the generator's maximum was 1.200 Mpps"), "{shown}");
        let found = &mut document.searches[0];
        (found.low_pps, found.limited_by) = (None, LimitedBy::NotSettled);
        let shown = text(&document);
        assert!(shown.contains("no rate found · 245.0 kpps failed"), "{shown}");
        document.searches.clear();
        assert!(text(&document).contains("Partial"));
    }

    #[test]
    fn a_search_reads_back_and_its_trials_are_rows() {
        let document = document();
        // All that every report has, is there.
        crate::report::schema::read_back(&document, crate::report::schema::RUN);
        let csv = crate::report::format::csv::trials(&document).unwrap();
        let lines: Vec<_> = csv.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[2], "plain/64,245000,2000000000,final,245000,,,,,fail");
    }

    #[test]
    fn rates_have_four_digits() {
        let shown = [40.0, 999.96, 20_202.0, 999_960.0, 9_876_543.0].map(rate);
        assert_eq!(shown, ["40.00 pps", "1.000 kpps", "20.20 kpps", "1.000 Mpps", "9.877 Mpps"]);
    }
}
