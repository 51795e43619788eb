//! The document as a page: one file, without scripts, and without anything from elsewhere.

mod chart;
mod curves;

use minijinja::value::Serde;
use minijinja::{Environment, Value};
use serde::Serialize;

pub use chart::{Chart, Frame};

use super::text::{Grid, Outline, outline};
use crate::document::{Cell, Report};
use crate::report::error::RenderError;
use crate::unit::{Keep, strip_control};

/// What all pages have in common.
const BASE: &str = include_str!("html/base.html");

/// A chart within a page.
const CHART: &str = include_str!("html/chart.html");

/// The page of reports.
const REPORT: &str = include_str!("html/report.html");

/// The page, as the template wants it.
#[derive(Serialize)]
struct Page<'a> {
    title: String,
    version: &'static str,
    runs: Vec<Run<'a>>,
}

/// A run in it.
#[derive(Serialize)]
struct Run<'a> {
    name: &'a str,
    started_at: &'a str,
    hostname: Option<&'a str>,
    git: Option<&'a str>,
    command: String,
    outline: Outline,
    groups: Vec<Group>,
    ledger_names: Vec<&'static str>,
    ledger: Vec<Vec<String>>,
    charts: Vec<Chart>,
}

/// Columns side by side that belong together.
#[derive(Serialize)]
struct Group {
    name: String,
    span: usize,
}

/// A page of these reports, one after the other, each below its name, which may be empty.
///
/// # Errors
/// [`RenderError::Histogram`] where one cannot be read.
pub fn render(reports: &[(&str, &Report)]) -> Result<String, RenderError> {
    let runs = reports.iter().map(|(name, report)| {
        let outline = outline(report);
        Ok(Run {
            name,
            started_at: &report.started_at,
            hostname: report.host.hostname.as_deref(),
            git: report.tool.git.as_deref(),
            command: report.command.join(" "),
            groups: outline.grid.as_ref().map_or_else(Vec::new, groups),
            outline,
            ledger_names: [&"cell"]
                .into_iter()
                .chain(LEDGER.iter().map(|(name, _)| name))
                .copied()
                .collect(),
            ledger: report.cells.iter().filter(|cell| !cell.calibration).map(ledger).collect(),
            charts: curves::charts(report)?,
        })
    });
    let runs: Vec<Run<'_>> = runs.collect::<Result<_, RenderError>>()?;
    let title = match &runs[..] {
        [run] => run.outline.title.clone(),
        runs => format!("udperf · {} runs", runs.len()),
    };
    page(REPORT, &Page { title, version: env!("CARGO_PKG_VERSION"), runs })
}

/// A page made by a template, which may extend `base.html` and include `chart.html`. Whatever it
/// prints is escaped.
///
/// # Errors
/// [`RenderError::Page`], which would be a bug.
pub fn page(template: &str, context: &impl Serialize) -> Result<String, RenderError> {
    let mut environment = Environment::new();
    environment.add_template("base.html", BASE)?;
    environment.add_template("chart.html", CHART)?;
    // By this ending it is one of those that escape.
    environment.add_template("page.html", template)?;
    let page = environment.get_template("page.html")?.render(Value::from(Serde(context)))?;
    // What no page may hold, whatever was in a document (WHATWG HTML, 13.1: control characters).
    Ok(strip_control(&page, Keep::Lines) + "\n")
}

/// Neighbours of one group as one.
fn groups(grid: &Grid) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for column in &grid.columns {
        match groups.last_mut() {
            Some(last) if last.name == column.group => last.span += 1,
            _ => groups.push(Group { name: column.group.clone(), span: 1 }),
        }
    }
    groups
}

