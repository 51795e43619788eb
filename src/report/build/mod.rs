//! From measurements to documents.

/// A structure with fields of a source that have the same names, some mapped, and other fields.
macro_rules! copy_fields {
    (
        $name:ident from $source:ident { $($same:ident),* $(,)? }
        $(; $map:ident { $($one:ident),+ $(,)? })? $($field:ident: $value:expr,)*
    ) => {
        $name {
            $($same: $source.$same,)* $($($one: $map($source.$one),)+)? $($field: $value,)*
        }
    };
}

mod breakdown;
mod counts;
pub mod echo;
mod flows;
mod host;
mod intervals;
mod requests;
mod servers;
pub mod sink;
mod sources;
mod usage;

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};

use crate::document::{
    Cell, Engine, Latency, MEMBER_LOST, OutsideStalls, PerDatagram, Schedule, Side, SocketBuffer,
    Spread, Stalls, UpperLimits,
};
use crate::measure::{self, CellResult, CutShort, RxResult, Topology, TxResult};
use crate::plan::{self, Direction, EngineKind, Limit, Plan, Route, Scenario, TxKind, WorkerLoad};
pub use crate::report::build::host::host;
pub use crate::report::build::intervals::{IntervalFacts, live_drops, live_interval};
pub use crate::report::build::requests::CodeName;
use crate::report::build::requests::exchange;
use crate::report::checks::intervals::broken_rule;
use crate::unit::PayloadSize;
use breakdown::{figures, latency_breakdown};
use counts::{kernel, packets};
use flows::flows;
use sources::sources;
use usage::per_datagram;

/// The facts about a cell that its document holds.
#[derive(Clone, Copy)]
pub struct CellFacts<'a> {
    /// The plan of the run.
    pub plan: &'a Plan,
    /// The planned cell.
    pub cell: &'a plan::PlannedCell,
    /// The load of each worker.
    pub load: WorkerLoad,
    /// The direction; `None` if both ends are on this host.
    pub direction: Option<Direction>,
    /// The measured cell.
    pub result: &'a CellResult,
    /// Names the error codes of the protocol, if there is one.
    pub code_name: Option<CodeName<'a>>,
}

/// The cell of the document, without its warnings.
#[must_use]
pub fn cell(facts: CellFacts<'_>) -> Cell {
    let mut cell = unchecked_cell(facts);
    // Those of a peer may contradict its counts; `report` would refuse the document.
    if broken_rule(&cell).is_some() {
        cell.intervals.clear();
    }
    cell
}

fn unchecked_cell(facts: CellFacts<'_>) -> Cell {
    let CellFacts { plan, cell, load, direction, result, code_name } = facts;
    let scenario = &plan.scenario;
    let ledger = result.ledger();
    // If any number may be lost, no percentile with loss is known.
    let lost = ledger.lost.unwrap_or(u64::MAX);
    // Replies that were matched with other requests have no known latency.
    let is_mixed_up = scenario.asking.as_ref().is_some_and(|asking| asking.in_order)
        && result.rx.exchange.is_some_and(|exchange| exchange.timeouts > 0);
    let (latency, from_send) = match is_mixed_up {
        true => (None, None),
        false => latencies(result, lost, load),
    };
    let (_, rate) = cell.id.rsplit_once('/').unwrap_or_default();
    let (tx, rx, both) = (&result.tx, &result.rx, !result.one_ended);
    let senders_lost = result.senders_lost();
    let stolen_ns = result.stolen().map(|stolen| stolen.0);
    Cell {
        id: id(&cell.id, direction),
        direction: direction.map(|direction| direction.word().to_owned()),
        ends: both.then(|| ends(result.ends).to_owned()),
        trial: cell.trial,
        engine: Engine {
            tx: cell.engine.tx.word().to_owned(),
            rx: cell.engine.rx.word().to_owned(),
            tx_active: tx_active(cell.engine.tx, result).word().to_owned(),
            rx_active: both.then(|| cell.engine.rx.word().to_owned()),
        },
        size: cell.size.mean().round() as u64,
        size_mix: (!matches!(cell.size, PayloadSize::Fixed(_))).then(|| cell.size.to_string()),
        streams: plan.streams(load).into(),
        threads: scenario.threads.into(),
        rate: rate.to_owned(),
        rate_pps: load.mean_pps(),
        pace: (load != WorkerLoad::FlatOut).then(|| scenario.pace.to_string()),
        wait: plan.wait.word().to_owned(),
        start_lag_ns: (direction != Some(Direction::Reverse)).then_some(tx.start_lag.0),
        start_skew_ns: None,
        elapsed_ns: tx.end.0,
        calibration: cell.calibration,
        cut_short: result.cut_short.is_some(),
        cut_short_because: result.cut_short.map(|why| because(why).to_owned()),
        tx: tx_side(plan, direction, result),
        rx: both.then(|| rx_side(plan, direction, result)),
        per_datagram: if senders_lost { PerDatagram::default() } else { per_datagram(result) },
        packets: packets(result),
        flows: (both && !senders_lost).then(|| flows(&result.flows())).flatten(),
        sources: sources(scenario.sources.as_ref(), plan.streams(load), result),
        workers: both.then(|| rx.workers.clone()),
        latency,
        from_send,
        to_socket: stamped(&rx.latency.to_socket, "schedule", result, lost),
        in_socket: stamped(&rx.latency.in_socket, "kernel", result, lost),
        legs: result.breakdown.as_deref().and_then(latency_breakdown),
        schedule: tx.timing.as_ref().map(schedule),
        arrival_gap: (rx.latency.gap.count() > 0).then(|| spread(&rx.latency.gap)),
        jitter_ns: result.jitter().map(|jitter| jitter.0),
        stalls: Stalls { tx: tx.stalls, rx: both.then_some(rx.stalls), stolen_ns },
        kernel: kernel(result),
        exchange: exchange(scenario.asking.as_ref(), result, code_name),
        server: result.server.as_ref().and_then(|server| server.cell()),
        limit: None,
        intervals: intervals::intervals(result, scenario.asking.as_ref(), is_mixed_up),
        outages: tx.outages.clone(),
        warnings: Vec::new(),
        ledger,
    }
}

