//! Warnings about drop locations: shared counters and estimates.

use super::context::{CellContext, is_local, is_null};
use super::kernel::others;
use super::ledger::of_datagrams;
use crate::document::Cell;

/// Maximum frames per second of a quiet network: bridges send one every 2 s (IEEE 802.1D, hello
/// time), each neighbour one every 30 s (IEEE 802.1AB, `msgTxInterval`). A device counts frames
/// without a listener as dropped.
const FRAMES_PER_SECOND: u64 = 1;

pub(super) fn shared_counters(cell: &Cell, ctx: &CellContext) -> Option<String> {
    let ledger = of_datagrams(cell).filter(|_| !is_null(cell))?;
    let at = &ledger.lost_at;
    let charged = |names: &[&str]| {
        let places = at.places().into_iter();
        let some = places.filter(|(name, count)| names.contains(name) && *count > Some(0));
        some.map(|(name, _)| name).collect::<Vec<_>>()
    };
    let receivers = charged(&["backlog", "device", "checksum", "no_port", "rx_ip", "reassembly"]);
    let senders = charged(&["backlog", "qdisc", "tx_device", "tx_ip"]);
    let shared: Vec<_> = ledger.shared.iter().flatten().map(String::as_str).collect();
    let (kernel, packets) = (&cell.kernel, &cell.packets);
    let beside = |all: Option<u64>, ours: Option<u64>| others(all?, ours?, cell, ctx);
    let received = beside(kernel.in_datagrams, packets.received).filter(|_| !receivers.is_empty());
    let sent = beside(kernel.out_datagrams, Some(packets.sent)).filter(|_| !senders.is_empty());
    let (places, why) = if !shared.is_empty() {
        (shared, "counted more than was lost".to_owned())
    } else if let Some(others) = received {
        (receivers, format!("{others} others received"))
    } else if let Some(others) = sent {
        (senders, format!("{others} others sent"))
    } else if at.no_port > Some(0) && ledger.refused.unreachable == 0 {
        // Our receivers had their ports all the time, and no ICMP error came.
        (vec!["no_port"], "no ICMP error came".to_owned())
    } else if is_quiet_noise(cell) {
        (vec!["device"], "other protocols count too".to_owned())
    } else {
        return None;
    };
    let places = name_first(&places);
    Some(format!("lost_at {places} is an upper bound ({why}); use a network namespace of its own"))
}

fn name_first(places: &[&str]) -> String {
    match places {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first, rest @ ..] => format!("{first} (+{})", rest.len()),
    }
}

/// Whether the drops of the receiver's device may be other frames; loopback has none.
fn is_quiet_noise(cell: &Cell) -> bool {
    let seconds = cell.elapsed_ns.div_ceil(1_000_000_000);
    let frames = FRAMES_PER_SECOND.saturating_mul(seconds);
    !is_local(cell)
        && cell.ledger.lost_at.device > Some(0)
        && cell.kernel.device_drops <= Some(frames)
}

/// Also applies without a receiver, where loss is unknown.
pub(super) fn neighbour_unresolved(cell: &Cell) -> Option<String> {
    cell.kernel.neighbour_unresolved.filter(|unresolved| *unresolved)?;
    let unsent = match cell.ledger.lost_at.neighbour {
        Some(0) => return None,
        Some(count) => format!("about {count} of {} datagrams not sent", cell.ledger.sent),
        None => "datagrams not sent".to_owned(),
    };
    Some(unsent + ": next hop did not answer ARP; see ip neigh")
}

pub(super) fn estimated_places(cell: &Cell) -> Option<String> {
    // Those are estimates of another kind, which their own warnings explain.
    let is_other = |place: &str| ["neighbour", "reassembly"].contains(&place);
    let places = of_datagrams(cell)?.estimated.iter().flatten().map(String::as_str);
    let places: Vec<_> = places.filter(|place| !is_other(place)).collect();
    let text = "is an estimate from packets; use -e batch for exact counts";
    (!places.is_empty()).then(|| format!("lost_at {} {text}", name_first(&places)))
}
