//! `udperf report`: kept runs, shown again.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::cli::args::{OutputArgs, ReportArgs};
use crate::cli::commands::measure;
use crate::cli::commands::measure::{Files, Form};
use crate::cli::error::{CliError, Exit};
use crate::cli::guard::{guarded, print_guarded};
use crate::cli::judge;
use crate::cli::output::{color, pretty, print, tame, warn_stderr, width};
use crate::compare::history::{self, Filter, History, history};
use crate::compare::store::{self, Other, Stored};
use crate::report::checks::validity::invalid_lines;
use crate::report::format::text::Style;
use crate::report::{self, RenderError};

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
    let gated = guarded("gates", || {
        runs.iter_mut().for_each(|run| judge::apply(&mut run.report, output));
        Ok(())
    });
    if args.history {
        gated?;
        return over_time(&runs, args, &files);
    }
    match &runs[..] {
        [run] => {
            // A part that fails does not take the others along.
            let shown = measure::show(&run.report, output);
            files.write(|form| one(run, form, output))?;
            shown?;
            gated?;
            guarded("gates", || Ok(judge::judge(&run.report, output)))
        }
        runs => several(runs, gated, output, &files),
    }
}

/// Shows a document without cells: what needs those cannot be had of it.
fn other(found: &Other, output: &OutputArgs, files: &Files) -> Result<Exit, CliError> {
    let of_runs = [
        ("--max-missed", output.max_missed.is_some()),
        ("--csv", output.csv.is_some()),
        ("--hdr", output.hdr.is_some()),
        ("--html", output.html.is_some()),
        ("--junit", output.junit.is_some()),
        ("--fail-if", !output.fail_if.is_empty()),
        ("--markdown", output.markdown.is_some() && found.markdown().is_none()),
    ];
    if let Some((flag, _)) = of_runs.into_iter().find(|(_, is_asked)| *is_asked) {
        let why = format!("{flag} needs a run, and this is a document of kind '{}'", found.kind());
        return Err(CliError::Contradiction(why));
    }
    let markdown = || found.markdown().unwrap_or_default();
    let shown = if output.json_to_stdout() {
        print(&pretty(found))
    } else if output.markdown_to_stdout() {
        print_guarded("Markdown", found, markdown)
    } else {
        print_guarded("text", found, || found.text(style(output)))
    };
    files.write(|form| match form {
        Form::Markdown => guarded("Markdown", || Ok(markdown())),
        _ => Ok(pretty(found)),
    })?;
    shown?;
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
                warn_stderr(&format!("{} is left out: {why}", path.display()));
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
    guarded(form.name(), || match form {
        Form::Json | Form::Markdown | Form::Junit => measure::draw(&run.report, form, output),
        Form::Csv => report::format::csv::render(&run.report).map_err(|source| kept(run, source)),
        Form::Hdr => report::format::hdr::render(&run.report).map_err(|source| kept(run, source)),
        Form::Html => {
            report::format::html::render(&[("", &run.report)]).map_err(|source| kept(run, source))
        }
    })
}

fn kept(run: &Stored, source: RenderError) -> CliError {
    CliError::Kept { path: run.path.clone(), source }
}

/// Shows runs one after the other; `gated`: whether their gates could be checked.
fn several(
    runs: &[Stored],
    gated: Result<(), CliError>,
    output: &OutputArgs,
    files: &Files,
) -> Result<Exit, CliError> {
    for (flag, asked) in [("--json", output.json.is_some()), ("--hdr", output.hdr.is_some())] {
        if asked {
            let why = format!("{flag} is of one run, and there are {}; name one file", runs.len());
            return Err(CliError::Contradiction(why));
        }
    }
    let shown = if output.markdown_to_stdout() {
        guarded("Markdown", || Ok(markdown(runs))).and_then(|text| print(&text).map(|_| ()))
    } else {
        texts(runs, output)
    };
    files.write(|form| {
        guarded(form.name(), || match form {
            Form::Json | Form::Hdr => Ok(String::new()),
            Form::Csv => csv(runs),
            Form::Markdown => Ok(markdown(runs)),
            Form::Html => page(runs),
            Form::Junit => Ok(junit(runs, output)),
        })
    })?;
    shown?;
    gated?;
    let judge = |run: &Stored| {
        let name = format!("{}: ", run.path.display());
        guarded("gates", || Ok(judge::judge_named(&run.report, output, &name)))
    };
    let exits = runs.iter().map(judge).collect::<Result<Vec<_>, _>>()?;
    // Invalid takes precedence over a condition that held, and that over success.
    let worst = [Exit::Invalid, Exit::ConditionHeld].into_iter().find(|exit| exits.contains(exit));
    Ok(worst.unwrap_or(Exit::Well))
}

