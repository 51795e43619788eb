//! From what was measured to a cell of the document.

mod breakdown;
mod counts;
pub mod echo;
mod flows;
mod requests;
pub mod sink;
mod usage;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};

use crate::document::{
    Cell, Choice, Engine, Failed, Latency, LeftOut, Outage, OutsideStalls, Schedule, Side,
    SocketBuffer, Spread, StallSum, Stalls, Tried, UpperLimits,
};
use crate::measure::{self, CellResult, CutShort, Topology};
use crate::plan::{self, Direction, EngineKind, Limit, Plan, Scenario, TxKind, WorkerLoad};
pub use crate::report::build::requests::CodeName;
use crate::report::build::requests::exchange;
use crate::unit::PayloadSize;
use breakdown::{figures, latency_breakdown};
use counts::{kernel, ledger_of, packets};
use flows::flows;
use usage::{kind, per_datagram, switches};

/// What a cell of the document is made of.
#[derive(Clone, Copy)]
pub struct CellFacts<'a> {
    /// What was decided for all cells.
    pub plan: &'a Plan,
    /// What was to be measured.
    pub cell: &'a plan::PlannedCell,
    /// At what load.
    pub load: WorkerLoad,
    /// Which way; `None` where both ends are here.
    pub direction: Option<Direction>,
    /// What was measured.
    pub result: &'a CellResult,
    /// What error codes of the protocol are called, where there is one.
    pub code_name: Option<CodeName<'a>>,
}

/// The cell of the document, without its warnings.
#[must_use]
pub fn cell(facts: CellFacts<'_>) -> Cell {
    let CellFacts { plan, cell, load, direction, result, code_name } = facts;
    let scenario = &plan.scenario;
    let ledger = result.ledger();
    // Replies that were matched with other requests have no known latency.
    let is_mixed_up = scenario.asking.as_ref().is_some_and(|asking| asking.in_order)
        && result.exchange.is_some_and(|exchange| exchange.timeouts > 0);
    let (latency, from_send) = match is_mixed_up {
        true => (None, None),
        false => latencies(result, &ledger, load),
    };
    let paced = load != WorkerLoad::FlatOut;
    let (_, rate) = cell.id.rsplit_once('/').unwrap_or_default();
    let both = !result.one_ended;
    Cell {
        id: match direction {
            // Of two directions, each has a name of its own.
            Some(Direction::Reverse) => format!("{}/reverse", cell.id),
            _ => cell.id.clone(),
        },
        direction: direction.map(|direction| direction.word().to_owned()),
        ends: (!result.one_ended).then(|| ends(result.ends).to_owned()),
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
        pace: paced.then(|| scenario.pace.to_string()),
        wait: plan.wait.word().to_owned(),
        elapsed_ns: result.elapsed.0,
        calibration: cell.calibration,
        cut_short: result.cut_short.is_some(),
        cut_short_because: result.cut_short.map(|why| because(why).to_owned()),
        tx: tx_side(plan, direction, result),
        rx: both.then(|| rx_side(plan, direction, result)),
        per_datagram: per_datagram(result),
        packets: packets(result),
        ledger: ledger_of(&ledger, result),
        flows: both.then(|| flows(&result.flows)).flatten(),
        workers: both.then(|| result.workers.clone()),
        latency,
        from_send,
        to_socket: stamped(&result.latency.to_socket, "schedule", result, ledger.lost),
        in_socket: stamped(&result.latency.in_socket, "kernel", result, ledger.lost),
        legs: result.legs.as_deref().and_then(latency_breakdown),
        schedule: result.timing.as_ref().map(schedule),
        jitter_ns: result.jitter.map(|jitter| jitter.0),
        stalls: Stalls {
            tx: stall_sum(result.tx_stalls),
            rx: both.then(|| stall_sum(result.rx_stalls)),
            stolen_ns: result.stolen.map(|stolen| stolen.0),
        },
        kernel: kernel(result),
        exchange: exchange(scenario.asking.as_ref(), result, code_name),
        outages: result.outages.iter().map(outage).collect(),
        warnings: Vec::new(),
    }
}

