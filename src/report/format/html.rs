//! The document as an HTML page: one file without scripts or other resources.

mod chart;
mod curves;
mod timeline;

pub(crate) use chart::{Chart, Frame};

use super::csv::fields;
use super::markup::escape;
use super::text::{Outline, measured, outline};
use crate::document::{Cell, Report};
use crate::report::checks::fail_if::GATE_TITLES;
use crate::report::error::RenderError;
use crate::unit::{Keep, strip_control};

/// Of all pages.
const STYLE: &str = include_str!("html/style.css");

/// The tag of background information.
const QUIET: &str = "p class=\"quiet\"";

/// Charts over time that are not folded. Arbitrary: two rows of three.
const UNFOLDED: usize = 6;

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

pub(crate) fn page(title: &str, body: &str) -> String {
    let (title, version) = (escape(title), env!("CARGO_PKG_VERSION"));
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"generator\" content=\"udperf {version}\"/>\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    );
    // Text of documents may have control characters, which HTML forbids (WHATWG HTML, 13.1).
    strip_control(&page, Keep::Lines)
}

/// An element with this text; `tag` is its name with attributes.
pub(crate) fn element(tag: &'static str, text: &str) -> String {
    let name = tag.split(' ').next().unwrap_or(tag);
    format!("<{tag}>{}</{name}>\n", escape(text))
}

/// A table with a first row of `groups`, each with its width in columns; titles tell whether their
/// column is aligned left.
pub(crate) fn table(
    groups: &[(&str, usize)],
    titles: &[(&str, bool)],
    rows: &[Vec<String>],
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
        for (text, (_, is_left)) in row.iter().zip(titles) {
            out += &format!("<td{}>{}</td>", class(*is_left), escape(text));
        }
        out += "</tr>\n";
    }
    out + "</tbody>\n</table></div>\n"
}

pub(crate) fn gallery(charts: &[Chart]) -> String {
    let figures: String = charts.iter().map(Chart::figure).collect();
    format!("<div class=\"charts\">\n{figures}</div>\n")
}

fn section(name: &str, report: &Report, outline: &Outline) -> Result<String, RenderError> {
    let mut out = "<section>\n".to_owned();
    let host = [report.host.hostname.as_deref(), report.tool.git.as_deref()];
    let origin = [Some(report.started_at.as_str())].into_iter().chain(host).flatten();
    let origin: Vec<_> = origin.filter(|text| !text.is_empty()).collect();
    out.extend(outline.invalid.iter().map(|text| element("p class=\"invalid\"", text)));
    out += &element("h1", &outline.title);
    if !name.is_empty() {
        out += &element(QUIET, name);
    }
    out += &element(QUIET, &origin.join(" · "));
    out.extend(outline.settings.iter().map(|line| element(QUIET, line)));
    out += &format!("<p>{}</p>\n", element("code", &report.command.join(" ")).trim_end());
    out.extend(outline.limits.iter().map(|text| element("p class=\"doubt\"", text)));
    if let Some(grid) = &outline.grid {
        let titles: Vec<_> =
            grid.columns.iter().map(|title| (title.text.as_str(), title.is_left)).collect();
        let groups = grid.columns.chunk_by(|one, next| one.group == next.group);
        let groups: Vec<_> =
            groups.map(|columns| (columns[0].group.as_str(), columns.len())).collect();
        out += &(element("h2", "Cells") + &table(&groups, &titles, &grid.rows));
    }
    if !outline.gates.is_empty() {
        let titles = GATE_TITLES.map(|title| (title, true));
        out += &(element("h2", "Gates") + &table(&[], &titles, &outline.gates));
    }
    if !outline.notes.is_empty() {
        let note = |(label, text): &(String, String)| element("dt", label) + &element("dd", text);
        out += &format!("<dl>\n{}</dl>\n", outline.notes.iter().map(note).collect::<String>());
    }
    if !outline.warnings.is_empty() {
        let item = |(text, cells): &(String, String)| {
            let cells = match cells.is_empty() {
                true => String::new(),
                false => format!(" <span class=\"quiet\">[{}]</span>", escape(cells)),
            };
            format!("<li>{}{cells}</li>\n", escape(text))
        };
        out += &element("h2 class=\"doubt\"", "Warnings");
        out += &format!("<ul>\n{}</ul>\n", outline.warnings.iter().map(item).collect::<String>());
    }
    let charts = curves::charts(report)?;
    if !charts.is_empty() {
        out += &(element("h2", "Latency by percentile") + &gallery(&charts));
    }
    out += &over_time(&timeline::charts(report));
    let rows: Vec<_> = measured(report).map(ledger).collect();
    if !rows.is_empty() {
        let titles = LEDGER.split(' ').map(|name| (name, false));
        let titles: Vec<_> = [("cell", true)].into_iter().chain(titles).collect();
        out += &(element("h2", "Ledger") + &table(&[], &titles, &rows));
    }
    Ok(out + "</section>\n")
}

/// The charts of cells over time; all but the first are folded.
fn over_time(charts: &[Chart]) -> String {
    if charts.is_empty() {
        return String::new();
    }
    let (shown, folded) = charts.split_at(charts.len().min(UNFOLDED));
    let note = "Each datagram counts in the interval in which it was due. Shaded: stalls of \
                workers, stronger where they took more of the interval.";
    let out = element("h2", "Over time") + &element(QUIET, note) + &gallery(shown);
    if folded.is_empty() {
        return out;
    }
    let more = format!("{} more cells, by loss, then p99", folded.len());
    out + &format!("<details>\n{}{}</details>\n", element("summary", &more), gallery(folded))
}

/// The outcomes of datagrams, as in the document.
const LEDGER: &str = "attempted sent refused received lost unaccounted arrived duplicate late \
                      reordered foreign corrupt";

fn ledger(cell: &Cell) -> Vec<String> {
    let trial = if cell.trial > 0 { format!(" trial {}", cell.trial) } else { String::new() };
    let counts = fields(&cell.ledger, LEDGER).into_iter();
    let counts = counts.map(|count| if count.is_empty() { "–".to_owned() } else { count });
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
            let summary = folded.map(|count| format!("<summary>{count} more cells, "));
            assert_eq!(rest.is_empty(), summary.is_none());
            assert!(rest.contains(&summary.unwrap_or_default()), "{rest}");
        }
    }

    #[test]
    fn a_page_holds_all_of_a_report() {
        let report = fixture::default_run();
        let page = render(&[("kept/run.json", &report)]).unwrap();
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        let page = roxmltree::Document::parse_with_options(&page, options).unwrap();
        let elements = |name| page.descendants().filter(move |node| node.has_tag_name(name));
        // A curve per id, alone and with all others, 12 rows of cells, 24 of the ledger, and three
        // lines of titles.
        let counts = ["section", "svg", "polyline", "tr", "li"].map(|name| elements(name).count());
        assert_eq!(counts, [1, 2 * 24 + 1, 2 * 24, 12 + 24 + 3, 2]);
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
