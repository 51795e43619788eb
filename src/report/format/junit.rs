//! JUnit XML, which CI servers show beside the tests of a change, and the cases of `--fail-if`.
//! There is no standard: these elements are common to readers of Jenkins, GitLab and GitHub.

use super::markup::escape;
use crate::document::Report;
use crate::report::checks::fail_if::Condition;
use crate::unit::{Keep, strip_control};

/// Cases of a cell, or of another part of a run.
pub(crate) struct Suite {
    pub(crate) name: String,
    pub(crate) cases: Vec<Case>,
}

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) message: String,
    pub(crate) outcome: CaseOutcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CaseOutcome {
    Passed,
    Skipped,
    /// With a word for the reason.
    Failed(&'static str),
    /// The run is invalid, so the condition was not tested; `invalid` in the file.
    Invalid,
}

pub(crate) fn render(name: &str, suites: &[Suite]) -> String {
    let all = counts(suites.iter().flat_map(|suite| &suite.cases));
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{}\" {all}>\n",
        text(name)
    );
    for suite in suites {
        let (name, counts) = (text(&suite.name), counts(suite.cases.iter()));
        out += &format!("  <testsuite name=\"{name}\" {counts}>\n");
        out.extend(suite.cases.iter().map(|case| test_case(case, &name)));
        out += "  </testsuite>\n";
    }
    out + "</testsuites>\n"
}

fn counts<'a>(cases: impl Iterator<Item = &'a Case> + Clone) -> String {
    let tests = cases.clone().count();
    let count = |is: fn(CaseOutcome) -> bool| cases.clone().filter(|one| is(one.outcome)).count();
    let failures = count(|outcome| matches!(outcome, CaseOutcome::Failed(_)));
    let errors = count(|outcome| outcome == CaseOutcome::Invalid);
    let skipped = count(|outcome| outcome == CaseOutcome::Skipped);
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\"")
}

fn test_case(case: &Case, class: &str) -> String {
    let (name, message) = (text(&case.name), text(&case.message));
    let outcome = match case.outcome {
        CaseOutcome::Passed => format!("<system-out>{message}</system-out>"),
        CaseOutcome::Skipped => format!("<skipped message=\"{message}\"/>"),
        CaseOutcome::Failed(word) => {
            format!("<failure message=\"{message}\" type=\"{word}\">{message}</failure>")
        }
        CaseOutcome::Invalid => {
            format!("<error message=\"{message}\" type=\"invalid\">{message}</error>")
        }
    };
    format!(
        "    <testcase name=\"{name}\" classname=\"{class}\">\n      {outcome}\n    </testcase>\n"
    )
}

/// Text as XML 1.0 can hold it (section 2.2): without control and noncharacters.
fn text(text: &str) -> String {
    escape(&strip_control(text, Keep::Nothing))
}

