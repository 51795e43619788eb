//! A comparison in the formats that CI servers and code hosts read.

mod effects;
mod figures;
pub(crate) mod html;
pub(crate) mod junit;
pub(crate) mod markdown;

use super::{Comparison, text};
use crate::report::format::text::Style;
use crate::report::format::{Document, Format};

impl Document for Comparison {
    /// Arbitrary order.
    const FORMATS: &'static [Format<Self>] = &[
        Format::json(),
        Format::new("Markdown", "markdown", |comparison, _| Ok(Some(markdown::render(comparison)))),
        Format::new("page", "html", |comparison, _| Ok(Some(html::render(comparison)))),
        Format::new("JUnit", "junit", |comparison, options| {
            Ok(Some(junit::render(comparison, options.is_strict)))
        }),
        Format {
            name: "benchmark of rates",
            flag: "benchmark",
            suffix: "-bigger.json",
            render: |comparison, _| Ok(figures::benchmark(comparison, "higher")),
            render_cells: None,
        },
        Format {
            name: "benchmark of costs",
            flag: "benchmark",
            suffix: "-smaller.json",
            render: |comparison, _| Ok(figures::benchmark(comparison, "lower")),
            render_cells: None,
        },
        Format::new("Bencher file", "bmf", |comparison, _| Ok(Some(figures::bmf(comparison)))),
    ];

    fn text(&self, style: Style) -> String {
        text::render(self, style)
    }
}
