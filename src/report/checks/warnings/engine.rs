//! Warnings about engines.

use super::CellContext;
use crate::document::{Cell, Warning};
use crate::measure::{PacketCounts, Topology};
use crate::plan::MissingEngine;
use crate::report::checks::warning_codes as codes;

/// Engines that a run lacks because the host does not have them.
pub fn left_out(missing: &[MissingEngine]) -> impl Iterator<Item = Warning> {
    missing.iter().map(|missing| {
        let message = format!("engine {} is left out: {}", missing.engine, missing.why);
        codes::ENGINE_LEFT_OUT.warning(message)
    })
}

/// GSO into GRO without segmentation between: many datagrams were one packet to the kernel.
pub(super) fn never_cut(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let packets = &cell.packets;
    let (all, uncut) = cell.ledger.arrived.zip(packets.uncut)?;
    let each = uncut / packets.received?.max(1);
    is_uncut(cell).then(|| {
        codes::SEGMENTS_NEVER_CUT.warning(format!(
            "{uncut} of {all} datagrams uncut in super-packets of {each}; compare gso/batch"
        ))
    })
}

/// Whether most datagrams of this cell went from end to end in super-packets.
pub(crate) fn is_uncut(cell: &Cell) -> bool {
    let packets = &cell.packets;
    let known = packets.uncut.zip(packets.received).zip(cell.ledger.arrived);
    let ends =
        if cell.ends.as_deref() == Some("across") { Topology::Remote } else { Topology::SameNetns };
    known.is_some_and(|((uncut, packets_received), arrived)| {
        let (sent, packets_sent) = (cell.tx.datagrams, packets.sent);
        PacketCounts { sent, packets_sent, arrived, packets_received, uncut }.are_uncut(ends)
    })
}

/// Bytes below which two datagrams may share a super-packet: 64 KiB less headers of IP and UDP.
const SUPER_PACKET: u64 = 65_536 - 63;

pub(super) fn fell_back(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let engine = &cell.engine;
    let first = cell.packets.segments_at_first?;
    (engine.tx_active != engine.tx).then(|| {
        let why = if cell.size_mix.is_some() {
            "sizes are mixed"
        } else if first == 1 && 2 * cell.size > SUPER_PACKET {
            "datagrams too large to share one"
        } else {
            "super-packets refused, or --batch 1"
        };
        codes::ENGINE_FELL_BACK
            .warning(format!("{} ran instead of {}: {why}", engine.tx_active, engine.tx))
    })
}

pub(super) fn segments_fell(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let (first, last) = cell.packets.segments_at_first.zip(cell.packets.segments_at_last)?;
    (1 < last && last < first).then(|| {
        codes::SEGMENTS_FELL.warning(format!(
            "super-packets of {first} segments refused, {last} used: set --batch {last}"
        ))
    })
}

pub(super) fn no_buffers(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let (times, received) = cell.packets.no_buffers.zip(cell.packets.received)?;
    (times > 0 && times.saturating_mul(100) > received).then(|| {
        codes::NO_BUFFERS.warning(format!(
            "io_uring ran out of buffers {times} times: latency too high; use more --threads"
        ))
    })
}

pub(super) fn not_stamped(cell: &Cell, ctx: &CellContext<'_>) -> Option<Warning> {
    (ctx.stamps && cell.in_socket.is_none() && cell.latency.is_some()).then(|| {
        codes::NOT_STAMPED.warning(format!(
            "engine {} gives no kernel timestamps; choose another receiving engine",
            cell.engine.rx_active.as_ref().unwrap_or(&cell.engine.rx)
        ))
    })
}

pub(super) fn truncated(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let count = cell.packets.truncated.filter(|&count| count > 0)?;
    if cell.exchange.is_some() {
        let message =
            format!("{count} replies were longer than their buffer; use another receive engine");
        return Some(codes::TRUNCATED.warning(message));
    }
    Some(codes::TRUNCATED.warning(format!(
        "{count} packets truncated: another sender may use this port; choose another"
    )))
}
