//! Commands that measure cells: from a scenario to a report, its files, and an exit code.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

#[cfg(unix)]
use signal_hook::consts::SIGHUP;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::args::OutputArgs;
use super::error::{CliError, Exit, INTERRUPTED};
use super::guard::{guarded, print_guarded};
use super::judge::{apply, is_of_target, judge};
use super::output::{Targets, color, complain, pretty, print, width};
use super::progress;
use crate::measure::HostFacts;
use crate::net::engine::URING_IS_BUILT_IN;
use crate::plan::{EngineWord, Machine, Missing, Plan, Scenario};
use crate::report::document::{Cell, MAX_MISSED, Report, SCHEMA, Tool, Warning};
use crate::report::junit::Suite;
use crate::report::{self, CellContext, CellFacts, CodeName, Wants, text::Style};
use crate::run::{self, Bed, Measured, Observer, Outcome, Progress, Throttle};
use crate::sys;

/// What is to be measured, and where.
pub(crate) struct Job<'a, B> {
    /// The command's name.
    pub(crate) kind: &'static str,
    pub(crate) scenario: Scenario,
    pub(crate) machine: Machine,
    pub(crate) facts: HostFacts,
    /// Engines of the default that cannot be had here.
    pub(crate) left_out: Vec<Missing>,
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
pub(crate) struct Taken {
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
    measure: impl FnOnce(&Arc<AtomicBool>) -> Result<Taken, CliError>,
) -> Result<Exit, CliError> {
    let files = Files::check(output)?;
    let Taken { mut report, error, interrupted } = measure(&stop_on_signals()?)?;
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
            complain(&error.to_string());
            Ok(if interrupted { Exit::Interrupted } else { judge(&report, output) })
        }
        Some(error) => Err(error),
        None if interrupted => Ok(Exit::Interrupted),
        None => guarded("gates", || Ok(judge(&report, output))),
    }
}

/// Measures. `complete` adds what only the command and its bed know.
pub(crate) fn measure<B: Bed>(
    job: Job<'_, B>,
    complete: impl FnOnce(&mut Report, &B),
) -> Result<Taken, CliError> {
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
    let line = progress::Line::new(quiet);
    let (cells, bug) = (Vec::new(), None);
    let mut recorder = Recorder { line, plan: &plan, facts: &facts, code_name, cells, bug };
    let Outcome { error, interrupted, .. } = run::run(&plan, &mut bed, stop, &mut recorder);
    let Recorder { line, cells, bug, .. } = recorder;
    line.finish();
    let error = bug.or_else(|| error.map(CliError::from));
    if cells.is_empty()
        && let Some(error) = error
    {
        return Err(error);
    }
    let counted = counted(&cells);
    let report = guarded(&format!("document of {counted}"), || {
        let mut report = assemble(kind, &plan, &facts, cells, started_at)?;
        report.choice = choice.as_ref().map(report::choice);
        add_host_facts(&mut report, &plan.scenario, towards, &throttle);
        complete(&mut report, &bed);
        report::judge_validity(&mut report);
        Ok(report)
    })?;
    Ok(Taken { report, error, interrupted })
}

/// Adds the path MTU to the target and the CPU throttling of this process, both read after the run.
fn add_host_facts(
    report: &mut Report,
    scenario: &Scenario,
    towards: Option<SocketAddr>,
    throttle: &Throttle,
) {
    if let Some(target) = towards.filter(|_| scenario.route.sends()) {
        let Scenario { bind, ip, .. } = scenario;
        report.path_mtu = run::path_mtu(target, *bind, ip.dev.as_deref());
        let warnings: Vec<_> = report::size_warnings(report, target.is_ipv6(), ip.df).collect();
        report.warnings.extend(warnings);
    }
    if let Some((document, told)) = throttle.end().as_ref().map(report::throttled) {
        report.cpu_throttling = Some(document);
        report.warnings.extend(told);
    }
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
    line: progress::Line,
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

    fn measured(&mut self, measured: Measured) -> Option<Measured> {
        let (plan, Measured { cell, load, direction, harvest }) = (self.plan, measured);
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
                complain(&bug.to_string());
                self.bug.get_or_insert(bug);
            }
        }
        None
    }
}

/// The document of what was measured.
fn assemble(
    kind: &str,
    plan: &Plan,
    facts: &HostFacts,
    cells: Vec<Cell>,
    started_at: SystemTime,
) -> Result<Report, CliError> {
    let scenario = serde_json::to_value(&plan.scenario)
        .map_err(|error| CliError::Face { face: "scenario", reason: error.to_string() })?;
    Ok(Report {
        schema: SCHEMA.to_owned(),
        kind: kind.to_owned(),
        tool: tool(),
        command: std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect(),
        started_at: now(started_at),
        host: report::host(facts),
        scenario,
        clock: None,
        input: None,
        choice: None,
        path_mtu: None,
        cpu_throttling: None,
        warnings: report::left_out(&plan.left_out)
            .chain(report::over_loopback(&plan.scenario))
            .chain(report::host_warnings(facts, Wants::of(plan)))
            .collect(),
        valid: true,
        invalid_because: Vec::new(),
        max_missed: MAX_MISSED,
        gates: Vec::new(),
        cells,
    })
}

/// A time as documents have it.
pub(crate) fn now(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// This program, exactly.
pub(crate) fn tool() -> Tool {
    Tool {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        git: option_env!("UDPERF_GIT").map(str::to_owned),
        profile: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
        features: URING_IS_BUILT_IN.then(|| "uring".to_owned()).into_iter().collect(),
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
                    complain(&format!("{}: {}", warning.code, warning.message));
                    said.push(warning);
                }
            }
        }
        return printed;
    }
    let render = || {
        if output.markdown_to_stdout() {
            return report::markdown::render(report);
        }
        let style = Style { color: color(output.color), width: width() };
        report::text::render(report, style)
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
    const fn name(self) -> &'static str {
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
        Form::Csv => report::csv::render(report).map_err(|error| face("CSV", &error)),
        Form::Hdr => report::hdr::render(report).map_err(|error| face("HDR log", &error)),
        Form::Markdown => Ok(report::markdown::render(report)),
        Form::Html => report::html::render(&[("", report)]).map_err(|error| face("page", &error)),
        Form::Junit => junit(&report.kind, report::junit::conditions(report, &output.fail_if)),
    })
}

/// What conditions came to, as JUnit.
pub(crate) fn junit(kind: &str, suites: Vec<Suite>) -> Result<String, CliError> {
    let name = format!("udperf {kind}");
    report::junit::render(&name, &suites).map_err(|error| face("JUnit", &error))
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
