//! JUnit, which CI servers show beside the tests of a change: its XML, and what `--fail-if` comes
//! to in it.
//!
//! There is no standard. This is what the readers of Jenkins, GitLab and GitHub's actions have in
//! common: `testsuites`, `testsuite` with counts, `testcase` with `failure`, `skipped` and
//! `system-out`.

use super::markup::escape;
use crate::document::{Cell, Report};
use crate::report::checks::fail_if::Condition;
use crate::unit::{Keep, strip_control};

/// Cases that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
    /// What they have in common, such as the id of a cell.
    pub name: String,
    /// All of them.
    pub cases: Vec<Case>,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Which; its identity over time, together with the suite.
    pub name: String,
    /// What came out, in words.
    pub message: String,
    /// What it comes to.
    pub outcome: CaseOutcome,
}

/// What a check comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseOutcome {
    /// As it should be.
    Passed,
    /// Nobody can tell.
    Skipped,
    /// Not as it should be; a word for why.
    Failed(&'static str),
    /// The run is invalid, so the condition was not tested; `invalid` in the file.
    Invalid,
}

/// The file, ending in a line break.
#[must_use]
pub fn render(name: &str, suites: &[Suite]) -> String {
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

/// The counts of cases as attributes.
fn counts<'a>(cases: impl Iterator<Item = &'a Case>) -> String {
    let (mut tests, mut failures, mut errors, mut skipped) = (0, 0, 0, 0);
    for case in cases {
        tests += 1;
        match case.outcome {
            CaseOutcome::Passed => {}
            CaseOutcome::Skipped => skipped += 1,
            CaseOutcome::Failed(_) => failures += 1,
            CaseOutcome::Invalid => errors += 1,
        }
    }
    format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\"")
}

/// A case; `class` is escaped.
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
#[must_use]
pub fn conditions(report: &Report, conditions: &[Condition]) -> Vec<Suite> {
    let mut suites: Vec<Suite> = Vec::new();
    let mut put = |name: String, case: Case| match suites.iter_mut().find(|one| one.name == name) {
        Some(suite) => suite.cases.push(case),
        None => suites.push(Suite { name, cases: vec![case] }),
    };
    for condition in conditions {
        for (cell, failure) in condition.verdicts(report) {
            let invalid = cell.and_then(|cell| report.invalid_cell(cell).next());
            let (message, outcome) = match (invalid, failure) {
                (Some(reason), _) => (reason.message.clone(), CaseOutcome::Invalid),
                (None, Some(failure)) => (failure.to_string(), CaseOutcome::Failed("fail-if")),
                (None, None) => {
                    let message = cell.map(|cell| condition.result_in(cell)).unwrap_or_default();
                    (message, CaseOutcome::Passed)
                }
            };
            let case = Case { name: condition.to_string(), message, outcome };
            put(cell.map_or_else(|| "run".to_owned(), named), case);
        }
    }
    for reason in &report.invalid_because {
        let (name, message) = ("valid".to_owned(), reason.message.clone());
        let suite = match (&reason.cell, reason.trial) {
            (Some(id), trial) => suite_name(id, trial.unwrap_or(0)),
            (None, _) => "run".to_owned(),
        };
        put(suite, Case { name, message, outcome: CaseOutcome::Invalid });
    }
    if !report.valid && report.invalid_because.is_empty() {
        let (name, message) = ("valid".to_owned(), "the document says that it is not".to_owned());
        put("run".to_owned(), Case { name, message, outcome: CaseOutcome::Invalid });
    }
    suites
}

fn named(cell: &Cell) -> String {
    suite_name(&cell.id, cell.trial)
}

