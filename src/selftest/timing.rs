//! Checks of times: delays, stalls, gaps between departures, and the clock.

use super::cell::{Measured, TestContext, scenario};
use super::fault::{COARSE, DeliberateFault};
use super::finding::{CheckFinding, CheckResult};
use super::ledger::not_stalled;
use super::orders::Orders;
use super::relay::RelayStamp;
use crate::document::Cell;
use crate::plan::{EnginePair, Pinning, Scenario, TimestampKind, WaitKind};
use crate::sys;
use crate::unit::{Nanos, show_nanos};

/// Datagrams per second of cells with a delay or a stall. Arbitrary.
const PPS: f64 = 1_000.0;
/// How long the relay delays each datagram. Arbitrary: many times the latency of loopback.
const DELAY: Nanos = Nanos::from_millis(20);
/// Gaps between departures, in ns. Arbitrary: many times a wake-up.
const GAP_NS: u64 = 5_000_000;
/// How many times longer the gap of each repetition is, with half as many datagrams: on a busy
/// host, datagrams are late by a smaller share of it. Arbitrary.
const LONGER: u64 = 4;
/// Percentiles of histograms are within this share, see `measure::latency`.
const PRECISION: f64 = 0.001;
/// The longest step of a clock, and the longest read, in ns. Arbitrary: a tenth of what a datagram
/// takes over loopback.
const CLOCK_NS: u64 = 1_000;
/// Reads of the clock that must not go back. Arbitrary.
const READS: usize = 100_000;

/// A share of all values is at or below this one.
fn quantile(values: impl Iterator<Item = u64>, share: f64) -> Option<u64> {
    let mut all: Vec<_> = values.collect();
    all.sort_unstable();
    let rank = (all.len() as f64 * share).ceil() as usize;
    all.get(rank.saturating_sub(1)).copied()
}

/// The figure is within the limits, but for the precision of histograms.
fn is_within(figure: u64, low: u64, high: u64) -> bool {
    let figure = figure as f64;
    figure >= low as f64 * (1.0 - PRECISION) && figure <= high as f64 * (1.0 + PRECISION)
}

fn range(low: u64, high: u64) -> String {
    format!("{} to {}", show_nanos(low), show_nanos(high))
}

fn unknown(what: &str) -> CheckFinding {
    CheckFinding::of(false, what, "unknown")
}

/// Times of a relay against the schedule, in ns: from when a datagram was due.
fn since_due(measured: &Measured, at: impl Fn(&RelayStamp) -> Option<u64>) -> Vec<u64> {
    let since =
        |stamp: &RelayStamp| Some(at(stamp)?.saturating_sub(measured.epoch_ns + stamp.due_ns));
    measured.account.stamps.iter().filter_map(since).collect()
}

/// Each datagram is delayed, and the relay reads the clock before and after it passes it on.
///
/// The median latency is at least that of the first reading, since each datagram arrives later.
/// At most a tenth took longer than the second reading's 90th percentile, and at most a tenth
/// waited longer in the socket than the 90th percentile there: the median is below their sum.
pub(super) fn delay(context: &TestContext<'_>) -> CheckResult {
    let count = context.quick_or(100, 500);
    let scenario =
        Scenario { timestamps: TimestampKind::Kernel, ..scenario(EnginePair::PLAIN, PPS, count) };
    let measured = context.measure(scenario, Orders { delay: DELAY, ..Orders::default() })?;
    let before = since_due(&measured, |stamp| stamp.passed_ns.map(|(before, _)| before));
    let after = since_due(&measured, |stamp| stamp.passed_ns.map(|(_, after)| after));
    let low = quantile(before.into_iter(), 0.5);
    let high = quantile(after.into_iter(), 0.9);
    let Cell { latency, in_socket, .. } = &measured.cell;
    let in_socket = in_socket.as_ref().and_then(|leg| leg.p90_ns).unwrap_or(DELAY.0);
    let seen = latency.as_ref().and_then(|latency| latency.p50_ns);
    let (Some(low), Some(high), Some(seen)) = (low, high, seen) else {
        return Ok(unknown("a median latency").unless(measured.disturbed));
    };
    let high = high + in_socket;
    let is_true = is_within(seen, low, high);
    let finding = CheckFinding::of(is_true, format!("p50 {}", range(low, high)), p50(seen));
    Ok(finding.unless(measured.disturbed))
}

fn p50(ns: u64) -> String {
    format!("p50 {}", show_nanos(ns))
}