/// Prints each run as text; where that panics, the document as JSON.
fn texts(runs: &[Stored], output: &OutputArgs) -> Result<(), CliError> {
    let mut bugs = Vec::new();
    let text = |run: &Stored| {
        let text = guarded("text", || Ok(report::format::text::render(&run.report, style(output))));
        let text = text.unwrap_or_else(|bug| {
            bugs.push(bug);
            pretty(&run.report)
        });
        tame(&format!("{}\n\n{text}", run.path.display()))
    };
    let all: Vec<_> = runs.iter().map(text).collect();
    print(&all.join("\n"))?;
    bugs.into_iter().next().map_or(Ok(()), Err)
}

fn markdown(runs: &[Stored]) -> String {
    let one = |run: &Stored| {
        let path = report::format::markdown::escape(&run.path.display().to_string());
        format!("## {path}\n\n{}", report::format::markdown::render(&run.report))
    };
    runs.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn csv(runs: &[Stored]) -> Result<String, CliError> {
    let named: Vec<_> =
        runs.iter().map(|run| (run.path.display().to_string(), &run.report)).collect();
    report::format::csv::render_all(&named).map_err(|error| measure::face("CSV", &error))
}

/// The suites of all runs, each with its run's path.
fn junit(runs: &[Stored], output: &OutputArgs) -> String {
    let mut all = Vec::new();
    for run in runs {
        for mut suite in report::format::junit::conditions(&run.report, &output.fail_if) {
            suite.name = format!("{} {}", run.path.display(), suite.name);
            all.push(suite);
        }
    }
    report::format::junit::render("udperf report", &all)
}

fn page(runs: &[Stored]) -> Result<String, CliError> {
    let names: Vec<_> = runs.iter().map(|run| run.path.display().to_string()).collect();
    let named: Vec<_> =
        names.iter().map(String::as_str).zip(runs.iter().map(|run| &run.report)).collect();
    report::format::html::render(&named).map_err(|source| {
        // Only a histogram can be at fault: whose?
        let faulty =
            runs.iter().find(|run| report::format::html::render(&[("", &run.report)]).is_err());
        CliError::Kept { path: faulty.map_or_else(PathBuf::new, |run| run.path.clone()), source }
    })
}

/// Shows how cells moved.
fn over_time(runs: &[Stored], args: &ReportArgs, files: &Files) -> Result<Exit, CliError> {
    let filter = Filter { metrics: args.metric.clone(), cells: args.cell.clone() };
    for run in runs.iter().filter(|run| !run.report.valid && !args.output.quiet) {
        for line in invalid_lines(&run.report) {
            warn_stderr(&format!("{}: {line}", run.path.display()));
        }
    }
    let history = history(runs, &filter);
    if history.series.is_empty() {
        return Err(CliError::NothingToShow(nothing(runs, args)));
    }
    let shown = guarded("history", || {
        Ok(match args.output.markdown_to_stdout() {
            true => history::markdown(&history),
            false => tame(&history::text(&history, style(&args.output))),
        })
    });
    let shown = shown.and_then(|text| print(&text));
    files.write(|form| guarded(form.name(), || follow(&history, form)))?;
    shown.map(|_| Exit::Well)
}

fn follow(history: &History, form: Form) -> Result<String, CliError> {
    match form {
        // Not with --history: the command line sees to it.
        Form::Json | Form::Hdr | Form::Junit => Ok(String::new()),
        Form::Csv => history::csv(history).map_err(|error| measure::face("CSV", &error)),
        Form::Markdown => Ok(history::markdown(history)),
        Form::Html => Ok(history::html(history)),
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
    Style { color: color(output.color), width: width(), verbose: output.verbose }
}
