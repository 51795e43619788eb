//! Commands that measure cells: from a scenario to a report, its files, and an exit code.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::SystemTime;

use super::realtime_flag;
use crate::cli::args::{CellArgs, OutputArgs, hide_secrets};
use crate::cli::error::{CliError, CliResult, guarded};
use crate::cli::fleet::Fleet;
use crate::cli::live::{self, CellsView};
use crate::cli::output::{Outputs, warn_stderr};
use crate::cli::progress::{ProgressLine, has_interval_lines};
use crate::cli::stop::StopFlag;
use crate::cli::telemetry::Telemetry;
use crate::document::{Cell, Head, MAX_MISSED, MemberDocument, Report, SCHEMA, Tool};
use crate::engine::{EnginePair, URING_IS_BUILT_IN, XDP_IS_BUILT_IN};
use crate::fleet::{self, MemberCell};
use crate::host::{self, Depth, HostFacts, Throttle};
use crate::plan::{EngineWord, Machine, MissingEngine, Plan, Scenario};
use crate::report::{self, CellContext, CellFacts, CodeName, HostRequirements};
use crate::run::{self, CellRunner, MeasuredCell, Observer, Progress, RunError, RunOutcome};

/// Features of the data path, and whether this build has them.
const BUILT_IN: [(&str, bool); 3] =
    [("mpi", cfg!(feature = "mpi")), ("uring", URING_IS_BUILT_IN), ("xdp", XDP_IS_BUILT_IN)];

/// What a command is run with.
#[derive(Clone, Copy)]
pub(crate) struct RunInput<'a> {
    pub(crate) stop: &'a StopFlag,
    /// The files to write, which are checked before the run.
    pub(crate) outputs: Option<&'a Outputs>,
    pub(crate) fleet: &'a Fleet,
}

/// What a command was started with, and this host before anything is pinned.
pub(crate) struct MeasureContext<'a> {
    kind: &'static str,
    cells: &'a CellArgs,
    run: RunInput<'a>,
    started_at: SystemTime,
    facts: HostFacts,
    pub(crate) machine: Machine,
    /// Engines that `all` or `auto` omits because this host does not support them.
    pub(crate) left_out: Vec<MissingEngine>,
    /// Names the error codes of the protocol, if responses carry any.
    pub(crate) code_name: Option<CodeName<'a>>,
    telemetry: Telemetry,
}

impl<'a> MeasureContext<'a> {
    /// Reads this host before anything is pinned: the cores of this thread are among the facts.
    pub(crate) fn new(
        kind: &'static str,
        cells: &'a CellArgs,
        run: RunInput<'a>,
    ) -> CliResult<Self> {
        live::check(&cells.telemetry)?;
        let telemetry = Telemetry::open(&cells.telemetry, cells.output.common.quiet)?;
        let started_at = SystemTime::now();
        let facts = host::host_info(Depth::Quick);
        let machine = host::machine(&facts);
        let (left_out, code_name) = (Vec::new(), None);
        Ok(Self { kind, cells, run, started_at, facts, machine, left_out, code_name, telemetry })
    }
}

impl MeasureContext<'_> {
    /// Checks a scenario and the files of its cells before anything is sent.
    pub(crate) fn check(&self, scenario: &Scenario) -> CliResult<()> {
        check_files(self.run.outputs, &Plan::new(scenario.clone(), &self.machine)?)
    }
}

pub(crate) struct RunOutput {
    pub(crate) report: Report,
    /// Why the run ended early, or which part of the report failed.
    pub(crate) error: Option<CliError>,
    pub(crate) interrupted: bool,
    pub(crate) telemetry: Telemetry,
}

