//! `udperf report`: stored runs, shown again.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::cell_command::{apply_gates, check_junit, judge, write};
use crate::cli::args::{ReportArgs, RunOutputArgs};
use crate::cli::error::{CliError, CliResult, Exit, guarded, usage, worst};
use crate::cli::output::{Outputs, shown, warn_stderr};
use crate::compare::history::{Filter, History, history};
use crate::compare::other::Other;
use crate::compare::store::{self, Stored};
use crate::compare::{METRICS, Rules, RunFacts, SideRuns, StepRun, compare};
use crate::document::{Head, Report};
use crate::report::format::text::Style;
use crate::report::format::{Document, Format, RenderOptions, csv, html, junit, markdown};
use crate::report::{Condition, RenderError, checks::metric::Metric};
use crate::report::{checks::validity::invalid_lines, read};
use crate::scenario_result::ScenarioDocument;

pub(crate) fn run(args: &ReportArgs) -> CliResult {
    let output = &args.output;
    if !output.common.labels.is_empty() {
        return usage("--label is kept with what a command measures; omit it here");
    }
    let mut outputs = Outputs::check::<Report>(&output.common, &output.files())?;
    outputs.is_repeatable = true;
    outputs.protect(args.files.iter().map(PathBuf::as_path))?;
    if let [path] = &args.files[..]
        && !args.history
    {
        if let Some(run) = ScenarioDocument::read(path) {
            let run = run?;
            let exit = if run.is_invalid() { Exit::Invalid } else { Exit::Success };
            return show_other(("run", &run), output, &outputs).map(|()| exit);
        }
        if let Some(found) = store::other(path) {
            return show_one(&found?, output, &outputs);
        }
    }
    check_junit(output)?;
    let mut runs = load(args)?;
    outputs.protect(runs.iter().map(|run| run.path.as_path()))?;
    let gated = guarded("gates", || {
        runs.iter_mut().for_each(|run| apply_gates(&mut run.report, output));
    });
    if args.history {
        gated?;
        return show_history(&runs, args, &outputs);
    }
    let [run] = &runs[..] else { return show_several(runs, gated, output, &outputs) };
    write(&run.report, output, &outputs).map_err(|error| name_run(error, &runs))?;
    gated?;
    guarded("gates", || judge(&run.report, output, &outputs, ""))
}

fn show_one(found: &Other, args: &RunOutputArgs, outputs: &Outputs) -> CliResult {
    let kind = found.kind();
    match found {
        Other::Verdict(document) => show_other((kind, &**document), args, outputs),
        Other::Search(document) => show_other((kind, &**document), args, outputs),
        Other::Sink(document) => show_other((kind, &**document), args, outputs),
        Other::Echo(document) => show_other((kind, &**document), args, outputs),
        Other::Doctor(document) => show_other((kind, &**document), args, outputs),
        Other::Selftest(document) => show_other((kind, &**document), args, outputs),
    }?;
    Ok(if found.is_invalid() { Exit::Invalid } else { Exit::Success })
}

/// Shows a document of a kind without conditions.
fn show_other<D: Document>(
    (kind, document): (&str, &D),
    args: &RunOutputArgs,
    outputs: &Outputs,
) -> CliResult<()> {
    let max_missed = args.max_missed.map(|_| "max-missed");
    let fail_if = args.is_gated().then_some("fail-if");
    match max_missed.or(fail_if).or_else(|| outputs.unsupported::<D>()) {
        Some(flag) => {
            usage(format!("--{flag} needs a run, but this is a document of kind '{kind}'"))
        }
        None => outputs.write(document, &RenderOptions::default()),
    }
}

/// All runs in the order of the arguments, oldest first in each folder, each file once.
fn load(args: &ReportArgs) -> CliResult<Vec<Stored>> {
    let (mut runs, mut seen) = (Vec::new(), BTreeSet::new());
    for path in &args.files {
        let loaded = match args.history {
            true => store::load_with_steps(path)?,
            false => store::load(path)?,
        };
        if !args.output.common.quiet {
            for (path, why) in &loaded.skipped {
                warn_stderr(&format!("{} is left out: {why}", path.display()));
            }
        }
        let is_new = |run: &Stored| {
            // A pipe that was read cannot be resolved; it is unique.
            run.path.canonicalize().map_or(true, |path| seen.insert(path))
        };
        runs.extend(loaded.runs.into_iter().filter(is_new));
    }
    if args.history {
        store::sort(&mut runs);
    }
    Ok(runs)
}

/// Names the file of the run whose histogram or start cannot be read.
fn name_run(error: CliError, runs: &[Stored]) -> CliError {
    let CliError::Format(source) = error else { return error };
    let is_faulty = |run: &&Stored| html::render(&[("", &run.report)]).is_err();
    let faulty = if let [run] = runs { Some(run) } else { runs.iter().find(is_faulty) };
    match faulty {
        Some(run) => CliError::Stored { path: run.path.clone(), source },
        None => CliError::Format(source),
    }
}

struct Runs(Vec<Stored>);

impl Runs {
    fn named(&self) -> Vec<(String, &Report)> {
        self.0.iter().map(|run| (shown(&run.path), &run.report)).collect()
    }

    fn html(&self) -> Result<String, RenderError> {
        let named = self.named();
        let named: Vec<_> = named.iter().map(|(name, report)| (name.as_str(), *report)).collect();
        html::render(&named)
    }

    fn join(&self, text: impl Fn(&str, &Report) -> String) -> String {
        let texts = self.0.iter().map(|run| text(&shown(&run.path), &run.report));
        texts.collect::<Vec<_>>().join("\n")
    }