/// A suite per cell, a case per condition; in an invalid cell each case and reason is an error.
pub(crate) fn conditions(report: &Report, conditions: &[Condition]) -> Vec<Suite> {
    let mut suites: Vec<Suite> = Vec::new();
    let mut put = |cell: Option<(&str, u32)>, name: &str, message: &str, outcome| {
        let suite = match cell {
            Some((id, 0)) => id.to_owned(),
            Some((id, trial)) => format!("{id} (trial {trial})"),
            None => "run".to_owned(),
        };
        let case = Case { name: name.to_owned(), message: message.to_owned(), outcome };
        match suites.iter_mut().find(|one| one.name == suite) {
            Some(suite) => suite.cases.push(case),
            None => suites.push(Suite { name: suite, cases: vec![case] }),
        }
    };
    for condition in conditions {
        for (cell, failure) in condition.verdicts(report) {
            let invalid = cell.and_then(|cell| report.invalid_cell(cell).next());
            let (message, outcome) = match (invalid, failure) {
                (Some(reason), _) => (reason.message.clone(), CaseOutcome::Invalid),
                (None, Some(failure)) => (failure, CaseOutcome::Failed("fail-if")),
                (None, None) => {
                    let message = cell.map(|cell| condition.result_in(cell)).unwrap_or_default();
                    (message, CaseOutcome::Passed)
                }
            };
            let cell = cell.map(|cell| (cell.id.as_str(), cell.trial));
            put(cell, &condition.to_string(), &message, outcome);
        }
    }
    for reason in &report.invalid_because {
        let cell = reason.cell.as_deref().map(|id| (id, reason.trial.unwrap_or(0)));
        put(cell, "valid", &reason.message, CaseOutcome::Invalid);
    }
    if !report.valid && report.invalid_because.is_empty() {
        put(None, "valid", "the document says that it is invalid", CaseOutcome::Invalid);
    }
    suites
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{fixture, judge_validity};

    #[test]
    fn text_survives_except_for_characters_that_xml_lacks() {
        let hostile = "]]></testcase><!-- & \" ' > \u{1b}[31m \u{0} \u{fffe} é 漢 \u{1f980}";
        let outcomes = [
            CaseOutcome::Failed("worse"),
            CaseOutcome::Skipped,
            CaseOutcome::Passed,
            CaseOutcome::Invalid,
        ];
        let (name, message) = (hostile.to_owned(), hostile.to_owned());
        let case = |outcome| Case { name: name.clone(), message: message.clone(), outcome };
        let cases = outcomes.map(case).into();
        let xml = render(hostile, &[Suite { name: hostile.to_owned(), cases }]);
        let document = roxmltree::Document::parse(&xml).unwrap();
        let expected = hostile.replace(['\u{1b}', '\u{0}'], " ").replace('\u{fffe}', "\u{fffd}");
        let attributes = document.descendants().flat_map(|node| node.attributes());
        let texts = attributes.filter(|one| ["name", "classname", "message"].contains(&one.name()));
        let texts: Vec<_> = texts.map(|one| one.value()).collect();
        assert_eq!(texts, [expected.as_str(); 2 + 4 * 2 + 3]);
        let texts = document.descendants().filter_map(|node| node.text().map(str::trim));
        let texts: Vec<_> = texts.filter(|text| !text.is_empty()).collect();
        assert!(texts.len() >= 3 && texts.iter().all(|text| *text == expected), "{texts:?}");
        for tag in ["testsuites", "testsuite"] {
            let node = document.descendants().find(|node| node.has_tag_name(tag)).unwrap();
            let counts = ["tests", "failures", "errors", "skipped"];
            assert_eq!(counts.map(|name| node.attribute(name)), ["4", "1", "1", "1"].map(Some));
        }
    }

    #[test]
    fn conditions_are_cases_in_the_cells_that_they_are_checked_in() {
        let mut report = fixture::default_run();
        report.cells.truncate(3);
        let sent = report.cells[2].ledger.sent;
        fixture::lose(&mut report.cells[2], sent);
        judge_validity(&mut report);
        let words = ["sent>=0", "p50>60s"].map(|word| word.parse().unwrap());
        let found = |report: &Report| -> Vec<String> {
            let suites = conditions(report, &words).into_iter();
            let cases = suites.flat_map(|Suite { name, cases }| {
                let shown = move |case: Case| format!("{name} {} {:?}", case.name, case.outcome);
                cases.into_iter().map(shown)
            });
            cases.collect()
        };
        // An invalid cell neither passes nor fails; p50 is checked at a rate only.
        let expected = [
            "plain/64/max sent>=0 Failed(\"fail-if\")",
            "plain/64/50% sent>=0 Failed(\"fail-if\")",
            "plain/64/50% p50>60s Passed",
            "batch/64/max sent>=0 Invalid",
            "batch/64/max valid Invalid",
        ];
        assert_eq!(found(&report), expected);
        let suites = conditions(&report, &words);
        assert!(suites[0].cases[0].message.contains(": failed: sent is "));
        assert!(suites[1].cases[1].message.starts_with("passed: p50 is "));
        // Without cells and without a reason.
        report.cells.clear();
        report.invalid_because.clear();
        report.valid = false;
        let expected = [
            "run sent>=0 Failed(\"fail-if\")",
            "run p50>60s Failed(\"fail-if\")",
            "run valid Invalid",
        ];
        assert_eq!(found(&report), expected);
    }
}
