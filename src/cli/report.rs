//! `udperf report`: kept runs, shown again.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::args::{OutputArgs, ReportArgs};
use super::cells::{self, Files, Form};
use super::error::{CliError, Exit};
use super::judge;
use super::output::{color, complain, pretty, print, tame, width};
use crate::compare::history::{self, Filter, History, history};
use crate::compare::store::{self, Other, Stored};
use crate::report::text::Style;
use crate::report::validity::invalid_lines;
use crate::report::{self, FaceError};

/// Shows what is in files and folders.
pub(crate) fn run(args: &ReportArgs) -> Result<Exit, CliError> {
    let output = &args.output;
    let files = Files::check(output)?;
    if let [path] = &args.files[..]
        && !args.history
        && let Some(found) = store::other(path)
    {
        return other(&found?, output, &files);
    }
    let mut runs = load(args)?;
    runs.iter_mut().for_each(|run| judge::apply(&mut run.report, output));
    if args.history {
        return over_time(&runs, args, &files);
    }
    match &runs[..] {
        [run] => {
            cells::show(&run.report, output)?;
            files.write(|form| one(run, form, output))?;
            Ok(judge::judge(&run.report, output))
        }
        runs => several(runs, output, &files),
    }
}

/// Shows a document without cells: what needs those cannot be had of it.
fn other(found: &Other, output: &OutputArgs, files: &Files) -> Result<Exit, CliError> {
    let of_runs = [
        ("--csv", output.csv.is_some()),
        ("--hdr", output.hdr.is_some()),
        ("--html", output.html.is_some()),
        ("--junit", output.junit.is_some()),
        ("--fail-if", !output.fail_if.is_empty()),
        ("--markdown", output.markdown.is_some() && found.markdown().is_none()),
    ];
    if let Some((flag, _)) = of_runs.into_iter().find(|(_, is_asked)| *is_asked) {
        let why = format!("{flag} is not made from a document of kind '{}'", found.kind());
        return Err(CliError::Contradiction(why));
    }
    let markdown = || found.markdown().unwrap_or_default();
    if output.json_to_stdout() {
        print(&pretty(found))?;
    } else if output.markdown_to_stdout() {
        print(&markdown())?;
    } else {
        print(&tame(&found.text(style(output))))?;
    }
    files.write(|form| {
        Ok(if matches!(form, Form::Markdown) { markdown() } else { pretty(found) })
    })?;
    Ok(if found.is_invalid() { Exit::Invalid } else { Exit::Well })
}

/// All runs, oldest first in each folder, in the order in which files and folders were named; a
/// file that was named twice, or again by its folder, once.
fn load(args: &ReportArgs) -> Result<Vec<Stored>, CliError> {
    let mut runs: Vec<Stored> = Vec::new();
    let mut seen: BTreeSet<PathBuf> = BTreeSet::new();
    for path in &args.files {
        let loaded = store::load(path)?;
        if !args.output.quiet {
            for (path, why) in &loaded.skipped {
                complain(&format!("{} is left out: {why}", path.display()));
            }
        }
        let is_new = |run: &Stored| {
            // What cannot be followed, such as a pipe that is read by now, is like nothing else.
            run.path.canonicalize().map_or(true, |path| seen.insert(path))
        };
        runs.extend(loaded.runs.into_iter().filter(is_new));
    }
    if args.history {
        store::sort(&mut runs);
    }
    Ok(runs)
}

/// One run as a file.
fn one(run: &Stored, form: Form, output: &OutputArgs) -> Result<String, CliError> {
    match form {
        Form::Json | Form::Markdown | Form::Junit => cells::draw(&run.report, form, output),
        Form::Csv => report::csv::render(&run.report).map_err(|source| kept(run, source)),
        Form::Hdr => report::hdr::render(&run.report).map_err(|source| kept(run, source)),
        Form::Html => {
            report::html::render(&[("", &run.report)]).map_err(|source| kept(run, source))
        }
    }
}

fn kept(run: &Stored, source: FaceError) -> CliError {
    CliError::Kept { path: run.path.clone(), source }
}

