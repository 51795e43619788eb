//! A comparison as JUnit: one suite per cell, one case per metric.

use crate::compare::document::{ComparedCell, Comparison, InvalidSide, Judgement, Verdict};
use crate::compare::show;
use crate::report::format::junit;
use crate::report::format::junit::{Case, CaseOutcome, Suite};

/// The file. Worse is a failure; undecided and missing cells are failures if `strict`, otherwise
/// skipped. Sides that cannot be compared are errors; cells of the new runs only are skipped.
pub(crate) fn render(comparison: &Comparison, strict: bool) -> String {
    let mut suites: Vec<Suite> =
        comparison.cells.iter().map(|cell| compared(cell, strict)).collect();
    let missing = undecided(strict);
    suites.extend(comparison.only_base.iter().map(|id| alone(id, "the base", missing)));
    let only_new = comparison.only_new.iter();
    suites.extend(only_new.map(|id| alone(id, "the new runs", CaseOutcome::Skipped)));
    suites.extend(comparison.invalid.iter().map(invalid));
    junit::render(&format!("udperf {}", comparison.head.kind), &suites)
}

fn compared(cell: &ComparedCell, strict: bool) -> Suite {
    let case = |judgement: &Judgement| Case {
        name: judgement.metric.clone(),
        message: show::sentence(judgement),
        outcome: match judgement.verdict {
            Verdict::CannotCompare => CaseOutcome::Invalid,
            Verdict::Worse => CaseOutcome::Failed("worse"),
            Verdict::Undecided => undecided(strict),
            Verdict::Better | Verdict::Same => CaseOutcome::Passed,
        },
    };
    Suite { name: cell.id.clone(), cases: cell.metrics.iter().map(case).collect() }
}

const fn undecided(strict: bool) -> CaseOutcome {
    if strict { CaseOutcome::Failed("undecided") } else { CaseOutcome::Skipped }
}

/// A reason why the two cannot be compared; reported as an error, so that it does not pass
/// silently.
fn invalid(reason: &InvalidSide) -> Suite {
    let name = reason.cell.clone().unwrap_or_else(|| "run".to_owned());
    let message = format!("{} is invalid: {}", reason.side, show::reason(reason));
    Suite {
        name,
        cases: vec![Case { name: reason.code.clone(), message, outcome: CaseOutcome::Invalid }],
    }
}

fn alone(id: &str, where_: &str, outcome: CaseOutcome) -> Suite {
    let message = format!("the cell is in {where_} only, and cannot be compared");
    let case = Case { name: "cell".to_owned(), message, outcome };
    Suite { name: id.to_owned(), cases: vec![case] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::fixture;

    /// Suite, case, tag of what is in it, and its words.
    fn cases(xml: &str) -> Vec<[String; 4]> {
        let document = roxmltree::Document::parse(xml).unwrap();
        let cases = document.descendants().filter(|node| node.has_tag_name("testcase"));
        let one = |case: roxmltree::Node<'_, '_>| {
            let of = |node: &roxmltree::Node<'_, '_>, name| {
                node.attribute(name).unwrap_or_default().to_owned()
            };
            let inner = case.first_element_child().unwrap();
            let words = match inner.attribute("message") {
                Some(message) => message.to_owned(),
                None => inner.text().unwrap_or_default().to_owned(),
            };
            let suite = of(&case.parent_element().unwrap(), "name");
            [suite, of(&case, "name"), inner.tag_name().name().to_owned(), words]
        };
        cases.map(one).collect()
    }

    #[test]
    fn worse_fails_and_doubt_is_skipped() {
        let comparison = fixture::comparison();
        let found = cases(&render(&comparison, false));
        let brief: Vec<_> = found
            .iter()
            .map(|[suite, case, tag, _]| [suite, case, tag].map(String::as_str))
            .collect();
        let expected = [
            ["plain/64/max", "rx_pps", "failure"],
            ["plain/64/max", "loss", "system-out"],
            ["plain/64/50%", "p50", "system-out"],
            ["plain/64/50%", "p99", "skipped"],
            ["plain/512/max", "cell", "skipped"],
        ];
        assert_eq!(brief, expected);
        assert_eq!(
            found[0][3],
            "rx_pps 281 kpps → 253 kpps, -10.0% (-12.1 … -8.0%), p 0.0002, beyond 2%"
        );
        assert!(found[3][3].ends_with("the runs vary too much"), "{found:?}");
    }

    #[test]
    fn strictly_doubt_fails_and_so_does_a_cell_that_the_new_runs_lack() {
        let mut comparison = fixture::comparison();
        comparison.only_new = vec!["plain/9000/max".to_owned()];
        let found = cases(&render(&comparison, true));
        let tags: Vec<_> = found.iter().map(|case| case[2].as_str()).collect();
        assert_eq!(tags, ["failure", "system-out", "system-out", "failure", "failure", "skipped"]);
    }
}
