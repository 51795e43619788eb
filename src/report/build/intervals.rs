//! The intervals of a cell.

use crate::document::{Interval, IntervalLatency, IntervalStep, KernelDrops};
use crate::measure::{AT_END, CellResult, DropReading, IntervalCounts, Latencies, StepCounts};
use crate::plan::{CellRate, Plan, PlannedCell, RequestOptions, Route};
use crate::run::LiveCell;
use crate::sys;
use crate::unit::{Nanos, sum_counts};

/// The intervals of a cell, in order; empty without. `is_mixed_up`: whether replies may have been
/// matched with other requests.
pub(super) fn intervals(
    result: &CellResult,
    asking: Option<&RequestOptions>,
    is_mixed_up: bool,
) -> Vec<Interval> {
    let (tx, rx) = (&result.tx.intervals, &result.rx.intervals);
    let used = tx.len().max(rx.len());
    // Up to the end of the cell, also where nothing was due at last.
    let to_end = tx.scale().map_or(0, |scale| scale.len(result.tx.end));
    let len = if used > 0 { used.max(to_end) } else { 0 };
    let equal_from = tx.scale().map(crate::measure::IntervalScale::width);
    let (width, mut tx) = tx.of_equal_width(len);
    let (_, mut rx) = rx.of_equal_width(len);
    // Stalls during draining count in the last interval.
    let last = result.tx.end.0.div_ceil(width.0.max(1)).max(1) as usize - 1;
    fold_behind(&mut tx, last);
    fold_behind(&mut rx, last);
    rx.resize(tx.len(), IntervalCounts::default());
    remove_forged(&tx, &mut rx, result);
    let equal = equal_from == Some(width);
    let both = tx.iter().zip(&rx).zip(0..);
    let facts =
        IntervalFacts { is_mixed_up, has_steps: has_steps(asking), ..IntervalFacts::of(result) };
    let readings = [&*result.tx.drop_readings, &*result.rx.drop_readings];
    let intervals = both.map(|((tx, rx), index)| {
        let drops = kernel_drops(readings, index, index == last);
        let kernel_drops = drops.filter(|_| equal);
        let server = result.server.as_ref().filter(|_| equal);
        let server = server.and_then(|server| server.interval(index as u32, index == last));
        let start = Nanos(width.0 * index as u64);
        Interval { kernel_drops, server, ..interval(facts, (start, start + width), [tx, rx]) }
    });
    intervals.collect()
}

/// Adds what comes behind the last interval to it.
fn fold_behind(intervals: &mut Vec<IntervalCounts>, last: usize) {
    let behind: Vec<_> = intervals.drain((last + 1).min(intervals.len())..).collect();
    if let Some(last) = intervals.get_mut(last) {
        behind.iter().for_each(|more| last.merge(more));
    }
}

/// Removes what was received beyond what was sent, as the cell does: first where an interval has
/// more than was sent in it.
fn remove_forged(tx: &[IntervalCounts], rx: &mut [IntervalCounts], result: &CellResult) {
    let received = sum_counts(rx.iter().map(|one| one.received));
    let mut forged = received.saturating_sub(result.rx.tally.received);
    for keep_sent in [true, false] {
        for (tx, rx) in tx.iter().zip(&mut *rx) {
            let most = if keep_sent { rx.received.saturating_sub(tx.sent) } else { rx.received };
            let removed = most.min(forged);
            rx.received -= removed;
            forged -= removed;
            if removed > 0 {
                // Which latencies are forged is not known.
                rx.latency = Latencies::default();
            }
        }
    }
}

/// What the intervals of a cell depend on besides their counts.
#[derive(Debug, Clone, Copy, Default)]
pub struct IntervalFacts {
    /// Whether the receivers are known.
    pub both: bool,
    /// Whether all that was sent is known.
    sent_known: bool,
    /// Whether there is a schedule.
    pub paced: bool,
    /// Whether replies may have been matched with other requests: only their sum is known.
    pub is_mixed_up: bool,
    /// Whether the senders are known.
    sends: bool,
    requests: bool,
    /// Whether exchanges have a second request that is answered.
    has_steps: bool,
    has_cpu: bool,
    bound_ns: u64,
    /// The end of the window; [`Nanos::NEVER`] if it is not known yet.
    pub end: Nanos,
}

