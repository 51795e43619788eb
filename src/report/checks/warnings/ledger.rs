use super::context::{CellContext, exceeds_permille, is_local, is_null, nonzero, percent};
use super::kernel::others;
use crate::document::{Cell, Ledger, LostAt, Refused};
use crate::measure::ledger_identities;
use crate::unit::{group_digits, grouped};

/// The ledger, unless datagrams are requests, which have their own checks.
pub(super) fn of_datagrams(cell: &Cell) -> Option<&Ledger> {
    cell.exchange.is_none().then_some(&cell.ledger)
}

pub(super) fn broken_ledger(cell: &Cell) -> Option<String> {
    let broken = ledger_identities(&cell.ledger).into_iter().find(|one| !one.holds())?;
    let [left, right] = [broken.left.unwrap_or_default(), broken.right]
        .map(|count| group_digits(&count.to_string()));
    Some(format!("{} fails ({left}, {right}): a bug of udperf; please report it", broken.name))
}

pub(super) fn unaccounted(cell: &Cell) -> Option<String> {
    let ledger = of_datagrams(cell).filter(|_| !is_path(cell))?;
    let (unaccounted, lost) = nonzero(ledger.unaccounted).zip(ledger.lost)?;
    let [unaccounted, lost] = [unaccounted, lost].map(grouped);
    let text = format!("{unaccounted} of {lost} lost datagrams are in no counter");
    Some(text + "; see nft list ruleset")
}

pub(super) fn lost_between(cell: &Cell) -> Option<String> {
    let ledger = of_datagrams(cell).filter(|_| is_path(cell))?;
    let (unaccounted, lost) = nonzero(ledger.unaccounted).zip(ledger.lost)?;
    let share = percent(unaccounted, ledger.sent);
    let (place, see) = match cell.ends.as_deref() {
        Some("apart") => ("between both ends", "nft list ruleset"),
        _ => ("in the network", "counters on the path"),
    };
    let queues = if receives_by_xdp(cell) { "--xdp-queue, " } else { "" };
    let [unaccounted, lost] = [unaccounted, lost].map(grouped);
    let lost = format!("{unaccounted} of {lost} lost datagrams ({share}) lost {place}");
    Some(format!("{lost}; see {queues}{see}"))
}

/// Whether the device chooses the queue of arrivals, which the engine `xdp` may not read.
pub(super) fn receives_by_xdp(cell: &Cell) -> bool {
    cell.engine.rx_active.as_deref() == Some("xdp")
}

/// Whether a network is between the two ends whose counters are unknown.
pub(crate) fn is_path(cell: &Cell) -> bool {
    cell.ends.as_deref().is_some_and(|ends| ends != "together")
}

/// Drops at one location, if they are more than one in a thousand.
pub(super) fn dropped(of: fn(&LostAt) -> Option<u64>, cell: &Cell, why: &str) -> Option<String> {
    let sent = cell.ledger.sent;
    let lost = of(&cell.ledger.lost_at).filter(|&lost| exceeds_permille(lost, sent))?;
    Some(format!("{} datagrams ({}) {why}", grouped(lost), percent(lost, sent)))
}

pub(super) fn refused(cell: &Cell, of: fn(&Refused) -> u64, why: &str) -> Option<String> {
    let count = nonzero(of(&cell.ledger.refused))?;
    let share = percent(count, cell.ledger.attempted);
    Some(format!("{} sends ({share}) failed: {why}", grouped(count)))
}

pub(super) fn refused_no_buffers(cell: &Cell, ctx: &CellContext) -> Option<String> {
    let why = if ctx.by_departure {
        "queue full, or too late for etf (ENOBUFS); raise its delta"
    } else {
        "device queue full (ENOBUFS); use a lower --rate"
    };
    refused(cell, |r| r.no_buffers, why)
}

/// At `max` a full send buffer is normal; with a schedule, refused sends are missing load.
pub(super) fn refused_would_block(cell: &Cell, ctx: &CellContext) -> Option<String> {
    cell.schedule.as_ref()?;
    let queue = if ctx.unix { "receiver's queue" } else { "send buffer" };
    refused(cell, |r| r.would_block, &format!("{queue} full (EAGAIN); use a lower --rate"))
}

/// Why the target was unreachable, each cause once, in order; `None` without an outage.
pub(super) fn causes(cell: &Cell) -> Option<String> {
    let mut causes: Vec<&str> = Vec::new();
    for outage in &cell.outages {
        if !causes.contains(&outage.message.as_str()) {
            causes.push(&outage.message);
        }
    }
    (!causes.is_empty()).then(|| causes.join("; "))
}

pub(super) fn refused_unreachable(cell: &Cell) -> Option<String> {
    let why = causes(cell).unwrap_or_else(|| "no route, or an ICMP error".to_owned());
    refused(cell, |r| r.unreachable, &(why + "; check address, port and route"))
}

pub(super) fn refused_too_big(cell: &Cell, ctx: &CellContext) -> Option<String> {
    let why = if ctx.unix { "larger than the send buffer" } else { "too large for the path" };
    refused(cell, |r| r.too_big, &format!("{why}; use a smaller --size"))
}

/// Datagrams that arrived and are not new ones of this run.
pub(super) fn arrived(count: Option<u64>, why: &str) -> Option<String> {
    let count = nonzero(count)?;
    let datagrams = if count == 1 { "datagram" } else { "datagrams" };
    Some(format!("{} {datagrams} arrived {why}", grouped(count)))
}

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
        (receivers, format!("{} others received", grouped(others)))
    } else if let Some(others) = sent {
        (senders, format!("{} others sent", grouped(others)))
    } else if at.no_port > Some(0) && ledger.refused.unreachable == 0 {
        // The receivers had their ports all the time, and no ICMP error came.
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
        Some(count) => {
            let [count, sent] = [count, cell.ledger.sent].map(grouped);
            format!("about {count} of {sent} datagrams not sent")
        }
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
