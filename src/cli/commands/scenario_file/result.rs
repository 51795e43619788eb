//! Results of steps in a few words.

use crate::cli::error::{EXITS, Exit};
use crate::compare::show::headline;
use crate::document::Report;
use crate::report::checks::validity::invalid_lines;
use crate::report::format::text::style::counted;
use crate::scenario_result::CommandDocument;
use crate::unit::RateUnit;

/// The exit code, document and error of a process.
pub(super) struct Ended {
    pub(super) exit: Exit,
    pub(super) document: Option<CommandDocument>,
    pub(super) error: Option<String>,
}

/// The result of a step in a few words.
pub(super) fn of_step(
    exit: Exit,
    document: Option<&CommandDocument>,
    error: Option<&str>,
) -> String {
    let title = || {
        let title = EXITS.iter().find(|(one, ..)| *one == exit).map(|(_, title, _)| *title);
        title.unwrap_or_default().to_owned()
    };
    if let Some(error) = error {
        return error.lines().next().unwrap_or_default().to_owned();
    }
    match (document, exit) {
        (Some(CommandDocument::Run(report)), Exit::Success) if report.gates.is_empty() => {
            let cells = report.cells.iter().filter(|cell| !cell.calibration).count() as u64;
            let cells = counted(cells, "cell");
            // Only with conditions an invalid run fails.
            invalid(report).map_or_else(|| cells.clone(), |invalid| format!("{cells}; {invalid}"))
        }
        (Some(CommandDocument::Run(report)), Exit::Success) => {
            format!("passed {}", counted(report.gates.len() as u64, "check"))
        }
        (Some(CommandDocument::Run(report)), Exit::ConditionHeld) => {
            let held: Vec<_> =
                report.gates.iter().filter(|gate| gate.held != Some(false)).collect();
            let first = held.first().map(|gate| {
                let cell = gate.cell.as_deref().unwrap_or("the run");
                format!("{} in {cell}", gate.expr)
            });
            let more = held.len().saturating_sub(1);
            let more = if more > 0 { format!(", and {more} more") } else { String::new() };
            format!("{}{more}", first.unwrap_or_else(title))
        }
        (Some(document), Exit::Invalid) => {
            document.report().and_then(invalid).unwrap_or_else(title)
        }
        (Some(CommandDocument::Search(search)), Exit::Success | Exit::ConditionHeld) => {
            let show = RateUnit::of_kind(&search.inner).show();
            let found = search.searches.iter().map(|one| match one.low_pps {
                Some(pps) => format!("{} {}", one.id, show(pps)),
                None => format!("{} no rate passed", one.id),
            });
            found.collect::<Vec<_>>().join(", ")
        }
        (Some(CommandDocument::Verdict(verdict)), _) if exit != Exit::Interrupted => {
            headline(verdict)
        }
        _ => title(),
    }
}

/// Why a run is invalid, if it is; its report says what to do, too.
fn invalid(report: &Report) -> Option<String> {
    let line = invalid_lines(report).into_iter().next()?;
    Some(line.split(';').next()?.replacen("Invalid: ", "invalid: ", 1))
}

/// The result of the comparison with a baseline in a few words.
pub(super) fn of_verdict(compared: &Ended) -> String {
    match (&compared.document, &compared.error) {
        (Some(CommandDocument::Verdict(verdict)), _) => {
            format!("{} compared with its baseline", verdict.verdict.word())
        }
        (_, Some(error)) => format!("not compared: {error}"),
        _ => "not compared".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{self, Verdict};
    use crate::document::Head;
    use crate::report::format::{Document, text::Style};
    use crate::report::{Condition, fixture, gates};
    use crate::scenario_result::{ScenarioDocument, ScenarioStep};

    #[test]
    fn the_table_of_the_manual_is_printed() {
        let manual = include_str!("../../../../docs/scenarios.md");
        let (_, table) = manual.split_once("The table of all steps is last:\n\n```text\n").unwrap();
        let (table, _) = table.split_once("```").unwrap();
        let mut run = fixture::default_run();
        run.cells.truncate(2);
        let passing = ["sent<0", "received<0"].map(|word| word.parse::<Condition>().unwrap());
        run.gates = gates(&run, &passing);
        let run = CommandDocument::Run(Box::new(run));
        let mut search = fixture::search();
        search.searches.truncate(1);
        (search.searches[0].low_pps, search.searches[0].id) = (None, "gso+batch/45".to_owned());
        let search = CommandDocument::Search(Box::new(search));
        let mut verdict = compare::fixture::comparison();
        verdict.verdict = Verdict::Same;
        let compared = Ended {
            exit: Exit::Success,
            document: Some(CommandDocument::Verdict(Box::new(verdict))),
            error: None,
        };
        let step = |name: &str, command: &str, exit: Exit, document| ScenarioStep {
            name: name.to_owned(),
            command: vec!["udperf".to_owned(), command.to_owned()],
            exit: Some(exit as u8),
            result: of_step(exit, Some(document), None),
            ..ScenarioStep::default()
        };
        let mut steady = step("steady", "load", Exit::Success, &run);
        steady.result += &format!("; {}", of_verdict(&compared));
        let document = ScenarioDocument {
            head: Head::default(),
            file: "tests.toml".to_owned(),
            variables: Default::default(),
            exit: 3,
            steps: vec![steady, step("limit", "search", Exit::ConditionHeld, &search)],
            is_printed: true,
        };
        assert_eq!(document.text(Style { color: false, width: 100, verbose: false }), table);
    }
}
