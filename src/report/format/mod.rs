//! Output formats. Each kind of document lists the formats that render it; whoever writes documents
//! reads the names, flags and functions from that list.

pub mod csv;
pub mod hdr;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod text;

use super::checks::fail_if::Condition;
use super::error::RenderError;
use crate::document::{EchoDocument, Report, SearchDocument, SinkDocument};
use text::Style;

/// A rendered file; `None` if there is nothing to write.
pub type Rendered = Result<Option<String>, RenderError>;

/// An output format of documents of type `D`.
#[derive(Debug)]
pub struct Format<D> {
    /// Its name in errors.
    pub name: &'static str,
    /// The flag that asks for it, without dashes.
    pub flag: &'static str,
    /// Appended to the path; empty unless the flag names a prefix of several files.
    pub suffix: &'static str,
    /// Renders a document.
    pub render: fn(&D, &RenderOptions<'_>) -> Rendered,
}

/// Options of the command line that some formats need.
#[derive(Debug, Clone, Copy, Default)]
pub struct RenderOptions<'a> {
    /// The conditions of `--fail-if`, for JUnit.
    pub conditions: &'a [Condition],
    /// Whether an undecided verdict counts as a failure in JUnit.
    pub is_strict: bool,
}

/// A document that is shown as text and written in its formats.
pub trait Document: Sized + 'static {
    /// All formats of this kind of document, beside text.
    const FORMATS: &'static [Format<Self>];

    /// The document for a terminal.
    fn text(&self, style: Style) -> String;
}

impl Document for Report {
    const FORMATS: &'static [Format<Self>] = &[
        json::format(),
        Format {
            name: "CSV",
            flag: "csv",
            suffix: "",
            render: |run, _| csv::render(run).map(Some),
        },
        Format {
            name: "HDR log",
            flag: "hdr",
            suffix: "",
            render: |run, _| hdr::render(run).map(Some),
        },
        Format {
            name: "Markdown",
            flag: "markdown",
            suffix: "",
            render: |run, _| Ok(Some(markdown::render(run))),
        },
        Format {
            name: "page",
            flag: "html",
            suffix: "",
            render: |run, _| html::render(&[("", run)]).map(Some),
        },
        Format {
            name: "JUnit",
            flag: "junit",
            suffix: "",
            render: |run, options| {
                let suites = junit::conditions(run, options.conditions);
                junit::render(&format!("udperf {}", run.kind), &suites).map(Some)
            },
        },
    ];

    fn text(&self, style: Style) -> String {
        text::render(self, style)
    }
}

impl Document for SearchDocument {
    const FORMATS: &'static [Format<Self>] = &[
        json::format(),
        Format {
            name: "CSV",
            flag: "csv",
            suffix: "",
            render: |search, _| csv::trials(search).map(Some),
        },
    ];

    fn text(&self, style: Style) -> String {
        text::search(self, style)
    }
}

impl Document for SinkDocument {
    const FORMATS: &'static [Format<Self>] = &[json::format()];

    fn text(&self, style: Style) -> String {
        text::sink(self, style)
    }
}

impl Document for EchoDocument {
    const FORMATS: &'static [Format<Self>] = &[json::format()];

    fn text(&self, style: Style) -> String {
        text::echo(self, style)
    }
}