/// Measures the cells of a scenario; `target`: the destination, if it is an IP address. `complete`
/// adds what only this command knows.
pub(crate) fn measure<B: CellRunner>(
    context: MeasureContext<'_>,
    scenario: Scenario,
    mut runner: B,
    target: Option<SocketAddr>,
    complete: impl FnOnce(&mut Report, &B),
) -> CliResult<RunOutput> {
    let MeasureContext { kind, cells: args, run, started_at, .. } = context;
    let RunInput { stop, outputs, fleet } = run;
    let MeasureContext { mut facts, mut machine, left_out, code_name, mut telemetry, .. } = context;
    facts.device =
        target.and_then(|to| host::device_towards(to, scenario.bind, scenario.ip.dev.as_deref()));
    let throttle = Throttle::begin();
    let scenario = fleet.scenario(scenario, args)?;
    // Errors in the scenario are reported before any trial.
    check_files(outputs, &Plan::new(scenario.clone(), &machine)?)?;
    realtime_flag::start(scenario.realtime)?;
    let auto = fleet.fastest().is_none() && scenario.engines.contains(&EngineWord::Auto);
    let choose = || run::choose(&scenario, &machine, &mut runner, stop);
    let (fastest, choice) = auto.then(choose).transpose()?.unzip();
    machine.fastest = fastest.or_else(|| fleet.fastest());
    let mut plan = Plan::new(scenario, &machine)?;
    plan.left_out.extend(left_out);
    check_files(outputs, &plan)?;
    let output = &args.output.common;
    let view = CellsView::open((&args.telemetry.live, output), kind, &plan, stop)?;
    let (quiet, has_lines) = (output.quiet || view.is_some(), has_interval_lines(args));
    let line = ProgressLine::with_intervals(quiet, &plan, has_lines && view.is_none());
    telemetry.started(&head(kind, output, started_at, &facts), &plan);
    let (cells, members, parts, facts) = (Vec::new(), Vec::new(), fleet.parts(), &facts);
    let mut recorder = Recorder {
        line,
        view,
        plan: &plan,
        facts,
        code_name,
        cells,
        parts,
        members,
        bug: None,
        telemetry: &mut telemetry,
    };
    let outcome = run_part((fleet, machine.fastest), &plan, &mut runner, stop, &mut recorder)?;
    let RunOutcome { error, interrupted, .. } = outcome;
    let Recorder { line, view, cells, members, bug, .. } = recorder;
    drop((line, view));
    let (mut bugs, mut error) = (Vec::from_iter(bug), error.map(CliError::from));
    if cells.is_empty()
        && !matches!(fleet, Fleet::Member(..))
        && let Some(error) = bugs.pop().or_else(|| error.take())
    {
        return Err(error);
    }
    let counted = counted(&cells);
    let assemble = || assemble((kind, output), &plan, facts, cells, started_at);
    let mut report = guarded(&format!("document of {counted}"), assemble)??;
    report.members = members;
    report::name_members(&mut report);
    error.iter().for_each(|why| report::name_lost_member(&mut report, &why.to_string()));
    // A part that fails from here on is missing from the document, which is still written.
    let host_facts = guarded("host facts", || {
        report.choice = choice;
        add_host_facts(&mut report, &plan, target, &throttle);
    });
    let details = guarded("details of the command", || complete(&mut report, &runner));
    bugs.extend(host_facts.err().into_iter().chain(details.err()).chain(judge(&mut report)));
    telemetry.warnings(&report.warnings);
    let error = bugs.into_iter().next().or(error);
    Ok(RunOutput { report, error, interrupted, telemetry })
}

/// Checks the plan of a scenario, without a run.
pub(crate) fn check_plan(scenario: Scenario, args: &CellArgs, machine: &Machine) -> CliResult<()> {
    let scenario = Fleet::Alone.scenario(scenario, args)?;
    Ok(Plan::new(scenario, machine).map(drop)?)
}

/// Judges the report; what was not judged is not valid.
fn judge(report: &mut Report) -> Option<CliError> {
    let bug = guarded("validity", || report::judge_validity(report)).err();
    report.valid &= bug.is_none();
    bug
}

/// Checks that the files of cells can be written, whose names depend on the plan.
fn check_files(outputs: Option<&Outputs>, plan: &Plan) -> CliResult<()> {
    outputs.map_or(Ok(()), |outputs| outputs.check_cells::<Report>(&report::ids(plan)))
}

