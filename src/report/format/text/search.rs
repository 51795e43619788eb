//! The text of a search: its results, and the latency at each rate up to them.

use super::rows::Figure;
use super::style::{
    Color, GAP, MIN_WIDTH, Style, Styler, UNKNOWN, align, counted, dotted, no_break, percent, wrap,
};
use super::table::{Grid, Title};
use super::{head, listed, plain, warnings};
use crate::document::{
    CurvePoint, Found, LimitedBy, Report, SearchDocument, TrialCount, TrialDocument, TrialVerdict,
};
use crate::report::checks::validity::invalid_lines;
use crate::unit::{RateUnit, show_nanos};

pub(crate) fn search(document: &SearchDocument, style: Style) -> String {
    let styler = Styler { color: style.color };
    let style = Style { width: style.width.max(MIN_WIDTH), ..style };
    let (width, unit) = (style.width, RateUnit::of_kind(&document.inner));
    let mut parts = head::lines(&document.report, styler, width);
    parts.push(styler.paragraph(Color::Quiet, &goals(document), width));
    for found in &document.searches {
        let mut lines = wrap(&result(found, unit, styler), width, 2);
        let notes = wrap(&notes(found, unit), width.saturating_sub(2), 0).into_iter();
        let notes = notes.filter(|line| !line.is_empty()).map(|line| format!("  {line}"));
        lines.extend(styler.paint_lines(Color::Quiet, notes.collect()));
        parts.push(lines.join("\n"));
        if !found.curve.is_empty() {
            parts.push(draw_curve(&curve(found, unit), styler));
        }
        parts.extend(draw_failed(&failed_trials(found, unit), styler, width));
    }
    if document.searches.is_empty() {
        parts.push(styler.paint(Color::Warning, "Partial: no result yet."));
    }
    parts.extend(warnings::draw(&warnings::lines(&passing(document)), style));
    parts.join("\n\n") + "\n"
}

/// The content of a search's text without its layout, for formats that lay it out themselves.
pub(in crate::report) struct SearchOutline<'a> {
    pub(in crate::report) invalid: Vec<String>,
    pub(in crate::report) title: String,
    pub(in crate::report) settings: Vec<String>,
    pub(in crate::report) results: Vec<ResultOutline<'a>>,
    /// As in the outline of a run.
    pub(in crate::report) warnings: Vec<(String, String)>,
}

/// The result for one size and engine.
pub(in crate::report) struct ResultOutline<'a> {
    pub(in crate::report) found: &'a Found,
    pub(in crate::report) result: String,
    pub(in crate::report) notes: String,
    pub(in crate::report) curve: Grid,
    /// Trials that did not pass.
    pub(in crate::report) failed: Grid,
}

pub(in crate::report) fn search_outline(document: &SearchDocument) -> SearchOutline<'_> {
    let (report, styler) = (&document.report, Styler { color: false });
    let unit = RateUnit::of_kind(&document.inner);
    let result = |found| ResultOutline {
        found,
        result: plain(result(found, unit, styler)),
        notes: notes(found, unit),
        curve: curve(found, unit),
        failed: failed_trials(found, unit),
    };
    let settings = head::settings(report).into_iter().chain([goals(document)]);
    SearchOutline {
        invalid: invalid_lines(report),
        title: plain(head::title(report, styler)),
        settings: settings.map(plain).collect(),
        results: document.searches.iter().map(result).collect(),
        warnings: listed(warnings::lines(&passing(document))),
    }
}

fn goals(document: &SearchDocument) -> String {
    let goals = document.goals.join(" and ");
    let mut items = vec![format!("the highest rate of {} with {goals}", document.inner)];
    let precision = document.searches.first().map(|found| found.precision);
    items.extend(precision.map(|share| format!("within {}", percent(share))));
    items.extend(document.budget_ns.map(|ns| format!("budget {}", show_nanos(ns))));
    dotted(&items)
}

