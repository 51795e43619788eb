//! Totals of a run and of its running cell. The thread that answers a scraper reads the latter.

use std::fmt;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::totals::RunTotals;
use crate::measure::IntervalCounts;
use crate::remote::lock;
use crate::report::IntervalFacts;
use crate::run::{LiveCell, SharedLiveCell};
use crate::unit::Nanos;

/// The counters of a running cell, and of a server, are read no more often. Arbitrary: scrapers
/// come once a second at most.
pub(super) const REFRESH: Duration = Duration::from_millis(250);
/// Intervals that ended longer ago are read only once. Datagrams of them that arrive later count
/// when the cell has ended. Arbitrary: twice the default timeout of requests.
const SETTLED: Nanos = Nanos::from_millis(2_000);

/// The totals that scrapers get. Only the thread that answers a scraper reads the counters of the
/// running cell.
#[derive(Debug, Default)]
pub(super) struct PublishedTotals {
    run: Mutex<Run>,
    reader: Mutex<CellReader>,
}

#[derive(Debug, Default)]
struct Run {
    published: RunTotals,
    /// Of cells that have ended.
    finished: RunTotals,
    /// The running cell.
    running: Option<(IntervalFacts, SharedLiveCell)>,
}

impl PublishedTotals {
    /// Publishes totals that a server has counted.
    pub(super) fn publish(&self, totals: &RunTotals) {
        lock(&self.run).published.raise_to(totals);
    }

    /// A cell with these facts runs.
    pub(super) fn runs(&self, facts: IntervalFacts, live: LiveCell<'_>) {
        lock(&self.run).running = Some((facts, live.share()));
    }

    /// A cell has ended with these totals.
    pub(super) fn ended(&self, totals: &RunTotals) {
        let run = &mut *lock(&self.run);
        run.running = None;
        run.finished.merge(totals);
        run.published.raise_to(&run.finished);
    }

    /// Adds what the running cell has counted so far.
    fn refresh(&self) {
        let mut reader = lock(&self.reader);
        // A copy, so that the run does not wait while counters are read.
        let (mut totals, running) = {
            let run = lock(&self.run);
            let Some(running) = run.running.clone() else { return };
            (run.finished.clone(), running)
        };
        if let Some(of_cell) = reader.read(running) {
            totals.merge(&of_cell);
            self.publish(&totals);
        }
    }
}

impl Collector for PublishedTotals {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.refresh();
        // A copy, so that the run does not wait for the text.
        let totals = lock(&self.run).published.clone();
        totals.encode(encoder)
    }
}

/// Reads the intervals of a running cell.
#[derive(Debug, Default)]
struct CellReader {
    /// The cell that was read last, and when.
    latest: Option<(SharedLiveCell, Instant)>,
    /// Intervals that are not read again, of what this host sends, and of what it receives from
    /// another: how many, and what both sides counted.
    settled: [(usize, [IntervalCounts; 2]); 2],
}

impl CellReader {
    /// What a cell has counted; `None` if it has ended or was read just before.
    fn read(&mut self, (facts, cell): (IntervalFacts, SharedLiveCell)) -> Option<RunTotals> {
        match &self.latest {
            Some((latest, at)) if latest.is_same(&cell) => {
                if at.elapsed() < REFRESH {
                    return None;
                }
            }
            _ => self.settled = Default::default(),
        }
        let mut totals = RunTotals::default();
        cell.read(|live| {
            for live in live.directions() {
                let settled = &mut self.settled[usize::from(live.is_reverse())];
                let sum = sum_so_far(live, settled);
                totals.merge(&RunTotals::of_running(facts.of_direction(live), live, &sum));
            }
        })?;
        self.latest = Some((cell, Instant::now()));
        Some(totals)
    }
}

/// The sum of all intervals so far; `settled`: those that need not be read again, and their sum.
fn sum_so_far(
    live: LiveCell<'_>,
    (next, settled): &mut (usize, [IntervalCounts; 2]),
) -> [IntervalCounts; 2] {
    let settled_until = live.elapsed().since(SETTLED);
    while live.bounds(*next).1 <= settled_until {
        add(settled, &live.interval(*next));
        *next += 1;
    }
    let mut sum = settled.clone();
    (*next..=live.ended()).for_each(|index| add(&mut sum, &live.interval(index)));
    sum
}

fn add(sum: &mut [IntervalCounts; 2], more: &[IntervalCounts; 2]) {
    sum.iter_mut().zip(more).for_each(|(sum, more)| sum.merge(more));
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::measure::Count;
    use crate::plan::{Limit, WorkerLoad};
    use crate::run::PhaseState;

    #[test]
    fn a_scraper_gets_what_is_counted_when_it_asks() {
        let limit = Limit::Time(Nanos::from_millis(10_000));
        let width = Some(Nanos::from_millis(1_000));
        let state = PhaseState::new(Default::default(), 1);
        let state = state.with_intervals(width, limit, WorkerLoad::FlatOut);
        let mut sender = state.tx_intervals(0).unwrap();
        let published = PublishedTotals::default();
        let epoch = Nanos(crate::sys::monotonic_ns());
        sender.count(Nanos::ZERO, Count::Sent, 5);
        published.runs(IntervalFacts::default(), LiveCell::new(&state, epoch).unwrap());
        // No scraper has asked.
        assert_eq!(format!("{:?}", lock(&published.run).published), "RunTotals({})");
        sender.count(Nanos::ZERO, Count::Sent, 7);
        let mut registry = Registry::default();
        let published = std::sync::Arc::new(published);
        registry.register_collector(Box::new(std::sync::Arc::clone(&published)));
        let sent = || {
            let mut text = String::new();
            text::encode(&mut text, &registry).unwrap();
            let of = |line: &str| line.split_once("outcome=\"sent\"} ")?.1.parse::<u64>().ok();
            text.lines().find_map(of)
        };
        assert_eq!(sent(), Some(12));
        // The counters of the phase are gone with it, and what was published stays.
        drop((sender, state));
        assert_eq!(sent(), Some(12));
        published.ended(&RunTotals::default());
        assert_eq!(sent(), Some(12));
    }
}
