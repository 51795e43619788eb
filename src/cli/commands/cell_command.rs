//! `udperf bench`, `blast`, `load` and `ping`: from arguments to an exit code.

use std::ffi::OsString;
use std::net::SocketAddr;

use super::measure::{self, MeasureContext, RunInput, RunOutput, is_of_target};
use super::{blast, load, pairs};
use crate::cli::args::{BenchArgs, CellArgs, CellCommand, RunOutputArgs, TelemetryArgs};
use crate::cli::error::{CliError, CliResult, Exit, guarded, usage};
use crate::cli::fleet::Fleet;
use crate::cli::live::check_built_in;
use crate::cli::output::{EVENTS, Outputs, name_warnings, warn_stderr};
use crate::cli::scenario;
use crate::cli::stop::{StopFlag, stop_on_signals};
use crate::document::Report;
use crate::plan::Machine;
use crate::report::checks::validity::{invalid_lines, judge_with_max_missed, tested_nothing};
use crate::report::{self, format::RenderOptions};
use crate::run::LocalRunner;
use crate::search::limit::name_limits;

pub(crate) fn run(command: &CellCommand) -> CliResult {
    let CellArgs { output, telemetry, .. } = command.cells();
    let outputs = outputs(command, output, telemetry)?;
    let stop = stop_on_signals()?;
    let words = std::env::args_os().skip(1).collect::<Vec<_>>();
    let fleet = match join(command, &words, &stop)? {
        Ok(fleet) => fleet,
        Err(exit) => return Ok(exit),
    };
    let run = RunInput { stop: &stop, outputs: Some(&outputs), fleet: &fleet };
    let output_of_run = measure(command, run)?;
    let RunOutput { mut report, error, interrupted, telemetry } = output_of_run;
    let gated = guarded("gates", || apply_gates(&mut report, output));
    write(&report, output, &outputs)?;
    // Metrics are served until the document is written.
    let events = telemetry.finish();
    gated?;
    events?;
    match error {
        // The report states the reason: the target could not be measured.
        Some(CliError::Run(error))
            if is_of_target(&error) && report.invalid_because.iter().any(tested_nothing) =>
        {
            warn_stderr(&error.to_string());
            Ok(match interrupted {
                true => Exit::Interrupted,
                false => judge(&report, output, &outputs, ""),
            })
        }
        Some(error) => Err(error),
        None if interrupted => Ok(Exit::Interrupted),
        None => guarded("gates", || judge(&report, output, &outputs, "")),
    }
}

/// Refuses JUnit of a run without conditions, which would have no case.
pub(crate) fn check_junit(output: &RunOutputArgs) -> CliResult<()> {
    match output.junit.is_some() && !output.is_gated() {
        true => usage("--junit has a case per --fail-if; give one, such as 'loss>0.1%'"),
        false => Ok(()),
    }
}

fn outputs(
    command: &CellCommand,
    output: &RunOutputArgs,
    telemetry: &TelemetryArgs,
) -> CliResult<Outputs> {
    check_junit(output)?;
    let files = output.files().into_iter().chain([(EVENTS, telemetry.events.as_deref())]);
    let mut outputs = Outputs::check::<Report>(&output.common, &Vec::from_iter(files))?;
    outputs.protect(command.inputs())?;
    Ok(outputs)
}

/// Checks what can be checked before anything is sent.
pub(crate) fn check(command: &CellCommand, machine: &Machine) -> CliResult<()> {
    let CellArgs { output, telemetry, .. } = command.cells();
    outputs(command, output, telemetry)?;
    check_built_in(telemetry.live.live)?;
    check_plan(command, machine)
}

/// Checks the plan of a command, which `search` and `ab` run.
pub(crate) fn check_plan(command: &CellCommand, machine: &Machine) -> CliResult<()> {
    match command {
        CellCommand::Bench(args) if args.pairing().is_some() => usage(
            "--pairs and --incast measure between processes of a launcher, and steps are single \
             processes",
        ),
        CellCommand::Bench(args) => {
            let (mut scenario, mut machine) = (scenario::bench(args)?, machine.clone());
            scenario::without_ip(&scenario, &mut machine);
            scenario::resolve_defaults(&mut scenario, &args.cells, &machine);
            measure::check_plan(scenario, &args.cells, &machine)
        }
        CellCommand::Blast(args) => blast::check(args, machine),
        CellCommand::Load(args) => load::check(&args.exchange, Some(&args.requests), machine),
        CellCommand::Ping(args) => load::check(args, None, machine),
    }
}

