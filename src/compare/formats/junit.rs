//! A comparison as JUnit: one suite per cell, one case per metric.

use crate::compare::document::{ComparedCell, Comparison, Judgement, Verdict};
use crate::compare::show;
use crate::report::format::junit::{self, Case, CaseOutcome, Suite};

/// The file. Worse is a failure; undecided and missing cells are failures if `strict`, otherwise
/// skipped. Sides that cannot be compared are errors; cells of the new runs only are skipped.
pub(crate) fn render(comparison: &Comparison, strict: bool) -> String {
    junit::render(&format!("udperf {}", comparison.head.kind), &suites(comparison, strict))
}

/// The suites of the file.
pub(crate) fn suites(comparison: &Comparison, strict: bool) -> Vec<Suite> {
    let undecided = if strict { CaseOutcome::Failed("undecided") } else { CaseOutcome::Skipped };
    let case = |judgement: &Judgement| Case {
        name: judgement.metric.clone(),
        message: show::sentence(judgement),
        outcome: match judgement.verdict {
            Verdict::CannotCompare => CaseOutcome::Invalid,
            Verdict::Worse => CaseOutcome::Failed("worse"),
            Verdict::Undecided => undecided,
            Verdict::Better | Verdict::Same => CaseOutcome::Passed,
        },
    };
    let compared = |cell: &ComparedCell| Suite {
        name: cell.id.clone(),
        cases: cell.metrics.iter().map(case).collect(),
    };
    let mut suites: Vec<Suite> = comparison.cells.iter().map(compared).collect();
    let only = |id: &String, side: &str, outcome: CaseOutcome| {
        let message = format!("the cell is in {side} only, and cannot be compared");
        Suite { name: id.clone(), cases: vec![Case { name: "cell".to_owned(), message, outcome }] }
    };
    suites.extend(comparison.only_base.iter().map(|id| only(id, "the base", undecided)));
    let only_new = comparison.only_new.iter();
    suites.extend(only_new.map(|id| only(id, "the new runs", CaseOutcome::Skipped)));
    // Errors, so that they do not pass silently.
    suites.extend(comparison.invalid.iter().map(|reason| {
        let message = format!("{} is invalid: {}", reason.side, show::reason(reason));
        let case = Case { name: reason.code.clone(), message, outcome: CaseOutcome::Invalid };
        Suite { name: reason.cell.clone().unwrap_or_else(|| "run".to_owned()), cases: vec![case] }
    }));
    suites
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::fixture;

    #[test]
    fn outcomes_by_verdict_and_strictness() {
        let mut comparison = fixture::comparison();
        comparison.only_new = vec!["plain/9000/max".to_owned()];
        for (strict, undecided) in [(false, "skipped"), (true, "failure")] {
            let xml = render(&comparison, strict);
            let document = roxmltree::Document::parse(&xml).unwrap();
            let cases = document.descendants().filter(|node| node.has_tag_name("testcase"));
            let cases = cases.map(|case| {
                let suite = case.parent_element().unwrap();
                let outcome = case.first_element_child().unwrap();
                let [suite, case] = [suite, case].map(|node| node.attribute("name").unwrap());
                [suite, case, outcome.tag_name().name()]
            });
            let expected = [
                ["plain/64/max", "rx_pps", "failure"],
                ["plain/64/max", "loss", "system-out"],
                ["plain/64/50%", "p50", "system-out"],
                ["plain/64/50%", "p99", undecided],
                ["plain/512/max", "cell", undecided],
                ["plain/9000/max", "cell", "skipped"],
            ];
            assert_eq!(cases.collect::<Vec<_>>(), expected);
            let rate = "rx_pps 281 kpps → 253 kpps, -10.0% (-12.1 … -8.0%), p 0.0002, beyond 2%";
            assert!(xml.contains(rate) && xml.contains("the runs vary too much\""), "{xml}");
        }
    }
}