/// The thread of the receiver is stopped: its stall is as long, and a warning reports it.
pub(super) fn stall(context: &TestContext<'_>) -> CheckResult {
    let count = context.quick_or(100, 500);
    // A sleeping receiver does not stall.
    let scenario = Scenario { wait: WaitKind::Spin, ..scenario(EnginePair::PLAIN, PPS, count) };
    let orders = Orders { stall: Some((20, 40)), ..Orders::default() };
    let measured = context.measure(scenario, orders)?;
    let Some(Nanos(held_ns)) = measured.account.stalled else { return Ok(not_stalled()) };
    let longest_ns = measured.cell.stalls.rx.map_or(0, |stalls| stalls.max_ns);
    let warning = measured.cell.warnings.iter().find(|warning| warning.code == "stalls");
    let has_warning = warning.is_some_and(|warning| warning.message.contains("receive"));
    let named = if has_warning { "with a warning" } else { "without a warning" };
    let expected = format!("receiver stalled {} or longer, with a warning", show_nanos(held_ns));
    let seen = format!("receiver stalled {}, {named}", show_nanos(longest_ns));
    Ok(CheckFinding::of(longest_ns >= held_ns && has_warning, expected, seen)
        .unless(measured.disturbed))
}

/// The median gap is that of the schedule, as exactly as datagrams came to the relay in time.
///
/// A gap differs from the schedule by the larger lag of its two datagrams at most. A lag is not
/// longer than what the relay saw; a fifth of these are above the limit, and so are two fifths of
/// all gaps at most.
pub(super) fn pacing(context: &TestContext<'_>) -> CheckResult {
    let count = context.quick_or(60, 200) >> context.repeats;
    let planned_ns = GAP_NS * LONGER.pow(context.repeats);
    let pps = 1e9 / planned_ns as f64;
    let scenario = Scenario {
        pin: Pinning::Auto,
        wait: WaitKind::Hybrid,
        ..scenario(EnginePair::PLAIN, pps, count)
    };
    let measured = context.measure(scenario, Orders::default())?;
    let came = since_due(&measured, |stamp| Some(stamp.came_ns));
    let is_early = |stamp: &&RelayStamp| stamp.came_ns < measured.epoch_ns + stamp.due_ns;
    let early = measured.account.stamps.iter().filter(is_early).count();
    let lag = quantile(came.into_iter(), 0.8);
    let gap = measured.cell.schedule.as_ref().and_then(|schedule| schedule.gap.p50_ns);
    let (Some(lag), Some(gap)) = (lag, gap) else {
        return Ok(unknown("a median gap").unless(measured.disturbed));
    };
    let (low, high) = (planned_ns.saturating_sub(lag), planned_ns + lag);
    let is_true = is_within(gap, low, high) && early == 0;
    let expected = format!("gap p50 {}, none early", range(low, high));
    let seen = format!("gap p50 {}, {early} early", show_nanos(gap));
    let finding = CheckFinding::of(is_true, expected, seen);
    // With limits that wide, a wrong gap might pass as well. A gap is longer where datagrams were
    // missed: with two fifths above the limits, a tenth of such gaps leaves the median within them.
    let missed = measured.cell.schedule.as_ref().map_or(0, |schedule| schedule.missed);
    let late = format!("datagrams came {} late: this host is busy", show_nanos(lag));
    let busy = (lag > planned_ns / 4 || missed * 10 > count).then_some(late);
    Ok(match busy {
        Some(why) => CheckFinding { ok: None, note: Some(why), ..finding },
        None => finding,
    })
}

/// The clock of all timestamps: its cost, its step, and that it does not go back.
pub(super) fn clock(context: &TestContext<'_>) -> CheckResult {
    let measured = (context.facts.clock_cost_ns, context.facts.clock_step_ns);
    let coarse = (Some(COARSE.0), Some(COARSE.1.0));
    let (cost, step) = if context.has_fault(DeliberateFault::Clock) { coarse } else { measured };
    let mut last = sys::monotonic_ns();
    let back = (0..READS).filter(|_| {
        let now = sys::monotonic_ns();
        std::mem::replace(&mut last, now) > now
    });
    let back = back.count();
    let limit = show_nanos(CLOCK_NS);
    let expected = format!("read and step below {limit}, never backwards");
    let (Some(cost), Some(step)) = (cost, step) else { return Ok(unknown(&expected)) };
    let is_true = cost < CLOCK_NS as f64 && step < CLOCK_NS && back == 0;
    let times = if back == 0 { "never".to_owned() } else { format!("{back} times") };
    let seen = format!("read {cost:.0} ns, step {}, {times} backwards", show_nanos(step));
    Ok(CheckFinding::of(is_true, expected, seen))
}
