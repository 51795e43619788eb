//! The document as a page: one file, without scripts, and without anything from elsewhere.

mod chart;
mod curves;

pub use chart::{Chart, Frame};

use super::markup::escape;
use super::text::{Grid, Outline, outline};
use crate::document::{Cell, Report};
use crate::report::checks::gates;
use crate::report::error::RenderError;
use crate::unit::{Keep, strip_control};

/// How all pages look.
const STYLE: &str = include_str!("html/style.css");

/// Tags of paragraphs.
const QUIET: &str = "p class=\"quiet\"";

/// A page of these reports, one after the other, each below its name, which may be empty.
///
/// # Errors
/// [`RenderError::Histogram`] where one cannot be read.
pub fn render(reports: &[(&str, &Report)]) -> Result<String, RenderError> {
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

/// A page with this title, and this markup as its body.
#[must_use]
pub fn page(title: &str, body: &str) -> String {
    let (title, version) = (escape(title), env!("CARGO_PKG_VERSION"));
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"generator\" content=\"udperf {version}\"/>\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    );
    // What no page may hold, whatever was in a document (WHATWG HTML, 13.1: control characters).
    strip_control(&page, Keep::Lines)
}

/// An element with this text: `tag` is its name, and its attributes.
#[must_use]
pub fn element(tag: &'static str, text: &str) -> String {
    let name = tag.split(' ').next().unwrap_or(tag);
    format!("<{tag}>{}</{name}>\n", escape(text))
}

/// A table below rows of `groups`, which are as many columns wide; each title with whether its
/// column is aligned left.
#[must_use]
pub fn table(groups: &[(&str, usize)], titles: &[(&str, bool)], rows: &[Vec<String>]) -> String {
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

/// Charts side by side.
#[must_use]
pub fn gallery(charts: &[Chart]) -> String {
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
    out.extend(outline.first.iter().map(|text| element("p class=\"doubt\"", text)));
    if let Some(grid) = &outline.grid {
        let titles: Vec<_> =
            grid.columns.iter().map(|title| (title.text.as_str(), title.is_left)).collect();
        out += &(element("h2", "Cells") + &table(&groups(grid), &titles, &grid.rows));
    }
    if !outline.gates.is_empty() {
        let titles = gates::TITLES.map(|title| (title, true));
        out += &(element("h2", "Gates") + &table(&[], &titles, &outline.gates));
    }
    if !outline.notes.is_empty() {
        let note = |(label, text): &(String, String)| element("dt", label) + &element("dd", text);
        out += &format!("<dl>\n{}</dl>\n", outline.notes.iter().map(note).collect::<String>());
    }
    if !outline.warnings.is_empty() {
        let item = |(text, cells): &(String, String)| match cells.is_empty() {
            true => element("li", text),
            false => {
                let (text, cells) = (escape(text), escape(cells));
                format!("<li>{text} <span class=\"quiet\">[{cells}]</span></li>\n")
            }
        };
        out += &element("h2 class=\"doubt\"", "Warnings");
        out += &format!("<ul>\n{}</ul>\n", outline.warnings.iter().map(item).collect::<String>());
    }
    let charts = curves::charts(report)?;
    if !charts.is_empty() {
        out += &(element("h2", "Latency by percentile") + &gallery(&charts));
    }
    let rows: Vec<_> = report.cells.iter().filter(|cell| !cell.calibration).map(ledger).collect();
    if !rows.is_empty() {
        let titles = LEDGER.iter().map(|(name, _)| (*name, false));
        let titles: Vec<_> = [("cell", true)].into_iter().chain(titles).collect();
        out += &(element("h2", "Ledger") + &table(&[], &titles, &rows));
    }
    Ok(out + "</section>\n")
}

fn groups(grid: &Grid) -> Vec<(&str, usize)> {
    let same = grid.columns.chunk_by(|one, next| one.group == next.group);
    same.map(|columns| (columns[0].group.as_str(), columns.len())).collect()
}

/// A column of the ledger: its name, and what it says of a cell.
type LedgerColumn = (&'static str, fn(&Cell) -> Option<u64>);

/// The outcomes of datagrams; names as in the document.
const LEDGER: [LedgerColumn; 12] = [
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
    fn text_of_a_document_is_escaped() {
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
}
