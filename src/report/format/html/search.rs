//! The page of a search.

use super::{
    Chart, RateLimit, RatePoint, Tone, draw_grid, draw_texts, element, gallery, latency_by_rate,
    page, rate_by_trial, warnings,
};
use crate::document::{CurvePoint, Found, LimitedBy, SearchDocument, TrialDocument, TrialVerdict};
use crate::report::format::text::style::{counted, percent};
use crate::report::format::text::{
    Figure, Grid, SearchOutline, rate, search_outline, verdict, with_loss,
};
use crate::unit::{RateUnit, show_nanos};

/// The most rows that are not folded. Arbitrary: half a screen.
const UNFOLDED: usize = 12;

pub(in crate::report::format) fn search(document: &SearchDocument) -> String {
    let (title, body) = search_page(document);
    page(&title, &body)
}

/// The title of the page, and what is below it.
pub(crate) fn search_page(document: &SearchDocument) -> (String, String) {
    let SearchOutline { invalid, title, settings, results, warnings: listed } =
        search_outline(document);
    let unit = RateUnit::of_kind(&document.inner);
    let mut body = element("h1", &title);
    body.extend(invalid.iter().map(|text| element("p class=\"invalid\"", text)));
    body.extend(results.iter().map(|one| {
        let tag = match (one.found.limited_by, one.found.low_pps) {
            (LimitedBy::NotSettled, _) => "p class=\"doubt\"",
            (_, Some(_)) => "p class=\"valid\"",
            (_, None) => "p class=\"invalid\"",
        };
        element(tag, &one.result)
    }));
    if results.is_empty() {
        body += &element("p class=\"doubt\"", "Partial: no result yet.");
    }
    for one in &results {
        body += &("<section>\n".to_owned() + &element("h2", &one.found.id));
        body += &element("p", &one.notes);
        body.extend(chart(one.found, unit).map(|chart| gallery(&[chart])));
        if !one.curve.rows.is_empty() {
            body += &draw_grid(&one.curve);
        }
        body += &failed(&one.failed);
        body += "</section>\n";
    }
    body += &(warnings(&listed) + &super::settings(&document.report, &settings));
    (title, body)
}

/// Folded if there are many.
fn failed(trials: &Grid) -> String {
    let count = trials.rows.len();
    if count == 0 {
        return String::new();
    }
    let open = if count > UNFOLDED { "" } else { " open=\"open\"" };
    let title =
        element("summary", &format!("Trials that did not pass: {}", counted(count as u64, "row")));
    format!("<details{open}>\n{title}{}</details>\n", draw_texts("reasons", trials))
}

/// Latency by requested rate; without latencies, the rates of the trials.
fn chart(found: &Found, unit: RateUnit) -> Option<Chart> {
    let trials: Vec<_> = found.trials.iter().map(trial).collect();
    let points: Vec<_> = found.curve.iter().map(point).chain(trials.iter().cloned()).collect();
    let caption = |by: &str| {
        format!("by {by}; a dot for each trial: green passed, red failed, orange disturbed")
    };
    let limit = limit(found, unit);
    let words = ("Latency".to_owned(), caption("requested rate"), unit.show());
    latency_by_rate(words, &points, limit.as_ref()).or_else(|| {
        let words = ("Requested rate".to_owned(), caption("trial"), unit.show());
        rate_by_trial(words, &trials, limit.as_ref())
    })
}

fn point(point: &CurvePoint) -> RatePoint {
    let held = format!("held in {} of {}", point.passed, point.trials);
    let loss = point.loss.map(|loss| format!("lost {}", percent(loss)));
    RatePoint {
        pps: point.rate_pps,
        p50: with_loss(point.p50_ns, 0.5, point.loss),
        p99: with_loss(point.p99_ns, 0.99, point.loss),
        note: loss.into_iter().chain([held]).collect::<Vec<_>>().join(", "),
        tone: Tone::Plain,
        on_line: true,
    }
}

fn trial(trial: &TrialDocument) -> RatePoint {
    let time = show_nanos(trial.time_ns);
    RatePoint {
        pps: trial.rate_pps,
        p50: Figure::Unknown,
        p99: with_loss(trial.figures.p99_ns, 0.99, trial.figures.loss),
        note: match (verdict(trial), &trial.reason) {
            (None, _) => format!("passed in {time}"),
            (Some(verdict), None) => format!("{verdict} in {time}"),
            (Some(verdict), Some(reason)) => format!("{verdict} in {time}: {reason}"),
        },
        tone: match trial.verdict {
            TrialVerdict::Pass => Tone::Good,
            TrialVerdict::Fail => Tone::Bad,
            TrialVerdict::Disturbed | TrialVerdict::GeneratorLimited => Tone::Warning,
        },
        on_line: false,
    }
}

