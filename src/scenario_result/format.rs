//! The formats of the result of a scenario file: a table of the steps, and the report of each.

use super::{CommandDocument, ScenarioDocument, ScenarioStep};
use crate::compare::Comparison;
use crate::compare::formats as verdict;
use crate::document::{Found, Gate, Report, SearchDocument, TrialVerdict};
use crate::report::RenderError;
use crate::report::checks::fail_if::gate_rows;
use crate::report::format::junit::{self, Case, CaseOutcome, Suite};
use crate::report::format::text::Style;
use crate::report::format::text::style::{Color, Styler, align, counted, wrap};
use crate::report::format::{Document, Format, csv, html, markdown};
use crate::unit::show_pps;

impl Document for ScenarioDocument {
    /// Arbitrary order.
    const FORMATS: &'static [Format<Self>] = &[
        Format::json(),
        Format::new("CSV", "csv", |run, _| csv::render_all(&run.reports()).map(Some)),
        Format::new("CSV of intervals", "csv-intervals", |run, _| {
            csv::all_intervals(&run.reports()).map(Some)
        }),
        Format::new("Markdown", "markdown", |run, _| Ok(Some(to_markdown(run)))),
        Format::new("page", "html", |run, _| to_html(run).map(Some)),
        Format::new("JUnit", "junit", |run, _| Ok(Some(to_junit(run)))),
    ];

    fn text(&self, style: Style) -> String {
        let styler = Styler { color: style.color };
        let mut parts = Vec::new();
        for (at, step) in self.steps.iter().enumerate().filter(|_| !self.is_printed) {
            parts.push(heading(at + 1, self.steps.len(), step, style));
            parts.extend(step.document.as_ref().map(|document| text(document, style)));
            parts.extend(step.verdict.as_ref().map(|verdict| verdict.text(style)));
        }
        let rows = self.steps.iter().map(|step| row(step, styler));
        let titles = COLUMNS.map(|(title, _)| styler.paint(Color::Quiet, title)).to_vec();
        let rows: Vec<_> = [titles].into_iter().chain(rows).collect();
        parts.push(align(&rows, |column| COLUMNS[column].1));
        let parts: Vec<_> = parts.iter().map(|part| part.trim_end()).collect();
        let color = if self.exit == 0 { Color::Good } else { Color::Bad };
        let last = styler.paint(color, &summary(self));
        parts.join("\n\n") + &format!("\n\n{last}\n")
    }
}

/// The columns of the table of steps, each with whether it is aligned left.
const COLUMNS: [(&str, bool); 4] =
    [("step", true), ("command", true), ("exit", false), ("result", true)];

/// The first lines of a step: its name and its command.
pub(crate) fn heading(number: usize, of: usize, step: &ScenarioStep, style: Style) -> String {
    let styler = Styler { color: style.color };
    let title = format!("step {number} of {of} · {}", step.name);
    let command = styler.paint_lines(Color::Quiet, wrap(&step.command.join(" "), style.width, 2));
    [styler.paint(Color::Title, &title)].into_iter().chain(command).collect::<Vec<_>>().join("\n")
}

fn row(step: &ScenarioStep, styler: Styler) -> Vec<String> {
    let color = match step.exit {
        Some(0) => Color::Good,
        Some(_) => Color::Bad,
        None => Color::Quiet,
    };
    let exit = step.exit.map_or_else(|| "–".to_owned(), |exit| exit.to_string());
    let command = step.command.get(1).cloned().unwrap_or_default();
    vec![step.name.clone(), command, styler.paint(color, &exit), step.result.clone()]
}

/// How many steps ended well, and the exit code.
fn summary(run: &ScenarioDocument) -> String {
    let count = |is: fn(Option<u8>) -> bool| run.steps.iter().filter(|one| is(one.exit)).count();
    let passed = count(|exit| exit == Some(0));
    let failed = count(|exit| exit.is_some_and(|exit| exit != 0));
    let skipped = count(|exit| exit.is_none());
    let parts = [(passed, "passed"), (failed, "failed"), (skipped, "not run")];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let parts: Vec<_> = parts.map(|(count, word)| format!("{count} {word}")).collect();
    let steps = counted(run.steps.len() as u64, "step");
    let result = if parts.is_empty() { steps } else { format!("{} of {steps}", parts.join(", ")) };
    format!("{result}; exit code {}", run.exit)
}