/// The id of a direction of a cell: each of two directions has its own.
fn id(cell: &str, direction: Option<Direction>) -> String {
    match direction {
        Some(Direction::Reverse) => format!("{cell}/reverse"),
        _ => cell.to_owned(),
    }
}

/// The ids of all cells that a plan may measure, each once.
#[must_use]
pub fn ids(plan: &Plan) -> Vec<String> {
    let directions: &[_] = match plan.scenario.route {
        Route::Both => &[Some(Direction::Forward), Some(Direction::Reverse)],
        Route::Reverse => &[Some(Direction::Reverse)],
        _ => &[None],
    };
    let cells = plan
        .cells
        .iter()
        .flat_map(|cell| directions.iter().map(|direction| id(&cell.id, *direction)));
    let mut ids: Vec<_> = cells.collect();
    let mut known = HashSet::new();
    ids.retain(|id| known.insert(id.clone()));
    ids
}

const fn because(cut_short: CutShort) -> &'static str {
    match cut_short {
        CutShort::Interrupted => "interrupted",
        CutShort::Stuck => "stuck",
        CutShort::Unreachable => "unreachable",
        CutShort::PeerLost => "peer_lost",
        CutShort::MemberLost => MEMBER_LOST,
    }
}

/// The engine in use at the end: without super-packets, `gso` is `batch`.
fn tx_active(requested: TxKind, result: &CellResult) -> TxKind {
    match result.tx.segments {
        Some((_, 1)) if requested == TxKind::Gso => TxKind::Batch,
        _ => requested,
    }
}

fn tx_side(plan: &Plan, direction: Option<Direction>, result: &CellResult) -> Side {
    let TxResult { tally, buffer: granted, xdp, usage, .. } = &result.tx;
    let here = direction != Some(Direction::Reverse);
    let side = side(result, [tally.sent, tally.bytes, tally.syscalls], *usage);
    // Of lost senders, only a part is known.
    let known = |rate: Option<f64>| rate.filter(|_| !result.senders_lost());
    Side {
        cores: cores(here.then_some(&plan.tx_cores)),
        socket_buffer: buffer(&plan.scenario, *granted),
        xdp: xdp.clone(),
        pps: known(side.pps),
        bits_per_second: known(side.bits_per_second),
        ..side
    }
}

fn rx_side(plan: &Plan, direction: Option<Direction>, result: &CellResult) -> Side {
    let RxResult { tally, buffer: granted, xdp, usage, .. } = &result.rx;
    let here = direction != Some(Direction::Forward);
    // With requests, one core sends and receives.
    let apart = plan.scenario.asking.is_none();
    Side {
        datagrams_after_window: after_window(plan, direction, result),
        cores: cores((here && apart).then_some(&plan.rx_cores)),
        socket_buffer: buffer(&plan.scenario, *granted),
        xdp: xdp.clone(),
        ..side(result, [tally.received, tally.bytes, tally.syscalls], *usage)
    }
}

fn side(
    result: &CellResult,
    [datagrams, bytes, syscalls]: [u64; 3],
    usage: measure::Usage,
) -> Side {
    let kind = |with_kernel| if with_kernel { "user+kernel" } else { "user" };
    Side {
        datagrams,
        datagrams_in_window: datagrams,
        bytes,
        pps: result.per_second(datagrams as f64),
        bits_per_second: result.per_second(bytes as f64 * 8.0),
        syscalls,
        cpu_ns: usage.cpu.map(|cpu| cpu.0),
        context_switches: usage.context_switches,
        instructions: usage.instructions.map(|all| all.count),
        instructions_kind: usage.instructions.map(|all| kind(all.with_kernel).to_owned()),
        ..Side::default()
    }
}

const fn ends(ends: Topology) -> &'static str {
    match ends {
        Topology::SameNetns => "together",
        Topology::SameHost => "apart",
        Topology::Remote => "across",
    }
}