/// Why `auto` does not take a pair whose super-packets no trial has shown to be cut on this path.
const UNCUT: &str = "no trial showed that this path cuts its segments, and a rate of segments that \
                     stay uncut is no rate of single datagrams; name it to measure it";

/// What `auto` stood for, in the document.
#[must_use]
pub fn choice(choice: &plan::EngineTrial) -> Choice {
    let tried =
        |(pair, pps): &(plan::EnginePair, f64)| Tried { engine: pair.to_string(), pps: *pps };
    let failed = |(pair, why): &(plan::EnginePair, String)| Failed {
        engine: pair.to_string(),
        why: why.clone(),
    };
    let left_out = |(pair, pps): &(plan::EnginePair, f64)| LeftOut {
        engine: pair.to_string(),
        pps: *pps,
        why: UNCUT.to_owned(),
    };
    Choice {
        asked: "auto".to_owned(),
        engine: choice.engine.to_string(),
        size: choice.size.mean().round() as u64,
        trial_ns: choice.trial.0,
        trials: choice.tried.iter().map(tried).collect(),
        left_out: choice.uncut.iter().map(left_out).collect(),
        failed: choice.failed.iter().map(failed).collect(),
    }
}

const fn because(cut_short: CutShort) -> &'static str {
    match cut_short {
        CutShort::Interrupted => "interrupted",
        CutShort::Stuck => "stuck",
        CutShort::Unreachable => "unreachable",
        CutShort::PeerLost => "peer_lost",
    }
}

fn outage(outage: &measure::OutageCounts) -> Outage {
    Outage {
        from_ns: outage.from.0,
        until_ns: outage.until.0,
        what: outage.cause.what.clone(),
        said_by: outage.cause.said_by.clone(),
        message: outage.cause.message.clone(),
        errors: outage.errors,
    }
}

/// How it was sent at the end: without super-packets, `gso` is nothing but `batch`.
fn tx_active(asked: TxKind, result: &CellResult) -> TxKind {
    match result.super_packets.segments_at_last {
        Some(1) if asked == TxKind::Gso => TxKind::Batch,
        _ => asked,
    }
}

fn tx_side(plan: &Plan, direction: Option<Direction>, result: &CellResult) -> Side {
    let tx = &result.tx;
    let here = direction != Some(Direction::Reverse);
    Side {
        cores: cores(here.then_some(&plan.tx_cores)),
        socket_buffer: buffer(&plan.scenario, result.sockets.send_buffer),
        ..side(result, [tx.sent, tx.bytes, tx.syscalls], result.tx_usage)
    }
}

fn rx_side(plan: &Plan, direction: Option<Direction>, result: &CellResult) -> Side {
    let rx = &result.rx;
    let here = direction != Some(Direction::Forward);
    // One that asks hears on the same core.
    let apart = plan.scenario.asking.is_none();
    Side {
        datagrams_after_window: after_window(plan, direction, result),
        cores: cores((here && apart).then_some(&plan.rx_cores)),
        socket_buffer: buffer(&plan.scenario, result.sockets.receive_buffer),
        ..side(result, [rx.received, rx.bytes, rx.syscalls], result.rx_usage)
    }
}