/// One result: `64 B gso+batch  243 kpps passed (2 of 2) · 245 kpps failed (0 of 2) · …`.
fn result(found: &Found, unit: RateUnit, styler: Styler) -> String {
    let rate = |pps| rate(pps, unit);
    let of = |trials: Option<TrialCount>| {
        trials.map_or_else(String::new, |of| format!(" ({} of {})", of.k, of.n))
    };
    let mut items = vec![match found.low_pps {
        Some(low) => {
            format!("{} passed{}", styler.paint(Color::Good, &rate(low)), of(found.passed))
        }
        None if found.limited_by == LimitedBy::NotSettled => "no rate found".to_owned(),
        None => styler.paint(Color::Bad, "no rate passed"),
    }];
    items.extend(found.high_pps.map(|high| format!("{} failed{}", rate(high), of(found.failed))));
    let p99_ns = found.p99_ns.filter(|_| found.low_pps.is_some());
    let at_low = found.curve.iter().find(|point| Some(point.rate_pps) == found.low_pps);
    let loss = at_low.and_then(|point| point.loss);
    items.extend(p99_ns.map(|ns| format!("p99 {} there", with_loss(Some(ns), 0.99, loss).show())));
    items.push(match found.limited_by {
        LimitedBy::Target => "limit: the target".to_owned(),
        LimitedBy::Generator => styler.paint(Color::Warning, "limit: the generator"),
        LimitedBy::MaxRate => "limit: --max-rate".to_owned(),
        LimitedBy::NotSettled if is_out_of_budget(found) => {
            styler.paint(Color::Warning, "the budget ended the search")
        }
        LimitedBy::NotSettled => styler.paint(Color::Warning, "not settled"),
    });
    let label = styler.paint(Color::Title, &format!("{} B {}", found.size, found.engine));
    format!("{} {}", no_break(&label), dotted(&items))
}

fn notes(found: &Found, unit: RateUnit) -> String {
    let rate = |pps| rate(pps, unit);
    let all = found.trials.len() as u64;
    let limit = match (found.limited_by, found.generator_pps) {
        (LimitedBy::Generator, Some(most)) => {
            let most = rate(most);
            format!("The target handles at least that; the generator's maximum was {most}.")
        }
        (LimitedBy::Generator, None) => {
            "The generator was late or lost replies above it, so the target may take more."
                .to_owned()
        }
        _ if is_out_of_budget(found) => out_of_budget(found, unit),
        (LimitedBy::NotSettled, _) if found.disturbed.saturating_mul(2) > all => {
            "The search ended undecided: stop other programs on this machine.".to_owned()
        }
        (LimitedBy::NotSettled, _) => "The search ended undecided: use longer trials (--time), or \
                                       more of them (--repeat)."
            .to_owned(),
        _ => String::new(),
    };
    let verified = found.verified.map(|at| {
        format!("At {} goals held in {} of {} trials.", rate(at.rate_pps), at.passed, at.of)
    });
    let trials = if all == 1 { "1 trial was".to_owned() } else { counted(all, "trial") + " were" };
    let disturbed = (found.disturbed > 0).then(|| {
        format!(
            "{} of {trials} disturbed: workers stalled, or the generator was late; they were \
             repeated, and counted as failed only if all repeats were disturbed, too.",
            found.disturbed
        )
    });
    let notes = [Some(limit), verified, disturbed].into_iter().flatten();
    notes.filter(|note| !note.is_empty()).collect::<Vec<_>>().join(" ")
}

fn is_out_of_budget(found: &Found) -> bool {
    found.cut_short_because.as_deref() == Some("budget")
}

/// What the search has found in its budget by shorter trials, and what is missing.
fn out_of_budget(found: &Found, unit: RateUnit) -> String {
    if found.limited_by != LimitedBy::NotSettled {
        return "--budget ended before all trials of the curve below the result.".to_owned();
    }
    let bound =
        |rate_pps: Option<f64>, word| rate_pps.map(|pps| format!("{} {word}", rate(pps, unit)));
    let bounds =
        [bound(found.tentative_low_pps, "held"), bound(found.tentative_high_pps, "failed")];
    let bounds: Vec<_> = bounds.into_iter().flatten().collect();
    let tentative = match bounds.is_empty() {
        true => String::new(),
        false => format!("In single trials, {}. ", bounds.join(" and ")),
    };
    let trials = counted(found.trials.len() as u64, "trial");
    format!("{tentative}--budget ended after {trials}: a longer one narrows the interval.")
}

