//! Doubts that come from how datagrams were moved.

use super::CellContext;
use crate::document::{Cell, Warning};
use crate::measure::{PacketCounts, Topology};
use crate::plan::MissingEngine;
use crate::report::checks::warning_codes;

/// Engines that a run would have had, were they here.
pub fn left_out(missing: &[MissingEngine]) -> impl Iterator<Item = Warning> {
    missing.iter().map(|missing| {
        let message = format!("engine {} is left out: {}", missing.engine, missing.why);
        warning_codes::ENGINE_LEFT_OUT.warning(message)
    })
}

/// GSO into GRO without a cut in between: many datagrams were one packet to the kernel.
pub(super) fn never_cut(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let packets = &cell.packets;
    let (all, uncut) = cell.ledger.arrived.zip(packets.uncut)?;
    let each = uncut / packets.received?.max(1);
    is_uncut(cell).then(|| {
        warning_codes::SEGMENTS_NEVER_CUT.warning(format!(
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

/// Asked for super-packets, and sent none.
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
        warning_codes::ENGINE_FELL_BACK
            .warning(format!("{} ran instead of {}: {why}", engine.tx_active, engine.tx))
    })
}

/// Fewer segments at the end than at the start, but some.
pub(super) fn segments_fell(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let (first, last) = cell.packets.segments_at_first.zip(cell.packets.segments_at_last)?;
    (1 < last && last < first).then(|| {
        warning_codes::SEGMENTS_FELL.warning(format!(
            "super-packets of {first} segments refused, {last} used: set --batch {last}"
        ))
    })
}

/// io_uring found no buffer: what arrived waited in the socket.
pub(super) fn no_buffers(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let (times, received) = cell.packets.no_buffers.zip(cell.packets.received)?;
    (times > 0 && times.saturating_mul(100) > received).then(|| {
        warning_codes::NO_BUFFERS.warning(format!(
            "io_uring ran out of buffers {times} times: latency too high; use more --threads"
        ))
    })
}

/// Kernel timestamps that were asked for and are not there.
pub(super) fn not_stamped(cell: &Cell, ctx: &CellContext<'_>) -> Option<Warning> {
    (ctx.stamps && cell.in_socket.is_none() && cell.latency.is_some()).then(|| {
        warning_codes::NOT_STAMPED.warning(format!(
            "engine {} gives no kernel timestamps; choose another receiving engine",
            cell.engine.rx_active.as_ref().unwrap_or(&cell.engine.rx)
        ))
    })
}

/// Packets without their end.
pub(super) fn truncated(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let count = cell.packets.truncated.filter(|&count| count > 0)?;
    if cell.exchange.is_some() {
        let message =
            format!("{count} answers were longer than their buffer; use another receive engine");
        return Some(warning_codes::TRUNCATED.warning(message));
    }
    Some(
        warning_codes::TRUNCATED
            .warning(format!("{count} packets truncated: who else sends to this port?")),
    )
}

#[cfg(test)]
mod tests {
    use super::super::tests::{all, calm, clean_cell, codes};
    use super::*;
    use crate::document::Packets;

    fn uncut(cell: &mut Cell) {
        let (sent, received) = (1_563, 1_563);
        cell.packets = Packets {
            sent,
            received: Some(received),
            uncut: Some(100_000),
            segments_at_first: Some(64),
            segments_at_last: Some(64),
            ..Packets::default()
        };
        cell.kernel.out_datagrams = Some(sent);
        cell.kernel.in_datagrams = Some(received);
    }

    #[test]
    fn what_was_never_cut_is_named() {
        let found = all(uncut);
        assert_eq!(found[0].code, "segments_never_cut");
        assert!(found[0].message.starts_with("100000 of "), "{}", found[0].message);
        // Datagrams sent one by one and received together were cut all the way.
        let merged = codes(|cell| cell.packets.uncut = Some(100_000));
        assert_eq!(merged, [""; 0]);
        let mostly_single = codes(|cell| {
            uncut(cell);
            cell.packets.uncut = Some(50_000);
        });
        assert_eq!(mostly_single, [""; 0]);
        let across = |packets: u64| {
            codes(move |cell| {
                uncut(cell);
                cell.ends = Some("across".to_owned());
                cell.packets.received = Some(packets);
                cell.kernel.in_datagrams = Some(packets);
            })
        };
        // Cut on the way and joined there, or never cut.
        assert_eq!(across(3_126), [""; 0]);
        assert_eq!(across(1_563), ["segments_never_cut"]);
    }

    #[test]
    fn a_fall_and_a_falling_back_are_told_apart() {
        let segments = |first, last, active: &str| {
            let active = active.to_owned();
            codes(move |cell| {
                (cell.engine.tx, cell.engine.tx_active) = ("gso".to_owned(), active);
                cell.packets.segments_at_first = Some(first);
                cell.packets.segments_at_last = Some(last);
            })
        };
        assert_eq!(segments(64, 64, "gso"), [""; 0]);
        assert_eq!(segments(64, 16, "gso"), ["segments_fell"]);
        assert_eq!(segments(64, 1, "batch"), ["engine_fell_back"]);
        assert_eq!(segments(1, 1, "batch"), ["engine_fell_back"]);
    }

    #[test]
    fn buffers_cuts_and_stamps_are_named_when_they_matter() {
        assert_eq!(codes(|cell| cell.packets.no_buffers = Some(1_000)), [""; 0]);
        assert_eq!(codes(|cell| cell.packets.no_buffers = Some(1_001)), ["no_buffers"]);
        assert_eq!(codes(|cell| cell.packets.truncated = Some(1)), ["truncated"]);
        let answers = all(|cell| {
            cell.packets.truncated = Some(2);
            cell.exchange = Some(Default::default());
        });
        assert!(answers.iter().any(|one| one.message.starts_with("2 answers were longer")));
        let mut cell = clean_cell();
        let stamps = CellContext { stamps: true, ..calm() };
        assert_eq!(not_stamped(&cell, &stamps), None);
        cell.latency = crate::report::fixture::cell("plain", 64, "max", 1e5).latency;
        assert_eq!(not_stamped(&cell, &stamps).unwrap().code, "not_stamped");
        assert_eq!(not_stamped(&cell, &calm()), None);
    }
}
