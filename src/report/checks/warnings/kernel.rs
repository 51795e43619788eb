//! Warnings about counters and limits of the kernel.

use super::context::{CellContext, is_local, is_null, nonzero, percent};
use crate::document::{Cell, SocketBuffer, Warning};
use crate::measure::SinkTally;
use crate::report::checks::warning_codes as codes;
use crate::unit::{grouped, show_bytes, sum_counts};

/// The kernel counts other traffic too, so its counts are at least those of udperf.
pub(super) fn kernel_mismatch(cell: &Cell) -> Option<String> {
    let (kernel, ledger) = (&cell.kernel, &cell.ledger);
    // In packets, as the kernel counts.
    let dropped = kernel.socket_drops.zip(ledger.lost_at.receive_buffer).map(|(a, b)| a.min(b));
    let pairs = [
        ("sent", kernel.out_datagrams, Some(cell.packets.sent)),
        ("read", kernel.in_datagrams, cell.packets.received),
        ("dropped", kernel.rcvbuf_errors, dropped),
    ];
    let (what, theirs, ours) = pairs
        .into_iter()
        .filter(|_| !is_null(cell))
        .filter_map(|(what, theirs, ours)| Some((what, theirs?, ours?)))
        .find(|(_, theirs, ours)| theirs < ours)?;
    let [theirs, ours] = [theirs, ours].map(grouped);
    Some(format!("the kernel counted {theirs} {what}, udperf {ours}; repeat the run"))
}

/// Maximum of other datagrams without a warning; arbitrary: name look-ups, time, telemetry.
const OTHERS: u64 = 1_000;

/// Datagrams of others in a counter of a network namespace, if there are many.
pub(super) fn others(all: u64, ours: u64, cell: &Cell, ctx: &CellContext) -> Option<u64> {
    let others = all.saturating_sub(ours);
    // In one namespace both directions are in one count.
    let ours_too = ctx.both && is_local(cell);
    (others > OTHERS && others > ours / 100 && !ours_too).then_some(others)
}

pub(super) fn other_traffic(cell: &Cell, ctx: &CellContext) -> Option<String> {
    if cell.exchange.is_some() || is_null(cell) {
        return None;
    }
    let (all, sent) = (cell.kernel.out_datagrams?, cell.packets.sent);
    let drops = cell.kernel.socket_drops.unwrap_or(0);
    let cause = match drops.saturating_sub(cell.ledger.lost.unwrap_or(0)) {
        0 => {
            let [theirs, ours] = [others(all, sent, cell, ctx)?, sent].map(grouped);
            format!("other processes sent {theirs} datagrams, udperf {ours}")
        }
        not_ours => format!("{} foreign datagrams dropped at udperf's sockets", grouped(not_ours)),
    };
    Some(cause + "; stop other UDP traffic")
}

pub(super) fn buffer_not_granted(cell: &Cell, ctx: &CellContext) -> Option<String> {
    let rx = cell.rx.as_ref().map(|rx| rx.socket_buffer).unwrap_or_default();
    not_granted(cell.tx.socket_buffer, rx, ctx.buffer_doubled)
}

/// The same for these buffers; `doubled`: the system doubles what it grants.
fn not_granted(tx: SocketBuffer, rx: SocketBuffer, doubled: bool) -> Option<String> {
    let small = |(side, limit, buffer): (&str, &str, SocketBuffer)| {
        let usable = buffer.granted? / if doubled { 2 } else { 1 };
        let granted = format!("{side} got {}", show_bytes(usable));
        (usable < buffer.asked).then(|| (buffer.asked, granted, format!("net.core.{limit}")))
    };
    let sides = [("senders", "wmem_max", tx), ("receivers", "rmem_max", rx)];
    let small: Vec<_> = sides.into_iter().filter_map(small).collect();
    let requested = show_bytes(small.first()?.0);
    let granted: Vec<_> = small.iter().map(|(_, granted, _)| granted.as_str()).collect();
    let limits: Vec<_> = small.iter().rev().map(|(.., limit)| limit.as_str()).collect();
    let fix = match doubled {
        true => format!("raise {}", limits.join(", ")),
        false => "use a smaller --socket-buffer".to_owned(),
    };
    Some(format!("{requested} of socket buffer asked, {}; {fix}", granted.join(" and ")))
}

/// Warnings about listeners of a sink; `buffer_doubled`: the system doubles what it grants.
pub(crate) fn listener_warnings(tally: &SinkTally, buffer_doubled: bool) -> Vec<Warning> {
    let drops = sum_counts(tally.listeners.iter().filter_map(|one| one.drops));
    let arrived = tally.unsolicited.totals.datagrams.saturating_add(drops);
    let full = nonzero(drops).map(|drops| {
        let share = percent(drops, arrived);
        let drops = grouped(drops);
        format!("{drops} datagrams ({share}) dropped: receive buffer full; use a lower --rate")
    });
    let granted = tally.listeners.iter().filter_map(|one| one.granted).min();
    let asked = tally.listeners.first().map_or(0, |one| one.asked);
    let buffer = SocketBuffer { asked, granted };
    let small =
        nonzero(arrived).and_then(|_| not_granted(SocketBuffer::default(), buffer, buffer_doubled));
    let cells = sum_counts(tally.served.iter().map(|client| client.cut_short));
    let cut_short = nonzero(cells).map(|cells| {
        let is_known = tally.served.iter().all(|client| client.lost.is_some());
        let losses = if is_known { "" } else { ", loss unknown" };
        let plural = if cells == 1 { "" } else { "s" };
        let cells = format!("{} cell{plural}", grouped(cells));
        format!("{cells} cut short: the client or the sink ended first{losses}; repeat the run")
    });
    let messages = [
        (&codes::CUT_SHORT, cut_short),
        (&codes::RECEIVE_BUFFER_LOSS, full),
        (&codes::BUFFER_NOT_GRANTED, small),
    ];
    messages.into_iter().filter_map(|(code, message)| Some(code.warning(message?))).collect()
}