/// A column of the ledger: its name, and what it says of a cell.
type Fate = (&'static str, fn(&Cell) -> Option<u64>);

/// The fates of datagrams; names as in the document.
const LEDGER: [Fate; 12] = [
    ("attempted", |c| Some(c.ledger.attempted)),
    ("sent", |c| Some(c.ledger.sent)),
    ("refused", |c| Some(c.ledger.attempted.saturating_sub(c.ledger.sent))),
    ("received", |c| c.ledger.received),
    ("lost", |c| c.ledger.lost),
    ("unaccounted", |c| c.ledger.unaccounted),
    ("arrived", |c| c.ledger.arrived),
    ("duplicate", |c| c.ledger.duplicate),
    ("late", |c| c.ledger.late),
    ("reordered", |c| c.ledger.reordered),
    ("foreign", |c| c.ledger.foreign),
    ("corrupt", |c| c.ledger.corrupt),
];

/// A cell, and its datagrams by fate.
fn ledger(cell: &Cell) -> Vec<String> {
    let trial = if cell.trial > 0 { format!(" trial {}", cell.trial) } else { String::new() };
    let known = |count: Option<u64>| count.map_or_else(|| "–".to_owned(), |n| n.to_string());
    let counts = LEDGER.iter().map(|(_, of)| known(of(cell)));
    std::iter::once(cell.id.clone() + &trial).chain(counts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    /// The page, which has to be whole: each element closed where it should be.
    #[track_caller]
    fn whole(page: &str) -> roxmltree::Document<'_> {
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        roxmltree::Document::parse_with_options(page, options).unwrap()
    }

    fn count(page: &roxmltree::Document<'_>, name: &str) -> usize {
        page.descendants().filter(|node| node.has_tag_name(name)).count()
    }

    #[test]
    fn a_page_holds_all_of_a_report() {
        let report = fixture::default_run();
        let page = render(&[("kept/run.json", &report)]).unwrap();
        let page = whole(&page);
        assert_eq!(count(&page, "section"), 1);
        // A curve an id, 12 rows of cells, 24 of the ledger, and three lines of titles.
        assert_eq!(count(&page, "svg"), 24);
        assert_eq!(count(&page, "polyline"), 24);
        assert_eq!(count(&page, "tr"), 12 + 24 + 3);
        assert_eq!(count(&page, "li"), 2);
        let rows = page.descendants().filter(|node| node.has_tag_name("tr"));
        let spans: Vec<usize> = rows
            .map(|row| {
                let span = |cell: roxmltree::Node<'_, '_>| {
                    cell.attribute("colspan").map_or(1, |span| span.parse().unwrap())
                };
                row.children().filter(roxmltree::Node::is_element).map(span).sum()
            })
            .collect();
        assert_eq!(spans[..14], [10; 14], "a row of cells has a cell for each title");
        assert_eq!(spans[14..], [13; 25], "and so has one of the ledger");
    }

    #[test]
    fn a_page_needs_nothing_from_elsewhere() {
        let report = fixture::default_run();
        let page = render(&[("a", &report), ("b", &report)]).unwrap();
        for word in ["http:", "https:", "<script", "<link", "src=", "url(", "@import", "href"] {
            assert!(!page.contains(word), "{word}");
        }
        assert_eq!(count(&whole(&page), "section"), 2);
    }

    #[test]
    fn nothing_in_a_document_is_markup() {
        let hostile = "</title></style><script>alert(1)</script>\"'><img src=x onerror=y>\u{1b}[2J";
        let mut report = fixture::default_run();
        let host = &mut report.host;
        for place in [&mut host.hostname, &mut host.kernel, &mut host.cpu_model] {
            *place = Some(hostile.to_owned());
        }
        for place in [&mut report.kind, &mut report.started_at, &mut report.tool.version] {
            hostile.clone_into(place);
        }
        report.tool.git = Some(hostile.to_owned());
        report.command.push(hostile.to_owned());
        report.scenario["bind"] = hostile.into();
        report.warnings.push(fixture::warning(hostile, hostile));
        for cell in &mut report.cells {
            cell.warnings.push(fixture::warning("code", hostile));
            cell.id = cell.id.replace("plain", hostile);
        }
        let page = render(&[(hostile, &report)]).unwrap();
        assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
        let elements: std::collections::BTreeSet<_> = whole(&page)
            .descendants()
            .filter(roxmltree::Node::is_element)
            .map(|node| node.tag_name().name().to_owned())
            .collect();
        assert!(!elements.contains("script") && !elements.contains("img"), "{elements:?}");
    }

    #[test]
    fn a_damaged_histogram_is_named() {
        let mut report = fixture::default_run();
        report.cells[2].latency.as_mut().unwrap().histogram = "no histogram".to_owned();
        let error = render(&[("", &report)]).unwrap_err().to_string();
        assert!(error.contains("histogram of batch/64/max is damaged"), "{error}");
    }
}
