//! Warnings about time: stalls, steal, a missed schedule, too few samples.

use super::{CellContext, exceeds_permille, percent};
use crate::document::{Cell, StallSum, Warning};
use crate::plan::PaceKind;
use crate::report::checks::warning_codes as codes;
use crate::unit::show_nanos;

/// Minimum time of a cell in ns. Arbitrary: a single stall is at most some tens of ms.
const SHORTEST_NS: u64 = 100_000_000;

/// Minimum datagrams of a cell: below, the 99.9th percentile is the maximum.
const FEWEST: u64 = 1_000;

pub(super) fn short_run(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let received = cell.rx.as_ref()?.datagrams;
    // Nothing at all is another matter, and other warnings say why.
    let little = cell.elapsed_ns < SHORTEST_NS || received < FEWEST;
    (little && received > 0).then(|| {
        let message = format!(
            "{}, {received} datagrams: p99.9 rests on the slowest {}; use a longer --time",
            show_nanos(cell.elapsed_ns),
            received.div_ceil(1_000)
        );
        codes::SHORT_RUN.warning(message)
    })
}

pub(super) fn clamped(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let latency = cell.latency.as_ref()?;
    (latency.clamped > 0).then(|| {
        let message = format!(
            "{} latencies above 60 s: their percentiles are too low; use a lower --rate",
            latency.clamped
        );
        codes::CLAMPED.warning(message)
    })
}

pub(super) fn stalls(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let rx = cell.stalls.rx.iter().map(|of| ("receive", of));
    let stalled = [("send", &cell.stalls.tx)].into_iter().chain(rx).filter(|(_, of)| of.count > 0);
    let longest = stalled.clone().map(|(_, of)| of.max_ns).max()?;
    let shown =
        |(side, of): (&str, &StallSum)| format!("{side} {}× {}", of.count, show_nanos(of.total_ns));
    let sides: Vec<_> = stalled.map(shown).collect();
    let message =
        format!("stalls: {}, max {}; use --trials", sides.join(", "), show_nanos(longest));
    Some(codes::STALLS.warning(message))
}

/// Steal up to one tick proves nothing: the kernel counts in ticks of 10 ms (USER_HZ).
const TICK_NS: u64 = 10_000_000;

pub(super) fn stolen(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let stolen = cell.stalls.stolen_ns?;
    (stolen > TICK_NS && stolen > cell.elapsed_ns / 100).then(|| {
        let message = format!(
            "the hypervisor took {} of CPU time in {}; repeat with --trials",
            show_nanos(stolen),
            show_nanos(cell.elapsed_ns)
        );
        codes::STOLEN.warning(message)
    })
}

/// Tolerated lag at any rate, in ns. Arbitrary: about ten system calls.
const LAG_LEAST_NS: u64 = 50_000;

pub(super) fn behind_schedule(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    // In a closed loop the window says more.
    if cell.exchange.as_ref().is_some_and(|exchange| exchange.outstanding.is_some()) {
        return None;
    }
    let schedule = cell.schedule.as_ref()?;
    let late = schedule.lag.p99_ns.zip(lag_most_ns(cell)).filter(|(lag, most)| lag > most);
    let missed = exceeds_permille(schedule.missed, schedule.scheduled);
    if !missed && late.is_none() {
        return None;
    }
    let mut parts = Vec::new();
    if missed {
        let share = percent(schedule.missed, schedule.scheduled);
        parts.push(format!("{} ({share}) not sent", schedule.missed));
    }
    if let Some((lag, _)) = late {
        parts.push(format!("p99 lag {}", show_nanos(lag)));
    }

    let message = format!("rate not kept: {}; use a lower --rate", parts.join(", "));
    Some(codes::BEHIND_SCHEDULE.warning(message))
}

/// Tolerated lag: a tenth of a worker's period, or the time between bursts.
fn lag_most_ns(cell: &Cell) -> Option<u64> {
    let period_ns = 1e9 * cell.threads as f64 / cell.rate_pps?;
    let pace = cell.pace.as_deref().and_then(|word| word.parse().ok());
    let most_ns = match pace {
        Some(PaceKind::Burst(size)) => period_ns * f64::from(size),
        _ => period_ns / 10.0,
    };
    Some(LAG_LEAST_NS.max(most_ns as u64))
}