    fn junit(&self, conditions: &[Condition]) -> Result<String, RenderError> {
        let mut all = Vec::new();
        for (path, report) in self.named() {
            for mut suite in junit::conditions(report, conditions) {
                suite.name = format!("{path} {}", suite.name);
                all.push(suite);
            }
        }
        Ok(junit::render("udperf report", &all))
    }
}

impl Document for Runs {
    /// Arbitrary order.
    const FORMATS: &'static [Format<Self>] = &[
        Format::new("CSV", "csv", |runs, _| csv::render_all(&runs.named()).map(Some)),
        Format::new("CSV of intervals", "csv-intervals", |runs, _| {
            csv::all_intervals(&runs.named()).map(Some)
        }),
        Format::new("Markdown", "markdown", |runs, _| {
            let title = |path: &str| format!("## {}\n\n", markdown::escape(path));
            Ok(Some(runs.join(|path, report| title(path) + &markdown::render(report))))
        }),
        Format::new("page", "html", |runs, _| runs.html().map(Some)),
        Format::new("JUnit", "junit", |runs, options| runs.junit(options.conditions).map(Some)),
    ];

    fn text(&self, style: Style) -> String {
        self.join(|path, report| format!("{path}\n\n{}", report.text(style)))
    }
}

fn show_several(
    runs: Vec<Stored>,
    gated: CliResult<()>,
    output: &RunOutputArgs,
    outputs: &Outputs,
) -> CliResult {
    if let Some(flag) = outputs.unsupported::<Runs>() {
        return usage(format!("--{flag} needs one run, got {}; give one file", runs.len()));
    }
    let runs = Runs(runs);
    let options = RenderOptions { conditions: &output.fail_if, ..RenderOptions::default() };
    outputs.write(&runs, &options).map_err(|error| name_run(error, &runs.0))?;
    gated?;
    let judge = |run: &Stored| {
        let name = format!("{}: ", run.path.display());
        guarded("gates", || judge(&run.report, output, outputs, &name))
    };
    let exits = runs.0.iter().map(judge).collect::<Result<Vec<_>, _>>()?;
    Ok(worst(exits))
}

fn show_history(runs: &[Stored], args: &ReportArgs, outputs: &Outputs) -> CliResult {
    if let Some(flag) = outputs.unsupported::<History>() {
        return usage(format!("--history has no --{flag}; omit one of them"));
    }
    for run in runs.iter().filter(|run| !run.report.valid && !args.output.common.quiet) {
        for line in invalid_lines(&run.report) {
            warn_stderr(&format!("{}: {line}", run.path.display()));
        }
    }
    let filter = Filter { metrics: args.metric.clone(), cells: args.cell.clone() };
    let history = history(runs, &filter);
    if !history.series.is_empty() {
        return outputs.write(&history, &RenderOptions::default()).map(|()| Exit::Success);
    }
    let has = match runs.len() {
        1 => "the run has no cell".to_owned(),
        count => format!("none of {count} runs has a cell"),
    };
    Err(CliError::Failed(match &args.cell[..] {
        [] => format!("{has} with this metric; choose another --metric"),
        cells => format!(
            "{has} that fits --cell {} and has this metric; omit --cell to see all, or choose \
             another --metric",
            cells.join(" ")
        ),
    }))
}

/// Reads a text as a stored document of any kind, renders it in every format, and compares a run
/// with itself, for fuzzing. The rendered texts; none if it is no document.
pub fn render_stored(text: &str) -> Vec<String> {
    let Ok(kind) = read::kind(text) else { return Vec::new() };
    let run = if kind == store::SCENARIO_RESULT { read::of_kind(text).ok() } else { None };
    let mut all = run.map_or_else(Vec::new, |run: ScenarioDocument| render_all(&run));
    all.extend(Other::read(&kind, text).map_or_else(
        |_| Vec::new(),
        |found| match &found {
            Other::Verdict(document) => render_all(&**document),
            Other::Search(document) => render_all(&**document),
            Other::Sink(document) => render_all(&**document),
            Other::Echo(document) => render_all(&**document),
            Other::Doctor(document) => render_all(&**document),
            Other::Selftest(document) => render_all(&**document),
        },
    ));
    let Ok(report) = read::read(text) else { return all };
    all.extend(render_all(&report));
    let (runs, without_run) = (StepRun::all([&report; 4]), BTreeSet::new());
    let side = SideRuns { from: "", runs: &runs, without_run: &without_run };
    let facts = RunFacts {
        head: Head::default(),
        base: side,
        new: side,
        rules: &Rules::default(),
        metrics: &METRICS.map(Metric::named).into_iter().flatten().collect::<Vec<_>>(),
        named: false,
        any_scenario: false,
        noise: None,
    };
    all.extend(compare(facts).map_or_else(|_| Vec::new(), |verdict| render_all(&verdict)));
    let stored = |path: &str| Stored { path: path.into(), step: None, report: report.clone() };
    let runs = vec![stored("a.json"), stored("b.json")];
    let filter = Filter { metrics: Vec::new(), cells: Vec::new() };
    all.extend(render_all(&history(&runs, &filter)));
    all.extend(render_all(&Runs(runs)));
    all
}

/// The text and all files of a document; those that fail are left out.
fn render_all<D: Document>(document: &D) -> Vec<String> {
    let styles = [(80, false), (200, true)];
    let text = |(width, verbose)| document.text(Style { color: false, width, verbose });
    let options = RenderOptions::default();
    let files = D::FORMATS.iter().flat_map(|format| {
        let cells = format.render_cells.map(|render| render(document).unwrap_or_default());
        let cells = cells.unwrap_or_default().into_iter().map(|file| file.text);
        cells.chain((format.render)(document, &options).ok().flatten()).collect::<Vec<_>>()
    });
    styles.into_iter().map(text).chain(files).collect()
}