/// Shows runs one after the other.
fn several(runs: &[Stored], output: &OutputArgs, files: &Files) -> Result<Exit, CliError> {
    for (flag, asked) in [("--json", output.json.is_some()), ("--hdr", output.hdr.is_some())] {
        if asked {
            let why = format!("{flag} is of one run, and there are {}; name one file", runs.len());
            return Err(CliError::Contradiction(why));
        }
    }
    if output.markdown_to_stdout() {
        print(&markdown(runs))?;
    } else {
        let texts = runs.iter().map(|run| {
            let text = report::text::render(&run.report, style(output));
            tame(&format!("{}\n\n{text}", run.path.display()))
        });
        print(&texts.collect::<Vec<_>>().join("\n"))?;
    }
    files.write(|form| match form {
        Form::Json | Form::Hdr => Ok(String::new()),
        Form::Csv => csv(runs),
        Form::Markdown => Ok(markdown(runs)),
        Form::Html => page(runs),
        Form::Junit => junit(runs, output),
    })?;
    let judge = |run: &Stored| {
        judge::judge_named(&run.report, output, &format!("{}: ", run.path.display()))
    };
    let exits: Vec<_> = runs.iter().map(judge).collect();
    // Invalid takes precedence over a condition that held, and that over success.
    let worst = [Exit::Invalid, Exit::ConditionHeld].into_iter().find(|exit| exits.contains(exit));
    Ok(worst.unwrap_or(Exit::Well))
}

fn markdown(runs: &[Stored]) -> String {
    let one = |run: &Stored| {
        let path = report::markdown::escape(&run.path.display().to_string());
        format!("## {path}\n\n{}", report::markdown::render(&run.report))
    };
    runs.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn csv(runs: &[Stored]) -> Result<String, CliError> {
    let named: Vec<_> =
        runs.iter().map(|run| (run.path.display().to_string(), &run.report)).collect();
    report::csv::render_all(&named).map_err(|error| cells::face("CSV", &error))
}

/// The suites of all runs, each with its run's path.
fn junit(runs: &[Stored], output: &OutputArgs) -> Result<String, CliError> {
    let mut all = Vec::new();
    for run in runs {
        for mut suite in report::junit::conditions(&run.report, &output.fail_if) {
            suite.name = format!("{} {}", run.path.display(), suite.name);
            all.push(suite);
        }
    }
    cells::junit("report", all)
}

fn page(runs: &[Stored]) -> Result<String, CliError> {
    let names: Vec<_> = runs.iter().map(|run| run.path.display().to_string()).collect();
    let named: Vec<_> =
        names.iter().map(String::as_str).zip(runs.iter().map(|run| &run.report)).collect();
    report::html::render(&named).map_err(|source| {
        // Only a histogram can be at fault: whose?
        let faulty = runs.iter().find(|run| report::html::render(&[("", &run.report)]).is_err());
        CliError::Kept { path: faulty.map_or_else(PathBuf::new, |run| run.path.clone()), source }
    })
}

/// Shows how cells moved.
fn over_time(runs: &[Stored], args: &ReportArgs, files: &Files) -> Result<Exit, CliError> {
    let filter = Filter { metrics: args.metric.clone(), cells: args.cell.clone() };
    for run in runs.iter().filter(|run| !run.report.valid && !args.output.quiet) {
        for line in invalid_lines(&run.report) {
            complain(&format!("{}: {line}", run.path.display()));
        }
    }
    let history = history(runs, &filter);
    if history.series.is_empty() {
        return Err(CliError::NothingToShow(nothing(runs, args)));
    }
    if args.output.markdown_to_stdout() {
        print(&history::markdown(&history))?;
    } else {
        print(&tame(&history::text(&history, style(&args.output))))?;
    }
    files.write(|form| follow(&history, form))?;
    Ok(Exit::Well)
}

fn follow(history: &History, form: Form) -> Result<String, CliError> {
    match form {
        // Not with --history: the command line sees to it.
        Form::Json | Form::Hdr | Form::Junit => Ok(String::new()),
        Form::Csv => history::csv(history).map_err(|error| cells::face("CSV", &error)),
        Form::Markdown => Ok(history::markdown(history)),
        Form::Html => history::html(history).map_err(|error| cells::face("page", &error)),
    }
}

/// Why there is no series.
fn nothing(runs: &[Stored], args: &ReportArgs) -> String {
    let has = match runs.len() {
        1 => "the run has no cell".to_owned(),
        count => format!("none of {count} runs has a cell"),
    };
    match &args.cell[..] {
        [] => format!("{has} that knows the figure; choose another --metric"),
        cells => format!(
            "{has} that fits --cell {} and knows the figure; leave --cell away to see all, or \
             choose another --metric",
            cells.join(" ")
        ),
    }
}

fn style(output: &OutputArgs) -> Style {
    Style { color: color(output.color), width: width() }
}
