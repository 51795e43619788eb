//! What is reported while a run goes on: events, and metrics.
//!
//! The coordinating thread hands over what it knows a few times a second. Other threads write
//! events, and read the counters of the running cell when a scraper asks, so that a slow reader
//! does not delay the run.

mod clients;
mod events;
mod metrics;
mod running;
mod totals;

pub(crate) use clients::ClientLabels;
use events::Events;
pub(crate) use metrics::MetricsEndpoint;
pub(crate) use totals::RunTotals;

use super::args::TelemetryArgs;
use super::error::CliResult;
use crate::document::{Cell, Head, Warning};
use crate::measure::CellResult;
use crate::plan::Plan;
use crate::report::IntervalFacts;
use crate::run::Progress;

/// Events and metrics, as far as they are asked for.
pub(crate) struct Telemetry {
    events: Option<Events>,
    metrics: Option<MetricsEndpoint>,
}

impl Telemetry {
    /// Opens the file and the port.
    pub(crate) fn open(args: &TelemetryArgs, quiet: bool) -> CliResult<Self> {
        let metrics = MetricsEndpoint::open(&args.metrics, quiet)?;
        let events = args.events.as_deref().map(|path| Events::open(path, quiet)).transpose()?;
        Ok(Self { events, metrics })
    }

    pub(crate) fn started(&mut self, head: &Head, plan: &Plan) {
        if let Some(events) = &mut self.events {
            events.started(head, plan);
        }
    }

    pub(crate) fn progress(&mut self, plan: &Plan, progress: Progress<'_>) {
        let Some(cell) = plan.cells.get(progress.done) else { return };
        let facts = IntervalFacts::of_running(plan, cell);
        if let (Some(metrics), Some(live)) = (&self.metrics, progress.live) {
            metrics.runs(facts, live);
        }
        if let Some(events) = &mut self.events {
            events.progress(cell, facts, progress);
        }
    }

    /// A cell has been measured; `document`: with its warnings.
    pub(crate) fn measured(&mut self, document: &Cell, result: &CellResult) {
        if let Some(metrics) = &self.metrics {
            metrics.measured(document, result);
        }
        if let Some(events) = &mut self.events {
            events.measured(document);
        }
    }

    /// Warnings about the whole run.
    pub(crate) fn warnings(&mut self, warnings: &[Warning]) {
        if let Some(events) = &mut self.events {
            events.warnings(None, warnings);
        }
    }

    /// Waits until all events are written; an error if some could not be.
    pub(crate) fn finish(self) -> CliResult<()> {
        self.events.map_or(Ok(()), Events::finish)
    }
}
