//! A benchmark: all cells of a plan, one after the other.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::RunError;
use super::live::LiveCell;
use crate::measure::{CellResult, CutShort};
use crate::net::NetError;
use crate::plan::{CellRate, Direction, EnginePair, Plan, PlannedCell, WorkerLoad};
use crate::sys;
use crate::unit::{Nanos, PayloadSize};

/// A measured cell.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct MeasuredCell {
    pub cell: PlannedCell,
    pub load: WorkerLoad,
    /// Its direction; `None` if both ends are here.
    pub direction: Option<Direction>,
    pub result: CellResult,
}

/// The result of one direction.
#[derive(Debug)]
#[expect(missing_docs, reason = "other fields are as in `MeasuredCell`")]
pub struct DirectionResult {
    pub direction: Option<Direction>,
    pub result: CellResult,
    /// The error that ended it early, if it ends the run.
    pub error: Option<RunError>,
}

/// Called a few times a second while a cell runs; with what is measured, if it has intervals.
pub type Tick<'a> = &'a mut dyn FnMut(Option<LiveCell<'_>>);

/// Decides when phases begin.
pub trait StartRule {
    /// When a phase begins for which this host is ready at `earliest`; its monotonic clock.
    fn start_at(&self, earliest: Nanos) -> Result<Nanos, RunError>;
}

/// Begins as soon as this host is ready: it runs alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct StartAlone;

impl StartRule for StartAlone {
    fn start_at(&self, earliest: Nanos) -> Result<Nanos, RunError> {
        Ok(earliest)
    }
}

/// Measures cells: on this host, or between this one and another.
pub trait CellRunner {
    /// Measures each direction of a cell. `tick` is called a few times a second, `start` before
    /// each phase.
    fn measure(
        &mut self,
        plan: &Plan,
        cell: &PlannedCell,
        load: WorkerLoad,
        stop: &Arc<AtomicBool>,
        tick: Tick<'_>,
        start: &dyn StartRule,
    ) -> Result<Vec<DirectionResult>, RunError>;
}

/// The results of a run.
#[derive(Debug, Default)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct RunOutcome {
    /// The cells in the order they ran.
    pub measured: Vec<MeasuredCell>,
    pub error: Option<RunError>,
    pub interrupted: bool,
}

/// The progress of a run.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "other fields are as named")]
pub struct Progress<'a> {
    pub id: &'a str,
    pub done: usize,
    pub of: usize,
    /// How long a cell is expected to take; `None` where a count decides.
    pub cell_takes: Option<Nanos>,
    /// What is measured at the moment; `None` during set-up and warm-up, and without intervals.
    pub live: Option<LiveCell<'a>>,
}

/// Watches a run; called between batches of work by the coordinating thread only.
pub trait Observer {
    /// Called a few times a second, and when a cell begins.
    fn progress(&mut self, progress: Progress<'_>);

    /// Called when a cell has been measured; what it returns stays in the [`RunOutcome`]. Its
    /// histograms take more than 1 MiB, so a long run should keep only what it needs of them.
    fn measured(&mut self, measured: MeasuredCell) -> Option<MeasuredCell> {
        Some(measured)
    }
}

impl Observer for () {
    fn progress(&mut self, _progress: Progress<'_>) {}
}

/// Measures all cells of `plan` on `runner`, until an error or `stop` ends it.
pub fn run(
    plan: &Plan,
    runner: &mut dyn CellRunner,
    stop: &Arc<AtomicBool>,
    observer: &mut impl Observer,
) -> RunOutcome {
    let mut outcome = RunOutcome::default();
    sys::raise_open_files();
    let mut max_pps = HashMap::new();
    for (done, cell) in plan.cells.iter().enumerate() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let cell_takes = plan.scenario.limit.time().map(|time| time + plan.scenario.warmup);
        let (id, of) = (cell.id.as_str(), plan.cells.len());
        let mut tick = |live: Option<LiveCell<'_>>| {
            observer.progress(Progress { id, done, of, cell_takes, live });
        };
        tick(None);
        match measure(plan, runner, cell, &max_pps, stop, &mut tick) {
            Ok((load, mut parts)) => {
                let ends = parts.iter().any(|part| part.result.cut_short.is_some());
                let error = parts.iter_mut().find_map(|part| gave_up(part, cell));
                // The slower direction counts: both can keep a share of it.
                let delivered = parts.iter().filter_map(|part| part.result.delivered_pps());
                if let (CellRate::Max, Some(delivered)) =
                    (cell.rate, delivered.min_by(f64::total_cmp))
                {
                    max_pps.entry((cell.engine, cell.size)).or_insert(delivered);
                }
                for DirectionResult { direction, result, .. } in parts {
                    // A cell that was stopped before its first datagram has no result.
                    if !stop.load(Ordering::Relaxed) || result.tx.tally.sent > 0 {
                        let cell = cell.clone();
                        let measured = MeasuredCell { cell, load, direction, result };
                        outcome.measured.extend(observer.measured(measured));
                    }
                }
                outcome.error = error.or(outcome.error);
                if ends {
                    break;
                }
            }
            // Other cells can still be measured.
            Err(
                error
                @ (RunError::NothingDelivered { .. } | RunError::Net(NetError::Engine { .. })),
            ) => {
                outcome.error.get_or_insert(error);
            }
            Err(mut error) => {
                if let RunError::Panicked { id } = &mut error {
                    id.clone_from(&cell.id);
                }
                outcome.error = Some(error);
                break;
            }
        }
    }
    outcome.interrupted = stop.load(Ordering::Relaxed);
    outcome
}

/// The error that ended a cell early. An unreachable target is not an error: the report states it.
fn gave_up(part: &mut DirectionResult, cell: &PlannedCell) -> Option<RunError> {
    match part.result.cut_short? {
        CutShort::Stuck => Some(RunError::Stuck { id: cell.id.clone() }),
        CutShort::PeerLost | CutShort::MemberLost => part.error.take(),
        CutShort::Unreachable | CutShort::Interrupted => None,
    }
}

/// Decides the load of a cell and measures it.
fn measure(
    plan: &Plan,
    runner: &mut dyn CellRunner,
    cell: &PlannedCell,
    max_pps: &HashMap<(EnginePair, PayloadSize), f64>,
    stop: &Arc<AtomicBool>,
    tick: Tick<'_>,
) -> Result<(WorkerLoad, Vec<DirectionResult>), RunError> {
    let load = match cell.rate {
        CellRate::Max => WorkerLoad::FlatOut,
        CellRate::Paced(load) => load,
        CellRate::OfMax(share) => {
            // The first trial's maximum serves all trials, so that they are replicates.
            let max = max_pps.get(&(cell.engine, cell.size)).copied().unwrap_or(0.0);
            if max == 0.0 {
                return Err(RunError::NothingDelivered { id: cell.id.clone() });
            }
            plan.scenario
                .load_of_max(cell.size, share, max)
                .map_err(|source| RunError::Rate { id: cell.id.clone(), source })?
        }
    };
    Ok((load, runner.measure(plan, cell, load, stop, tick, &StartAlone)?))
}