/// From the highest rate that passed to the lowest that failed.
fn limit(found: &Found, unit: RateUnit) -> Option<RateLimit> {
    let low = found.low_pps.or(found.tentative_low_pps);
    let high = found.high_pps.or(found.tentative_high_pps);
    let from = low.or(high)?;
    let label = match (found.limited_by, low) {
        (_, None) => "fails at",
        (LimitedBy::Target, _) => "limit",
        (LimitedBy::NotSettled, _) => "not settled:",
        (LimitedBy::Generator | LimitedBy::MaxRate, _) => "at least",
    };
    let label = format!("{label} {}", rate(from, unit));
    Some(RateLimit { pps: (from, high.unwrap_or(from).max(from)), label })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{fixture, hostile};

    #[test]
    fn each_trial_is_a_dot_with_its_verdict_and_reason() {
        let mut document = fixture::search();
        for trial in &mut document.searches[0].trials {
            trial.figures.p99_ns = Some(300_000);
        }
        let page = hostile::page(&document);
        for part in [
            "<p class=\"valid\">64 B plain 243.1 kpps passed (2 of 2) · ",
            "<title>245 kpps: p99 300 µs, failed in 2.00 s: loss&lt;=0.1%: 2%, 1.9% too much<",
            "<title>245 kpps: p99 300 µs, disturbed in 2.00 s: last</title>",
            "<title>243 kpps: p99 300 µs, passed in 2.00 s</title>",
            "<title>24.3 kpps: p50 83.2 µs, lost 0%, held in 1 of 2</title>",
            ">limit 243.1 kpps</text>",
            "<details open=\"open\">\n<summary>Trials that did not pass: 2 rows</summary>",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
        // Two points of p50, two of p99, of which one is infinite, and four trials.
        let dots =
            ["dot", "dot good", "dot bad", "dot doubt"].map(|class| format!("class=\"{class}\""));
        assert_eq!(dots.map(|dot| page.matches(&dot).count()), [4, 1, 1, 2]);
        let found = &mut document.searches[0];
        (found.low_pps, found.high_pps) = (None, None);
        let page = search(&document);
        assert!(
            page.contains("<p class=\"invalid\">64 B plain no rate passed")
                && !page.contains(">limit "),
            "{page}"
        );
        document.searches.clear();
        assert!(search(&document).contains("Partial: no result yet."));
    }

    #[test]
    fn without_latencies_the_rates_of_trials_are_drawn() {
        let mut document = fixture::search();
        let found = &mut document.searches[0];
        found.curve.clear();
        found.trials.iter_mut().for_each(|trial| trial.figures.p99_ns = None);
        let page = hostile::page(&document);
        let trials = document.searches[0].trials.len();
        for number in 1..=trials {
            assert!(page.contains(&format!("<title>trial {number}: ")), "{number}\n{page}");
        }
        assert_eq!(page.matches("class=\"dot").count(), trials);
        assert!(page.contains(">limit 243.1 kpps</text>") && page.contains("Requested rate"));
        document.searches[0].trials.clear();
        assert!(!hostile::page(&document).contains("<svg"));
    }

    #[test]
    fn the_limit_is_what_is_known() {
        let mut found = fixture::search().searches.remove(0);
        let shown =
            |found: &Found| limit(found, RateUnit::Packets).map(|limit| (limit.pps, limit.label));
        let of = |low, high, label: &str| Some(((low, high), label.to_owned()));
        assert_eq!(shown(&found), of(243_100.0, 245e3, "limit 243.1 kpps"));
        (found.high_pps, found.limited_by) = (None, LimitedBy::MaxRate);
        assert_eq!(shown(&found), of(243_100.0, 243_100.0, "at least 243.1 kpps"));
        (found.low_pps, found.limited_by) = (None, LimitedBy::NotSettled);
        assert_eq!(shown(&found), None);
        found.tentative_high_pps = Some(1e3);
        assert_eq!(shown(&found), of(1e3, 1e3, "fails at 1.000 kpps"));
        found.tentative_low_pps = Some(500.0);
        assert_eq!(shown(&found), of(500.0, 1e3, "not settled: 500.0 pps"));
    }
}
