//! What a history says, to the letter.

use super::*;
use crate::compare::history::tests::runs;
use crate::compare::history::{Filter, history};
use crate::report::{fixture, judge_validity};

fn flat_out() -> History {
    let mut runs = runs();
    runs[2].report.cells[0].warnings.push(fixture::warning("steal", "the CPU was taken away"));
    history(&runs, &Filter { cells: vec!["max".to_owned()], ..Filter::default() })
}

#[test]
fn a_line_a_run_newest_last() {
    let expected = "\
bench, 500 ms · bench-1 · AMD EPYC · 2 CPUs

rx_pps, higher is better
  plain/64/max  2026-07-18 12:00  aaaaaaa  200 kpps           ███████████
                2026-07-19 12:00  aaaaaaa  220 kpps   +10.0%  ████████████
                kernel Linux 6.18.44 → Linux 6.19.1
                2026-07-20 12:00  bbbbbbb  110 kpps!  -50.0%  ██████        git aaaaaaa → bbbbbbb
  ! has warnings in the run: steal
";
    let style = |width| Style { color: false, width, verbose: false };
    assert_eq!(text(&flat_out(), style(100)), expected);
    let wide = text(&flat_out(), style(200));
    assert!(wide.contains("████████████  kernel Linux 6.18.44 → Linux 6.19.1\n"), "{wide}");
    assert_eq!(wide.lines().count(), 7);
}

#[test]
fn an_invalid_run_is_marked_in_every_format() {
    let mut runs = runs();
    for cell in runs[1].report.cells.iter_mut().filter(|cell| cell.pace.is_none()) {
        fixture::lose(cell, cell.ledger.sent);
    }
    judge_validity(&mut runs[1].report);
    let history = history(&runs, &Filter { cells: vec!["max".to_owned()], ..Filter::default() });
    let shown = text(&history, Style { color: false, width: 200, verbose: false });
    assert!(shown.contains("220 kpps✗          █"), "{shown}");
    assert!(shown.contains("110 kpps   -45.0%"), "{shown}");
    assert!(shown.ends_with("  ✗ invalid: nothing_arrived\n"), "{shown}");
    assert_eq!(csv(&history).unwrap().matches(",nothing_arrived\n").count(), 1);
    assert_eq!(markdown(&history).matches("invalid: nothing\\_arrived").count(), 1);
    let page = html(&history);
    assert_eq!(page.matches("invalid: nothing_arrived").count(), 2);
}

#[test]
fn a_row_a_point() {
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
    ]
    .concat();
    assert_eq!(csv(&flat_out()).unwrap(), expected);
}

#[test]
fn the_same_as_markdown() {
    let text = markdown(&flat_out());
    assert!(text.starts_with("### bench, 500 ms · bench-1 · AMD EPYC · 2 CPUs\n\n**rx\\_pps, "));
    let last = "| plain/64/max | 2026-07-20 12:00 | bbbbbbb | 110 kpps | -50.0% | 3 | steal | \
                git aaaaaaa → bbbbbbb |\n";
    assert!(text.ends_with(last), "{text}");
}

#[test]
fn the_page_is_whole_and_shows_what_changed() {
    let mut runs = runs();
    for run in &mut runs {
        run.report.host.hostname = Some("<script>alert(1)</script>".to_owned());
        for cell in &mut run.report.cells {
            cell.id = cell.id.replace("plain", "\"><img src=x>");
        }
    }
    let page = html(&history(&runs, &Filter::default()));
    assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("http"));
    let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
    let page = roxmltree::Document::parse_with_options(&page, options).unwrap();
    let count = |name: &str| page.descendants().filter(|node| node.has_tag_name(name)).count();
    assert_eq!((count("section"), count("svg"), count("circle")), (1, 3, 9));
    let events = page.descendants().filter(|node| node.attribute("class") == Some("event"));
    assert_eq!(events.count(), 6, "two of each series");
}

#[test]
fn what_cannot_be_drawn_does_no_harm() {
    let mut history = flat_out();
    let points = &mut history.series[0].points;
    (points[0].value, points[1].value) = (0.0, f64::INFINITY);
    points[2].started_at = "yesterday".to_owned();
    let shown = text(&history, Style { color: false, width: 100, verbose: false });
    assert!(shown.contains("infinite") && shown.contains("yesterday"), "{shown}");
    assert!(html(&history).contains("yesterday"));
    let nothing = History::default();
    assert_eq!(text(&nothing, Style { color: false, width: 100, verbose: false }), "\n");
}
