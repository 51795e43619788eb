//! Warnings about drop locations: shared counters and estimates.

use super::kernel::OTHERS;
use super::{CellContext, exceeds_permille, is_null, of_datagrams, percent};
use crate::document::{Cell, Warning};
use crate::report::checks::warning_codes as codes;

/// Maximum frames per second of a quiet network: bridges send one every 2 s (IEEE 802.1D, hello
/// time), each neighbour one every 30 s (IEEE 802.1AB, `msgTxInterval`). A device counts frames
/// without a listener as dropped.
const FRAMES_PER_SECOND: u64 = 1;

pub(super) fn shared_counters(cell: &Cell, ctx: &CellContext<'_>) -> Option<Warning> {
    let cell = of_datagrams(cell).filter(|cell| !is_null(cell))?;
    let at = &cell.ledger.lost_at;
    let charged = |wanted: &[&str]| {
        let places = at.places().into_iter();
        let some = places.filter(|(name, count)| wanted.contains(name) && *count > Some(0));
        some.map(|(name, _)| name).collect::<Vec<_>>()
    };
    let receivers = charged(&["backlog", "device", "checksum", "no_port", "rx_ip", "reassembly"]);
    let senders = charged(&["backlog", "qdisc", "tx_device", "tx_ip"]);
    let shared: Vec<_> = cell.ledger.shared.iter().flatten().map(String::as_str).collect();
    let (places, why) = if !shared.is_empty() {
        (shared, "counted more than was lost".to_owned())
    } else if let Some(others) = others_received(cell, ctx).filter(|_| !receivers.is_empty()) {
        (receivers, format!("{others} others received"))
    } else if let Some(others) = others_sent(cell, ctx).filter(|_| !senders.is_empty()) {
        (senders, format!("{others} others sent"))
    } else if at.no_port > Some(0) && cell.ledger.refused.unreachable == 0 {
        // Our receivers had their ports all the time, and no ICMP error came.
        let why = "no ICMP error came";
        (vec!["no_port"], why.to_owned())
    } else if is_quiet_noise(cell) {
        let why = "other protocols count too";
        (vec!["device"], why.to_owned())
    } else {
        return None;
    };
    let message = format!(
        "lost_at {} is an upper bound ({why}); use a network namespace of its own",
        name_first(&places)
    );
    Some(codes::SHARED_COUNTERS.warning(message))
}

/// Datagrams that other sockets received in the receivers' network namespace, if many.
fn others_received(cell: &Cell, ctx: &CellContext<'_>) -> Option<u64> {
    beside(cell.kernel.in_datagrams?, cell.packets.received?, cell, ctx)
}

fn others_sent(cell: &Cell, ctx: &CellContext<'_>) -> Option<u64> {
    beside(cell.kernel.out_datagrams?, cell.packets.sent, cell, ctx)
}

fn beside(all: u64, ours: u64, cell: &Cell, ctx: &CellContext<'_>) -> Option<u64> {
    let others = all.saturating_sub(ours);
    // In one namespace the other direction's are counted with ours.
    let ours_too = ctx.both && cell.ends.as_deref() == Some("together");
    (others > OTHERS && others > ours / 100 && !ours_too).then_some(others)
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
    cell.ends.as_deref() != Some("together")
        && cell.ledger.lost_at.device > Some(0)
        && cell.kernel.device_drops <= Some(frames)
}

/// Also applies without a receiver, where loss is unknown.
pub(super) fn neighbour_unresolved(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    cell.kernel.neighbour_unresolved.filter(|unresolved| *unresolved)?;
    let unsent = match cell.ledger.lost_at.neighbour {
        Some(0) => return None,
        Some(count) => {
            format!("about {count} of {} datagrams not sent", cell.ledger.sent)
        }
        None => "datagrams not sent".to_owned(),
    };
    let message = format!("{unsent}: next hop did not answer ARP; see ip neigh");
    Some(codes::NEIGHBOUR_UNRESOLVED.warning(message))
}

pub(super) fn reassembly_loss(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let (lost, sent) = (cell.ledger.lost_at.reassembly?, cell.ledger.sent);
    exceeds_permille(lost, sent).then(|| {
        let message = format!(
            "{lost} datagrams ({}) arrived incomplete; use a --size that fits the MTU",
            percent(lost, sent)
        );
        codes::REASSEMBLY_LOSS.warning(message)
    })
}

pub(super) fn estimated_places(cell: &Cell, _: &CellContext<'_>) -> Option<Warning> {
    let cell = of_datagrams(cell)?;
    // Those are estimates of another kind, which their own warnings explain.
    let is_other = |place: &&String| ["neighbour", "reassembly"].contains(&place.as_str());
    let places = cell.ledger.estimated.iter().flatten().filter(|place| !is_other(place));
    let places: Vec<_> = places.map(String::as_str).collect();
    if places.is_empty() {
        return None;
    }
    let message = format!(
        "lost_at {} is an estimate from packets; use -e batch for exact counts",
        name_first(&places)
    );
    Some(codes::ESTIMATED_PLACES.warning(message))
}