impl IntervalFacts {
    fn of(result: &CellResult) -> Self {
        Self {
            both: !result.one_ended,
            sent_known: !result.senders_lost(),
            paced: result.tx.timing.is_some(),
            is_mixed_up: false,
            sends: true,
            requests: result.rx.exchange.is_some(),
            has_steps: false,
            has_cpu: result.tx.usage.cpu.is_some(),
            bound_ns: result.rx.latency.bound.0,
            end: result.tx.end,
        }
    }

    /// Of a cell that runs: receivers of another host are not known yet. Which requests responses
    /// without ids answered is known when the cell has ended: any timeout makes it unknown.
    #[must_use]
    pub fn of_running(plan: &Plan, cell: &PlannedCell) -> Self {
        let end = plan.scenario.limit.latest_end();
        let both = matches!(plan.scenario.route, Route::Local | Route::Request);
        let in_order = plan.scenario.asking.as_ref().is_some_and(|asking| asking.in_order);
        Self {
            both,
            sent_known: true,
            is_mixed_up: in_order,
            paced: cell.rate != CellRate::Max,
            sends: true,
            requests: plan.scenario.asking.is_some(),
            has_steps: has_steps(plan.scenario.asking.as_ref()),
            has_cpu: sys::thread_cpu_ns().is_some(),
            bound_ns: 0,
            end,
        }
    }

    /// Of this direction of a cell that runs: if this host receives, what was sent is known from
    /// sequence numbers.
    #[must_use]
    pub fn of_direction(self, live: LiveCell<'_>) -> Self {
        match live.is_reverse() {
            true => {
                Self { both: true, paced: false, sends: false, bound_ns: live.bound().0, ..self }
            }
            false => self,
        }
    }
}

/// An interval from the counts of senders and receivers, without drops of the kernel.
fn interval(
    facts: IntervalFacts,
    (start, end): (Nanos, Nanos),
    [tx, rx]: [&IntervalCounts; 2],
) -> Interval {
    let IntervalFacts { both, paced, is_mixed_up, .. } = facts;
    let (is_matched, requests) = (both && !is_mixed_up, facts.requests && !is_mixed_up);
    let cpu = tx.cpu + rx.cpu;
    Interval {
        start_ns: start.0,
        end_ns: end.min(facts.end).max(start).0,
        sent: tx.sent,
        refused: facts.sends.then_some(tx.refused),
        missed: paced.then_some(tx.missed),
        received: is_matched.then_some(rx.received),
        lost: (is_matched && facts.sent_known).then(|| tx.sent.saturating_sub(rx.received)),
        duplicate: both.then_some(rx.duplicate),
        late: both.then_some(rx.late),
        reordered: both.then_some(rx.reordered),
        timeouts: requests.then_some(rx.timeouts),
        errors: requests.then_some(rx.errors),
        latency: latency(&rx.latency, facts.bound_ns).filter(|_| is_matched),
        latency_histogram: histogram(&rx.latency).filter(|_| is_matched),
        lag_p99_ns: paced.then(|| tx.latency.quantile_ns(0.99)).flatten(),
        stalls: Some(tx.stalls.saturating_add(rx.stalls)),
        stalled_ns: Some((tx.stalled + rx.stalled).0),
        kernel_drops: None,
        cpu_ns: facts.has_cpu.then_some(cpu.0),
        server: None,
        first_step: (requests && facts.has_steps).then(|| step(&rx.steps[0])),
        second_step: (requests && facts.has_steps).then(|| step(&rx.steps[1])),
    }
}

fn has_steps(asking: Option<&RequestOptions>) -> bool {
    asking.is_some_and(|asking| asking.expects_second_reply)
}

fn step(of: &StepCounts) -> IntervalStep {
    let mean_ns = of.ns.checked_div(of.answered);
    IntervalStep { answered: of.answered, mean_ns, max_ns: mean_ns.map(|_| of.max_ns) }
}