fn suite_name(id: &str, trial: u32) -> String {
    match trial {
        0 => id.to_owned(),
        trial => format!("{id} (trial {trial})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    fn case(name: &str, message: &str, outcome: CaseOutcome) -> Case {
        Case { name: name.to_owned(), message: message.to_owned(), outcome }
    }

    #[test]
    fn text_survives_except_for_characters_that_xml_lacks() {
        let hostile = "]]></testcase><!-- & \" ' > \u{1b}[31m \u{0} \u{fffe} é 漢 \u{1f980}";
        let cases = vec![
            case(hostile, hostile, CaseOutcome::Failed("worse")),
            case("b", hostile, CaseOutcome::Skipped),
            case("c", hostile, CaseOutcome::Passed),
            case("d", hostile, CaseOutcome::Invalid),
        ];
        let suites = [Suite { name: hostile.to_owned(), cases }];
        let xml = render(hostile, &suites);
        let document = roxmltree::Document::parse(&xml).unwrap();
        let tamed = hostile.replace(['\u{1b}', '\u{0}'], " ").replace('\u{fffe}', "\u{fffd}");
        let one = |tag: &str| document.descendants().find(|node| node.has_tag_name(tag)).unwrap();
        for (tag, attribute) in [
            ("testsuites", "name"),
            ("testsuite", "name"),
            ("testcase", "name"),
            ("testcase", "classname"),
            ("failure", "message"),
            ("skipped", "message"),
            ("error", "message"),
        ] {
            assert_eq!(one(tag).attribute(attribute), Some(tamed.as_str()), "{tag} {attribute}");
        }
        assert_eq!(one("failure").text(), Some(tamed.as_str()));
        assert_eq!(one("system-out").text(), Some(tamed.as_str()));
        for tag in ["testsuites", "testsuite"] {
            let count = |name| one(tag).attribute(name).unwrap().to_owned();
            let counts = ["tests", "failures", "errors", "skipped"].map(count);
            assert_eq!(counts, ["4", "1", "1", "1"], "{tag}");
        }
    }

    #[test]
    fn each_condition_is_a_case_in_the_cells_that_it_looks_at() {
        let report = fixture::default_run();
        let of = |words: &[&str]| {
            let all: Vec<Condition> = words.iter().map(|word| word.parse().unwrap()).collect();
            conditions(&report, &all)
        };
        let cells = report.cells.iter().filter(|cell| !cell.calibration).count();
        let paced = report.cells.iter().filter(|cell| cell.pace.is_some()).count();
        let suites = of(&["sent>=0", "p50>60s"]);
        assert_eq!(suites.len(), cells);
        let all = || suites.iter().flat_map(|suite| &suite.cases);
        assert_eq!(all().count(), cells + paced);
        let failed = |case: &&Case| case.outcome == CaseOutcome::Failed("fail-if");
        assert_eq!(all().filter(failed).count(), cells);
        let case = &suites[0].cases[0];
        assert!(case.message.contains(": failed: sent is "), "{case:?}");
        let mut message = of(&["p50>60s"]).into_iter().flat_map(|suite| suite.cases);
        assert!(message.all(|case| case.message.starts_with("passed: p50 is ")));
        let mut nothing = report.clone();
        nothing.cells.clear();
        let suites = conditions(&nothing, &["loss>0%".parse().unwrap()]);
        assert_eq!((suites[0].name.as_str(), suites[0].cases.len()), ("run", 1));
        assert_eq!(suites[0].cases[0].outcome, CaseOutcome::Failed("fail-if"));
    }

    #[test]
    fn an_invalid_cell_neither_passes_nor_fails() {
        let mut report = fixture::default_run();
        report.cells.truncate(2);
        let sent = report.cells[1].ledger.sent;
        fixture::lose(&mut report.cells[1], sent);
        crate::report::judge_validity(&mut report);
        let suites = conditions(&report, &["loss<0%".parse().unwrap(), "sent>0".parse().unwrap()]);
        let outcomes = |at: usize| -> Vec<_> {
            suites[at].cases.iter().map(|case| (case.name.as_str(), case.outcome)).collect()
        };
        let failed = CaseOutcome::Failed("fail-if");
        assert_eq!(outcomes(0), [("loss<0%", CaseOutcome::Passed), ("sent>0", failed)]);
        let invalid = ["loss<0%", "sent>0", "valid"].map(|name| (name, CaseOutcome::Invalid));
        assert_eq!(outcomes(1), invalid);
        report.cells.clear();
        report.invalid_because.clear();
        crate::report::judge_validity(&mut report);
        let suites = conditions(&report, &[]);
        assert_eq!(suites[0].name, "run");
        assert_eq!(suites[0].cases[0].outcome, CaseOutcome::Invalid);
    }
}
