//! The capacity probe of `udperf load`: short cells before those of the run.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::measure::is_of_target;
use crate::cli::error::{CliError, CliResult};
use crate::cli::output::warn_stderr;
use crate::cli::progress::StatusLine;
use crate::cli::stop::StopFlag;
use crate::document::{Capacity, Cell};
use crate::plan::{Limit, Machine, PaceKind, Plan, Scenario};
use crate::report::format::text::style::grouped;
use crate::report::{self, CellFacts};
use crate::request::RequestRunner;
use crate::run::{self, MeasuredCell, Observer, Progress};
use crate::search::capacity::{CapacityProbe, MAX_WINDOW, PROBE_TIME, ProbeLoad, ProbeRequest};
use crate::unit::{Nanos, PacketRate, Rate, show_nanos, show_requests};

/// Shares of the capacity that the cells of the run have. From the contract of the command line.
pub(super) const SHARES: [f64; 2] = [0.5, 0.8];
/// Length of the cell that shows why no request was answered. Arbitrary.
const UNANSWERED_TIME: Nanos = Nanos::from_millis(1_000);

/// The scenario of a run whose rates are shares of a capacity that is not known yet.
pub(super) fn unprobed(scenario: Scenario) -> Scenario {
    let rates = SHARES.map(Rate::OfMax).to_vec();
    Scenario { rates, capacity: Some(PacketRate::KILO), ..scenario }
}

/// Prints on standard error what will be sent, sends it, and returns the scenario of the run with
/// the result of the probe.
pub(super) fn probe(
    scenario: Scenario,
    machine: &Machine,
    runner: &mut RequestRunner,
    stop: &StopFlag,
    quiet: bool,
) -> CliResult<(Scenario, Capacity)> {
    let asking = scenario.asking.clone().unwrap_or_default();
    let (ids, _) = asking.all_ids(scenario.streams);
    let most = u64::from(MAX_WINDOW).min(ids / 2).max(1) as u32;
    let first = u32::from(scenario.threads.max(1)).min(most);
    let say = |text: String| {
        if !quiet {
            warn_stderr(&text);
        }
    };
    let each = match scenario.limit {
        Limit::Time(time) => format!("{time} each"),
        Limit::Count(count) => format!("{} requests each", grouped(count)),
    };
    let (target, time) = (&scenario.target, show_nanos(PROBE_TIME.0));
    say(format!(
        "capacity probe of {target}, up to {time}: {first} to {} requests in flight, then rates \
         around what is answered",
        grouped(most.into())
    ));
    say(format!(
        "then 50% and 80% of the capacity, {each}; --probe off sends 1k requests/s instead"
    ));
    let mut line = StatusLine::new(quiet);
    let (mut probe, began) = (CapacityProbe::new((first, most), asking.timeout), Instant::now());
    let elapsed = || Nanos::from(began.elapsed());
    let is_stopped = || stop.load(Ordering::Relaxed);
    while !is_stopped()
        && let Some(request) = probe.next(elapsed())
    {
        line.show(|| match request.load {
            ProbeLoad::Closed(window) => format!("capacity probe · {window} requests in flight"),
            ProbeLoad::Open(rate) => format!("capacity probe · {}", show_requests(rate)),
        });
        let cell = step(&scenario, request, machine, runner, stop)?;
        if let Some(cell) = cell.filter(|_| !is_stopped()) {
            probe.record(request, &cell);
        }
    }
    line.clear();
    let capacity = probe.finish(elapsed(), is_stopped());
    let scenario = after(scenario, &capacity)?;
    say(match scenario.capacity {
        _ if is_stopped() => "capacity probe interrupted".to_owned(),
        Some(rate) => {
            let [half, most] = SHARES.map(|share| show_requests(share * rate.pps()));
            format!("capacity {}; next {half} and {most}, {each}", show_requests(rate.pps()))
        }
        None => "no capacity found; next one request at a time".to_owned(),
    });
    Ok((scenario, capacity))
}

/// The run after a probe: shares of the capacity. Without a capacity, a closed loop with one
/// request in flight per thread shows why.
fn after(mut scenario: Scenario, found: &Capacity) -> CliResult<Scenario> {
    if let Some(rate) = found.requests_per_s {
        let capacity = Some(PacketRate::from_pps(rate)?);
        return Ok(Scenario { capacity, ..scenario });
    }
    if let Some(asking) = &mut scenario.asking {
        asking.outstanding = Some(scenario.threads.into());
    }
    if found.steps.iter().all(|step| step.answered == 0) {
        let time = scenario.limit.time().map_or(UNANSWERED_TIME, |time| time.min(UNANSWERED_TIME));
        scenario.limit = Limit::Time(time);
        // Its intervals may be longer.
        scenario.interval = scenario.interval.map(|width| width.min(time));
    }
    let (rates, pace) = (vec![Rate::Max], PaceKind::Even);
    Ok(Scenario { rates, pace, capacity: None, ..scenario })
}

/// Measures one step; `None` if it was stopped before its first request.
fn step(
    scenario: &Scenario,
    request: ProbeRequest,
    machine: &Machine,
    runner: &mut RequestRunner,
    stop: &StopFlag,
) -> CliResult<Option<Cell>> {
    let (rate, outstanding, pace) = match request.load {
        ProbeLoad::Closed(window) => (Rate::Max, Some(window), PaceKind::Even),
        ProbeLoad::Open(rate) => (Rate::Pps(PacketRate::from_pps(rate)?), None, scenario.pace),
    };
    let mut step = Scenario {
        rates: vec![rate],
        pace,
        capacity: None,
        limit: Limit::Time(request.time),
        warmup: Nanos::ZERO,
        interval: None,
        trials: 1,
        ..scenario.clone()
    };
    if let Some(asking) = &mut step.asking {
        (asking.outstanding, asking.timeout) = (outstanding, request.timeout);
    }
    let plan = Plan::new(step, machine)?;
    let mut recorder = StepRecorder { plan: &plan, cell: None };
    let outcome = run::run(&plan, runner, &Arc::clone(stop), &mut recorder);
    match outcome.error {
        // The cell has the reason.
        Some(error) if !is_of_target(&error) => Err(CliError::from(error)),
        _ => Ok(recorder.cell),
    }
}

struct StepRecorder<'a> {
    plan: &'a Plan,
    cell: Option<Cell>,
}

impl Observer for StepRecorder<'_> {
    fn progress(&mut self, _progress: Progress<'_>) {}

    fn measured(&mut self, measured: MeasuredCell) -> Option<MeasuredCell> {
        let MeasuredCell { cell, load, direction, result } = &measured;
        let (load, direction, code_name) = (*load, *direction, None);
        let facts = CellFacts { plan: self.plan, cell, load, direction, result, code_name };
        self.cell = Some(report::cell(facts));
        None
    }
}
