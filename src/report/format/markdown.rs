//! The document as Markdown, as GitHub renders it: for a merge request, or an issue.

use super::text::{Outline, Title, outline};
use crate::document::Report;
use crate::report::checks::fail_if::GATE_TITLES;
use crate::unit::{Keep, strip_control};

/// The text report in Markdown, with all markup of the document escaped.
pub(crate) fn render(report: &Report) -> String {
    let Outline {
        invalid, capacity, title, settings, limits, grid, gates, notes, warnings, ..
    } = outline(report);
    let bold = |text: &String| format!("> **{}**", escape(text));
    let mut parts = Vec::new();
    if !capacity.is_empty() {
        parts.push(list(&capacity));
    }
    parts.extend(invalid.iter().map(bold));
    parts.push(format!("### {}", escape(&title)));
    if !settings.is_empty() {
        let lines: Vec<_> = settings.iter().map(|line| escape(line)).collect();
        // Two blanks at its end break a line.
        parts.push(lines.join("  \n"));
    }
    parts.extend(limits.iter().map(bold));
    if let Some(grid) = &grid {
        parts.extend(groups(&grid.columns));
        let titles: Vec<_> = grid.columns.iter().map(|title| title.text.as_str()).collect();
        let left: Vec<_> = grid.columns.iter().map(|title| title.is_left).collect();
        parts.push(table(&titles, &left, &grid.rows));
    }
    if !gates.is_empty() {
        parts.push(table(&GATE_TITLES, &[true, true, false, true], &gates));
    }
    if !notes.is_empty() {
        parts.push(list(&notes));
    }
    if !warnings.is_empty() {
        let line = |(message, about): &(String, String)| match about.as_str() {
            "" => format!("- {}", escape(message)),
            about => format!("- {} [{}]", escape(message), escape(about)),
        };
        let list = warnings.iter().map(line).collect::<Vec<_>>().join("\n");
        let summary = format!("<summary>Warnings ({})</summary>", warnings.len());
        parts.push(format!("<details>\n{summary}\n\n{list}\n\n</details>"));
    }
    parts.join("\n\n") + "\n"
}

/// Labels and texts as a list.
fn list(notes: &[(String, String)]) -> String {
    let line =
        |(label, text): &(String, String)| format!("- **{}** {}", escape(label), escape(text));
    notes.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The groups of columns as a line, because tables of Markdown have one row of titles.
fn groups(columns: &[Title]) -> Option<String> {
    let columns = columns.iter().filter(|title| !title.group.is_empty()).collect::<Vec<_>>();
    let groups = columns.chunk_by(|one, next| one.group == next.group).map(|columns| {
        let titles: Vec<_> = columns.iter().map(|title| escape(&title.text)).collect();
        format!("{}: {}", titles.join(", "), escape(&columns[0].group))
    });
    let groups: Vec<_> = groups.collect();
    (!groups.is_empty()).then(|| format!("*{}.*", groups.join("; ")))
}

/// A table of Markdown; columns that are not `left` are aligned to the right.
pub(crate) fn table(titles: &[&str], left: &[bool], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<String>| format!("| {} |", cells.join(" | "));
    let rule = |&left: &bool| if left { ":---" } else { "---:" }.to_owned();
    let mut lines = vec![
        line(titles.iter().map(|title| escape(title)).collect()),
        line(left.iter().map(rule).collect()),
    ];
    lines.extend(rows.iter().map(|row| line(row.iter().map(|cell| escape(cell)).collect())));
    lines.join("\n")
}

/// Text for a line or a cell of a table, with markup escaped (GitHub Flavored Markdown, 2.4, 4.10).
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let text = strip_control(text, Keep::Nothing);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            // GitHub would notify the user of that name.
            '@' if rest.peek().is_some_and(|next| next.is_alphanumeric()) => {
                out.push_str("@\u{200b}");
            }
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '|' | '`' | '*' | '_' | '[' | ']' | '~' | '#' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_report_has_tables_lists_and_details() {
        let mut report = fixture::default_run();
        report.cells.truncate(4);
        report.scenario["engines"] = serde_json::json!(["plain", "batch"]);
        report.scenario["sizes"] = serde_json::json!(["64"]);
        let text = render(&report);
        let expected = "\
### udperf 0.1.0 · bench · loopback 127.0.0.1 · 500 ms per cell

AMD EPYC · 2 cores · Linux 6.18.44 · KVM  
";
        assert!(text.starts_with(expected), "{text}");
        let table = "\
*delivered, Gbit/s, lost, CPU tx/rx: flat out; p50, p99, p99.9, max: latency at 50% of that, one \
                     way from schedule.*

| bytes | engine | delivered | Gbit/s | lost | CPU tx/rx | p50 | p99 | p99.9 | max |
| ---: | :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| 64 | plain | 271 kpps | 0.139 | 0 | 100/93% | 8.54 µs | 74.9 µs | 258 µs | 2.14 ms\\* |
| 64 | batch | 312 kpps | 0.160 | 0 | 100/93% | 8.54 µs | 74.9 µs | 258 µs | 258 µs |
";
        assert!(text.contains(table), "{text}");
        assert!(text.contains("<summary>Warnings (1)</summary>"), "{text}");
        assert!(text.contains("- **ledger** sent "), "{text}");
    }
}
