//! The document as an HTML page: one file without other resources, which needs no script.

mod bars;
mod capacity;
mod chart;
mod curves;
mod detail;
mod doctor;
mod element;
mod rates;
mod search;
mod selftest;
mod servers;
mod timeline;
mod verdict;

pub(crate) use chart::{Chart, ChartRow, Frame, HeatCell, PANEL, Tone, Value};
pub(super) use doctor::doctor;
pub(crate) use element::element;
use element::prose;
pub(crate) use rates::{RateLimit, RatePoint, latency_by_rate, rate_by_trial};
pub(super) use search::search;
pub(crate) use search::search_page;
pub(super) use selftest::selftest;
pub(super) use servers::{echo, sink};

use detail::UNFOLDED;

use super::csv::fields;
use super::markup::escape;
use super::text::style::grouped;
use super::text::{Grid, Outline, measured, outline};
use crate::document::{Cell, Host, Report, Tool};
use crate::report::checks::fail_if::GATE_TITLES;
use crate::report::error::RenderError;
use crate::unit::{Keep, strip_control};

/// Of all pages.
const STYLE: &str = include_str!("html/style.css");

/// Of all pages: values at the pointer, and a box for all lines. Without it, each mark has a title.
const SCRIPT: &str = include_str!("html/script.js");

/// The tag of background information.
const QUIET: &str = "p class=\"quiet\"";

/// A page of these reports, one after the other, each below its name, which may be empty.
pub(crate) fn render(reports: &[(&str, &Report)]) -> Result<String, RenderError> {
    let mut title = format!("udperf · {} runs", reports.len());
    let mut body = String::new();
    for (name, report) in reports {
        let outline = outline(report);
        body += &section(name, report, &outline)?;
        if reports.len() == 1 {
            title = outline.title;
        }
    }
    Ok(page(&title, &body))
}

/// The section of a report in a page of several.
pub(crate) fn of_report(name: &str, report: &Report) -> Result<String, RenderError> {
    section(name, report, &outline(report))
}

pub(crate) fn page(title: &str, body: &str) -> String {
    let (title, version) = (escape(title), env!("CARGO_PKG_VERSION"));
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"generator\" content=\"udperf {version}\"/>\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n\
         <script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    );
    // Text of documents may have control characters, which HTML forbids (WHATWG HTML, 13.1).
    strip_control(&page, Keep::Lines)
}

/// A table with a first row of `groups`, each with its width in columns; titles tell whether their
/// column is aligned left.
pub(crate) fn table(
    groups: &[(&str, usize)],
    titles: &[(&str, bool)],
    rows: &[Vec<String>],
) -> String {
    cells(groups, titles, rows, false)
}

/// A table that has texts; a narrow page shows those of a row below each other.
pub(crate) fn table_of_texts(class: &str, titles: &[(&str, bool)], rows: &[Vec<String>]) -> String {
    format!("<div class=\"{class}\">\n{}</div>\n", cells(&[], titles, rows, true))
}

/// With `has_titles`, each cell has the title of its column, too.
fn cells(
    groups: &[(&str, usize)],
    titles: &[(&str, bool)],
    rows: &[Vec<String>],
    has_titles: bool,
) -> String {
    let mut out = "<div class=\"wide\"><table>\n<thead>\n".to_owned();
    if !groups.is_empty() {
        out += "<tr>";
        for (name, span) in groups {
            out += &format!("<th class=\"group\" colspan=\"{span}\">{}</th>", escape(name));
        }
        out += "</tr>\n";
    }
    let class = |is_left: bool| if is_left { " class=\"left\"" } else { "" };
    out += "<tr>";
    for (title, is_left) in titles {
        out += &format!("<th scope=\"col\"{}>{}</th>", class(*is_left), escape(title));
    }
    out += "</tr>\n</thead>\n<tbody>\n";
    for row in rows {
        out += "<tr>";
        for (text, (title, is_left)) in row.iter().zip(titles) {
            let title = match has_titles {
                true => format!(" data-title=\"{}\"", escape(title)),
                false => String::new(),
            };
            out += &format!("<td{}{title}>{}</td>", class(*is_left), prose(text));
        }
        out += "</tr>\n";
    }
    out + "</tbody>\n</table></div>\n"
}

fn draw_texts(class: &str, grid: &Grid) -> String {
    let titles = grid.columns.iter().map(|title| (title.text.as_str(), title.is_left));
    table_of_texts(class, &titles.collect::<Vec<_>>(), &grid.rows)
}