/// The interval of this index of a running cell.
#[must_use]
pub fn live_interval(facts: IntervalFacts, live: LiveCell<'_>, index: usize) -> Interval {
    let [tx, rx] = live.interval(index);
    let kernel_drops = kernel_drops(live.drops(), index, false);
    Interval { kernel_drops, ..interval(facts, live.bounds(index), [&tx, &rx]) }
}

/// What the kernels of senders and receivers counted from the start of the interval of this index
/// to that of the next one, or to the end of the cell; `None` if they were not read at both.
pub(super) fn kernel_drops(
    [tx, rx]: [&[DropReading]; 2],
    index: usize,
    is_last: bool,
) -> Option<KernelDrops> {
    let gained = |readings| gained(readings, index as u32, is_last);
    of_both_sides(gained(tx), gained(rx))
}

/// Drops in a running cell up to the latest readings; `None` before the first ones.
#[must_use]
pub fn live_drops(live: LiveCell<'_>) -> Option<KernelDrops> {
    let [tx, rx] = live.drops().map(|readings| readings.last().map(|(_, drops)| *drops));
    of_both_sides(tx, rx)
}

fn of_both_sides(tx: Option<KernelDrops>, rx: Option<KernelDrops>) -> Option<KernelDrops> {
    match (tx, rx) {
        (Some(tx), Some(rx)) => {
            let rings = tx.xdp_ring.into_iter().chain(rx.xdp_ring);
            let xdp_ring = rings.reduce(u64::saturating_add);
            Some(KernelDrops { tx_device: tx.tx_device, qdisc: tx.qdisc, xdp_ring, ..rx })
        }
        // One kernel counts for both, unless the receivers are not known.
        (None, rx) => rx,
        (Some(KernelDrops { tx_device, qdisc, .. }), None) => {
            Some(KernelDrops { tx_device, qdisc, ..KernelDrops::default() })
        }
    }
}

fn gained(readings: &[DropReading], index: u32, is_last: bool) -> Option<KernelDrops> {
    let at = |index| readings.iter().find(|(at, _)| *at == index).map(|(_, read)| *read);
    let start = if index == 0 { None } else { Some(at(index)?) };
    let end = at(if is_last { AT_END } else { index + 1 })?;
    let gained = |of: fn(&KernelDrops) -> Option<u64>| {
        Some(of(&end)?.saturating_sub(start.as_ref().map_or(Some(0), of)?))
    };
    Some(KernelDrops {
        receive_buffer: gained(|read| read.receive_buffer),
        backlog: gained(|read| read.backlog),
        device: gained(|read| read.device),
        tx_device: gained(|read| read.tx_device),
        qdisc: gained(|read| read.qdisc),
        checksum: gained(|read| read.checksum),
        no_port: gained(|read| read.no_port),
        xdp_ring: gained(|read| read.xdp_ring),
    })
}

fn latency(of: &Latencies, bound_ns: u64) -> Option<IntervalLatency> {
    let max_ns = of.max_ns()?;
    let known = |ns: Option<u64>| ns.filter(|ns| *ns >= bound_ns);
    let at = |quantile| known(of.quantile_ns(quantile));
    Some(IntervalLatency {
        p50_ns: at(0.5),
        p90_ns: at(0.9),
        p99_ns: at(0.99),
        p99_9_ns: at(0.999),
        max_ns: known(Some(max_ns)),
    })
}

