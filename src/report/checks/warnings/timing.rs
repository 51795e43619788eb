//! Warnings about time: stalls, steal, CPU quota, a missed schedule, too few samples.

use super::context::{exceeds_permille, nonzero, percent};
use crate::document::{Cell, CpuThrottling, StallSum, Warning};
use crate::plan::PaceKind;
use crate::report::checks::warning_codes as codes;
use crate::unit::{grouped, show_nanos};

/// Minimum time of a cell in ns. Arbitrary: a single stall is at most some tens of ms.
const SHORTEST_NS: u64 = 100_000_000;

/// Minimum datagrams of a cell: below, the 99.9th percentile is the maximum.
const FEWEST: u64 = 1_000;

pub(super) fn short_run(cell: &Cell) -> Option<String> {
    // If nothing arrived at all, other warnings say why.
    let received = nonzero(cell.rx.as_ref()?.datagrams)?;
    let time = show_nanos(cell.elapsed_ns);
    let [count, slowest] = [received, received.div_ceil(1_000)].map(grouped);
    let text = format!("{time}, {count} datagrams: p99.9 rests on the slowest {slowest}");
    (cell.elapsed_ns < SHORTEST_NS || received < FEWEST).then(|| text + "; use a longer --time")
}

pub(super) fn clamped(cell: &Cell) -> Option<String> {
    let clamped = grouped(nonzero(cell.latency.as_ref()?.clamped)?);
    let text = format!("{clamped} latencies above 60 s: their percentiles are too low");
    Some(text + "; use a lower --rate")
}

pub(super) fn stalls(cell: &Cell) -> Option<String> {
    let rx = cell.stalls.rx.iter().map(|of| ("receive", of));
    let stalled = [("send", &cell.stalls.tx)].into_iter().chain(rx).filter(|(_, of)| of.count > 0);
    let longest = show_nanos(stalled.clone().map(|(_, of)| of.max_ns).max()?);
    let shown = |(side, of): (&str, &StallSum)| {
        format!("{side} {}× {}", grouped(of.count), show_nanos(of.total_ns))
    };
    let sides: Vec<_> = stalled.map(shown).collect();
    Some(format!("stalls: {}, max {longest}; use --trials", sides.join(", ")))
}

/// Steal up to one tick proves nothing: the kernel counts in ticks of 10 ms (USER_HZ).
const TICK_NS: u64 = 10_000_000;

pub(super) fn stolen(cell: &Cell) -> Option<String> {
    let (stolen, elapsed) = (cell.stalls.stolen_ns?, cell.elapsed_ns);
    let (time, all) = (show_nanos(stolen), show_nanos(elapsed));
    let text = format!("the hypervisor took {time} of CPU time in {all}; repeat with --trials");
    (stolen > TICK_NS && stolen > elapsed / 100).then_some(text)
}

pub(crate) fn throttled(found: &CpuThrottling) -> Option<Warning> {
    let CpuThrottling { cpu_max, nr_throttled: times, throttled_ns } = found;
    let (count, time) = (grouped(*times), show_nanos(*throttled_ns));
    let text = format!("cpu.max {cpu_max} stopped udperf: nr_throttled {count}, {time}; raise it");
    (*times > 0).then(|| codes::CPU_THROTTLED.warning(text))
}

/// Tolerated lag at any rate, in ns. Arbitrary: about ten system calls.
const LAG_LEAST_NS: u64 = 50_000;

pub(super) fn behind_schedule(cell: &Cell) -> Option<String> {
    // In a closed loop the window says more.
    let schedule = cell.schedule.as_ref().filter(|_| !cell.is_closed_loop())?;
    let (missed, scheduled) = (schedule.missed, schedule.scheduled);
    let unsent = exceeds_permille(missed, scheduled)
        .then(|| format!("{} ({}) not sent", grouped(missed), percent(missed, scheduled)));
    let late = schedule.lag.p99_ns.zip(lag_most_ns(cell)).filter(|(lag, most)| lag > most);
    let late = late.map(|(lag, _)| format!("p99 lag {}", show_nanos(lag)));
    let parts: Vec<_> = unsent.into_iter().chain(late).collect();
    (!parts.is_empty()).then(|| format!("rate not kept: {}; use a lower --rate", parts.join(", ")))
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
