//! Commands that measure cells: from a scenario to a report, its files, and an exit code.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

#[cfg(unix)]
use signal_hook::consts::SIGHUP;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::cli::args::OutputArgs;
use crate::cli::document::{add_host_facts, assemble};
use crate::cli::error::{CliError, Exit, INTERRUPTED};
use crate::cli::guard::{guarded, print_guarded};
use crate::cli::judge::{apply, is_of_target, judge, validity_guarded};
use crate::cli::output::{Targets, color, pretty, print, warn_stderr, width};
use crate::cli::progress;
use crate::document::{Cell, Report, Warning};
use crate::host::Throttle;
use crate::measure::HostFacts;
use crate::plan::{EngineWord, Machine, MissingEngine, Plan, Scenario};
use crate::report;
use crate::report::checks::validity::invalid_lines;
use crate::report::format::text::Style;
use crate::report::{CellContext, CellFacts, CodeName};
use crate::run;
use crate::run::{CellRunner, MeasuredCell, Observer, Progress, RunOutcome};
use crate::sys;

/// What is to be measured, and where.
pub(crate) struct Job<'a, B> {
    /// The command's name.
    pub(crate) kind: &'static str,
    pub(crate) scenario: Scenario,
    pub(crate) machine: Machine,
    pub(crate) facts: HostFacts,
    /// Engines of the default that cannot be had here.
    pub(crate) left_out: Vec<MissingEngine>,
    /// Where cells are measured.
    pub(crate) bed: B,
    /// What codes of the protocol are called, where replies carry such.
    pub(crate) code_name: Option<CodeName<'a>>,
    /// Whether progress is not to be shown.
    pub(crate) quiet: bool,
    pub(crate) stop: &'a Arc<AtomicBool>,
    pub(crate) started_at: SystemTime,
    /// The destination address, if it is an IP address.
    pub(crate) towards: Option<SocketAddr>,
}

/// What was measured, well or not.
pub(crate) struct RunOutput {
    pub(crate) report: Report,
    /// Why the run ended early, or which part of the report failed.
    pub(crate) error: Option<CliError>,
    /// Whether it was stopped from outside.
    pub(crate) interrupted: bool,
}

/// Runs a command that measures: its files are found writable first, then it measures, and what
/// there is is shown, written and judged.
pub(crate) fn run(
    output: &OutputArgs,
    measure: impl FnOnce(&Arc<AtomicBool>) -> Result<RunOutput, CliError>,
) -> Result<Exit, CliError> {
    let files = Files::check(output)?;
    let RunOutput { mut report, error, interrupted } = measure(&stop_on_signals()?)?;
    let gated = guarded("gates", || {
        apply(&mut report, output);
        Ok(())
    });
    // A file that fails takes neither the result on standard output nor the other files along.
    let shown = show(&report, output);
    files.write(|form| draw(&report, form, output))?;
    shown?;
    gated?;
    match error {
        // The report states the reason: the target could not be measured.
        Some(CliError::Run(error)) if is_of_target(&error) && report.ends_invalid(false) => {
            warn_stderr(&error.to_string());
            Ok(if interrupted { Exit::Interrupted } else { judge(&report, output) })
        }
        Some(error) => Err(error),
        None if interrupted => Ok(Exit::Interrupted),
        None => guarded("gates", || Ok(judge(&report, output))),
    }
}

