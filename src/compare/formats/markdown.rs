//! A comparison as Markdown, as GitHub and GitLab render it: for a merge request.

use crate::compare::document::{ComparedCell, Comparison, Judgement};
use crate::compare::{show, text};
use crate::report::format::markdown::{escape, table};
use crate::report::format::text::style::Styler;

/// Titles of the table, without the names of the two sides.
const TITLES: usize = 8;

/// The verdict, the table, and details to unfold; text of documents is never markup.
pub(crate) fn render(comparison: &Comparison) -> String {
    let (base, new) = show::names(comparison);
    let mut parts = vec![
        format!("**{}**", escape(&show::headline(comparison))),
        figures(comparison, [base, new]),
    ];
    let rules = escape(&text::rules(comparison));
    let sides = [(base, &comparison.base), (new, &comparison.new)]
        .map(|(name, side)| format!("{name}: {}", text::runs(side)));
    let mut known: Vec<String> = sides.iter().map(|line| escape(line)).collect();
    let turns = if comparison.interleaved { "in turns" } else { "one after the other" };
    let tool = escape(&format!("by udperf {}", comparison.head.tool.version));
    known.push(format!("{} {tool}, {turns}", escape(&comparison.head.kind)));
    known.push(rules);
    known.extend(text::learned(comparison).map(|line| escape(&line)));
    parts.push(unfold("How it was judged", &known));
    let differences: Vec<_> =
        comparison.differences.iter().map(|found| escape(&text::difference(found))).collect();
    let mut warnings: Vec<_> =
        comparison.warnings.iter().map(|warning| escape(&warning.message)).collect();
    for (name, ids) in [(base, &comparison.only_base), (new, &comparison.only_new)] {
        if !ids.is_empty() {
            warnings.push(escape(&format!("{} in {name} only", ids.join(", "))));
        }
    }
    warnings.extend(comparison.invalid.iter().map(|one| escape(&show::reason(one))));
    warnings
        .extend(text::undecided(comparison).map(|line| format!("undecided: {}", escape(&line))));
    for (title, lines) in [("Other differences", differences), ("Warnings", warnings)] {
        if !lines.is_empty() {
            parts.push(unfold(&format!("{title} ({})", lines.len()), &lines));
        }
    }
    parts.join("\n\n") + "\n"
}

fn figures(comparison: &Comparison, [base, new]: [&str; 2]) -> String {
    let titles: [&str; TITLES] =
        ["cell", "metric", base, new, "change", "95% of it", "p", "verdict"];
    let left = std::array::from_fn::<bool, TITLES, _>(|at| at < 2 || at + 1 == TITLES);
    let rows: Vec<_> = comparison
        .cells
        .iter()
        .flat_map(|cell| cell.metrics.iter().map(|judgement| row(cell, judgement)))
        .collect();
    table(&titles, &left, &rows)
}

fn row(cell: &ComparedCell, judgement: &Judgement) -> Vec<String> {
    text::row(text::id(cell), judgement, Styler { color: false }).to_vec()
}

fn unfold(summary: &str, lines: &[String]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| format!("- {line}")).collect();
    format!("<details>\n<summary>{summary}</summary>\n\n{}\n\n</details>", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::fixture;

    #[test]
    fn the_verdict_is_first_and_warnings_are_folded() {
        let text = render(&fixture::comparison());
        let expected = "\
**new is worse: of 2 cells 1 worse, 1 undecided; worse: plain/64/max rx\\_pps -10.0%; \
better: plain/64/50% p50 -10.0%**

| cell | metric | base | new | change | 95% of it | p | verdict |
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
    fn nothing_in_a_document_is_markup() {
        let hostile = "</details><script>x</script> | `c` [a](b) *d* @someone\r\n# e | \\| f";
        let mut comparison = fixture::comparison();
        let rows = render(&comparison).lines().filter(|line| line.starts_with('|')).count();
        comparison.head.kind = hostile.to_owned();
        comparison.base.from = hostile.to_owned();
        comparison.new.git = vec![hostile.to_owned()];
        comparison.only_new = vec![hostile.to_owned()];
        comparison.rules.noise_from = Some(hostile.to_owned());
        for cell in &mut comparison.cells {
            cell.id = hostile.to_owned();
            cell.metrics[0].metric = hostile.to_owned();
            cell.metrics[0].why = hostile.to_owned();
            cell.metrics[0].verdict = crate::compare::Verdict::Undecided;
        }
        for found in &mut comparison.differences {
            found.what = hostile.to_owned();
            found.new = vec![hostile.to_owned()];
        }
        for warning in &mut comparison.warnings {
            warning.message = hostile.to_owned();
        }
        let text = render(&comparison);
        assert!(!text.contains("<script"), "{text}");
        assert!(!text.contains("@someone"), "{text}");
        assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
        for mark in ["[a](b)", " `c`", " *d*", "\n# e"] {
            assert!(!text.contains(mark), "{mark}: {text}");
        }
        let table: Vec<_> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(table.len(), rows, "{text}");
        let bars = |line: &str| line.replace("\\\\", "").replace("\\|", "").matches('|').count();
        assert!(table.iter().all(|row| bars(row) == TITLES + 1), "{text}");
    }
}
