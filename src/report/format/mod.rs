//! Output formats: each kind of document lists the formats that render it.

pub(crate) mod csv;
pub mod hdr;
pub(crate) mod hgrm;
pub(crate) mod html;
pub(crate) mod junit;
pub(crate) mod markdown;
mod markup;
pub(crate) mod text;

use serde::Serialize;

use super::checks::fail_if::Condition;
use super::error::RenderError;
use crate::document::{
    DoctorDocument, EchoDocument, Report, SearchDocument, SelftestDocument, SinkDocument,
};
pub(crate) use hgrm::CellFile;
use text::Style;

/// A rendered file; `None` if there is nothing to write.
pub(crate) type Rendered = Result<Option<String>, RenderError>;

/// The files of a format that has one for each cell.
pub(crate) type RenderedCells = Result<Vec<CellFile>, RenderError>;

pub(crate) struct Format<D> {
    pub(crate) name: &'static str,
    /// Without dashes.
    pub(crate) flag: &'static str,
    /// Appended to the path; empty unless the flag names a prefix of several files.
    pub(crate) suffix: &'static str,
    pub(crate) render: fn(&D, &RenderOptions<'_>) -> Rendered,
    /// In place of `render`, for a format that has a file for each cell.
    pub(crate) render_cells: Option<fn(&D) -> RenderedCells>,
}

impl<D> Format<D> {
    pub(crate) const fn new(
        name: &'static str,
        flag: &'static str,
        render: fn(&D, &RenderOptions<'_>) -> Rendered,
    ) -> Self {
        Self { name, flag, suffix: "", render, render_cells: None }
    }

    pub(crate) const fn per_cell(
        name: &'static str,
        flag: &'static str,
        render_cells: fn(&D) -> RenderedCells,
    ) -> Self {
        let render_cells = Some(render_cells);
        Self { name, flag, suffix: "", render: |_, _| Ok(None), render_cells }
    }
}

impl<D: Serialize> Format<D> {
    pub(crate) const fn json() -> Self {
        Self::new("JSON", "json", |document, _| Ok(Some(json(document))))
    }
}

/// Indented JSON that ends in a line break.
pub(crate) fn json(value: &impl Serialize) -> String {
    // Documents are made of strings, numbers and lists, which cannot fail to serialise.
    serde_json::to_string_pretty(value).map_or_else(|_| String::new(), |text| text + "\n")
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RenderOptions<'a> {
    /// For JUnit.
    pub(crate) conditions: &'a [Condition],
    /// Whether an undecided verdict counts as a failure in JUnit.
    pub(crate) is_strict: bool,
}

/// A document that is shown as text and written in its formats.
pub(crate) trait Document: Sized + 'static {
    /// All formats of this kind of document, beside text.
    const FORMATS: &'static [Format<Self>];

    fn text(&self, style: Style) -> String;
}

/// Declares the text of a kind of document, and its formats besides JSON.
macro_rules! document {
    ($kind:ty, $text:path, $($format:expr),*) => {
        impl Document for $kind {
            const FORMATS: &'static [Format<Self>] = &[Format::json(), $($format),*];

            fn text(&self, style: Style) -> String {
                $text(self, style)
            }
        }
    };
}

document!(
    SinkDocument,
    text::sink,
    Format::new("CSV of intervals", "csv-intervals", |sink, _| {
        csv::server_intervals(&sink.intervals).map(Some)
    }),
    Format::new("page", "html", |sink, _| Ok(Some(html::sink(sink))))
);
document!(
    EchoDocument,
    text::echo,
    Format::new("CSV of intervals", "csv-intervals", |echo, _| {
        csv::server_intervals(&echo.intervals).map(Some)
    }),
    Format::new("page", "html", |echo, _| Ok(Some(html::echo(echo))))
);
document!(
    DoctorDocument,
    text::doctor,
    Format::new("page", "html", |doctor, _| Ok(Some(html::doctor(doctor))))
);
document!(
    SelftestDocument,
    text::selftest,
    Format::new("page", "html", |selftest, _| Ok(Some(html::selftest(selftest))))
);
document!(
    SearchDocument,
    text::search,
    Format::new("CSV", "csv", |search, _| csv::trials(search).map(Some)),
    Format::new("page", "html", |search, _| Ok(Some(html::search(search))))
);
document!(
    Report,
    text::render,
    Format::new("CSV", "csv", |run, _| csv::render(run).map(Some)),
    Format::new("CSV of intervals", "csv-intervals", |run, _| csv::intervals(run).map(Some)),
    Format::new("HDR log", "hdr", |run, _| hdr::render(run).map(Some)),
    Format::per_cell("percentiles", "hgrm", hgrm::render),
    Format::new("Markdown", "markdown", |run, _| Ok(Some(markdown::render(run)))),
    Format::new("page", "html", |run, _| html::render(&[("", run)]).map(Some)),
    Format::new("JUnit", "junit", |run, options| {
        let suites = junit::conditions(run, options.conditions);
        Ok(Some(junit::render(&format!("udperf {}", run.kind), &suites)))
    })
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn text_of_a_document_is_escaped() {
        let hostile =
            "</title><script>x</script> | [a](b) `c` *d* __e__\r\n# f \"'><img src=x>\u{1b}[2J";
        let mut report = fixture::default_run();
        let host = &mut report.host;
        for place in [&mut host.hostname, &mut host.kernel, &mut report.tool.git] {
            *place = Some(hostile.to_owned());
        }
        for place in [&mut report.kind, &mut report.started_at, &mut report.tool.version] {
            hostile.clone_into(place);
        }
        report.command.push(hostile.to_owned());
        report.scenario["bind"] = hostile.into();
        report.warnings.push(fixture::warning(hostile, hostile));
        for cell in &mut report.cells {
            cell.id = cell.id.replace("plain", hostile);
        }
        let page = html::render(&[(hostile, &report)]).unwrap();
        let options = roxmltree::ParsingOptions { allow_dtd: true, ..Default::default() };
        let document = roxmltree::Document::parse_with_options(&page, options).unwrap();
        let count = |tag| document.descendants().filter(|node| node.has_tag_name(tag)).count();
        // The script of the page itself.
        assert_eq!((count("script"), count("img")), (1, 0));
        let text = markdown::render(&report);
        assert!(!text.contains("<script") && !text.contains("[a](b)"), "{text}");
        let columns = |line: &str| line.replace("\\|", "").matches('|').count();
        let rows: Vec<_> = text.lines().filter(|line| line.starts_with("| ")).collect();
        assert_eq!(rows.len(), 14);
        assert!(rows.iter().all(|row| columns(row) == columns(rows[0])), "{text}");
        let noncharacters = "\u{fffe}\u{ffff}\u{1fffe}\u{10ffff}\u{fdd0}\u{fdef}";
        let shown = markup::escape(&format!("{noncharacters}\u{fdcf}\u{fdf0}\u{fffd}é"));
        assert_eq!(shown, "\u{fffd}".repeat(6) + "\u{fdcf}\u{fdf0}\u{fffd}é");
    }
}