fn text(document: &CommandDocument, style: Style) -> String {
    match document {
        CommandDocument::Run(report) => report.text(style),
        CommandDocument::Search(search) => search.text(style),
        CommandDocument::Verdict(verdict) => verdict.text(style),
    }
}

impl ScenarioDocument {
    /// The reports of cells, each with the name of its step.
    fn reports(&self) -> Vec<(String, &Report)> {
        let reports = self.steps.iter().filter_map(|step| match &step.document {
            Some(CommandDocument::Run(report)) => Some((step.name.clone(), &**report)),
            _ => None,
        });
        reports.collect()
    }
}

fn to_markdown(run: &ScenarioDocument) -> String {
    let rows: Vec<_> = run.steps.iter().map(|step| row(step, Styler { color: false })).collect();
    let title = format!("## udperf run {}", markdown::escape(&run.file));
    let (titles, left) = (COLUMNS.map(|(title, _)| title), COLUMNS.map(|(_, left)| left));
    let mut parts = vec![title, format!("**{}**", summary(run))];
    parts.push(markdown::table(&titles, &left, &rows));
    for step in &run.steps {
        let documents = step.document.iter().map(|document| match document {
            CommandDocument::Run(report) => markdown::render(report),
            CommandDocument::Verdict(verdict) => verdict::markdown::render(verdict),
            // As in the page of a search: there is no table of it in Markdown.
            CommandDocument::Search(_) => markdown::escape(&step.result),
        });
        let verdicts = step.verdict.iter().map(|verdict| verdict::markdown::render(verdict));
        let texts: Vec<_> =
            documents.chain(verdicts).map(|text| text.trim_end().to_owned()).collect();
        if !texts.is_empty() {
            let summary = format!("<summary>{}</summary>", markdown::escape(&step.name));
            let texts = texts.join("\n\n");
            parts.push(format!("<details>\n{summary}\n\n{texts}\n\n</details>"));
        }
    }
    parts.join("\n\n") + "\n"
}

fn to_html(run: &ScenarioDocument) -> Result<String, RenderError> {
    let title = format!("udperf · run · {}", run.file);
    let rows: Vec<_> = run.steps.iter().map(|step| row(step, Styler { color: false })).collect();
    let tag = if run.exit == 0 { "p class=\"valid\"" } else { "p class=\"invalid\"" };
    let mut body = html::element("h1", &title) + &html::element(tag, &summary(run));
    body += &html::table_of_texts("reasons", &COLUMNS, &rows);
    for (at, step) in run.steps.iter().enumerate() {
        let number = format!("step {} of {}", at + 1, run.steps.len());
        let name = format!("{number} · {} · {}", step.name, step.result);
        match &step.document {
            Some(CommandDocument::Run(report)) => body += &html::of_report(&name, report)?,
            Some(CommandDocument::Search(search)) => {
                body += &section(&name, &html::search_page(search).1)
            }
            Some(CommandDocument::Verdict(one)) => {
                body += &section(&name, &verdict::html::body(one).1);
            }
            None => body += &section(&name, ""),
        }
        if let Some(one) = &step.verdict {
            let name = format!("{} · baseline", step.name);
            body += &section(&name, &verdict::html::body(one).1);
        }
    }
    let head = &run.head;
    let variables = run.variables.iter().map(|(name, value)| format!("{name} = {value}"));
    let variables: Vec<_> = variables.collect();
    body += &html::run((&head.started_at, &head.host, &head.tool), &variables, &head.command);
    Ok(html::page(&title, &body))
}

fn section(name: &str, body: &str) -> String {
    let name = html::element("p class=\"quiet\"", name);
    // The name is below the title, as in the section of a run.
    let (title, rest) = match body.find("</h1>\n") {
        Some(at) => body.split_at(at + "</h1>\n".len()),
        None => ("", body),
    };
    format!("<section>\n{title}{name}{rest}</section>\n")
}