/// A row for each trial that did not pass, with the reason; one for the disturbed repeats of a
/// trial, with that of the last.
fn failed_trials(found: &Found, unit: RateUnit) -> Grid {
    let failed = found.trials.iter().filter_map(|one| Some((one, verdict(one)?)));
    let failed: Vec<_> = failed.collect();
    let are_repeats = |(a, _): &(&TrialDocument, _), (b, _): &(&TrialDocument, _)| {
        let key = |one: &TrialDocument| (one.verdict, one.rate_pps.to_bits(), one.time_ns);
        a.verdict == TrialVerdict::Disturbed && key(a) == key(b)
    };
    let rows = failed.chunk_by(are_repeats).filter_map(|repeats| {
        let (last, verdict) = repeats.last()?;
        let times = if repeats.len() > 1 { format!(" ×{}", repeats.len()) } else { String::new() };
        let verdict = format!("{verdict}{times}");
        let reason = last.reason.clone().unwrap_or_default();
        Some(vec![rate(last.rate_pps, unit), show_nanos(last.time_ns), verdict, reason])
    });
    let columns = [("rate", false), ("length", false), ("verdict", true), ("reason", true)];
    Grid {
        columns: columns.map(|(title, is_left)| Title::new(title, is_left)).into(),
        rows: rows.collect(),
    }
}

/// The rows as lines; `None` without any.
fn draw_failed(failed: &Grid, styler: Styler, width: usize) -> Option<String> {
    let rows: Vec<_> = failed.rows.iter().map(|row| row[..3].to_vec()).collect();
    let rows = align(&rows, |at| failed.columns[at].is_left);
    let lines = rows.lines().zip(&failed.rows).flat_map(|(row, all)| {
        let row = no_break(&format!("{:GAP$}{row}", ""));
        wrap(&format!("{row}: {}", all[3]), width, 2 * GAP)
    });
    let title = styler.paint(Color::Quiet, "Trials that did not pass:");
    let lines = [title].into_iter().chain(lines);
    (!failed.rows.is_empty()).then(|| lines.collect::<Vec<_>>().join("\n"))
}

/// The verdict of a trial in a word; `None` if it passed.
pub(in crate::report) const fn verdict(trial: &TrialDocument) -> Option<&'static str> {
    match trial.verdict {
        TrialVerdict::Pass => None,
        TrialVerdict::Fail => Some("failed"),
        TrialVerdict::GeneratorLimited => Some("limited"),
        TrialVerdict::Disturbed => Some("disturbed"),
    }
}

fn curve(found: &Found, unit: RateUnit) -> Grid {
    let (delivered, lost) = match unit {
        RateUnit::Requests => ("answered", "no reply"),
        RateUnit::Packets => ("delivered", "lost"),
    };
    let titles = ["rate", delivered, lost, "p50", "p99", "held"];
    Grid {
        columns: titles.map(|title| Title::new(title, false)).into(),
        rows: found.curve.iter().map(|point| row(point, unit).to_vec()).collect(),
    }
}

fn draw_curve(curve: &Grid, styler: Styler) -> String {
    let titles = curve.columns.iter().map(|title| styler.paint(Color::Quiet, &title.text));
    let figures = |row: &Vec<String>| row.iter().map(|figure| styler.figure(figure)).collect();
    let rows: Vec<_> =
        std::iter::once(titles.collect()).chain(curve.rows.iter().map(figures)).collect();
    let lines = align(&rows, |_| false);
    lines.lines().map(|line| format!("{:GAP$}{line}", "")).collect::<Vec<_>>().join("\n")
}

fn row(point: &CurvePoint, unit: RateUnit) -> [String; 6] {
    let rate = |pps| rate(pps, unit);
    let known = |figure: Option<String>| figure.unwrap_or_else(|| UNKNOWN.to_owned());
    [
        rate(point.rate_pps),
        known(point.delivered_pps.map(rate)),
        known(point.loss.map(percent)),
        with_loss(point.p50_ns, 0.5, point.loss).show(),
        with_loss(point.p99_ns, 0.99, point.loss).show(),
        format!("{}/{}", point.passed, point.trials),
    ]
}

/// A percentile that counts the lost as infinitely slow.
pub(in crate::report) fn with_loss(ns: Option<u64>, quantile: f64, loss: Option<f64>) -> Figure {
    match (ns, loss) {
        (None, _) => Figure::Unknown,
        (_, Some(loss)) if loss > 1.0 - quantile => Figure::Infinite,
        (Some(ns), _) => Figure::Known(ns),
    }
}