/// The cores of all workers of a side, if they are on this host and all pinned.
fn cores(of: Option<&Vec<Option<usize>>>) -> Vec<u64> {
    of.into_iter()
        .flatten()
        .map(|core| core.map(|core| core as u64))
        .collect::<Option<_>>()
        .unwrap_or_default()
}

fn buffer(scenario: &Scenario, granted: Option<u64>) -> SocketBuffer {
    SocketBuffer { asked: scenario.socket_buffer as u64, granted }
}

/// Datagrams read after the window; `None` if the receiver did not know its end in time.
fn after_window(plan: &Plan, direction: Option<Direction>, result: &CellResult) -> Option<u64> {
    let planned = matches!(plan.scenario.limit, Limit::Time(_)) && result.cut_short.is_none();
    let rx = &result.rx.tally;
    (planned || direction.is_none()).then(|| rx.received.saturating_sub(rx.read_in_window))
}

fn latencies(
    result: &CellResult,
    lost: u64,
    load: WorkerLoad,
) -> (Option<Latency>, Option<Latency>) {
    let all = &result.rx.latency;
    let stalls = result.tx.stalls.count.max(result.rx.stalls.count);
    let in_stall = (stalls > 0).then_some(&all.in_stall);
    // A missed slot is infinitely late, like a lost datagram.
    let missed = result.tx.timing.as_ref().map_or(0, |timing| timing.missed);
    let never = lost.saturating_add(missed);
    let from_schedule = latency(&all.from_schedule, "schedule", result, never, in_stall);
    // Without a schedule, the intended moment is the departure.
    let sent = if load == WorkerLoad::FlatOut { &all.from_schedule } else { &all.from_send };
    (from_schedule, latency(sent, "send", result, lost, None))
}

fn stamped(
    part: &measure::LatencyHistograms,
    from: &str,
    result: &CellResult,
    lost: u64,
) -> Option<Latency> {
    let latency = latency(part, from, result, lost, None)?;
    Some(Latency { timestamp: "kernel".to_owned(), ..latency })
}

pub(super) fn latency(
    all: &measure::LatencyHistograms,
    from: &str,
    result: &CellResult,
    lost: u64,
    in_stall: Option<&measure::LatencyHistograms>,
) -> Option<Latency> {
    // Both timestamps are from the receiver's host.
    let bound_ns = if from == "kernel" { 0 } else { result.rx.latency.bound.0 };
    let stdev_ns = all.stdev_ns()?;
    let [known, limits] = figures(all, lost, bound_ns);
    let batch_max = result.rx.tally.batch_max;
    // Flat out, a batch shares the clock read of its departure too.
    let batched = batch_max > 1 || result.tx.timing.is_none();
    Some(copy_fields!(Latency from known {
        min_ns, mean_ns, p50_ns, p90_ns, p99_ns, p99_9_ns, p99_99_ns, max_ns, p99_with_loss_ns,
    }
        kind: if result.rx.exchange.is_some() { "round_trip" } else { "one_way" }.to_owned(),
        from: from.to_owned(),
        timestamp: if batched { "per_batch" } else { "per_datagram" }.to_owned(),
        batch_max: batch_max,
        count: all.count(),
        bound_ns: bound_ns,
        stdev_ns: stdev_ns,
        clamped: all.clamped(),
        upper_limits: (bound_ns > 0).then_some(limits),
        outside_stalls: in_stall.and_then(|part| outside(all, part, bound_ns)),
        histogram: encode(all.histogram()),
    ))
}

fn outside(
    all: &measure::LatencyHistograms,
    part: &measure::LatencyHistograms,
    bound_ns: u64,
) -> Option<OutsideStalls> {
    let rest = all.without(part)?;
    let [known, limits] = figures(&rest, 0, bound_ns);
    let UpperLimits { p50_ns, p99_ns, p99_9_ns, max_ns, .. } = limits;
    let limits = UpperLimits { p50_ns, p99_ns, p99_9_ns, max_ns, ..UpperLimits::default() };
    Some(copy_fields!(OutsideStalls from known { p50_ns, p99_ns, p99_9_ns, max_ns }
        count: rest.count(),
        overlapped: part.count(),
        upper_limits: (bound_ns > 0).then_some(limits),
    ))
}

/// HdrHistogram V2, deflated, base64: what its log tools read.
pub(super) fn encode(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    match V2DeflateSerializer::new().serialize(histogram, &mut bytes) {
        Ok(_) => STANDARD.encode(bytes),
        // Writing to memory fails only where a length exceeds 32 bits, which these bounds exclude.
        Err(_) => String::new(),
    }
}

fn schedule(timing: &measure::Timing) -> Schedule {
    let outside = timing.gap.without(&timing.gap_in_stall);
    Schedule {
        scheduled: timing.scheduled,
        missed: timing.missed,
        lag: spread(&timing.lag),
        gap: spread(&timing.gap),
        gap_outside_stalls: outside.as_ref().map(spread).unwrap_or_default(),
    }
}

pub(super) fn spread(of: &measure::LatencyHistograms) -> Spread {
    Spread { p50_ns: of.quantile_ns(0.5), p99_ns: of.quantile_ns(0.99), max_ns: of.max_ns() }
}

#[cfg(test)]
mod tests;