/// Joins the processes that were started with this one; members end with their exit code.
pub(crate) fn join(
    command: &CellCommand,
    words: &[OsString],
    stop: &StopFlag,
) -> CliResult<Result<Fleet, Exit>> {
    let follow = |command: &CellCommand, fleet: &Fleet| match (command, fleet) {
        (CellCommand::Bench(args), Fleet::Member(orders, order))
            if order.pairing.is_some() && order.receiver.is_none() =>
        {
            pairs::receive(args, orders, fleet.member())
        }
        _ => measure(command, RunInput { stop, outputs: None, fleet }).map(drop),
    };
    match command.cells().single {
        true => Ok(Ok(Fleet::Alone)),
        false => Fleet::join(words, follow),
    }
}

pub(crate) fn measure(command: &CellCommand, run: RunInput<'_>) -> CliResult<RunOutput> {
    let mut output = match command {
        CellCommand::Bench(args) => measure_bench(args, run),
        CellCommand::Blast(args) => blast::measure(args, run),
        CellCommand::Load(args) => load::measure(&args.exchange, Some(&args.requests), run),
        CellCommand::Ping(args) => load::measure(args, None, run),
    }?;
    name_limits(&mut output.report);
    Ok(output)
}

fn measure_bench(args: &BenchArgs, run: RunInput<'_>) -> CliResult<RunOutput> {
    if let Some(pairing) = args.pairing() {
        return pairs::measure(args, pairing, run);
    }
    let mut scenario = scenario::bench(args)?;
    let mut context = MeasureContext::new("bench", &args.cells, run)?;
    let to = SocketAddr::new(scenario.to.unwrap_or(scenario.bind), scenario.port);
    let target = scenario.unix.is_none().then_some(to);
    scenario::without_ip(&scenario, &mut context.machine);
    context.left_out = scenario::resolve_defaults(&mut scenario, &args.cells, &context.machine);
    measure::measure(context, scenario, LocalRunner::default(), target, |_report, _runner| {})
}

pub(crate) fn apply_gates(report: &mut Report, output: &RunOutputArgs) {
    if let Some(max_missed) = output.max_missed {
        judge_with_max_missed(report, max_missed);
    }
    if output.is_gated() {
        report.gates = report::gates(report, &output.fail_if);
    }
}

/// Writes the report; with JSON on standard output, why it is invalid goes to standard error.
pub(crate) fn write(report: &Report, output: &RunOutputArgs, outputs: &Outputs) -> CliResult<()> {
    let options = RenderOptions { conditions: &output.fail_if, ..RenderOptions::default() };
    let written = outputs.write(report, &options);
    let cells = report.cells.iter().flat_map(|cell| &cell.warnings);
    name_warnings(&output.common, report.warnings.iter().chain(cells));
    if output.common.json_to_stdout() && !output.common.quiet {
        invalid_lines(report).iter().for_each(|line| warn_stderr(line));
    }
    written
}

/// Whether the run tested what was asked, and whether a condition held. Standard error gets the
/// reasons why a run is invalid, unless a terminal shows the report; `name` precedes each message.
pub(crate) fn judge(
    report: &Report,
    output: &RunOutputArgs,
    outputs: &Outputs,
    name: &str,
) -> Exit {
    let mut exit = Exit::Success;
    for failure in output.fail_if.iter().flat_map(|condition| condition.check(report)) {
        warn_stderr(&format!("--fail-if {name}{failure}"));
        exit = Exit::ConditionHeld;
    }
    if !report.valid {
        // Beside JSON, they are on standard error already.
        let is_said = output.common.json_to_stdout() && !output.common.quiet;
        if !is_said && !outputs.shows_text() {
            for line in invalid_lines(report) {
                warn_stderr(&format!("{name}{line}"));
            }
        }
        exit = Exit::Invalid;
    }
    exit
}
