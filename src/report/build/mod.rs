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
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};

use crate::document::{
    Cell, Choice, Engine, Failed, Latency, LeftOut, Outage, OutsideStalls, Schedule, Side,
    SocketBuffer, Spread, StallSum, Stalls, Tried, UpperLimits, bounded,
};
use crate::measure::{self, CellResult, CutShort, Topology};
use crate::plan::{self, Direction, EngineKind, Limit, Plan, Scenario, TxKind, WorkerLoad};
use crate::report::build::breakdown::legs;
pub use crate::report::build::requests::CodeName;
use crate::report::build::requests::exchange;
use crate::unit::PayloadSize;
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
    pub harvest: &'a CellResult,
    /// What error codes of the protocol are called, where there is one.
    pub code_name: Option<CodeName<'a>>,
}

/// The cell of the document, without its warnings.
#[must_use]
pub fn cell(facts: CellFacts<'_>) -> Cell {
    let CellFacts { plan, cell, load, direction, harvest, code_name } = facts;
    let scenario = &plan.scenario;
    let ledger = harvest.ledger();
    // Replies that were matched with other requests have no known latency.
    let is_mixed_up = scenario.asking.as_ref().is_some_and(|asking| asking.in_order)
        && harvest.exchange.is_some_and(|exchange| exchange.timeouts > 0);
    let (latency, from_send) = match is_mixed_up {
        true => (None, None),
        false => latencies(harvest, &ledger, load),
    };
    let paced = load != WorkerLoad::FlatOut;
    let (_, rate) = cell.id.rsplit_once('/').unwrap_or_default();
    let both = !harvest.one_ended;
    Cell {
        id: match direction {
            // Of two directions, each has a name of its own.
            Some(Direction::Reverse) => format!("{}/reverse", cell.id),
            _ => cell.id.clone(),
        },
        direction: direction.map(|direction| direction.word().to_owned()),
        ends: (!harvest.one_ended).then(|| ends(harvest.ends).to_owned()),
        trial: cell.trial,
        engine: Engine {
            tx: cell.engine.tx.word().to_owned(),
            rx: cell.engine.rx.word().to_owned(),
            tx_active: tx_active(cell.engine.tx, harvest).word().to_owned(),
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
        elapsed_ns: harvest.elapsed.0,
        calibration: cell.calibration,
        cut_short: harvest.cut_short.is_some(),
        cut_short_because: harvest.cut_short.map(|why| because(why).to_owned()),
        tx: tx_side(plan, direction, harvest),
        rx: both.then(|| rx_side(plan, direction, harvest)),
        per_datagram: per_datagram(harvest),
        packets: packets(harvest),
        ledger: ledger_of(&ledger, harvest),
        flows: both.then(|| flows(&harvest.flows)).flatten(),
        workers: both.then(|| harvest.workers.clone()),
        latency,
        from_send,
        to_socket: stamped(&harvest.latency.to_socket, "schedule", harvest, ledger.lost),
        in_socket: stamped(&harvest.latency.in_socket, "kernel", harvest, ledger.lost),
        legs: harvest.legs.as_deref().and_then(legs),
        schedule: harvest.timing.as_ref().map(schedule),
        jitter_ns: harvest.jitter.map(|jitter| jitter.0),
        stalls: Stalls {
            tx: stall_sum(harvest.tx_stalls),
            rx: both.then(|| stall_sum(harvest.rx_stalls)),
            stolen_ns: harvest.stolen.map(|stolen| stolen.0),
        },
        kernel: kernel(harvest),
        exchange: exchange(scenario.asking.as_ref(), harvest, code_name),
        outages: harvest.outages.iter().map(outage).collect(),
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

/// The word for it in the document.
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
fn tx_active(asked: TxKind, harvest: &CellResult) -> TxKind {
    match harvest.super_packets.segments_at_last {
        Some(1) if asked == TxKind::Gso => TxKind::Batch,
        _ => asked,
    }
}

fn tx_side(plan: &Plan, direction: Option<Direction>, harvest: &CellResult) -> Side {
    let tx = &harvest.tx;
    let here = direction != Some(Direction::Reverse);
    Side {
        datagrams: tx.sent,
        datagrams_in_window: tx.sent,
        datagrams_after_window: None,
        bytes: tx.bytes,
        pps: harvest.per_second(tx.sent as f64),
        bits_per_second: harvest.per_second(tx.bytes as f64 * 8.0),
        syscalls: tx.syscalls,
        cpu_ns: harvest.tx_usage.cpu.map(|cpu| cpu.0),
        context_switches: switches(harvest.tx_usage),
        instructions: harvest.tx_usage.instructions.map(|all| all.count),
        instructions_kind: kind(harvest.tx_usage),
        cores: cores(here.then_some(&plan.tx_cores)),
        socket_buffer: buffer(&plan.scenario, harvest.sockets.send_buffer),
    }
}

fn rx_side(plan: &Plan, direction: Option<Direction>, harvest: &CellResult) -> Side {
    let rx = &harvest.rx;
    let here = direction != Some(Direction::Forward);
    // One that asks hears on the same core.
    let apart = plan.scenario.asking.is_none();
    Side {
        datagrams: rx.received,
        datagrams_in_window: rx.received,
        datagrams_after_window: after_window(plan, direction, harvest),
        bytes: rx.bytes,
        pps: harvest.per_second(rx.received as f64),
        bits_per_second: harvest.per_second(rx.bytes as f64 * 8.0),
        syscalls: rx.syscalls,
        cpu_ns: harvest.rx_usage.cpu.map(|cpu| cpu.0),
        context_switches: switches(harvest.rx_usage),
        instructions: harvest.rx_usage.instructions.map(|all| all.count),
        instructions_kind: kind(harvest.rx_usage),
        cores: cores((here && apart).then_some(&plan.rx_cores)),
        socket_buffer: buffer(&plan.scenario, harvest.sockets.receive_buffer),
    }
}

/// The word for it in the document.
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

/// Datagrams that were read after the end of the window. Between hosts, a receiver learns the end
/// of the window too late if the senders end by a count or early; the number is then unknown.
fn after_window(plan: &Plan, direction: Option<Direction>, harvest: &CellResult) -> Option<u64> {
    let planned = matches!(plan.scenario.limit, Limit::Time(_)) && harvest.cut_short.is_none();
    let rx = &harvest.rx;
    (planned || direction.is_none()).then(|| rx.received.saturating_sub(rx.read_in_window))
}

/// Latency from the schedule and from the send.
fn latencies(
    harvest: &CellResult,
    ledger: &measure::LedgerCounts,
    load: WorkerLoad,
) -> (Option<Latency>, Option<Latency>) {
    let whole = &harvest.latency;
    let stalls = harvest.tx_stalls.count.max(harvest.rx_stalls.count);
    let in_stall = (stalls > 0).then_some(&whole.in_stall);
    // A slot that was never sent kept its user waiting for ever, as a lost datagram does.
    let missed = harvest.timing.as_ref().map_or(0, |timing| timing.missed);
    let never = ledger.lost.saturating_add(missed);
    let from_schedule = latency(&whole.from_schedule, "schedule", harvest, never, in_stall);
    // Without a schedule, the intended moment is the departure.
    let sent = if load == WorkerLoad::FlatOut { &whole.from_schedule } else { &whole.from_send };
    (from_schedule, latency(sent, "send", harvest, ledger.lost, None))
}

/// A part of the latency that begins or ends with the kernel's timestamp.
fn stamped(
    part: &measure::LatencyHistograms,
    from: &str,
    harvest: &CellResult,
    lost: u64,
) -> Option<Latency> {
    let latency = latency(part, from, harvest, lost, None)?;
    Some(Latency { timestamp: "kernel".to_owned(), ..latency })
}

fn latency(
    from: &measure::LatencyHistograms,
    word: &str,
    harvest: &CellResult,
    lost: u64,
    in_stall: Option<&measure::LatencyHistograms>,
) -> Option<Latency> {
    // What the receiver's kernel stamped, the same host's clock ends.
    let bound_ns = if word == "kernel" { 0 } else { harvest.latency.bound.0 };
    let at = |quantile| bounded(from.quantile_ns(quantile), bound_ns);
    let [p50, p90, p99, p99_9, p99_99] = [0.5, 0.9, 0.99, 0.999, 0.9999].map(at);
    let [min, mean, max] = [from.min_ns(), Some(from.mean_ns()?), Some(from.max_ns()?)]
        .map(|ns| bounded(ns, bound_ns));
    let p99_with_loss = bounded(from.quantile_with_lost_ns(0.99, lost), bound_ns);
    let limits = UpperLimits {
        min_ns: min.1,
        mean_ns: mean.1,
        max_ns: max.1,
        p50_ns: p50.1,
        p90_ns: p90.1,
        p99_ns: p99.1,
        p99_9_ns: p99_9.1,
        p99_99_ns: p99_99.1,
        p99_with_loss_ns: p99_with_loss.1,
    };
    let batch_max = harvest.rx.batch_max;
    // Flat out, a batch shares the clock read of its departure too.
    let batched = batch_max > 1 || harvest.timing.is_none();
    Some(Latency {
        kind: if harvest.exchange.is_some() { "round_trip" } else { "one_way" }.to_owned(),
        from: word.to_owned(),
        timestamp: if batched { "per_batch" } else { "per_datagram" }.to_owned(),
        batch_max,
        count: from.count(),
        bound_ns,
        min_ns: min.0,
        mean_ns: mean.0,
        stdev_ns: from.stdev_ns()?,
        p50_ns: p50.0,
        p90_ns: p90.0,
        p99_ns: p99.0,
        p99_9_ns: p99_9.0,
        p99_99_ns: p99_99.0,
        max_ns: max.0,
        clamped: from.clamped(),
        p99_with_loss_ns: p99_with_loss.0,
        upper_limits: (bound_ns > 0).then_some(limits),
        outside_stalls: in_stall.and_then(|part| outside(from, part, bound_ns)),
        histogram: encode(from),
    })
}

fn outside(
    whole: &measure::LatencyHistograms,
    part: &measure::LatencyHistograms,
    bound_ns: u64,
) -> Option<OutsideStalls> {
    let rest = whole.without(part)?;
    let at = |quantile| bounded(rest.quantile_ns(quantile), bound_ns);
    let [p50, p99, p99_9] = [0.5, 0.99, 0.999].map(at);
    let max = bounded(rest.max_ns(), bound_ns);
    Some(OutsideStalls {
        count: rest.count(),
        overlapped: part.count(),
        p50_ns: p50.0,
        p99_ns: p99.0,
        p99_9_ns: p99_9.0,
        max_ns: max.0,
        upper_limits: (bound_ns > 0).then(|| UpperLimits {
            p50_ns: p50.1,
            p99_ns: p99.1,
            p99_9_ns: p99_9.1,
            max_ns: max.1,
            ..UpperLimits::default()
        }),
    })
}

/// HdrHistogram V2, deflated, base64: what its log tools read.
fn encode(latency: &measure::LatencyHistograms) -> String {
    let mut bytes = Vec::new();
    match V2DeflateSerializer::new().serialize(latency.histogram(), &mut bytes) {
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

/// Three points of a distribution.
pub(super) fn spread(of: &measure::LatencyHistograms) -> Spread {
    Spread { p50_ns: of.quantile_ns(0.5), p99_ns: of.quantile_ns(0.99), max_ns: of.max_ns() }
}

fn stall_sum(stalls: measure::StallCounts) -> StallSum {
    StallSum { count: stalls.count, total_ns: stalls.total.0, max_ns: stalls.max.0 }
}

#[cfg(test)]
mod tests;
