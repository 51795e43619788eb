//! Output formats: each kind of document lists the formats that render it.

pub mod csv;
pub mod hdr;
pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
mod markup;
pub mod text;

use serde::Serialize;

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

impl<D> Format<D> {
    /// A format with one file.
    pub const fn new(
        name: &'static str,
        flag: &'static str,
        render: fn(&D, &RenderOptions<'_>) -> Rendered,
    ) -> Self {
        Self { name, flag, suffix: "", render }
    }
}

impl<D: Serialize> Format<D> {
    /// JSON, which every kind of document has.
    pub const fn json() -> Self {
        Self::new("JSON", "json", |document, _| Ok(Some(json::render(document))))
    }
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
    /// Arbitrary order.
    const FORMATS: &'static [Format<Self>] = &[
        Format::json(),
        Format::new("CSV", "csv", |run, _| csv::render(run).map(Some)),
        Format::new("HDR log", "hdr", |run, _| hdr::render(run).map(Some)),
        Format::new("Markdown", "markdown", |run, _| Ok(Some(markdown::render(run)))),
        Format::new("page", "html", |run, _| html::render(&[("", run)]).map(Some)),
        Format::new("JUnit", "junit", |run, options| {
            let suites = junit::conditions(run, options.conditions);
            Ok(Some(junit::render(&format!("udperf {}", run.kind), &suites)))
        }),
    ];

    fn text(&self, style: Style) -> String {
        text::render(self, style)
    }
}

impl Document for SearchDocument {
    /// Arbitrary order.
    const FORMATS: &'static [Format<Self>] =
        &[Format::json(), Format::new("CSV", "csv", |search, _| csv::trials(search).map(Some))];

    fn text(&self, style: Style) -> String {
        text::search(self, style)
    }
}

impl Document for SinkDocument {
    /// Arbitrary order.
    const FORMATS: &'static [Format<Self>] = &[Format::json()];

    fn text(&self, style: Style) -> String {
        text::sink(self, style)
    }
}

impl Document for EchoDocument {
    /// Arbitrary order.
    const FORMATS: &'static [Format<Self>] = &[Format::json()];

    fn text(&self, style: Style) -> String {
        text::echo(self, style)
    }
}
