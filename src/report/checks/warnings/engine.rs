//! Warnings about engines, flows and receivers.

use super::context::{CellContext, nonzero, percent};
use crate::document::{Cell, Warning};
use crate::measure::{PacketCounts, Topology};
use crate::plan::MissingEngine;
use crate::report::checks::warning_codes::{self as codes, standing_out};
use crate::unit::{grouped, sum_counts};

pub(crate) fn left_out(missing: &[MissingEngine]) -> impl Iterator<Item = Warning> {
    missing.iter().map(|missing| {
        let (engine, why) = (&missing.engine, &missing.why);
        let message = format!("engine {engine} is left out: {why}; see udperf doctor");
        codes::ENGINE_LEFT_OUT.warning(message)
    })
}

pub(super) fn segments_never_cut(cell: &Cell) -> Option<String> {
    let packets = &cell.packets;
    let (all, uncut) = cell.ledger.arrived.zip(packets.uncut)?;
    let each = uncut / packets.received?.max(1);
    let [uncut, all, each] = [uncut, all, each].map(grouped);
    let text = format!("{uncut} of {all} datagrams stayed in super-packets of {each}");
    is_unsplit(cell).then(|| text + "; compare gso/batch")
}

/// Whether most datagrams of this cell went from end to end in super-packets.
pub(crate) fn is_unsplit(cell: &Cell) -> bool {
    let packets = &cell.packets;
    let known = packets.uncut.zip(packets.received).zip(cell.ledger.arrived);
    let ends =
        if cell.ends.as_deref() == Some("across") { Topology::Remote } else { Topology::SameNetns };
    known.is_some_and(|((uncut, packets_received), arrived)| {
        let (sent, packets_sent) = (cell.tx.datagrams, packets.sent);
        PacketCounts { sent, packets_sent, arrived, packets_received, uncut }.are_unsplit(ends)
    })
}

/// Bytes below which two datagrams may share a super-packet: 64 KiB less headers of IP and UDP.
const SUPER_PACKET: u64 = 65_536 - 63;

pub(super) fn engine_fell_back(cell: &Cell) -> Option<String> {
    let engine = &cell.engine;
    let first = cell.packets.segments_at_first?;
    let why = if cell.size_mix.is_some() {
        "sizes are mixed; use one --size"
    } else if first == 1 && 2 * cell.size > SUPER_PACKET {
        "datagrams too large to share one; use a smaller --size"
    } else {
        "super-packets refused, or --batch 1; see udperf doctor"
    };
    (engine.tx_active != engine.tx)
        .then(|| format!("{} ran instead of {}: {why}", engine.tx_active, engine.tx))
}

pub(super) fn segments_fell(cell: &Cell) -> Option<String> {
    let (first, last) = cell.packets.segments_at_first.zip(cell.packets.segments_at_last)?;
    (1 < last && last < first).then(|| {
        let [first, last] = [first, last].map(grouped);
        format!("super-packets of {first} segments refused, {last} used; set --batch {last}")
    })
}

pub(super) fn no_buffers(cell: &Cell) -> Option<String> {
    let (times, received) = nonzero(cell.packets.no_buffers).zip(cell.packets.received)?;
    (times.saturating_mul(100) > received).then(|| {
        let times = grouped(times);
        format!("io_uring ran out of buffers {times} times: latency too high; use more --threads")
    })
}

pub(super) fn not_stamped(cell: &Cell, ctx: &CellContext) -> Option<String> {
    let engine = cell.engine.rx_active.as_ref().unwrap_or(&cell.engine.rx);
    (ctx.stamps && cell.in_socket.is_none() && cell.latency.is_some()).then(|| {
        format!("engine {engine} gives no kernel timestamps; choose another receiving engine")
    })
}

pub(super) fn truncated(cell: &Cell) -> Option<String> {
    let count = grouped(nonzero(cell.packets.truncated)?);
    Some(match cell.exchange {
        Some(_) => {
            format!("{count} replies were longer than their buffer; use another receive engine")
        }
        None => {
            format!("{count} packets truncated: another sender may use this port; choose another")
        }
    })
}

pub(super) fn flow_starved(cell: &Cell) -> Option<String> {
    // If nothing arrived at all, other warnings say why.
    let flows = cell.flows.as_ref().filter(|flows| flows.received.max > 0)?;
    let [starved, count] = [nonzero(flows.starved)?, flows.count].map(grouped);
    let text = format!("{starved} of {count} flows received no datagrams");
    Some(text + "; see flows.worst, or use --port-range")
}

pub(super) fn sources_differ(cell: &Cell) -> Option<String> {
    let all = sum_counts(cell.sources.iter().map(|one| one.sources));
    let out = standing_out(cell);
    // They come first.
    let worst = cell.sources.first().filter(|one| one.stands_out)?;
    let (address, share) = (worst.address.as_ref()?, percent(worst.lost?, worst.sent));
    let [out, all] = [out, all].map(grouped);
    Some(format!("{out} of {all} sources lost more: {address} {share}; see sources"))
}

/// A receiver with this many times its share is reported. Arbitrary: the others idle while it is
/// the limit.
const SKEWED: u64 = 2;

pub(super) fn receiver_skew(cell: &Cell, ctx: &CellContext) -> Option<String> {
    let by_hash = ctx.by_hash && cell.direction.as_deref() == Some("forward");
    let workers = cell.workers.as_ref().filter(|workers| by_hash && workers.len() > 1)?;
    let most = u128::from(*workers.iter().max()?);
    let all: u128 = workers.iter().copied().map(u128::from).sum();
    (all > 0 && most * workers.len() as u128 >= u128::from(SKEWED) * all).then(|| {
        let (count, share) = (workers.len(), 100.0 * most as f64 / all as f64);
        format!("one of {count} receivers got {share:.0} % of all datagrams; use more --streams")
    })
}