fn side(
    result: &CellResult,
    [datagrams, bytes, syscalls]: [u64; 3],
    usage: measure::Usage,
) -> Side {
    Side {
        datagrams,
        datagrams_in_window: datagrams,
        bytes,
        pps: result.per_second(datagrams as f64),
        bits_per_second: result.per_second(bytes as f64 * 8.0),
        syscalls,
        cpu_ns: usage.cpu.map(|cpu| cpu.0),
        context_switches: switches(usage),
        instructions: usage.instructions.map(|all| all.count),
        instructions_kind: kind(usage),
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

/// The cores of all workers of one side, where they are here and all are pinned.
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

/// Datagrams read after the window; unknown if the receiver learnt its end too late.
fn after_window(plan: &Plan, direction: Option<Direction>, result: &CellResult) -> Option<u64> {
    let planned = matches!(plan.scenario.limit, Limit::Time(_)) && result.cut_short.is_none();
    let rx = &result.rx;
    (planned || direction.is_none()).then(|| rx.received.saturating_sub(rx.read_in_window))
}

fn latencies(
    result: &CellResult,
    ledger: &measure::LedgerCounts,
    load: WorkerLoad,
) -> (Option<Latency>, Option<Latency>) {
    let whole = &result.latency;
    let stalls = result.tx_stalls.count.max(result.rx_stalls.count);
    let in_stall = (stalls > 0).then_some(&whole.in_stall);
    // A slot that was never sent kept its user waiting for ever, as a lost datagram does.
    let missed = result.timing.as_ref().map_or(0, |timing| timing.missed);
    let never = ledger.lost.saturating_add(missed);
    let from_schedule = latency(&whole.from_schedule, "schedule", result, never, in_stall);
    // Without a schedule, the intended moment is the departure.
    let sent = if load == WorkerLoad::FlatOut { &whole.from_schedule } else { &whole.from_send };
    (from_schedule, latency(sent, "send", result, ledger.lost, None))
}

/// A part of the latency that begins or ends with the kernel's timestamp.
fn stamped(
    part: &measure::LatencyHistograms,
    from: &str,
    result: &CellResult,
    lost: u64,
) -> Option<Latency> {
    let latency = latency(part, from, result, lost, None)?;
    Some(Latency { timestamp: "kernel".to_owned(), ..latency })
}

fn latency(
    from: &measure::LatencyHistograms,
    word: &str,
    result: &CellResult,
    lost: u64,
    in_stall: Option<&measure::LatencyHistograms>,
) -> Option<Latency> {
    // What the receiver's kernel stamped, the same host's clock ends.
    let bound_ns = if word == "kernel" { 0 } else { result.latency.bound.0 };
    let stdev_ns = from.stdev_ns()?;
    let (known, limits) = figures(from, lost, bound_ns);
    let batch_max = result.rx.batch_max;
    // Flat out, a batch shares the clock read of its departure too.
    let batched = batch_max > 1 || result.timing.is_none();
    Some(Latency {
        kind: if result.exchange.is_some() { "round_trip" } else { "one_way" }.to_owned(),
        from: word.to_owned(),
        timestamp: if batched { "per_batch" } else { "per_datagram" }.to_owned(),
        batch_max,
        count: from.count(),
        bound_ns,
        min_ns: known.min_ns,
        mean_ns: known.mean_ns,
        stdev_ns,
        p50_ns: known.p50_ns,
        p90_ns: known.p90_ns,
        p99_ns: known.p99_ns,
        p99_9_ns: known.p99_9_ns,
        p99_99_ns: known.p99_99_ns,
        max_ns: known.max_ns,
        clamped: from.clamped(),
        p99_with_loss_ns: known.p99_with_loss_ns,
        upper_limits: (bound_ns > 0).then_some(limits),
        outside_stalls: in_stall.and_then(|part| outside(from, part, bound_ns)),
        histogram: encode(from.histogram()),
    })
}

fn outside(
    whole: &measure::LatencyHistograms,
    part: &measure::LatencyHistograms,
    bound_ns: u64,
) -> Option<OutsideStalls> {
    let rest = whole.without(part)?;
    let (known, limits) = figures(&rest, 0, bound_ns);
    let UpperLimits { p50_ns, p99_ns, p99_9_ns, max_ns, .. } = limits;
    let limits = UpperLimits { p50_ns, p99_ns, p99_9_ns, max_ns, ..UpperLimits::default() };
    Some(OutsideStalls {
        count: rest.count(),
        overlapped: part.count(),
        p50_ns: known.p50_ns,
        p99_ns: known.p99_ns,
        p99_9_ns: known.p99_9_ns,
        max_ns: known.max_ns,
        upper_limits: (bound_ns > 0).then_some(limits),
    })
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

fn stall_sum(stalls: measure::StallCounts) -> StallSum {
    StallSum { count: stalls.count, total_ns: stalls.total.0, max_ns: stalls.max.0 }
}

#[cfg(test)]
mod tests;