fn draw_grid(grid: &Grid) -> String {
    let titles = grid.columns.iter().map(|title| (title.text.as_str(), title.is_left));
    let groups = grid.columns.chunk_by(|one, next| one.group == next.group);
    let groups = groups.map(|columns| (columns[0].group.as_str(), columns.len()));
    let groups: Vec<_> = match grid.columns.iter().all(|title| title.group.is_empty()) {
        true => Vec::new(),
        false => groups.collect(),
    };
    table(&groups, &titles.collect::<Vec<_>>(), &grid.rows)
}

/// Labels and texts.
pub(crate) fn notes(notes: &[(impl AsRef<str>, String)]) -> String {
    if notes.is_empty() {
        return String::new();
    }
    let note = |(label, text): &(_, String)| {
        element("dt", AsRef::<str>::as_ref(label)) + &element("dd", text)
    };
    format!("<dl>\n{}</dl>\n", notes.iter().map(note).collect::<String>())
}

/// Warnings, each with its cells, which may be empty.
pub(crate) fn warnings(warnings: &[(String, String)]) -> String {
    if warnings.is_empty() {
        return String::new();
    }
    let item = |(text, cells): &(String, String)| {
        let cells = match cells.is_empty() {
            true => String::new(),
            false => format!(" <span class=\"quiet\">[{}]</span>", escape(cells)),
        };
        format!("<li>{}{cells}</li>\n", prose(text))
    };
    let items: String = warnings.iter().map(item).collect();
    element("h2 class=\"doubt\"", "Warnings") + &format!("<ul>\n{items}</ul>\n")
}

pub(crate) fn gallery(charts: &[Chart]) -> String {
    let figures: String = charts.iter().map(Chart::figure).collect();
    format!("<div class=\"charts\">\n{figures}</div>\n")
}

fn section(name: &str, report: &Report, outline: &Outline) -> Result<String, RenderError> {
    let mut out = "<section>\n".to_owned() + &element("h1", &outline.title);
    if !name.is_empty() {
        out += &element(QUIET, name);
    }
    out += &(verdict::verdict(report, outline) + &notes(&outline.capacity));
    out.extend(outline.limits.iter().map(|text| element("p class=\"doubt\"", text)));
    out += &(tables(outline) + &warnings(&outline.warnings));
    out += &titled("Rate by size and engine", "", &bars::rates(report));
    let note = "Latency from the schedule at each requested rate. Dashed: the lowest rate with \
                loss, or with more missed than --max-missed. Red: with loss.";
    out += &titled("Latency by rate", note, &bars::latencies(report));
    let note = "Each step of the probe at the rate that was answered. Red: what did not hold.";
    out += &titled("Capacity probe", note, &capacity::steps(report));
    out += &titled("Latency by percentile", "", &curves::charts(report)?);
    let note = "Each datagram counts in the interval in which it was due. Shaded: stalls of \
                workers, stronger where they took more of the interval. The cells with most loss \
                come first, then those with the highest p99.";
    out += &titled("Over time", note, &timeline::charts(report));
    let rows: Vec<_> = measured(report).map(ledger).collect();
    if !rows.is_empty() {
        let titles = LEDGER.split(' ').map(|name| (name, false));
        let titles: Vec<_> = [("cell", true)].into_iter().chain(titles).collect();
        out += &(element("h2", "Ledger") + &table(&[], &titles, &rows));
    }
    Ok(out + &settings(report, &outline.settings) + "</section>\n")
}

/// The table of cells, that of gates, and the notes below.
fn tables(outline: &Outline) -> String {
    let mut out = String::new();
    if let Some(grid) = &outline.grid {
        out += &(element("h2", "Cells") + &draw_grid(grid));
    }
    if !outline.gates.is_empty() {
        let titles = GATE_TITLES.map(|title| (title, true));
        out += &(element("h2", "Gates") + &table(&[], &titles, &outline.gates));
    }
    out + &notes(&outline.notes)
}

fn settings(report: &Report, settings: &[String]) -> String {
    run((&report.started_at, &report.host, &report.tool), settings, &report.command)
}

/// What ran, when, where and how.
pub(crate) fn run(
    (started_at, host, tool): (&str, &Host, &Tool),
    settings: &[String],
    command: &[String],
) -> String {
    let known = [host.hostname.as_deref(), tool.git.as_deref()];
    let origin = [Some(started_at)].into_iter().chain(known).flatten();
    let origin: Vec<_> = origin.filter(|text| !text.is_empty()).collect();
    let lines = [origin.join(" · ")].into_iter().chain(settings.iter().cloned());
    let lines: String = lines.map(|line| element(QUIET, &line)).collect();
    let command = element("code", &command.join(" "));
    element("h2", "Run") + &lines + &format!("<p>{}</p>\n", command.trim_end())
}

