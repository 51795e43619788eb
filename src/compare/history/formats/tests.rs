//! The exact text of a history, and its other formats.

use super::*;
use crate::compare::history::tests::{runs, runs_with_an_invalid_one};
use crate::compare::history::{Filter, history};
use crate::compare::store::Stored;
use crate::report::fixture;

fn at_max(runs: &[Stored]) -> History {
    history(runs, &Filter { cells: vec!["max".to_owned()], ..Filter::default() })
}

fn with_a_warning() -> History {
    let mut runs = runs();
    runs[2].report.cells[0].warnings.push(fixture::warning("steal", "the CPU was taken away"));
    at_max(&runs)
}

const fn style(width: usize) -> Style {
    Style { color: false, width, verbose: false }
}

#[test]
fn text_has_a_line_per_run() {
    let expected = "\
bench, 500 ms · bench-1 · AMD EPYC · 2 CPUs

rx_pps, higher is better
  plain/64/max  2026-07-18 12:00  aaaaaaa  200 kpps           ███████████
                2026-07-19 12:00  aaaaaaa  220 kpps   +10.0%  ████████████
                kernel Linux 6.18.44 → Linux 6.19.1
                2026-07-20 12:00  bbbbbbb  110 kpps!  -50.0%  ██████        git aaaaaaa → bbbbbbb
  ! has warnings in the run: steal
";
    let history = with_a_warning();
    assert_eq!(text(&history, style(100)), expected);
    let wide = text(&history, style(200));
    assert!(wide.contains("████████████  kernel Linux 6.18.44 → Linux 6.19.1\n"), "{wide}");
    assert_eq!(wide.lines().count(), 7);
    assert_eq!(text(&History::default(), style(100)), "\n");
}

#[test]
fn csv_and_markdown_have_a_row_per_point() {
    let history = with_a_warning();
    let row = |day: u32, git: &str, pps: u32, codes: &str| {
        format!(
            "2026-07-{day}T12:00:00Z,{git},bench-1 · AMD EPYC · 2 CPUs,plain/64/max,rx_pps,{pps},3,\
             \"bench, 500 ms\",{codes},{day}/report.json,\n"
        )
    };
    let expected = [
        "started_at,git,host,cell,metric,value,n,scenario,doubts,file,invalid_because\n".to_owned(),
        row(18, "aaaaaaa", 200_000, ""),
        row(19, "aaaaaaa", 220_000, ""),
        row(20, "bbbbbbb", 110_000, "steal"),
    ];
    assert_eq!(csv(&history).unwrap(), expected.concat());
    let text = markdown(&history);
    assert!(text.starts_with("### bench, 500 ms · bench-1 · AMD EPYC · 2 CPUs\n\n**rx\\_pps, "));
    let last = "| plain/64/max | 2026-07-20 12:00 | bbbbbbb | 110 kpps | -50.0% | 3 | steal | \
                git aaaaaaa → bbbbbbb |\n";
    assert!(text.ends_with(last), "{text}");
}

#[test]
fn invalid_runs_are_marked_in_every_format() {
    let history = at_max(&runs_with_an_invalid_one());
    let text = text(&history, style(200));
    for part in ["220 kpps✗          █", "110 kpps   -45.0%", "\n  ✗ invalid: nothing_arrived\n"]
    {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(csv(&history).unwrap().matches(",nothing_arrived\n").count(), 1);
    assert_eq!(markdown(&history).matches("invalid: nothing\\_arrived").count(), 1);
    assert_eq!(html(&history).matches("invalid: nothing_arrived").count(), 2);
}

#[test]
fn page_is_well_formed_and_shows_changes() {
    let mut runs = runs();
    for run in &mut runs {
        run.report.host.hostname = Some("<script>alert(1)</script>".to_owned());
        for cell in &mut run.report.cells {
            cell.id = cell.id.replace("plain", "\"><img src=x>");
        }
    }
    let page = html(&history(&runs, &Filter::default()));
    assert!(!page.contains("<script>alert") && !page.contains("<img") && !page.contains("http"));
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let page = roxmltree::Document::parse_with_options(&page, options).unwrap();
    let count = |name: &str| page.descendants().filter(|node| node.has_tag_name(name)).count();
    assert_eq!((count("section"), count("svg"), count("circle")), (1, 3, 9));
    let events = page.descendants().filter(|node| node.attribute("class") == Some("event"));
    assert_eq!(events.count(), 6, "two of each series");
}

#[test]
fn infinite_values_and_invalid_times_are_shown() {
    let mut history = with_a_warning();
    let points = &mut history.series[0].points;
    (points[0].value, points[1].value) = (0.0, f64::INFINITY);
    points[2].started_at = "yesterday".to_owned();
    let text = text(&history, style(100));
    assert!(text.contains("infinite") && text.contains("yesterday"), "{text}");
    assert!(html(&history).contains("yesterday"));
}