/// The report with the cells of passed trials only, because failed ones have warnings by design.
fn passing(document: &SearchDocument) -> Report {
    let trials = document.searches.iter().flat_map(|found| &found.trials);
    // The trials with cells, in the order of the cells.
    let decided = trials.filter(|trial| matches!(trial.purpose.as_str(), "final" | "verify"));
    let cells = document.report.cells.iter().zip(decided);
    let passed = cells.filter(|(_, trial)| trial.verdict == TrialVerdict::Pass);
    Report { cells: passed.map(|(cell, _)| cell.clone()).collect(), ..document.report.clone() }
}

/// A rate with enough digits to distinguish the two bounds: `243.1 kpps`, `243.1k requests/s`.
pub(in crate::report) fn rate(pps: f64, unit: RateUnit) -> String {
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
    let space = if unit == RateUnit::Packets { " " } else { "" };
    format!("{value:.decimals$}{space}{prefix}{}", unit.word())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{fixture, schema};

    #[test]
    fn text_has_results_curves_and_limits() {
        let mut document = fixture::search();
        let text = |document: &SearchDocument| {
            search(document, Style { color: false, width: 110, verbose: false })
        };
        let shown = text(&document);
        for part in [
            "the highest rate of bench with loss<=0.1% and p99<=200us · within 1.00%",
            "64 B plain 243.1 kpps passed (2 of 2) · 245.0 kpps failed (0 of 2) · \
             p99 170 µs there · limit: the target\n",
            "At 218.8 kpps goals held in 2 of 2 trials. 1 of 4 trials were disturbed",
            "delivered   lost      p50     p99  held\n",
            "245.0 kpps  240.1 kpps  2.00%  83.2 µs       ∞   0/2",
            "\n\nTrials that did not pass:\n  245.0 kpps  2.00 s  disturbed ×2: last\n",
            "\n  245.0 kpps  2.00 s  failed: loss<=0.1%: 2%, 1.9% too \
             much\n",
            "! passed",
        ] {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
        assert!(!shown.contains("! failed"), "{shown}");
        document.inner = "load".to_owned();
        let of_requests = text(&document);
        assert!(of_requests.contains("64 B plain 243.1k requests/s passed (2 of 2)"));
        assert!(of_requests.contains("answered  no reply") && !of_requests.contains("pps"));
        document.inner = "bench".to_owned();
        let found = &mut document.searches[0];
        (found.limited_by, found.generator_pps) = (LimitedBy::Generator, Some(1.2e6));
        assert!(text(&document).contains("the generator's maximum was 1.200 Mpps"));
        let found = &mut document.searches[0];
        (found.low_pps, found.limited_by) = (None, LimitedBy::NotSettled);
        assert!(text(&document).contains("no rate found · 245.0 kpps failed"));
        // The document of a search whose budget ended it.
        document.budget_ns = Some(30_000_000_000);
        let found = &mut document.searches[0];
        (found.cut_short_because, found.tentative_low_pps) = (Some("budget".to_owned()), Some(1e3));
        let shown = text(&document);
        assert!(shown.contains("within 1.00% · budget 30.0 s\n"), "{shown}");
        assert!(shown.contains("the budget ended the search\n"), "{shown}");
        let note = "In single trials, 1.000 kpps held. --budget ended after 4 trials: a longer one";
        assert!(shown.contains(note), "{shown}");
        document.searches[0].limited_by = LimitedBy::Target;
        assert!(text(&document).contains("ended before all trials of the curve below the result."));
        document.searches.clear();
        assert!(text(&document).contains("Partial"));
    }

    #[test]
    fn documents_read_back_and_trials_are_rows() {
        let document = fixture::search();
        schema::read_back(&document, schema::RUN);
        let csv = crate::report::format::csv::trials(&document).unwrap();
        let last = "\nplain/64,245000,2000000000,final,245000,,,,,fail,\"loss<=0.1%: 2%, 1.9% too \
                    much\"\n";
        assert!(csv.ends_with(last), "{csv}");
        let shown = [40.0, 999.96, 20_202.0, 999_960.0, 9_876_543.0];
        let shown = shown.map(|pps| rate(pps, RateUnit::Packets));
        assert_eq!(shown, ["40.00 pps", "1.000 kpps", "20.20 kpps", "1.000 Mpps", "9.877 Mpps"]);
        assert_eq!(rate(20_202.0, RateUnit::Requests), "20.20k requests/s");
        assert_eq!(rate(40.0, RateUnit::Requests), "40.00 requests/s");
    }
}
