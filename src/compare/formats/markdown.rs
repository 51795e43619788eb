//! A comparison as Markdown, as GitHub and GitLab render it: for a merge request.

use crate::compare::document::Comparison;
use crate::compare::{show, text};
use crate::report::format::markdown::{escape, table};
use crate::report::format::text::style::Styler;

/// The verdict, why there is none, the table, and details to unfold. Escapes text of documents.
pub(crate) fn render(comparison: &Comparison) -> String {
    let mut parts = vec![format!("**{}**", escape(&show::headline(comparison)))];
    let invalid: Vec<_> = text::invalid(comparison).collect();
    parts.extend((!invalid.is_empty()).then(|| list(&invalid)));
    let rows = comparison.cells.iter().flat_map(|cell| text::rows(cell, Styler { color: false }));
    let rows: Vec<_> = rows.collect();
    let left = std::array::from_fn::<bool, { text::COLUMNS }, _>(text::is_left);
    parts.push(table(&text::titles(comparison), &left, &rows));
    let sides =
        text::sides(comparison).map(|(name, side, _)| format!("{name}: {}", text::runs(side)));
    let version = &comparison.head.tool.version;
    let order = text::order(comparison);
    let mut details = sides.to_vec();
    details.push(format!("{} by udperf {version}, {order}", comparison.head.kind));
    details.push(text::rules(comparison));
    details.extend(text::learned(comparison));
    parts.push(unfold("How it was judged", &details));
    let differences: Vec<_> = comparison.differences.iter().map(text::difference).collect();
    let mut warnings: Vec<_> =
        comparison.warnings.iter().map(|warning| warning.message.clone()).collect();
    warnings.extend(text::unmatched(comparison));
    warnings.extend(text::undecided(comparison).map(|line| format!("undecided: {line}")));
    for (title, lines) in [("Other differences", differences), ("Warnings", warnings)] {
        if !lines.is_empty() {
            parts.push(unfold(&format!("{title} ({})", lines.len()), &lines));
        }
    }
    parts.join("\n\n") + "\n"
}

fn list(lines: &[String]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| format!("- {}", escape(line))).collect();
    lines.join("\n")
}

fn unfold(summary: &str, lines: &[String]) -> String {
    format!("<details>\n<summary>{summary}</summary>\n\n{}\n\n</details>", list(lines))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{Verdict, fixture};

    #[test]
    fn verdict_is_first_and_warnings_are_folded() {
        let text = render(&fixture::comparison());
        let expected = "\
**new is worse: of 2 cells 1 worse, 1 undecided; worse: plain/64/max rx\\_pps -10.0%; \
better: plain/64/50% p50 -10.0%**

| cell | metric | base | new | change | 95% interval | p | verdict |
| :--- | :--- | ---: | ---: | ---: | ---: | ---: | :--- |
| plain/64/max | rx\\_pps | 281 kpps | 253 kpps | -10.0% | -12.1 … -8.0% | 0.0002 | worse |
| plain/64/max | loss | 0% | 0% | 0 points |  |  | same |
";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.contains("<summary>Other differences (1)</summary>"), "{text}");
        assert!(text.contains("- host.kernel 6.1 → 6.2\n"), "{text}");
        assert!(text.contains("- plain/512/max in base only\n"), "{text}");
        assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
        assert!(text.ends_with("</details>\n"), "{text}");
    }

    #[test]
    fn text_of_a_document_is_escaped() {
        let hostile = "</details><script>x</script> | `c` [a](b) *d* @someone\r\n# e | \\| f";
        let mut comparison = fixture::comparison();
        let rows = render(&comparison).lines().filter(|line| line.starts_with('|')).count();
        comparison.rules.noise_from = Some(hostile.to_owned());
        comparison.new.git = vec![hostile.to_owned()];
        comparison.only_new = vec![hostile.to_owned()];
        comparison.differences[0].new = vec![hostile.to_owned()];
        let cell = &mut comparison.cells[0];
        let metric = &mut cell.metrics[0];
        metric.verdict = Verdict::Undecided;
        for text in [
            &mut comparison.head.kind,
            &mut comparison.base.from,
            &mut cell.id,
            &mut metric.metric,
            &mut metric.why,
            &mut comparison.differences[0].what,
            &mut comparison.warnings[0].message,
        ] {
            hostile.clone_into(text);
        }
        let text = render(&comparison);
        assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
        for mark in ["<script", "@someone", "[a](b)", " `c`", " *d*", "\n# e"] {
            assert!(!text.contains(mark), "{mark}: {text}");
        }
        let table: Vec<_> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(table.len(), rows, "{text}");
        let bars = |line: &str| line.replace("\\\\", "").replace("\\|", "").matches('|').count();
        assert!(table.iter().all(|row| bars(row) == text::COLUMNS + 1), "{text}");
    }
}