/// Measures. `complete` adds what only the command and its bed know.
pub(crate) fn measure<B: CellRunner>(
    job: Job<'_, B>,
    complete: impl FnOnce(&mut Report, &B),
) -> Result<RunOutput, CliError> {
    let Job {
        kind,
        scenario,
        mut machine,
        facts,
        left_out,
        mut bed,
        code_name,
        quiet,
        stop,
        started_at,
        towards,
    } = job;
    let throttle = Throttle::begin();
    // What cannot be, is said before anything is tried.
    Plan::new(scenario.clone(), &machine)?;
    let auto = scenario.engines.contains(&EngineWord::Auto);
    let choice = auto.then(|| run::choose(&scenario, &machine, &mut bed, stop)).transpose()?;
    machine.fastest = choice.as_ref().map(|choice| choice.engine);
    let mut plan = Plan::new(scenario, &machine)?;
    plan.left_out.extend(left_out);
    let line = progress::ProgressLine::new(quiet);
    let (cells, bug) = (Vec::new(), None);
    let mut recorder = Recorder { line, plan: &plan, facts: &facts, code_name, cells, bug };
    let RunOutcome { error, interrupted, .. } = run::run(&plan, &mut bed, stop, &mut recorder);
    let Recorder { line, cells, bug, .. } = recorder;
    drop(line);
    let (mut bugs, mut error) = (Vec::from_iter(bug), error.map(CliError::from));
    if cells.is_empty()
        && let Some(error) = bugs.pop().or_else(|| error.take())
    {
        return Err(error);
    }
    let counted = counted(&cells);
    let mut report = guarded(&format!("document of {counted}"), || {
        assemble(kind, &plan, &facts, cells, started_at)
    })?;
    // What fails from here on is missing from the document, which is kept all the same.
    let host_facts = guarded("host facts", || {
        report.choice = choice.as_ref().map(report::choice);
        add_host_facts(&mut report, &plan.scenario, towards, &throttle);
        Ok(())
    });
    bugs.extend(host_facts.err());
    let details = guarded("details of the command", || {
        complete(&mut report, &bed);
        Ok(())
    });
    bugs.extend(details.err());
    bugs.extend(validity_guarded(&mut report, |report| report, report::judge_validity));
    let error = bugs.into_iter().next().or(error);
    Ok(RunOutput { report, error, interrupted })
}

/// A short summary of the measured cells, printed if the document could not be built.
fn counted(cells: &[Cell]) -> String {
    let one = |cell: &Cell| {
        let received = cell.ledger.received.map(|count| format!(", received {count}"));
        format!("{} (sent {}{})", cell.id, cell.ledger.sent, received.unwrap_or_default())
    };
    cells.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// Shows progress, and turns each cell into its part of the document as soon as it was measured:
/// memory does not grow with the number of cells.
struct Recorder<'a> {
    line: progress::ProgressLine,
    plan: &'a Plan,
    facts: &'a HostFacts,
    code_name: Option<CodeName<'a>>,
    cells: Vec<Cell>,
    /// The first cell that could not be reported.
    bug: Option<CliError>,
}

impl Observer for Recorder<'_> {
    fn progress(&mut self, progress: Progress<'_>) {
        self.line.progress(progress);
    }

    fn measured(&mut self, measured: MeasuredCell) -> Option<MeasuredCell> {
        let (plan, MeasuredCell { cell, load, direction, harvest }) = (self.plan, measured);
        let (cell, harvest) = (&cell, &harvest);
        let code_name = self.code_name;
        let facts = CellFacts { plan, cell, load, direction, harvest, code_name };
        let sent = harvest.tx.sent;
        let received = harvest.rx.received;
        let part = format!("cell {} (sent {sent}, received {received})", cell.id);
        let document = guarded(&part, || {
            let mut document = report::cell(facts);
            let context = CellContext::of(plan, self.facts, harvest);
            document.warnings = report::cell_warnings(&document, &context);
            Ok(document)
        });
        match document {
            Ok(document) => self.cells.push(document),
            Err(bug) => {
                warn_stderr(&bug.to_string());
                self.bug.get_or_insert(bug);
            }
        }
        None
    }
}

/// Shows the report on standard output, and where that is JSON, its warnings beside it.
pub(crate) fn show(report: &Report, output: &OutputArgs) -> Result<(), CliError> {
    if output.json_to_stdout() {
        let printed = print(&pretty(report)).map(|_| ());
        if !output.quiet {
            let cells = report.cells.iter().flat_map(|cell| &cell.warnings);
            let mut said: Vec<&Warning> = Vec::new();
            for warning in report.warnings.iter().chain(cells) {
                if !said.contains(&warning) {
                    warn_stderr(&format!("{}: {}", warning.code, warning.message));
                    said.push(warning);
                }
            }
            invalid_lines(report).iter().for_each(|line| warn_stderr(line));
        }
        return printed;
    }
    let render = || {
        if output.markdown_to_stdout() {
            return report::format::markdown::render(report);
        }
        let style = Style { color: color(output.color), width: width(), verbose: output.verbose };
        report::format::text::render(report, style)
    };
    print_guarded("text", report, render).map(|_| ())
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The document.
    Json,
    /// A row a cell.
    Csv,
    /// A histogram a cell.
    Hdr,
    /// The text, for a merge request.
    Markdown,
    /// A page.
    Html,
    /// What the conditions came to.
    Junit,
}