/// Runs the part of this process in a plan.
fn run_part(
    (fleet, fastest): (&Fleet, Option<EnginePair>),
    plan: &Plan,
    runner: &mut impl CellRunner,
    stop: &StopFlag,
    recorder: &mut Recorder<'_>,
) -> CliResult<RunOutcome> {
    Ok(match fleet {
        Fleet::Alone => run::run(plan, runner, stop, recorder),
        Fleet::Leader(leader) => {
            leader.prepare(plan, fastest)?;
            let outcome = run::run(plan, &mut leader.runner(runner), stop, recorder);
            leader.leader.borrow().close();
            outcome
        }
        Fleet::Member(orders, _) => {
            fleet::serve(orders, plan, runner, stop)?;
            RunOutcome::default()
        }
    })
}

fn assemble(
    (kind, output): (&str, &OutputArgs),
    plan: &Plan,
    facts: &HostFacts,
    cells: Vec<Cell>,
    started_at: SystemTime,
) -> CliResult<Report> {
    let scenario = serde_json::to_value(&plan.scenario).map_err(|error| CliError::Bug {
        part: "scenario".to_owned(),
        reason: error.to_string(),
    })?;
    let head = head(kind, output, started_at, facts);
    let Head { schema, kind, tool, command, started_at, labels, host } = head;
    Ok(Report {
        schema,
        kind,
        tool,
        command,
        started_at,
        labels,
        host,
        scenario,
        clock: None,
        input: None,
        choice: None,
        capacity: None,
        path_mtu: None,
        cpu_throttling: None,
        realtime: None,
        warnings: report::left_out(&plan.left_out)
            .chain(report::over_loopback(&plan.scenario))
            .chain(report::host_warnings(facts, HostRequirements::of(plan)))
            .collect(),
        valid: true,
        invalid_because: Vec::new(),
        max_missed: max_missed(),
        gates: Vec::new(),
        members: Vec::new(),
        cells,
    })
}

/// In debug builds, the default of `--max-missed` in a run, 0 to 1, for tests on busy machines.
#[cfg(debug_assertions)]
const MAX_MISSED_IN_TESTS: &str = "UDPERF_TEST_MAX_MISSED";

/// The share of the schedule that may be missed without `--max-missed`.
fn max_missed() -> f64 {
    #[cfg(debug_assertions)]
    if let Some(share) = std::env::var(MAX_MISSED_IN_TESTS).ok().and_then(|text| text.parse().ok())
    {
        return share;
    }
    MAX_MISSED
}

/// The first fields of a document.
pub(crate) fn head(
    kind: &str,
    output: &OutputArgs,
    started_at: SystemTime,
    facts: &HostFacts,
) -> Head {
    Head {
        schema: SCHEMA.to_owned(),
        kind: kind.to_owned(),
        tool: Tool {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            git: option_env!("UDPERF_GIT").map(str::to_owned),
            profile: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
            features: BUILT_IN
                .iter()
                .filter(|(_, is_built_in)| *is_built_in)
                .map(|(name, _)| (*name).to_owned())
                .collect(),
        },
        command: hide_secrets(std::env::args_os().map(|arg| arg.to_string_lossy().into_owned())),
        started_at: humantime::format_rfc3339_millis(started_at).to_string(),
        labels: output.labels.iter().cloned().collect(),
        host: report::host(facts),
    }
}