fn to_junit(run: &ScenarioDocument) -> String {
    let suites: Vec<_> = run.steps.iter().map(suite).collect();
    junit::render(&format!("udperf run {}", run.file), &suites)
}

/// A case for the step, and one for each of its conditions, goals and figures.
fn suite(step: &ScenarioStep) -> Suite {
    let outcome = match step.exit {
        None => CaseOutcome::Skipped,
        Some(0) => CaseOutcome::Passed,
        Some(5) => CaseOutcome::Invalid,
        Some(_) => CaseOutcome::Failed("exit"),
    };
    let message = match step.exit {
        Some(exit) => format!("exit code {exit}: {}", step.result),
        None => step.result.clone(),
    };
    let mut cases = vec![Case { name: "step".to_owned(), message, outcome }];
    match &step.document {
        Some(CommandDocument::Run(report)) => {
            let rows = gate_rows(report).into_iter().zip(&report.gates);
            cases.extend(rows.map(|(row, gate)| gate_case(&row, gate)));
        }
        Some(CommandDocument::Verdict(verdict)) => cases.extend(verdict_cases(verdict)),
        Some(CommandDocument::Search(search)) => {
            cases.extend(search.searches.iter().flat_map(|found| goal_cases(search, found)));
        }
        None => {}
    }
    cases.extend(step.verdict.iter().flat_map(|verdict| verdict_cases(verdict)));
    Suite { name: step.name.clone(), cases }
}

fn gate_case(row: &[String], gate: &Gate) -> Case {
    let (cell, value, result) = (&row[1], &row[2], &row[3]);
    let outcome = match (result.as_str(), gate.held) {
        ("invalid", _) => CaseOutcome::Invalid,
        (_, Some(false)) => CaseOutcome::Passed,
        _ => CaseOutcome::Failed("fail-if"),
    };
    let message = format!("{result}: {value} in {cell}");
    Case { name: format!("{cell} {}", gate.expr), message, outcome }
}

/// A case for each goal of a search: whether it held at the rate that was found. If no rate passed,
/// a goal fails unless the lowest rate that was tried failed by another goal alone.
fn goal_cases(search: &SearchDocument, found: &Found) -> Vec<Case> {
    let lowest = found.trials.iter().filter(|trial| trial.verdict != TrialVerdict::Pass);
    let lowest = lowest.min_by(|a, b| a.rate_pps.total_cmp(&b.rate_pps));
    let trial = match found.low_pps {
        Some(low) => found
            .trials
            .iter()
            .rfind(|trial| trial.rate_pps == low && trial.verdict == TrialVerdict::Pass),
        None => lowest,
    };
    let reason = trial.and_then(|trial| trial.reason.as_deref()).unwrap_or_default();
    let is_named = |goal: &str| reason.contains(&format!("{}:", goal.trim()));
    let any_named = search.goals.iter().any(|goal| is_named(goal));
    let case = |(at, goal): (usize, &String)| {
        let figure = trial.and_then(|trial| trial.figures.goals.get(at).cloned().flatten());
        let figure = figure.unwrap_or_else(|| "unknown".to_owned());
        let rate = trial.map(|trial| format!(" at {}", show_pps(trial.rate_pps)));
        let rate = rate.unwrap_or_default();
        let (outcome, message) = match found.low_pps {
            Some(_) => (CaseOutcome::Passed, format!("passed: {figure}{rate}")),
            None if any_named && !is_named(goal) => {
                (CaseOutcome::Passed, format!("passed: {figure}{rate}; no rate passed all goals"))
            }
            None => {
                (CaseOutcome::Failed("goal"), format!("no rate passed: {figure}{rate}; {reason}"))
            }
        };
        let message = message.trim_end_matches("; ").to_owned();
        Case { name: format!("{} {goal}", found.id), message, outcome }
    };
    search.goals.iter().enumerate().map(case).collect()
}

/// The cases of a comparison, with the cell in each name.
fn verdict_cases(comparison: &Comparison) -> Vec<Case> {
    let suites = verdict::junit::suites(comparison, true).into_iter();
    let named = |suite: Suite| {
        let cases = suite.cases.into_iter();
        cases.map(move |case| Case { name: format!("{} {}", suite.name, case.name), ..case })
    };
    suites.flat_map(named).collect()
}