impl Form {
    /// Its name in errors.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Csv => "CSV",
            Self::Hdr => "HDR log",
            Self::Markdown => "Markdown",
            Self::Html => "page",
            Self::Junit => "JUnit",
        }
    }
}

/// The files a run was asked for.
pub(crate) struct Files(Targets<Form>);

impl Files {
    /// Finds out whether all can be written, before anything is measured.
    pub(crate) fn check(output: &OutputArgs) -> Result<Self, CliError> {
        if output.json_to_stdout() && output.markdown_to_stdout() {
            let why = "--json and --markdown cannot both go to standard output; give one =FILE";
            return Err(CliError::Contradiction(why.to_owned()));
        }
        let json = output.json.as_deref().filter(|_| !output.json_to_stdout());
        let markdown = output.markdown.as_deref().filter(|_| !output.markdown_to_stdout());
        let asked = [
            (Form::Json, "json", json),
            (Form::Csv, "csv", output.csv.as_deref()),
            (Form::Hdr, "hdr", output.hdr.as_deref()),
            (Form::Markdown, "markdown", markdown),
            (Form::Html, "html", output.html.as_deref()),
            (Form::Junit, "junit", output.junit.as_deref()),
        ];
        Targets::check(&asked).map(Self)
    }

    /// Writes all that were asked for.
    pub(crate) fn write(
        &self,
        draw: impl Fn(Form) -> Result<String, CliError>,
    ) -> Result<(), CliError> {
        self.0.write(|form| draw(form).map(Some))
    }
}

/// A report in that form.
pub(crate) fn draw(report: &Report, form: Form, output: &OutputArgs) -> Result<String, CliError> {
    guarded(form.name(), || match form {
        Form::Json => Ok(pretty(report)),
        Form::Csv => report::format::csv::render(report).map_err(|error| face("CSV", &error)),
        Form::Hdr => report::format::hdr::render(report).map_err(|error| face("HDR log", &error)),
        Form::Markdown => Ok(report::format::markdown::render(report)),
        Form::Html => {
            report::format::html::render(&[("", report)]).map_err(|error| face("page", &error))
        }
        Form::Junit => {
            let suites = report::format::junit::conditions(report, &output.fail_if);
            Ok(report::format::junit::render(&format!("udperf {}", report.kind), &suites))
        }
    })
}

/// A face that failed, which is a bug.
pub(crate) fn face(face: &'static str, error: &impl ToString) -> CliError {
    CliError::Face { face, reason: error.to_string() }
}

/// A flag that any signal to end sets, and nothing else: where something has to be put back, the
/// program ends in its own time, which is short.
pub(crate) fn stop_gently() -> Result<Arc<AtomicBool>, CliError> {
    let stop = Arc::new(AtomicBool::new(false));
    #[cfg(unix)]
    let all = [SIGINT, SIGTERM, SIGHUP, signal_hook::consts::SIGQUIT];
    #[cfg(not(unix))]
    let all = [SIGINT, SIGTERM];
    for signal in all {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(CliError::Signals)?;
    }
    Ok(stop)
}

/// A flag that the first SIGINT, SIGTERM or SIGHUP sets. A second signal within half a second is
/// the same one; a later one ends the program at once.
pub(crate) fn stop_on_signals() -> Result<Arc<AtomicBool>, CliError> {
    #[cfg(unix)]
    let (all, keep) = ([SIGINT, SIGTERM, SIGHUP], [SIGHUP]);
    #[cfg(not(unix))]
    let (all, keep) = ([SIGINT, SIGTERM], []);
    sys::stop_on_signals(&all, &keep, INTERRUPTED.into()).map_err(CliError::Signals)
}
