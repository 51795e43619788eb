//! `udperf report`: kept runs, shown again.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::cli::args::{ReportArgs, RunOutputArgs};
use crate::cli::commands::measure;
use crate::cli::error::{CliError, Exit};
use crate::cli::guard::guarded;
use crate::cli::judge;
use crate::cli::output::{Outputs, warn_stderr};
use crate::compare::history::{Filter, History, history};
use crate::compare::store::{self, Other, Stored};
use crate::document::Report;
use crate::report::checks::validity::invalid_lines;
use crate::report::format::text::Style;
use crate::report::format::{Document, Format, RenderOptions, csv, html, junit, markdown};
use crate::report::{Condition, RenderError};

pub(crate) fn run(args: &ReportArgs) -> Result<Exit, CliError> {
    let output = &args.output;
    let mut outputs = Outputs::check::<Report>(&output.common, &output.files())?;
    outputs.spare(args.files.iter().map(PathBuf::as_path))?;
    if let [path] = &args.files[..]
        && !args.history
        && let Some(found) = store::other(path)
    {
        return other(&found?, output, &outputs);
    }
    let mut runs = load(args)?;
    outputs.spare(runs.iter().map(|run| run.path.as_path()))?;
    let gated = guarded("gates", || {
        runs.iter_mut().for_each(|run| judge::apply(&mut run.report, output));
        Ok(())
    });
    if args.history {
        gated?;
        return over_time(&runs, args, &outputs);
    }
    let [run] = &runs[..] else { return several(runs, gated, output, &outputs) };
    let written = measure::write(&run.report, output, &outputs);
    written.map_err(|error| name_run(error, &runs))?;
    gated?;
    guarded("gates", || Ok(judge::judge(&run.report, output, "")))
}

fn other(found: &Other, args: &RunOutputArgs, outputs: &Outputs) -> Result<Exit, CliError> {
    let refuse = |flag: &str| {
        let why =
            format!("--{flag} needs a run, but this is a document of kind '{}'", found.kind());
        Err(CliError::Contradiction(why))
    };
    let of_runs = [("max-missed", args.max_missed.is_some()), ("fail-if", args.is_gated())];
    if let Some((flag, _)) = of_runs.into_iter().find(|(_, is_given)| *is_given) {
        return refuse(flag);
    }
    fn write<D: Document>(
        document: &D,
        outputs: &Outputs,
        refuse: impl Fn(&str) -> Result<Exit, CliError>,
    ) -> Result<Exit, CliError> {
        match outputs.unsupported::<D>() {
            Some(flag) => refuse(flag),
            None => outputs.write(document, &RenderOptions::default()).map(|()| Exit::Well),
        }
    }
    let exit = match found {
        Other::Verdict(document) => write(&**document, outputs, refuse),
        Other::Search(document) => write(&**document, outputs, refuse),
        Other::Sink(document) => write(&**document, outputs, refuse),
        Other::Echo(document) => write(&**document, outputs, refuse),
    }?;
    Ok(if found.is_invalid() { Exit::Invalid } else { exit })
}

/// All runs in the order of the arguments, oldest first in each folder, each file once.
fn load(args: &ReportArgs) -> Result<Vec<Stored>, CliError> {
    let mut runs: Vec<Stored> = Vec::new();
    let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
    for path in &args.files {
        let loaded = store::load(path)?;
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
    let is_faulty = |run: &&Stored| html::render(&[("", &run.report)]).is_err();
    match (error, runs) {
        (CliError::Format(source), [run]) => CliError::Kept { path: run.path.clone(), source },
        (CliError::Format(source), runs) => match runs.iter().find(is_faulty) {
            Some(run) => CliError::Kept { path: run.path.clone(), source },
            None => CliError::Format(source),
        },
        (error, _) => error,
    }
}

struct Runs(Vec<Stored>);

impl Runs {
    fn named(&self) -> Vec<(String, &Report)> {
        self.0.iter().map(|run| (run.path.display().to_string(), &run.report)).collect()
    }

    fn html(&self) -> Result<String, RenderError> {
        let named = self.named();
        let named: Vec<_> = named.iter().map(|(name, report)| (name.as_str(), *report)).collect();
        html::render(&named)
    }

    fn markdown(&self) -> String {
        let one = |(path, report): &(String, &Report)| {
            format!("## {}\n\n{}", markdown::escape(path), markdown::render(report))
        };
        self.named().iter().map(one).collect::<Vec<_>>().join("\n")
    }

    /// The suites of all runs, each with its run's path.
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
        Format::new("Markdown", "markdown", |runs, _| Ok(Some(runs.markdown()))),
        Format::new("page", "html", |runs, _| runs.html().map(Some)),
        Format::new("JUnit", "junit", |runs, options| runs.junit(options.conditions).map(Some)),
    ];

    fn text(&self, style: Style) -> String {
        let one = |(path, report): &(String, &Report)| format!("{path}\n\n{}", report.text(style));
        self.named().iter().map(one).collect::<Vec<_>>().join("\n")
    }
}

fn several(
    runs: Vec<Stored>,
    gated: Result<(), CliError>,
    output: &RunOutputArgs,
    outputs: &Outputs,
) -> Result<Exit, CliError> {
    if let Some(flag) = outputs.unsupported::<Runs>() {
        let why = format!("--{flag} needs one run, got {}; give one file", runs.len());
        return Err(CliError::Contradiction(why));
    }
    let runs = Runs(runs);
    let options = RenderOptions { conditions: &output.fail_if, ..RenderOptions::default() };
    outputs.write(&runs, &options).map_err(|error| name_run(error, &runs.0))?;
    gated?;
    let judge = |run: &Stored| {
        let name = format!("{}: ", run.path.display());
        guarded("gates", || Ok(judge::judge(&run.report, output, &name)))
    };
    let exits = runs.0.iter().map(judge).collect::<Result<Vec<_>, _>>()?;
    // Invalid takes precedence over a condition that held, and that over success.
    let worst = [Exit::Invalid, Exit::ConditionHeld].into_iter().find(|exit| exits.contains(exit));
    Ok(worst.unwrap_or(Exit::Well))
}

fn over_time(runs: &[Stored], args: &ReportArgs, outputs: &Outputs) -> Result<Exit, CliError> {
    if let Some(flag) = outputs.unsupported::<History>() {
        let why = format!("--history has no --{flag}; omit one of them");
        return Err(CliError::Contradiction(why));
    }
    let filter = Filter { metrics: args.metric.clone(), cells: args.cell.clone() };
    for run in runs.iter().filter(|run| !run.report.valid && !args.output.common.quiet) {
        for line in invalid_lines(&run.report) {
            warn_stderr(&format!("{}: {line}", run.path.display()));
        }
    }
    let history = history(runs, &filter);
    if history.series.is_empty() {
        return Err(CliError::NothingToShow(nothing(runs, args)));
    }
    outputs.write(&history, &RenderOptions::default()).map(|()| Exit::Well)
}

fn nothing(runs: &[Stored], args: &ReportArgs) -> String {
    let has = match runs.len() {
        1 => "the run has no cell".to_owned(),
        count => format!("none of {count} runs has a cell"),
    };
    match &args.cell[..] {
        [] => format!("{has} with this metric; choose another --metric"),
        cells => format!(
            "{has} that fits --cell {} and has this metric; omit --cell to see all, or \
             choose another --metric",
            cells.join(" ")
        ),
    }
}