/// Adds what this host reports after the run: the path MTU, and throttling by a CPU quota.
fn add_host_facts(
    report: &mut Report,
    plan: &Plan,
    target: Option<SocketAddr>,
    throttle: &Throttle,
) {
    let (scenario, workers) = (&plan.scenario, HostRequirements::of(plan).workers());
    if let Some(target) = target.filter(|_| scenario.route.sends()) {
        let Scenario { bind, ip, .. } = scenario;
        report.path_mtu = host::path_mtu(target, *bind, ip.dev.as_deref());
        let warnings: Vec<_> = report::size_warnings(report, target.is_ipv6(), ip.df).collect();
        report.warnings.extend(warnings);
    }
    report.cpu_throttling = throttle.end();
    report.realtime = realtime_flag::in_document(scenario.realtime, workers);
    report.warnings.extend(report.cpu_throttling.as_ref().and_then(report::throttled));
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
    line: ProgressLine<'a>,
    view: Option<CellsView<'a>>,
    plan: &'a Plan,
    facts: &'a HostFacts,
    code_name: Option<CodeName<'a>>,
    cells: Vec<Cell>,
    /// The parts of the latest cell, if several processes measure.
    parts: Option<Rc<RefCell<Vec<MemberCell>>>>,
    members: Vec<MemberDocument>,
    /// The first cell that could not be reported.
    bug: Option<CliError>,
    telemetry: &'a mut Telemetry,
}

impl Observer for Recorder<'_> {
    fn progress(&mut self, progress: Progress<'_>) {
        self.telemetry.progress(self.plan, progress);
        self.line.progress(progress);
        self.view.iter_mut().for_each(|view| view.progress(progress));
    }

    fn measured(&mut self, measured: MeasuredCell) -> Option<MeasuredCell> {
        let (plan, MeasuredCell { cell, load, direction, result }) = (self.plan, measured);
        let (cell, result, code_name) = (&cell, &result, self.code_name);
        let facts = CellFacts { plan, cell, load, direction, result, code_name };
        let (sent, received) = (result.tx.tally.sent, result.rx.tally.received);
        let part = format!("cell {} (sent {sent}, received {received})", cell.id);
        let document = guarded(&part, || {
            let mut document = report::cell(facts);
            let context = CellContext::of(plan, self.facts, result);
            document.warnings = report::cell_warnings(&document, &context);
            document
        });
        match document {
            Ok(mut document) => {
                self.line.finish_cell(&document);
                self.view.iter_mut().for_each(|view| view.measured(&document));
                self.telemetry.measured(&document, result);
                document.start_skew_ns = self.add_members(facts);
                self.cells.push(document);
            }
            Err(bug) => {
                warn_stderr(&bug.to_string());
                self.bug.get_or_insert(bug);
            }
        }
        None
    }
}

impl Recorder<'_> {
    /// Documents the part of each process in this cell; returns how far apart they may have begun,
    /// if two are known.
    fn add_members(&mut self, facts: CellFacts<'_>) -> Option<u64> {
        let parts = self.parts.as_ref()?.borrow();
        let parts = parts.iter().filter(|part| part.direction == facts.direction);
        let mut began = Vec::new();
        for MemberCell { rank, hostname, to, clock_bound, result, .. } in parts {
            let mut cell = report::cell(CellFacts { result, ..facts });
            cell.rate_pps = cell.rate_pps.map(|pps| pps / f64::from(self.plan.scenario.member.of));
            let bound = clock_bound.0;
            began.extend(cell.start_lag_ns.map(|lag| (lag, bound)));
            let rank = u64::from(*rank);
            match self.members.iter_mut().find(|member| member.rank == rank) {
                Some(member) => {
                    member.clock_bound_ns = member.clock_bound_ns.max(bound);
                    member.cells.push(cell);
                }
                None => self.members.push(MemberDocument {
                    rank,
                    hostname: hostname.clone(),
                    to_rank: to.as_ref().map(|(rank, _)| u64::from(*rank)),
                    to_hostname: to.as_ref().map(|(_, hostname)| hostname.clone()),
                    clock_bound_ns: bound,
                    cells: vec![cell],
                }),
            }
        }
        (began.len() > 1).then(|| fleet::spread_ns(began.into_iter()))
    }
}

/// Whether a run ended early for a reason that its report gives about the target.
pub(crate) const fn is_of_target(error: &RunError) -> bool {
    matches!(error, RunError::NothingDelivered { .. } | RunError::Stuck { .. })
}