/// The text of [`Interval::latency_histogram`].
fn histogram(of: &Latencies) -> Option<String> {
    let buckets = of.coarse().into_iter().map(|(low_ns, count)| format!("{low_ns}:{count}"));
    let buckets: Vec<_> = buckets.collect();
    (!buckets.is_empty()).then(|| buckets.join(" "))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::measure::{Count, IntervalBoard, IntervalRecorder, IntervalScale};
    use crate::plan::{Limit, Machine, Scenario, WorkerLoad};
    use crate::run::PhaseState;

    #[test]
    fn which_requests_responses_in_order_answered_is_not_known_before_the_end() {
        for in_order in [false, true] {
            let asking = Some(RequestOptions { in_order, ..RequestOptions::default() });
            let scenario = Scenario { route: Route::Request, asking, ..Scenario::default() };
            let plan = Plan::new(scenario, &Machine::default()).unwrap();
            let facts = IntervalFacts::of_running(&plan, &plan.cells[0]);
            let (start, end) = (Nanos::ZERO, Nanos::from_millis(1));
            let board = IntervalBoard::new(IntervalScale::new(end, end), end);
            let mut receiver = IntervalRecorder::new(Arc::clone(&board));
            receiver.timed(start, Count::Received, 5_000, 1);
            let both = [&IntervalCounts::default(), &board.read(0)];
            let interval = interval(facts, (start, end), both);
            let known = |count: Option<u64>| (count.is_some(), interval.latency.is_some());
            for count in [interval.received, interval.lost, interval.timeouts, interval.errors] {
                assert_eq!(known(count), (!in_order, !in_order));
            }
        }
    }

    #[test]
    fn drops_at_rings_of_both_sides_add_up_by_interval() {
        let at = |index, xdp_ring| (index, KernelDrops { xdp_ring, ..KernelDrops::default() });
        let tx = [at(1, Some(1)), at(2, Some(1)), at(AT_END, Some(2))];
        let rx = [at(1, Some(0)), at(2, Some(30)), at(AT_END, Some(35))];
        let by_interval = |readings: [&[DropReading]; 2]| {
            [0, 1, 2].map(|index| kernel_drops(readings, index, index == 2).unwrap().xdp_ring)
        };
        assert_eq!(by_interval([&tx, &rx]), [Some(1), Some(30), Some(6)]);
        assert_eq!(by_interval([&[], &rx]), [Some(0), Some(30), Some(5)]);
        // What the receivers dropped is not known.
        assert_eq!(by_interval([&tx, &[]]), [None; 3]);
    }

    #[test]
    fn intervals_last_as_long_as_the_cell() {
        let board = IntervalBoard::new(IntervalScale::new(Nanos(999), Nanos(1_000)), Nanos(1_000));
        let mut sender = IntervalRecorder::new(Arc::clone(&board));
        let read = || {
            let mut result = CellResult::default();
            result.tx.end = Nanos(1_000);
            board.add_to(&mut result.tx.intervals);
            let all = intervals(&result, None, false);
            all.iter().map(|one| (one.start_ns, one.end_ns, one.sent)).collect::<Vec<_>>()
        };
        assert_eq!(read(), []);
        sender.count(Nanos::ZERO, Count::Sent, 5);
        assert_eq!(read(), [(0, 999, 5), (999, 1_000, 0)]);
        sender.count(Nanos(999), Count::Sent, 7);
        assert_eq!(read(), [(0, 999, 5), (999, 1_000, 7)]);
    }

    #[test]
    fn latency_of_what_another_host_sends_is_known_while_it_runs() {
        for route in [Route::Reverse, Route::Both] {
            let scenario = Scenario { route, ..Scenario::default() };
            let plan = Plan::new(scenario, &Machine::default()).unwrap();
            let width = Some(Nanos::from_millis(1));
            let state = || {
                PhaseState::new(Default::default(), 1).with_intervals(
                    width,
                    Limit::Time(Nanos::from_millis(10)),
                    WorkerLoad::FlatOut,
                )
            };
            let (senders, receivers) = (state(), state());
            let mut recorder = receivers.rx_intervals(0).unwrap();
            recorder.timed(Nanos::ZERO, Count::Received, 5_000, 1);
            let of_receivers = Some((&receivers, Nanos(1_000)));
            let senders = (route == Route::Both).then_some(&senders);
            let live = LiveCell::of_two_hosts(senders, of_receivers, Nanos::ZERO).unwrap();
            let facts = IntervalFacts::of_running(&plan, &plan.cells[0]);
            let read = live.directions().map(|live| {
                let interval = live_interval(facts.of_direction(live), live, 0);
                let latency = interval.latency.and_then(|latency| latency.max_ns);
                assert_eq!(interval.latency_histogram.is_some(), live.is_reverse());
                (live.is_reverse(), latency)
            });
            let expected = [(false, None), (true, Some(4_000))];
            let expected = &expected[usize::from(route == Route::Reverse)..];
            assert_eq!(read.collect::<Vec<_>>(), expected);
        }
    }
}