/// Charts below a title and a note, which may be empty; all but the first are folded.
pub(crate) fn titled(title: &'static str, note: &str, charts: &[Chart]) -> String {
    if charts.is_empty() {
        return String::new();
    }
    let (shown, folded) = charts.split_at(charts.len().min(UNFOLDED));
    let note = if note.is_empty() { String::new() } else { element(QUIET, note) };
    let out = element("h2", title) + &note + &gallery(shown);
    if folded.is_empty() {
        return out;
    }
    let more = element("summary", &format!("{} more", folded.len()));
    out + &format!("<details>\n{more}{}</details>\n", gallery(folded))
}

/// The outcomes of datagrams, as in the document.
const LEDGER: &str = "attempted sent refused received lost unaccounted arrived duplicate late \
                      reordered foreign corrupt";

fn ledger(cell: &Cell) -> Vec<String> {
    let trial = if cell.trial > 0 { format!(" trial {}", cell.trial) } else { String::new() };
    let counts = fields(&cell.ledger, LEDGER).into_iter();
    let counts = counts.map(|count| match count.parse() {
        Ok(count) => grouped(count),
        Err(_) => "–".to_owned(),
    });
    [cell.id.clone() + &trial].into_iter().chain(counts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Interval;
    use crate::report::fixture;

    #[test]
    fn all_but_the_first_charts_over_time_are_folded() {
        let mut report = fixture::default_run();
        assert!(!render(&[("", &report)]).unwrap().contains("Over time"));
        for cell in &mut report.cells {
            cell.intervals = vec![Interval { end_ns: 1_000, sent: 1, ..Interval::default() }];
        }
        for (cells, folded) in [(24, Some(18)), (UNFOLDED, None)] {
            report.cells.truncate(cells);
            let page = render(&[("", &report)]).unwrap();
            let (_, charts) = page.split_once("<h2>Over time</h2>").unwrap();
            let (shown, rest) = charts.split_once("<details>").unwrap_or((charts, ""));
            let count = |text: &str| text.matches("<figure>").count();
            assert_eq!((count(shown), count(rest)), (UNFOLDED, folded.unwrap_or(0)));
            let summary = folded.map(|count| format!("<summary>{count} more</summary>"));
            assert_eq!(rest.is_empty(), summary.is_none());
            assert!(rest.contains(&summary.unwrap_or_default()), "{rest}");
        }
    }

    #[test]
    fn a_page_holds_all_of_a_report() {
        let report = fixture::default_run();
        let page = render(&[("kept/run.json", &report)]).unwrap();
        let at = |text: &str| page.find(text).unwrap();
        // The verdict first, then the table, then charts, and at the end what ran.
        let order = ["<h1>", "<p class=\"valid\">", "<table>", "<svg", "<h2>Run</h2>", SCRIPT];
        assert!(order.map(at).is_sorted());
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        let page = roxmltree::Document::parse_with_options(&page, options).unwrap();
        let elements = |name| page.descendants().filter(move |node| node.has_tag_name(name));
        // Bars of each size, a curve per id, alone and with all others, 12 rows of cells, 24 of the
        // ledger, and three lines of titles.
        let counts = ["section", "svg", "polyline", "tr", "li"].map(|name| elements(name).count());
        assert_eq!(counts, [1, 4 + 2 * 24 + 1, 2 * 24, 12 + 24 + 3, 2]);
        let keys = elements("label")
            .map(|label| label.last_child().unwrap().text().unwrap().trim().to_owned());
        let ids: Vec<_> = report.cells.iter().map(|cell| cell.id.clone()).collect();
        assert_eq!(keys.collect::<Vec<_>>(), ids);
        let span = |cell: roxmltree::Node<'_, '_>| {
            cell.attribute("colspan").map_or(1, |span| span.parse().unwrap())
        };
        let cells = |row: roxmltree::Node<'_, '_>| -> usize {
            row.children().filter(roxmltree::Node::is_element).map(span).sum()
        };
        let spans: Vec<usize> = elements("tr").map(cells).collect();
        assert_eq!((&spans[..14], &spans[14..]), (&[10; 14][..], &[13; 25][..]));
    }
}
