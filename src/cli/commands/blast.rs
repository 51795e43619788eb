//! `udperf blast`: from here to a sink, from a sink to here, or to any receiver.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::measure::{self, MeasureContext, RunInput, RunOutput};
use crate::cli::args::{BlastArgs, PORT};
use crate::cli::error::{CliError, CliResult};
use crate::cli::output::warn_stderr;
use crate::cli::requests::random;
use crate::cli::target::{in_turn, reach, resolve};
use crate::cli::{scenario, sources};
use crate::document::{Clock, Report, Warning};
use crate::net::Options;
use crate::plan::{Machine, MissingEngine, Scenario, check_scenario};
use crate::remote::client::{RemoteRunner, SendOnlyRunner};
use crate::remote::protocol::Key;
use crate::report;

pub(crate) fn measure(args: &BlastArgs, run: RunInput<'_>) -> CliResult<RunOutput> {
    let targets = resolve(&args.target, PORT, args.cells.family)?;
    let targets = sources::reachable(&args.cells, targets);
    let key = key(args.key_file.as_deref())?;
    let quiet = args.cells.output.common.quiet;
    let mut context = MeasureContext::new("blast", &args.cells, run)?;
    let nonce = u64::from_ne_bytes(random()?);
    if args.no_peer {
        let (target, scenario) = in_turn(&targets, quiet, |target| {
            let scenario = scenario::blast(args, target)?;
            reach(&scenario, target, targets.last() != Some(&target))?;
            Ok((target, scenario))
        })?;
        let runner = SendOnlyRunner::new(target, nonce as u16);
        return measure::measure(context, scenario, runner, Some(target), |_report, _runner| {});
    }
    let (target, scenario, runner) = in_turn(&targets, quiet, |target| {
        let scenario = scenario::blast(args, target)?;
        check_scenario(&scenario)?;
        let options = Options {
            bind: SocketAddr::new(scenario.bind, args.port),
            dev: scenario.ip.dev.clone(),
            ..Options::default()
        };
        let open = || RemoteRunner::open(target, &options, key.clone(), nonce);
        let runner = saying_after_a_second(quiet, &waits_for(target), open)?;
        Ok((target, scenario, runner))
    })?;
    add_missing(&mut context.machine, &runner);
    let requested = scenario.clone();
    measure::measure(context, scenario, runner, Some(target), |report, runner| {
        add_sink(report, runner, &requested);
    })
}

/// Checks what can be checked before anything is sent.
pub(crate) fn check(args: &BlastArgs, machine: &Machine) -> CliResult<()> {
    let targets = resolve(&args.target, PORT, args.cells.family)?;
    key(args.key_file.as_deref())?;
    in_turn(&targets, true, |target| {
        measure::check_plan(scenario::blast(args, target)?, &args.cells, machine)
    })
}

/// How long a sink may take to answer without a notice. Arbitrary: longer than any round trip.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

fn waits_for(target: SocketAddr) -> String {
    format!("no answer of {target} yet; waiting up to 10 s for `udperf sink` there")
}

/// Does the work, and prints the notice if it takes longer than a sink usually takes.
fn saying_after_a_second<T>(quiet: bool, notice: &str, work: impl FnOnce() -> T) -> T {
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        if !quiet {
            scope.spawn(move || {
                if is_done.recv_timeout(ANSWERS_WITHIN) == Err(RecvTimeoutError::Timeout) {
                    warn_stderr(notice);
                }
            });
        }
        let result = work();
        drop(done);
        result
    })
}

/// Adds the engines that the sink lacks.
pub(super) fn add_missing(machine: &mut Machine, runner: &RemoteRunner) {
    for MissingEngine { engine, why } in runner.peer.missing.clone() {
        let missing = &mut machine.missing;
        if !missing.iter().any(|known| known.engine == engine) {
            missing.push(MissingEngine { engine, why: format!("on the sink: {why}") });
        }
    }
}

pub(super) fn add_sink(report: &mut Report, sink: &RemoteRunner, scenario: &Scenario) {
    let facts = &sink.peer.facts;
    report.host.peer = Some(Box::new(report::host(facts)));
    report.clock = clock(sink);
    let mut warnings = report::sink_warnings(facts, scenario);
    // If both ends are on one host, each warning appears once.
    let is_known = |warning: &Warning| {
        let code = warning.code.trim_start_matches("sink_");
        sink.control.same_clock && report.warnings.iter().any(|known| known.code == code)
    };
    warnings.retain(|warning| !is_known(warning));
    report.warnings.extend(warnings);
}

pub(super) fn clock(sink: &RemoteRunner) -> Option<Clock> {
    if sink.control.same_clock {
        return Some(Clock::same());
    }
    let offset = sink.control.offset()?;
    Some(Clock {
        same: false,
        offset_ns: offset.offset_ns,
        drift_ppb: offset.drift_ppb,
        bound_ns: offset.bound_ns,
        min_rtt_ns: Some(offset.min_rtt_ns),
        samples: offset.samples as u64,
    })
}

pub(crate) fn key(file: Option<&Path>) -> CliResult<Option<Key>> {
    let (from, bytes) = match (file, std::env::var_os(KEY_VARIABLE)) {
        (Some(path), _) => (path.display().to_string(), std::fs::read(path)),
        (None, Some(value)) => (KEY_VARIABLE.to_owned(), Ok(value.into_encoded_bytes())),
        (None, None) => return Ok(None),
    };
    let key = bytes.map_err(|error| error.to_string());
    let key = key.and_then(|bytes| Key::from_bytes(&bytes).map_err(|error| error.to_string()));
    let advice = "give a file or a variable that contains one";
    key.map(Some).map_err(|why| CliError::Failed(format!("no key in {from}: {why}; {advice}")))
}

/// The variable that holds a key. As the contract of the command line has it.
const KEY_VARIABLE: &str = "UDPERF_KEY";
