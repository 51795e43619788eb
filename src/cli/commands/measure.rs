//! Commands that measure cells: from a scenario to a report, its files, and an exit code.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

#[cfg(unix)]
use signal_hook::consts::SIGHUP;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::cli::args::RunOutputArgs;
use crate::cli::document::{add_host_facts, assemble};
use crate::cli::error::{CliError, Exit, INTERRUPTED};
use crate::cli::guard::guarded;
use crate::cli::judge::{apply, is_of_target, judge, validity_guarded};
use crate::cli::output::{Outputs, warn_stderr};
use crate::cli::progress;
use crate::document::{Cell, Report, Warning};
use crate::host;
use crate::host::{Depth, HostFacts, Throttle};
use crate::plan::{EngineWord, Machine, MissingEngine, Plan, Scenario};
use crate::report;
use crate::report::checks::validity::{ends_invalid, invalid_lines};
use crate::report::format::RenderOptions;
use crate::report::format::text::style::distinct;
use crate::report::{CellContext, CellFacts, CodeName};
use crate::run;
use crate::run::{CellRunner, MeasuredCell, Observer, Progress, RunOutcome};
use crate::sys;

/// A command that measures: what it was started with, and this host before anything is pinned.
pub(crate) struct Start<'a> {
    pub(crate) kind: &'static str,
    pub(crate) quiet: bool,
    pub(crate) stop: &'a Arc<AtomicBool>,
    pub(crate) started_at: SystemTime,
    pub(crate) facts: HostFacts,
    pub(crate) machine: Machine,
}

impl<'a> Start<'a> {
    /// Reads this host before anything is pinned: the cores of this thread are among the facts.
    pub(crate) fn on_this_host(
        kind: &'static str,
        quiet: bool,
        stop: &'a Arc<AtomicBool>,
        started_at: SystemTime,
    ) -> Self {
        let facts = host::survey(Depth::Quick);
        let machine = host::machine(&facts);
        Self { kind, quiet, stop, started_at, facts, machine }
    }
}

pub(crate) struct Job<'a, B> {
    start: Start<'a>,
    scenario: Scenario,
    runner: B,
    towards: Option<SocketAddr>,
    /// Engines that `all` or `auto` omits because this host does not support them.
    pub(crate) left_out: Vec<MissingEngine>,
    /// Names the error codes of the protocol, if responses carry any.
    pub(crate) code_name: Option<CodeName<'a>>,
}

impl<'a, B: CellRunner> Job<'a, B> {
    /// The job of a command; `towards`: the destination, if it is an IP address.
    pub(crate) fn new(
        mut start: Start<'a>,
        scenario: Scenario,
        runner: B,
        towards: Option<SocketAddr>,
    ) -> Self {
        start.facts.device = towards
            .and_then(|to| host::device_towards(to, scenario.bind, scenario.ip.dev.as_deref()));
        Self { start, scenario, runner, towards, left_out: Vec::new(), code_name: None }
    }
}

pub(crate) struct RunOutput {
    pub(crate) report: Report,
    /// Why the run ended early, or which part of the report failed.
    pub(crate) error: Option<CliError>,
    pub(crate) interrupted: bool,
}

/// Runs a command that measures: checks its files, measures, prints, writes and judges.
pub(crate) fn run(
    output: &RunOutputArgs,
    measure: impl FnOnce(&Arc<AtomicBool>) -> Result<RunOutput, CliError>,
) -> Result<Exit, CliError> {
    let outputs = Outputs::check::<Report>(&output.common, &output.files())?;
    let RunOutput { mut report, error, interrupted } = measure(&stop_on_signals()?)?;
    let gated = guarded("gates", || {
        apply(&mut report, output);
        Ok(())
    });
    write(&report, output, &outputs)?;
    gated?;
    match error {
        // The report states the reason: the target could not be measured.
        Some(CliError::Run(error)) if is_of_target(&error) && ends_invalid(&report, false) => {
            warn_stderr(&error.to_string());
            Ok(if interrupted { Exit::Interrupted } else { judge(&report, output, "") })
        }
        Some(error) => Err(error),
        None if interrupted => Ok(Exit::Interrupted),
        None => guarded("gates", || Ok(judge(&report, output, ""))),
    }
}

pub(crate) fn measure<B: CellRunner>(
    job: Job<'_, B>,
    complete: impl FnOnce(&mut Report, &B),
) -> Result<RunOutput, CliError> {
    let Job { start, scenario, mut runner, towards, left_out, code_name } = job;
    let Start { kind, quiet, stop, started_at, facts, mut machine } = start;
    let throttle = Throttle::begin();
    // Errors in the scenario are reported before any trial.
    Plan::new(scenario.clone(), &machine)?;
    let auto = scenario.engines.contains(&EngineWord::Auto);
    let choice = auto.then(|| run::choose(&scenario, &machine, &mut runner, stop)).transpose()?;
    machine.fastest = choice.as_ref().map(|choice| choice.engine);
    let mut plan = Plan::new(scenario, &machine)?;
    plan.left_out.extend(left_out);
    let line = progress::ProgressLine::new(quiet);
    let (cells, bug) = (Vec::new(), None);
    let mut recorder = Recorder { line, plan: &plan, facts: &facts, code_name, cells, bug };
    let RunOutcome { error, interrupted, .. } = run::run(&plan, &mut runner, stop, &mut recorder);
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
    // A part that fails from here on is missing from the document, which is still written.
    let host_facts = guarded("host facts", || {
        report.choice = choice.as_ref().map(report::choice);
        add_host_facts(&mut report, &plan.scenario, towards, &throttle);
        Ok(())
    });
    bugs.extend(host_facts.err());
    let details = guarded("details of the command", || {
        complete(&mut report, &runner);
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

/// Shows progress and builds the document of each cell at once, which bounds memory.
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
        let (plan, MeasuredCell { cell, load, direction, result }) = (self.plan, measured);
        let (cell, result) = (&cell, &result);
        let code_name = self.code_name;
        let facts = CellFacts { plan, cell, load, direction, result, code_name };
        let sent = result.tx.sent;
        let received = result.rx.received;
        let part = format!("cell {} (sent {sent}, received {received})", cell.id);
        let document = guarded(&part, || {
            let mut document = report::cell(facts);
            let context = CellContext::of(plan, self.facts, result);
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

/// Writes the report; if standard output gets JSON, its warnings go to standard error.
pub(crate) fn write(
    report: &Report,
    output: &RunOutputArgs,
    outputs: &Outputs,
) -> Result<(), CliError> {
    let options = RenderOptions { conditions: &output.fail_if, ..RenderOptions::default() };
    let written = outputs.write(report, &options);
    if output.common.json_to_stdout() && !output.common.quiet {
        let cells = report.cells.iter().flat_map(|cell| &cell.warnings);
        for Warning { code, message } in distinct(report.warnings.iter().chain(cells)) {
            warn_stderr(&format!("{code}: {message}"));
        }
        invalid_lines(report).iter().for_each(|line| warn_stderr(line));
    }
    written
}

/// A flag that any ending signal sets; it never ends the program, which has state to restore.
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
